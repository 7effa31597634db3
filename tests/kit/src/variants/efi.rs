// SPDX-License-Identifier: GPL-3.0-or-later
//! Boot services kept, or not.

use super::{Platform, Variant};
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, Section, Segment};
use crate::kernel::{BASE, Kernel, KernelSpec};
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let kept = |class| KernelSpec {
        boot_services: true,
        entry_efi64: true,
        ..KernelSpec::elf(class)
    };
    let window = |preference| {
        Some(Relocatable {
            min: 0x20_0000,
            max: 0xffff_ffff,
            align: 0x20_0000,
            preference,
        })
    };
    let x64 = [Platform::X86_64Efi];
    let mut list = Vec::new();
    for (class, name) in super::elf::CLASSES {
        let spec = kept(class);
        list.push(Variant::of(&format!("{name}-efi64"), &spec, payload)?.on(&x64));
    }
    let debug = kept(Class::Elf64).section(Section::loose(".debug", crate::bytes::noise(31, 5000)));
    list.push(
        Variant::of("efi64-module", &debug, payload)?
            .on(&x64)
            .arguments(&["hello"])
            .module(&["m"], crate::bytes::noise(32, 10_000)),
    );
    for (name, preference) in [("efi64-low", 1), ("efi64-high", 2)] {
        let spec = KernelSpec {
            relocatable: window(preference),
            ..kept(Class::Elf64)
        };
        let variant = Variant::of(name, &spec, payload)?.on(&x64);
        list.push(variant.deviates(Deviation::Placement));
    }
    let flat = KernelSpec {
        boot_services: true,
        entry_efi64: true,
        ..KernelSpec::flat(crate::kernel::Flat::default())
    };
    list.push(Variant::of("flat-efi64", &flat, payload)?.on(&x64));

    // Memory of boot services is free when they have ended (OVMF keeps some
    // at this address).
    let over = KernelSpec {
        base: 0x90_0000,
        ..KernelSpec::elf(Class::Elf64)
    };
    list.push(Variant::of("boot-services-memory", &over, payload)?.on(&x64));
    for (name, len) in [
        ("boot-services-page-tables-1", 5),
        ("boot-services-page-tables-2", 8),
    ] {
        list.push(large(name, len << 20, payload)?.on(&Platform::EFI));
    }
    // A 64-bit entry is of no use elsewhere.
    let variant = Variant::of("efi64-entry-elsewhere", &kept(Class::Elf64), payload)?;
    list.push(variant.on(&[Platform::I386Pc]));
    let variant = Variant::of("efi64-entry-on-efi32", &kept(Class::Elf64), payload)?;
    list.push(
        variant
            .on(&[Platform::I386Efi])
            .ours_only(Deviation::BootServicesEnded),
    );

    let no_entry = KernelSpec {
        boot_services: true,
        ..KernelSpec::elf(Class::Elf64)
    };
    let variant = Variant::of("boot-services-without-entry", &no_entry, payload)?;
    list.push(variant.clone().on(&[Platform::I386Pc]));
    list.push(
        Variant {
            name: "boot-services-without-entry-efi".to_owned(),
            ..variant
        }
        .on(&Platform::EFI)
        .ours_only(Deviation::BootServicesEnded),
    );
    let no_services = KernelSpec {
        entry_efi64: true,
        ..KernelSpec::elf(Class::Elf64)
    };
    list.push(Variant::of(
        "efi64-entry-without-boot-services",
        &no_services,
        payload,
    )?);

    let efi32 = KernelSpec {
        boot_services: true,
        entry_efi32: true,
        ..KernelSpec::elf(Class::Elf32)
    };
    for (name, preference) in [
        ("efi32", None),
        ("efi32-low", Some(1)),
        ("efi32-high", Some(2)),
    ] {
        let spec = KernelSpec {
            relocatable: preference.and_then(window),
            ..efi32.clone()
        };
        let variant =
            Variant::of(name, &spec, payload)?.module(&["m"], crate::bytes::noise(33, 10_000));
        list.push(
            variant
                .on(&[Platform::I386Efi])
                .ours_only(Deviation::Efi32Entry),
        );
    }
    let flat = KernelSpec {
        boot_services: true,
        entry_efi32: true,
        ..KernelSpec::flat(crate::kernel::Flat::default())
    };
    list.push(
        Variant::of("flat-efi32", &flat, payload)?
            .on(&[Platform::I386Efi])
            .ours_only(Deviation::Efi32Entry),
    );
    let variant = Variant::of("efi32-entry-elsewhere", &efi32, payload)?;
    list.push(variant.clone().on(&[Platform::I386Pc]));
    list.push(
        Variant {
            name: "efi32-entry-on-efi64".to_owned(),
            ..variant
        }
        .on(&x64)
        .ours_only(Deviation::BootServicesEnded),
    );
    Ok(list)
}

/// A kernel with much zeroed memory that prefers a high address. The highest
/// place of these sizes lies over the page tables of OVMF, which are read-only
/// and in use when the kernel is moved there.
fn large(name: &str, len: u64, payload: &Payload) -> Result<Variant> {
    let spec = KernelSpec {
        relocatable: Some(Relocatable {
            min: 0x20_0000,
            max: 0xffff_ffff,
            align: 0x1000,
            preference: 2,
        }),
        ..KernelSpec::elf(Class::Elf64)
    };
    let (mut image, mut expected) = spec.elf_builder(payload)?;
    let at = u64::from(BASE) + 0x12_0000;
    image
        .segments
        .push(Segment::load(at, Vec::new()).mem_len(len));
    expected.span = 0x12_0000 + len as u32;
    let bytes = image.build()?.bytes;
    let variant = Variant::boots(name, Kernel { bytes, expected });
    Ok(variant.deviates(Deviation::Placement))
}
