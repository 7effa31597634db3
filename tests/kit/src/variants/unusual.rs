// SPDX-License-Identifier: GPL-3.0-or-later
//! Legal images that GRUB's C module refuses or mishandles.

use super::elf::CLASSES;
use super::{Variant, Version};
use crate::bytes::noise;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::image::{Class, Contents, Ehdr, ImageBuilder, Numbering, PT_NOTE, Patch, Phdr};
use crate::image::{SHT_REL, SHT_RELA, Section, Segment, Shdr};
use crate::kernel::{BASE, Expected, Kernel, KernelSpec};
use crate::payload::Payload;

type Change = fn(&mut ImageBuilder, &mut Expected);

/// Name, whether the reference boots it, change to a good image.
static CHANGES: [(&str, bool, Change); 26] = [
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
    ("odd-notes", true, |image, _| {
        let mut note = Segment::load(0xfee0_1235, noise(25, 33));
        (note.kind, note.align, note.mem_len) = (PT_NOTE, 3, 1);
        image.segments.push(note.clone());
        (note.kind, note.file_len) = (0x6474_e551, Some(0xffff_0000));
        image.segments.insert(0, note);
    }),
    ("note-over-entry", false, |image, _| {
        let mut note = Segment::load(u64::from(BASE) + 0x100_0000, Vec::new());
        (note.kind, note.mem_len) = (PT_NOTE, 0x100_0000);
        note.vaddr = image.entry & !0xfff;
        image.segments.insert(0, note);
    }),
    ("top-of-address-space", false, |image, _| {
        let top = match image.class {
            Class::Elf32 => 1 << 32,
            Class::Elf64 => 0,
        };
        let first = &mut image.segments[0];
        let inside = image.entry - first.vaddr;
        first.vaddr = u64::wrapping_sub(top, first.mem_len);
        image.entry = first.vaddr + inside;
    }),
    ("zeroes-without-file", true, |image, _| {
        let zeroes = Segment::load(u64::from(BASE) + 0x100_0000, Vec::new());
        image.segments.push(zeroes.mem_len(0x1_2345));
        let offset = Patch::Phdr(2, Phdr::Offset, 0xffff_0000);
        image.patches.push(offset);
    }),
    ("shared-bytes", true, |image, _| {
        // Two segments with the same part of the file.
        image.segments[0].offset = Some(0x1000);
        let mut twin = Segment::load(u64::from(BASE) + 0x100_0000, Vec::new());
        (twin.offset, twin.file_len, twin.mem_len) = (Some(0x1000), Some(0x800), 0x800);
        image.segments.push(twin);
    }),
    ("header-at-window-end", true, |image, _| {
        let header = crate::header::HeaderBuilder::new().build();
        image.raw.push((0x8000 - header.len() as u64, header));
    }),
    ("many-segments", false, |image, _| {
        let mut note = Segment::load(0, Vec::new());
        note.kind = PT_NOTE;
        image.segments.resize(0xffff, note);
        image.phdr_at = Some(0x10_0000);
        image.numbering.segments = true;
    }),
    ("many-sections", false, |image, _| {
        image.sections.resize(0xff00, Section::nobits("", 0, 0));
        image.numbering.sections = true;
        image.numbering.names = true;
        // All but the last are zero, which makes them unused.
        if let Ok(built) = image.build() {
            let stride = image.class.shdr_len();
            let start = built.shdr_offset as usize + stride;
            let unused = Patch::Bytes(start, vec![0; 0xff00 * stride]);
            image.patches.push(unused);
        }
    }),
    ("section-count-0", true, |image, _| {
        image.sections.push(Section::loose(".x", noise(26, 10)));
        image.patches.push(Patch::Ehdr(Ehdr::ShNum, 0));
    }),
    ("section-count-0-far", true, |image, _| {
        image.sections.push(Section::loose(".x", noise(26, 10)));
        for (field, value) in [(Ehdr::ShNum, 0), (Ehdr::ShOff, 0x4000_0000)] {
            image.patches.push(Patch::Ehdr(field, value));
        }
    }),
    ("section-count-0-names-far", true, |image, _| {
        image.sections.push(Section::loose(".x", noise(26, 10)));
        for (field, value) in [
            (Ehdr::ShNum, 0),
            (Ehdr::ShOff, 0xffff_ffff),
            (Ehdr::ShStrNdx, 0xffff),
        ] {
            image.patches.push(Patch::Ehdr(field, value));
        }
    }),
    ("section-0-with-size", false, |image, expected| {
        loose(image, expected, Section::loose(".y", noise(27, 90)));
        image.patches.push(Patch::Shdr(0, Shdr::Size, 0x4000_0000));
    }),
    ("wide-section-headers", true, |image, expected| {
        image.shdr_stride = Some(image.class.shdr_len() + 16);
        loose(image, expected, Section::loose(".z", noise(28, 700)));
    }),
    ("section-align-64k", true, |image, expected| {
        loose(image, expected, Section::loose(".far", noise(29, 80)));
        let patch = Patch::Shdr(1, Shdr::AddrAlign, 0x1_0000);
        image.patches.push(patch);
    }),
    ("section-table-first", true, |image, expected| {
        image.sections.clear();
        loose(image, expected, Section::loose(".late", noise(30, 900)));
        image.patches.push(Patch::Ehdr(Ehdr::ShOff, 0x400));
        // The builder's own table, which has three entries, is copied there.
        if let Ok(built) = image.build() {
            let (start, len) = (built.shdr_offset as usize, 3 * image.class.shdr_len());
            let table = built.bytes[start..start + len].to_vec();
            image.patches.push(Patch::Bytes(0x400, table));
        }
    }),
];

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for (class, class_name) in CLASSES {
        for &(name, both, change) in &CHANGES {
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
        ..KernelSpec::elf(Class::Elf64)
    };
    let (mut image, expected) = spec.elf_builder(payload)?;
    image.entry = 0x1234_5678;
    // Alignment fields are for page tables; the loader has none.
    image.patches.push(Patch::Phdr(0, Phdr::Align, 3));
    let bytes = image.build()?.bytes;
    let variant = Variant::boots("elf64-entry-only-by-tag", Kernel { bytes, expected });
    Ok(variant.ours_only(Deviation::ReferenceFails))
}
