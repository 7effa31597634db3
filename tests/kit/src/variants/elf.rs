// SPDX-License-Identifier: GPL-3.0-or-later
//! ELF images: both classes, every placement, with and without entry tag.

use super::Variant;
use crate::bytes::noise;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, ET_DYN, SHT_NOTE, SHT_STRTAB, SHT_SYMTAB, Section};
use crate::kernel::KernelSpec;
use crate::payload::Payload;

/// Both classes with the word used in names.
pub(super) const CLASSES: [(Class, &str); 2] = [(Class::Elf32, "elf32"), (Class::Elf64, "elf64")];

/// Names and windows of the relocatable tag. Whether ours may choose another
/// base than the reference is the last item.
const WINDOWS: [(&str, Option<Relocatable>, bool); 6] = [
    ("fixed", None, false),
    ("none", window(0x20_0000, 0xffff_ffff, 0x20_0000, 0), false),
    ("low", window(0x20_0000, 0xffff_ffff, 0x1000, 1), false),
    ("high", window(0x10_0000, 0xffff_ffff, 0x20_0000, 2), true),
    // Less than twice the size of the image.
    ("narrow", window(0x300_0000, 0x303_0000, 0x1000, 1), false),
    ("align0", window(0x200_0001, 0xffff_ffff, 0, 1), false),
];

const fn window(min: u32, max: u32, align: u32, preference: u32) -> Option<Relocatable> {
    Some(Relocatable {
        min,
        max,
        align,
        preference,
    })
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = placements(payload)?;
    for (class, name) in CLASSES {
        let plain = KernelSpec::elf(class);
        let relocatable = window(0x20_0000, 0xffff_ffff, 0x1000, 1);
        for (place, relocatable) in [("fixed", None), ("low", relocatable)] {
            let spec = KernelSpec {
                kind: ET_DYN,
                relocatable,
                ..plain.clone()
            };
            list.push(Variant::of(&format!("{name}-dyn-{place}"), &spec, payload)?);
        }
        let mapped = KernelSpec {
            virtual_offset: 0x8000_0000,
            ..plain.clone()
        };
        list.push(Variant::of(&format!("{name}-mapped"), &mapped, payload)?);
        list.push(symbols(&format!("{name}-symbols"), &plain, payload)?);
        list.push(many(&format!("{name}-hundred-sections"), &plain, payload)?);
    }
    let high = KernelSpec {
        virtual_offset: 0xffff_ffff_8000_0000,
        ..KernelSpec::elf(Class::Elf64)
    };
    list.push(Variant::of("elf64-high-half", &high, payload)?);
    Ok(list)
}

fn placements(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for (class, class_name) in CLASSES {
        for (place, relocatable, free) in WINDOWS {
            for entry_tag in [false, true] {
                let spec = KernelSpec {
                    relocatable,
                    entry_tag,
                    ..KernelSpec::elf(class)
                };
                let suffix = if entry_tag { "-entry-tag" } else { "" };
                let name = format!("{class_name}-{place}{suffix}");
                let mut variant = Variant::of(&name, &spec, payload)?;
                if free {
                    variant = variant.deviates(Deviation::Placement);
                }
                list.push(variant);
            }
        }
    }
    Ok(list)
}

/// Symbols, strings, debug information and notes, in several alignments.
fn symbols(name: &str, spec: &KernelSpec, payload: &Payload) -> Result<Variant> {
    let entry_len = match spec.class {
        Class::Elf32 => 16,
        Class::Elf64 => 24,
    };
    let symbols = noise(11, 40 * entry_len);
    let spec = spec
        .clone()
        .section(
            Section::loose(".symtab", symbols)
                .kind(SHT_SYMTAB)
                .align(8)
                .table(7, 1, entry_len as u64),
        )
        .section(Section::loose(".strtab", noise(12, 777)).kind(SHT_STRTAB))
        .section(Section::loose(".debug_info", noise(13, 20_001)))
        .section(Section::loose(".debug_line", noise(14, 4096)).align(64))
        .section(Section::loose(".comment", noise(15, 1)))
        .section(Section::loose(".debug_empty", Vec::new()))
        .section(
            Section::loose(".note", noise(16, 36))
                .kind(SHT_NOTE)
                .align(4),
        )
        .section(Section::loose(".debug_str", noise(17, 9_999)).align(0x1000));
    Variant::of(name, &spec, payload)
}

fn many(name: &str, spec: &KernelSpec, payload: &Payload) -> Result<Variant> {
    let mut spec = spec.clone();
    for index in 0..98 {
        let bytes = noise(100 + index, 16 + 7 * index as usize);
        spec =
            spec.section(Section::loose(&format!(".extra{index}"), bytes).align(1 << (index % 5)));
    }
    Variant::of(name, &spec, payload)
}
