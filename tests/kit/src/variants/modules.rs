// SPDX-License-Identifier: GPL-3.0-or-later
//! Modules: how many, how large, with which command lines.

use super::{Platform, Variant};
use crate::bytes::noise;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::image::Class;
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
    let beside = KernelSpec {
        boot_services: true,
        entry_efi64: true,
        ..KernelSpec::elf(Class::Elf64)
    };
    let beside = Variant::of("modules-50-boot-services", &beside, payload)?;
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
        module_in_use(kernel("module-in-use")?),
    ])
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
