// SPDX-License-Identifier: GPL-3.0-or-later
//! Modules: how many, how large, with which command lines.

use super::session::Session;
use super::{Platform, Variant};
use crate::bytes::noise;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, Section};
use crate::kernel::{BASE, KernelSpec};
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let kernel = |name: &str| Variant::of(name, &KernelSpec::elf(Class::Elf64), payload);
    let long = "x".repeat(2000);
    let many = |variant: Variant| {
        (0..50).fold(variant, |variant, index| {
            let name = format!("number={index}");
            variant.module(&[&name], noise(200 + index, 100 + 333 * index as usize))
        })
    };
    let debug = (0..9).fold(KernelSpec::elf(Class::Elf64), |spec, index| {
        spec.section(Section::loose(".debug", noise(310 + index, 2000)).align(0x1000))
    });
    let beside = KernelSpec {
        boot_services: true,
        entry_efi64: true,
        ..KernelSpec::elf(Class::Elf64)
    };
    let beside = Variant::of("modules-50-boot-services", &beside, payload)?;
    let flat = KernelSpec::flat(crate::kernel::Flat::default());
    let low = KernelSpec {
        relocatable: window(1),
        ..debug.clone()
    };
    let both = KernelSpec {
        boot_services: true,
        entry_efi32: true,
        entry_efi64: true,
        relocatable: window(1),
        ..debug
    };
    Ok(vec![
        kernel("modules-1")?.module(&["only"], noise(41, 4096)),
        kernel("modules-3")?
            .module(&["first", "of", "three"], noise(42, 1))
            .module(&[], noise(43, 4097))
            .module(&["last"], noise(44, 300_000)),
        many(kernel("modules-50")?),
        // Nothing may have to move, so neither may what they share.
        many(beside).on(&[Platform::X86_64Efi]),
        kernel("module-empty")?
            .module(&["empty"], Vec::new())
            .module(&["full"], noise(45, 10)),
        kernel("module-long-command-line")?.module(&[&long], noise(46, 64)),
        kernel("module-special-command-line")?
            .arguments(&["kernel", "a \"b\" c"])
            .module(&["it's", r"a\b", "two words", "\"quoted\""], noise(47, 64)),
        kernel("module-large")?.module(&["large"], noise(48, 9_000_001)),
        kernel("module-same-file-twice")?
            .module(&["one"], noise(49, 5000))
            .module(&["two"], noise(49, 5000)),
        second_kernel(payload)?,
        behind("modules-after-kernel-flat", &flat, payload)?
            .module(&["empty"], Vec::new())
            .module(&["large"], noise(54, 900_000)),
        // Sections and modules share memory, but none before the kernel.
        (0..40).fold(
            behind("modules-after-kernel", &low, payload)?,
            |variant, index| variant.module(&[], noise(300 + index, 50 + 120 * index as usize)),
        ),
        behind("modules-after-kernel-boot-services", &both, payload)?.on(&Platform::EFI),
        no_room_behind(payload)?,
        stale("modules-stale-memory", &low, payload)?,
        stale("modules-stale-memory-boot-services", &both, payload)?.on(&Platform::EFI),
        module_in_use(kernel("module-in-use")?),
    ])
}

/// Memory of all machines, away from where images are linked.
fn window(preference: u32) -> Option<Relocatable> {
    Some(Relocatable {
        min: 0x100_0000,
        max: u32::MAX,
        align: 0x1000,
        preference,
    })
}

/// Two modules that have to lie behind the kernel.
fn behind(name: &str, spec: &KernelSpec, payload: &Payload) -> Result<Variant> {
    let variant = Variant::of(name, spec, payload)?.option("--modules-after-kernel");
    Ok(variant
        .module(&["first"], noise(52, 5000))
        .module(&[], noise(53, 1)))
}

/// Gaps in the image, sections, and modules that share memory, on a machine
/// whose free memory has no zeroes.
fn stale(name: &str, spec: &KernelSpec, payload: &Payload) -> Result<Variant> {
    let variant = Variant::of(name, spec, payload)?.ours_only(Deviation::ReferenceFails);
    let variant = (0..20).fold(variant, |variant, index| {
        variant.module(&[], noise(320 + index, 10 + 700 * (index as usize % 9)))
    });
    let variant = variant.module(&["empty"], Vec::new());
    let mut variant = variant.module(&["large"], noise(340, 400_001));
    variant.machine.memory_mib = 160; // filling more takes longer
    Ok(variant.before("probe_fill").before("insmod /mb2probe.mod"))
}

/// Behind a kernel in the highest place is no room; the next kernel is loaded
/// without the option, and its module lies where modules lie.
fn no_room_behind(payload: &Payload) -> Result<Variant> {
    let spec = KernelSpec::elf(Class::Elf64);
    let kernel = Variant::of("session-modules-after-kernel", &spec, payload)?;
    let high = KernelSpec {
        relocatable: window(2),
        ..spec
    };
    let session = Session::of(kernel.module(&["low"], noise(55, 5000)))
        .file("high", high.build(payload)?.bytes)
        .works("high", "multiboot2 --modules-after-kernel /high")
        .fails("no-room", "module2 /module0", "no room in 0x")
        .fails("again", "module2 /module0", "; 0x2000 bytes fit at 0x")
        .works(
            "two-options",
            "multiboot2 --modules-after-kernel --no-elf-relocs /high",
        )
        .fails("two-dashes", "multiboot2 -- /high", "unknown argument `--'");
    Ok(session.finish())
}

/// A loaded kernel pins the module that loaded it: unloading is refused, and
/// the kernel boots all the same.
fn module_in_use(mut variant: Variant) -> Variant {
    let boot = variant.script.len() - 1;
    let unload = "if rmmod multiboot2; then echo gone; halt; fi";
    variant.script.insert(boot, unload.to_owned());
    variant
}

/// A second `multiboot2` drops the first kernel and its modules.
fn second_kernel(payload: &Payload) -> Result<Variant> {
    let first = KernelSpec {
        base: BASE + 0x80_0000,
        ..KernelSpec::elf(Class::Elf64)
    };
    let first = first.build(payload)?;
    let spec = KernelSpec::flat(crate::kernel::Flat::default());
    let mut variant =
        Variant::of("second-kernel", &spec, payload)?.module(&["kept"], noise(51, 99));
    variant.files.push(("first".to_owned(), first.bytes));
    variant.files.push(("dropped".to_owned(), noise(52, 7000)));
    Ok(variant
        .before("module2 /dropped gone")
        .before("multiboot2 /first of two")
        // The reference hands the first kernel's section headers to the second.
        .ours_only(Deviation::ReferenceFails))
}
