// SPDX-License-Identifier: GPL-3.0-or-later
//! Legal images that GRUB's C module refuses or mishandles.

use super::elf::CLASSES;
use super::{Variant, Version};
use crate::bytes::noise;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::image::{Contents, ImageBuilder, Numbering, PT_NOTE, Patch, Phdr};
use crate::image::{SHT_REL, SHT_RELA, Section, Segment};
use crate::kernel::{BASE, Expected, Kernel, KernelSpec};
use crate::payload::Payload;

type Change = fn(&mut ImageBuilder, &mut Expected);

/// Name, whether the reference boots it, change to a good image.
const CHANGES: [(&str, bool, Change); 11] = [
    ("no-sections", true, |image, _| image.sections.clear()),
    ("far-program-headers", false, |image, _| {
        // Behind the window that is searched, and behind the contents.
        image.phdr_at = Some(0x10_0000)
    }),
    ("wide-program-headers", true, |image, _| {
        image.phdr_stride = Some(image.class.phdr_len() + 24);
    }),
    ("nobits-without-address", false, |image, _| {
        image.sections.push(Section::nobits(".later", 0, 0x40_0000));
    }),
    ("section-align-0", false, |image, expected| {
        loose(
            image,
            expected,
            Section::loose(".data0", noise(21, 500)).align(0),
        );
    }),
    ("relocation-sections", false, |image, expected| {
        let rel = Section::loose(".rel.debug", noise(22, 64)).kind(SHT_REL);
        loose(image, expected, rel.table(0, 1, 8));
        let rela = Section::loose(".rela.debug", noise(23, 96)).kind(SHT_RELA);
        loose(image, expected, rela.table(0, 1, 24));
    }),
    ("extended-numbering", false, |image, _| {
        // The counts themselves fit, so only the index may move.
        image.numbering = Numbering {
            segments: false,
            sections: false,
            names: true,
        };
    }),
    ("notes", true, |image, _| {
        let mut note = Segment::load(BASE.into(), noise(24, 64));
        (note.kind, note.align) = (PT_NOTE, 4);
        image.segments.push(note);
    }),
    ("empty-segment", false, |image, _| {
        // Lies inside the first segment and must not count as an overlap.
        image
            .segments
            .push(Segment::load(u64::from(BASE) + 0x800, Vec::new()));
    }),
    ("early-magic", true, |image, _| {
        // The magic number alone, and a header for MIPS, in front of ours.
        let mips = crate::header::HeaderBuilder::new().architecture(4).build();
        image
            .raw
            .push((0x200, crate::header::MAGIC.to_le_bytes().to_vec()));
        image.raw.push((0x300, mips));
    }),
    ("segments-downwards", true, |image, _| {
        image.segments.reverse()
    }),
];

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for (class, class_name) in CLASSES {
        for (name, both, change) in CHANGES {
            let (mut image, mut expected) = KernelSpec::elf(class).elf_builder(payload)?;
            change(&mut image, &mut expected);
            let bytes = image.build()?.bytes;
            let kernel = Kernel { bytes, expected };
            let variant = Variant::boots(&format!("{class_name}-{name}"), kernel);
            list.push(match both {
                true if name == "no-sections" => {
                    variant.until(Version::SECTION_TABLE_NEEDED, Deviation::NoSectionTable)
                }
                true => variant,
                false => variant.ours_only(Deviation::ReferenceFails),
            });
        }
    }
    list.push(entry_tag_without_segment(payload)?);
    Ok(list)
}

/// Adds a section that the loader has to load.
fn loose(image: &mut ImageBuilder, expected: &mut Expected, section: Section) {
    if let Contents::Bytes(bytes) = &section.contents {
        let index = image.sections.len() as u32 + 1;
        expected
            .loose_sections
            .push((index, crate::bytes::fnv1a64(bytes)));
    }
    image.sections.push(section);
}

/// `e_entry` points nowhere, since the tag gives the entry.
fn entry_tag_without_segment(payload: &Payload) -> Result<Variant> {
    let spec = KernelSpec {
        entry_tag: true,
        ..KernelSpec::elf(crate::image::Class::Elf64)
    };
    let (mut image, expected) = spec.elf_builder(payload)?;
    image.entry = 0x1234_5678;
    // Alignment fields are for page tables; the loader has none.
    image.patches.push(Patch::Phdr(0, Phdr::Align, 3));
    let bytes = image.build()?.bytes;
    let variant = Variant::boots("elf64-entry-only-by-tag", Kernel { bytes, expected });
    Ok(variant.ours_only(Deviation::ReferenceFails))
}
