// SPDX-License-Identifier: GPL-3.0-or-later
//! Firmware that enforces page permissions.
//!
//! Since 2.14 GRUB tells UEFI of each section of a module whether it is code, constants or data.
//! Debian has an OVMF that then stops whoever writes to code or runs data. Kernels are booted
//! there with our module. Beside boot services they have to start. Otherwise GRUB itself may be
//! stopped when it hands over: our module has to have loaded everything before, and GRUB's own
//! has to be stopped in the same place.

use std::fs;

use anyhow::{Result, ensure};
use mb2_testkit::dump::Entry;
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::{self, Variant};

use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::{Machine, Next, Outcome};
use crate::suite::{MEMORY, iso_path, tail};
use crate::test::LIMIT;
use crate::variants::{as_run, in_kit};
use crate::{firmware, xen};

/// What names of these jobs begin with.
pub(crate) const NAME: &str = "strict NX, ";

/// The kernels that are booted besides Xen, on the platforms that they are for.
const VARIANTS: [&str; 2] = ["modules-3", "efi64-module"];

/// What GRUB prints when kernel and modules are loaded.
const LOADED: &str = "mb2t loaded";

/// What the firmware prints last when it stops a program.
const FAULT_END: &str = "Find image based on IP";

/// Returns the jobs for a place.
///
/// # Errors
///
/// If the test kernel cannot be wrapped.
pub(crate) fn jobs(place: &Place, payload: &Payload) -> Result<Vec<Job>> {
    if !place.platform.is_efi() {
        return Ok(Vec::new());
    }
    let here = place.clone();
    let xen = move || compare(&here, &Guest::xen()?);
    let mut jobs = vec![Job::new(&format!("{NAME}Xen"), Some(place), xen)];
    let platform = in_kit(place.platform);
    for variant in variants::all(payload)? {
        if VARIANTS.contains(&variant.name.as_str()) && variant.platforms.contains(&platform) {
            let here = place.clone();
            let name = format!("{NAME}{}", variant.name);
            let kernel = move || compare(&here, &Guest::kernel(variant));
            jobs.push(Job::new(&name, Some(place), kernel));
        }
    }
    Ok(jobs)
}

/// What a machine boots.
struct Guest {
    name: String,
    script: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    /// What the test kernel promises; nothing where the guest is Xen.
    variant: Option<Variant>,
}

impl Guest {
    fn xen() -> Result<Self> {
        Ok(Self {
            name: "xen".to_owned(),
            script: xen::script(),
            files: xen::files()?,
            variant: None,
        })
    }

    fn kernel(variant: Variant) -> Self {
        Self {
            name: variant.name.clone(),
            script: variant.script.clone(),
            files: variant.files.clone(),
            variant: Some(variant),
        }
    }

    /// Tells whether it is entered beside boot services.
    fn keeps_services(&self, place: &Place) -> bool {
        match &self.variant {
            Some(variant) => variant.entry(in_kit(place.platform)) != Entry::Plain32,
            // Xen has the 64-bit entry only.
            None => place.platform == Platform::X86_64Efi,
        }
    }

    /// Boots it under one of the two modules.
    fn boot(&self, place: &Place, flavour: Flavour) -> Result<Outcome> {
        let mut config = iso::prologue(place.platform);
        for line in &self.script {
            if line == "boot" {
                config += &format!("echo {LOADED}\n");
            }
            config += &format!("{line}\n");
        }
        let iso = iso_path(place, &format!("nx-{}", self.name), flavour);
        iso::build(
            &Maker::of(place, flavour)?,
            &config,
            &iso::borrowed(&self.files),
            &iso,
        )?;
        let transcript = iso.with_extension("txt");
        let machine = Machine {
            firmware: firmware::strict_nx(place.platform)?,
            stop_at: Some(xen::REFUSAL),
            ..Machine::new(place.platform, MEMORY, iso)
        };
        let mut watch = xen::Watch::default();
        let outcome = machine.run(LIMIT, |line| match line.contains(FAULT_END) {
            true => Next::Stop,
            false => watch.line(line),
        })?;
        fs::write(transcript, &outcome.transcript)?;
        Ok(outcome)
    }
}

/// Boots a guest under our module, or proves that GRUB's own cannot do it either.
fn compare(place: &Place, guest: &Guest) -> Result<Passed> {
    let ours = guest.boot(place, Flavour::Ours)?;
    if let Some(fault) = Fault::in_text(&ours.transcript)
        && !guest.keeps_services(place)
    {
        let stock = guest.boot(place, Flavour::Stock)?;
        ensure!(
            ours.transcript.contains(LOADED) && Fault::in_text(&stock.transcript) == Some(fault),
            "{}\nthe firmware stops our module, GRUB's own it does not stop there:\n{}",
            tail(&ours.transcript),
            tail(&stock.transcript)
        );
        return Ok(Passed::with("loads; then GRUB is stopped, with C too"));
    }
    match &guest.variant {
        Some(variant) => kernel_verdict(variant, place, &ours),
        None => xen_verdict(place, &ours),
    }
}

/// Says whether the test kernel found what its image promises. It is not compared: this firmware
/// has free memory at address 0, and GRUB's own module puts a section there.
fn kernel_verdict(variant: &Variant, place: &Place, ours: &Outcome) -> Result<Passed> {
    let (_, findings) = variant.examine(in_kit(place.platform), as_run(ours), true)?;
    ensure!(
        findings.is_empty(),
        "{}\n{}",
        tail(&ours.transcript),
        findings.join("\n")
    );
    Ok(Passed::with("boots"))
}

/// Says how far Xen has come.
fn xen_verdict(place: &Place, ours: &Outcome) -> Result<Passed> {
    let mut watch = xen::Watch::default();
    for line in ours.transcript.lines() {
        if watch.line(line) == Next::Stop {
            break;
        }
    }
    watch.passed(place.platform, &ours.transcript)
}

/// Where the firmware has stopped a program: the distances of instruction and memory from the
/// start of their pages. GRUB's modules begin on a page, so these are the same in every boot.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    instruction: u64,
    memory: u64,
}

impl Fault {
    /// Reads the firmware's report, if there is one.
    fn in_text(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let (_, rest) = text
                .split_once(&format!("{name}  - "))
                .or_else(|| text.split_once(&format!("{name} - ")))?;
            let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            Some(u64::from_str_radix(&digits, 16).ok()? % 0x1000)
        };
        Some(Self {
            instruction: value("RIP").or_else(|| value("EIP"))?,
            memory: value("CR2")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_in_a_module_is_the_same_fault() {
        let wide = "X64 Exception Type - 0E(#PF - Page-Fault)\n\
                    RIP  - 000000003A8172A1, CS  - 0000000000000038\n\
                    CR0  - 0000000080010033, CR2 - 000000003A8148CA, CR3 - 000000003E801000\n";
        let narrow = "EIP  - 3ACBA2A1, CS  - 00000010\nCR0  - 80010033, CR2 - 3ACBA8CA\n";
        let fault = Fault::in_text(wide).unwrap();
        assert_eq!(fault, Fault::in_text(narrow).unwrap());
        let other = wide.replace("72A1", "72A2");
        assert_ne!(fault, Fault::in_text(&other).unwrap());
        assert_eq!(Fault::in_text("Xen version 4.17"), None);
    }
}
