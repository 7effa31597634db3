// SPDX-License-Identifier: GPL-3.0-or-later
//! What is booted with each build: kernels of ours, compared with GRUB's C module from the same
//! tree, and Xen.

use std::fs;

use anyhow::Result;
use mb2_testkit::variants::{Setting, Variant};

use super::machine::{Bench, Guest};
use super::target::Start;
use crate::iso::Flavour;
use crate::job::Passed;
use crate::platform::Platform;
use crate::qemu::{Machine, Next};
use crate::test::LIMIT;
use crate::{iso, variants, xen};

/// The kernels that are booted, on the platforms that they are for: a fixed image, one that is
/// moved, modules, all boot information, and the entry beside UEFI's boot services.
pub(super) const KERNELS: [&str; 5] = [
    "elf32-fixed",
    "elf64-high-half",
    "modules-3",
    "request-everything",
    "elf64-efi64",
];

/// The platform that the test kit takes it for.
pub(super) fn platform(start: Start) -> Platform {
    match start {
        Start::Firmware(platform) => platform,
        Start::Multiboot | Start::Rom | Start::Nowhere => Platform::I386Pc,
    }
}

/// Boots a kernel under both modules and compares what it found.
///
/// # Errors
///
/// What the kit finds, or what kept a machine from running.
pub(super) fn kernel(bench: &Bench, variant: &Variant) -> Result<Passed> {
    let setting: Setting = variants::setting(
        &bench.build.grub,
        variants::in_kit(platform(bench.build.target.start())),
    )?;
    variants::weigh(variant, setting, |flavour| {
        let guest = Guest {
            name: &variant.name,
            script: variant.script.clone(),
            files: iso::borrowed(&variant.files),
        };
        let machine = bench.machine(flavour, &guest)?;
        let outcome = machine.run(LIMIT, |_| Next::Continue)?;
        let name = format!("{}-{}.txt", variant.name, flavour.name());
        fs::write(bench.folder().join(name), &outcome.transcript)?;
        Ok(outcome)
    })
}

/// Boots Xen as far as its banner.
///
/// # Errors
///
/// If it does not come so far.
pub(super) fn xen(bench: &Bench) -> Result<Passed> {
    xen_in(bench, |guest| bench.machine(Flavour::Ours, guest))
}

/// Boots Xen from one file for UEFI, as it would be signed: it holds GRUB, all modules, the
/// commands and Xen, and there is nothing else on the disk.
///
/// # Errors
///
/// If it does not come so far.
pub(super) fn standalone(bench: &Bench) -> Result<Passed> {
    xen_in(bench, |guest| bench.standalone(guest))
}

fn xen_in(bench: &Bench, machine: impl Fn(&Guest<'_>) -> Result<Machine>) -> Result<Passed> {
    let files = xen::files()?;
    let guest = Guest {
        name: "xen",
        script: xen::script(),
        files: iso::borrowed(&files),
    };
    let mut machine = machine(&guest)?;
    machine.stop_at = Some(xen::REFUSAL);
    let mut watch = xen::Watch::default();
    let outcome = machine.run(LIMIT, |line| watch.line(line))?;
    watch.passed(platform(bench.build.target.start()), &outcome.transcript)
}
