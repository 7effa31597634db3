// SPDX-License-Identifier: GPL-3.0-or-later
//! Flat files loaded by the address tag.

use super::Variant;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::Class;
use crate::kernel::{Flat, KernelSpec};
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let whole = Flat::default();
    let exact = Flat {
        load_end: true,
        bss_end: true,
        ..whole
    };
    let list = [
        ("flat-whole-file", whole, true),
        (
            "flat-load-end",
            Flat {
                load_end: true,
                ..whole
            },
            true,
        ),
        (
            "flat-bss-end",
            Flat {
                bss_end: true,
                ..whole
            },
            true,
        ),
        ("flat-both-ends", exact, true),
        (
            "flat-lead",
            Flat {
                lead: 0x40,
                ..exact
            },
            true,
        ),
        (
            "flat-lead-trail",
            Flat {
                lead: 0x1000,
                trail: 0x333,
                ..exact
            },
            true,
        ),
        (
            "flat-implied",
            Flat {
                implied_load: true,
                ..whole
            },
            true,
        ),
        // The reference takes the end to be counted from -1.
        (
            "flat-implied-ends",
            Flat {
                implied_load: true,
                ..exact
            },
            false,
        ),
    ];
    let mut variants = Vec::new();
    for (name, flat, both) in list {
        let variant = Variant::of(name, &KernelSpec::flat(flat), payload)?;
        variants.push(match both {
            true => variant,
            false => variant.ours_only(Deviation::ReferenceFails),
        });
    }
    for (name, preference) in [("flat-relocatable-low", 1), ("flat-relocatable-high", 2)] {
        let spec = KernelSpec {
            relocatable: Some(Relocatable {
                min: 0x20_0000,
                max: 0xffff_ffff,
                align: 0x1000,
                preference,
            }),
            ..KernelSpec::flat(exact)
        };
        let variant = Variant::of(name, &spec, payload)?;
        variants.push(match preference {
            2 => variant.deviates(Deviation::Placement),
            _ => variant,
        });
    }
    variants.push(elf_with_address_tag(payload)?);
    Ok(variants)
}

/// An ELF file whose address tag says to treat it as flat.
fn elf_with_address_tag(payload: &Payload) -> Result<Variant> {
    let flat = Flat {
        lead: 0x1000,
        load_end: true,
        bss_end: true,
        ..Flat::default()
    };
    let spec = KernelSpec::flat(flat);
    let mut kernel = spec.build(payload)?;
    let elf = KernelSpec::elf(Class::Elf32).build(payload)?;
    kernel.bytes[..52].copy_from_slice(&elf.bytes[..52]);
    Ok(Variant::boots("flat-in-elf", kernel))
}
