// SPDX-License-Identifier: GPL-3.0-or-later
//! Secure Boot: what GRUB refuses when the module is part of its signed image.
//!
//! Firmware, shim and GRUB trust the key that Debian's package of the firmware has for tests.

use std::fs;

use anyhow::{Context, Result, ensure};
use mb2_testkit::image::Class;
use mb2_testkit::kernel::{Flat, KernelSpec};
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::Variant;

use super::image::{self, Signer};
use super::{BEGIN, END, KERNEL, NAME, same};
use crate::firmware;
use crate::grub::Place;
use crate::iso::{self, Flavour};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::{Machine, Next, Outcome};
use crate::suite::{MEMORY, iso_path, tail};
use crate::test::LIMIT;
use crate::variants::{as_run, in_kit};

/// How GRUB is started, commands, and what has to be printed after each.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// The firmware starts shim, which starts GRUB.
    shim: bool,
    /// GRUB is made to do without shim.
    alone: bool,
    steps: &'static [(&'static str, &'static str)],
}

/// A byte of the kernel in its program.
const TAMPERED: usize = 0x1000;

const NO_KERNEL: &str = "error: you need to load the kernel first.";
const PROHIBITED: &str = "error: prohibited by secure boot policy.";
const BAD: &str = "error: bad shim signature.";

const CASES: [Case; 3] = [
    Case {
        name: "shim",
        shim: true,
        alone: false,
        steps: &[
            ("multiboot2 /plain", BAD),
            ("boot", NO_KERNEL),
            ("multiboot2 /tampered", BAD),
            ("insmod /multiboot2.mod", PROHIBITED),
            ("multiboot2 /signed", "accepted multiboot2 /signed"),
            ("module2 /plain", PROHIBITED),
            ("boot", "mb2k end ok"),
        ],
    },
    Case {
        name: "no shim",
        shim: false,
        alone: false,
        steps: &[
            ("multiboot2 /signed", "error: shim_lock protocol not found."),
            ("boot", NO_KERNEL),
            ("insmod /multiboot2.mod", PROHIBITED),
        ],
    },
    Case {
        name: "lockdown",
        shim: false,
        alone: true,
        steps: &[
            (
                "multiboot2 /signed",
                "error: verification requested but nobody cares: /signed.",
            ),
            ("boot", NO_KERNEL),
            (
                "insmod /multiboot2.mod",
                "error: verification requested but nobody cares: /multiboot2.mod.",
            ),
        ],
    },
];

/// Returns the jobs for a place. Keys and shim are for 64-bit UEFI only, and grub-mkimage for the
/// GRUB that is installed.
///
/// # Errors
///
/// If the test kernel cannot be wrapped.
pub(super) fn jobs(place: &Place, payload: &Payload) -> Result<Vec<Job>> {
    if place.platform != Platform::X86_64Efi || !place.grub.is_own() {
        return Ok(Vec::new());
    }
    // A flat image, since shim knows the signatures of UEFI's programs only: it is put into one.
    let flat = Flat {
        load_end: true,
        bss_end: true,
        ..Flat::default()
    };
    let kernel = KernelSpec::flat(flat).build(payload)?;
    let plain = KernelSpec::bare(Class::Elf64).build(payload)?.bytes;
    let guest = Guest {
        variant: Variant::boots("secure-boot", kernel),
        plain,
    };
    let jobs = CASES.iter().map(|case| {
        let (here, guest) = (place.clone(), guest.clone());
        let name = format!("{NAME}Secure Boot, {}", case.name);
        Job::new(&name, Some(place), move || compare(&here, case, &guest))
    });
    Ok(jobs.collect())
}

/// What is booted.
#[derive(Clone)]
struct Guest {
    /// The kernel that shim accepts once it is signed.
    variant: Variant,
    /// Another one, without a signature.
    plain: Vec<u8>,
}

/// Boots under both modules. Each has to get what the steps say, and GRUB has to say the same.
fn compare(place: &Place, case: &Case, guest: &Guest) -> Result<Passed> {
    let mut told = Vec::new();
    for flavour in [Flavour::Stock, Flavour::Ours] {
        let outcome = boot(place, flavour, case, guest)?;
        let whole: Vec<&str> = outcome.transcript.split_whitespace().collect();
        let whole = whole.join(" ");
        let mut rest = whole.as_str();
        for (command, wanted) in case.steps {
            let found = rest.split_once(wanted).map(|(_, behind)| behind);
            rest = found.with_context(|| {
                let (name, end) = (flavour.name(), tail(&outcome.transcript));
                format!("{end}\n{name} module: `{command}' did not get `{wanted}'")
            })?;
        }
        if whole.contains(KERNEL) {
            let strict = flavour == Flavour::Ours;
            let platform = in_kit(place.platform);
            let (_, findings) = guest.variant.examine(platform, as_run(&outcome), strict)?;
            ensure!(findings.is_empty(), "{}", findings.join("\n"));
        }
        told.push(outcome.transcript);
    }
    same(&told[0], &told[1])?;
    Ok(Passed::with("refused and accepted as with C"))
}

/// Boots with one of the two modules inside GRUB's image.
fn boot(place: &Place, flavour: Flavour, case: &Case, guest: &Guest) -> Result<Outcome> {
    let name = format!("secure-boot-{}", case.name.replace(' ', "-"));
    let disk = iso_path(place, &name, flavour).with_extension("disk");
    let work = disk.with_extension("work");
    iso::write_files(&work, &[])?;
    let signer = Signer::new(&work)?;
    let signed = signer.sign("kernel", &image::program(&guest.variant.files[0].1)?)?;
    let mut tampered = signed.clone();
    *tampered
        .get_mut(TAMPERED)
        .context("the kernel is too short")? ^= 1;
    let grub = signer.sign("grub", &image::grub(place, flavour, case.alone, &work)?)?;
    let module = fs::read(iso::folder_of(place, flavour).join("multiboot2.mod"))?;
    let steps = case.steps.iter();
    let steps = steps.map(|(line, _)| format!("if {line}; then echo accepted {line}; fi\n"));
    let config = format!(
        "serial --unit=0 --speed=115200\nterminal_output serial\n\
         echo {BEGIN} lockdown=$lockdown shim_lock=$shim_lock\n{}echo {END}\n",
        steps.collect::<String>()
    );
    let mut files: Vec<(&str, &[u8])> = vec![
        ("run.cfg", config.as_bytes()),
        ("plain", &guest.plain),
        ("signed", &signed),
        ("tampered", &tampered),
        ("multiboot2.mod", &module),
    ];
    let shim;
    if case.shim {
        shim = signer.sign("shim", &fs::read(image::SHIM)?)?;
        files.push(("EFI/BOOT/BOOTX64.EFI", &shim));
        files.push(("EFI/BOOT/grubx64.efi", &grub));
    } else {
        files.push(("EFI/BOOT/BOOTX64.EFI", &grub));
    }
    iso::write_files(&disk, &files)?;
    let machine = Machine {
        firmware: Some(firmware::secure_boot()),
        ..Machine::of_folder(place.platform, MEMORY, &disk)
    };
    let outcome = machine.run(LIMIT, |line| match line.contains(END) {
        true => Next::Stop,
        false => Next::Continue,
    })?;
    fs::write(disk.with_extension("txt"), &outcome.transcript)?;
    Ok(outcome)
}
