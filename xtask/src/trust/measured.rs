// SPDX-License-Identifier: GPL-3.0-or-later
//! What a TPM is told about a boot: commands and command lines in register 8, files in 9.

use std::fs;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::{self, Measured};
use sha2::{Digest, Sha256};

use super::chip::{Chip, Sum, shown, value};
use super::{BEGIN, NAME, said, same};
use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::job::{Job, Passed};
use crate::qemu::{Machine, Next, Outcome};
use crate::snapshot;
use crate::suite::iso_path;
use crate::test::LIMIT;
use crate::variants::{in_kit, setting, weigh};

/// GRUB's registers: for strings and for files.
const REGISTERS: [u32; 2] = [8, 9];

/// What is loaded before anything is measured: modules of GRUB are files, too.
const BEFORE: [&str; 4] = ["iorw", "echo", "gzio", "multiboot2"];

/// Returns the job for a place.
///
/// # Errors
///
/// If the test kernel cannot be wrapped.
pub(super) fn job(place: &Place, payload: &Payload) -> Result<Job> {
    let (here, measured) = (place.clone(), variants::measured(payload)?);
    let name = format!("{NAME}TPM");
    Ok(Job::new(&name, Some(place), move || {
        compare(&here, &measured)
    }))
}

/// What a register is told, each with a name for it.
type Promise = Vec<(String, Sum)>;

/// Boots under both modules. In both the registers have to hold what was promised, and so the same.
fn compare(place: &Place, measured: &Measured) -> Result<Passed> {
    let runs = Mutex::new(Vec::new());
    let setting = setting(&place.grub, in_kit(place.platform))?;
    weigh(&measured.variant, setting, |flavour| {
        let (outcome, added) = boot(place, flavour, measured)?;
        let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push((flavour, added, outcome.transcript.clone()));
        Ok(outcome)
    })?;
    let runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let promised = promised(measured)?;
    for (flavour, added, _) in &runs {
        for ((register, added), promise) in REGISTERS.iter().zip(added).zip(&promised) {
            let sums: Vec<Sum> = promise.iter().map(|(_, sum)| *sum).collect();
            let (found, wanted) = (value(added), value(&sums));
            ensure!(
                found == wanted,
                "{} module: register {register} holds {} instead of {}:\n{}",
                flavour.name(),
                shown(&found),
                shown(&wanted),
                told(added, promise)
            );
        }
    }
    let [(_, _, stock), (_, _, ours)] = &runs[..] else {
        bail!("{} boots instead of two", runs.len());
    };
    // What an event is called shows in no register.
    same(stock, ours)?;
    let wanted = measured.variant.modules.len();
    let events = said(ours).matches("module_cmdline: ").count();
    ensure!(
        events == wanted,
        "{events} events for modules, not {wanted}"
    );
    let [strings, files] = promised.map(|promise| promise.len());
    Ok(Passed::with(format!(
        "{strings} strings, {files} files, as with C"
    )))
}

/// Returns what the registers have to be told.
fn promised(measured: &Measured) -> Result<[Promise; 2]> {
    let sum = |bytes: &[u8]| Sum::from(Sha256::digest(bytes));
    let strings = measured.strings.iter();
    let strings = strings.map(|text| (format!("`{text}'"), sum(text.as_bytes())));
    let files = measured.files.iter().map(|wanted| {
        let mut files = measured.variant.files.iter();
        let found = files.find(|(name, _)| name == wanted);
        let (name, bytes) = found.with_context(|| format!("there is no file {wanted}"))?;
        Ok((name.clone(), sum(bytes)))
    });
    Ok([strings.collect(), files.collect::<Result<_>>()?])
}

/// Says for a failure what was measured, by name as far as it was promised, and what was not.
fn told(added: &[Sum], promise: &Promise) -> String {
    let known = |sum: &Sum| promise.iter().find(|(_, one)| one == sum);
    let lines = added.iter().map(|sum| match known(sum) {
        Some((name, _)) => format!("  measured {name}"),
        None => format!("  measured something else, {}", shown(sum)),
    });
    let missing = promise.iter().filter(|(_, sum)| !added.contains(sum));
    let missing = missing.map(|(name, _)| format!("  did not measure {name}"));
    lines.chain(missing).collect::<Vec<_>>().join("\n")
}

/// Boots under one of the two modules; returns also what was added to each register.
fn boot(place: &Place, flavour: Flavour, measured: &Measured) -> Result<(Outcome, [Vec<Sum>; 2])> {
    let variant = &measured.variant;
    let before = BEFORE.map(|name| format!("insmod {name}\n")).concat();
    let script = variant.script.join("\n");
    let config = format!(
        "{}{before}echo {BEGIN}\nset debug=tpm\ninsmod tpm\n{script}\n{}",
        iso::prologue(place.platform),
        snapshot::GIVE_UP
    );
    let iso = iso_path(place, &variant.name, flavour);
    let files = iso::borrowed(&variant.files);
    iso::build(&Maker::of(place, flavour)?, &config, &files, &iso)?;
    let chip = Chip::start()?;
    let transcript = iso.with_extension("txt");
    let machine = Machine {
        extra: chip.options(),
        ..Machine::new(place.platform, variant.machine.memory_mib, iso)
    };
    let outcome = machine.run(LIMIT, |_| Next::Continue)?;
    fs::write(transcript, &outcome.transcript)?;
    let [strings, files] = REGISTERS.map(|register| chip.added_to(register));
    Ok((outcome, [strings?, files?]))
}
