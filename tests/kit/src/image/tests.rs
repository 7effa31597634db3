// SPDX-License-Identifier: GPL-3.0-or-later
//! Files parsed back by the `object` crate.

use super::*;
use crate::bytes::{noise, u16_at, u32_at};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection, ObjectSegment};

const CLASSES: [Class; 2] = [Class::Elf32, Class::Elf64];

fn sample(class: Class) -> ImageBuilder {
    let mut image = ImageBuilder::new(class);
    image.entry = 0x20_0010;
    image
        .segment(Segment::load(0x20_0000, noise(1, 0x123)).mem_len(0x3000))
        .segment(Segment::load(0x20_4008, noise(2, 77)).vaddr(0x8020_4008))
        .section(Section::loose(".one", noise(3, 50)).align(16))
        .section(Section::nobits(".zero", 0x20_0123, 0x2edd))
        .section(Section {
            contents: Contents::InSegment(1, 7, 20),
            ..Section::loose(".part", Vec::new())
        })
}

#[test]
fn segments_and_sections_parse_back() {
    for class in CLASSES {
        let built = sample(class).build().unwrap();
        let elf = object::File::parse(&*built.bytes).unwrap();
        assert_eq!(elf.entry(), 0x20_0010);
        let segments: Vec<_> = elf.segments().collect();
        assert_eq!(segments[0].data().unwrap(), noise(1, 0x123));
        assert_eq!(segments[0].size(), 0x3000);
        assert_eq!(segments[1].address(), 0x8020_4008);
        assert_eq!(segments[1].file_range(), (built.segment_offsets[1], 77));
        assert_eq!(built.segment_offsets[1] % 0x1000, 8);
        let one = elf.section_by_name(".one").unwrap();
        assert_eq!(one.data().unwrap(), noise(3, 50));
        assert_eq!(one.align(), 16);
        let part = elf.section_by_name(".part").unwrap();
        assert_eq!(part.data().unwrap(), &noise(2, 77)[7..27]);
        assert_eq!(elf.section_by_name(".zero").unwrap().size(), 0x2edd);
    }
}

#[test]
fn extended_numbering_is_resolved_by_an_independent_reader() {
    let mut image = sample(Class::Elf64);
    image.numbering = Numbering {
        segments: true,
        sections: true,
        names: true,
    };
    let built = image.build().unwrap();
    assert_eq!(u16_at(&built.bytes, 56), Some(0xffff));
    assert_eq!(u16_at(&built.bytes, 60), Some(0));
    assert_eq!(u16_at(&built.bytes, 62), Some(0xffff));
    let header = object::elf::FileHeader64::<Endianness>::parse(&*built.bytes).unwrap();
    let little = Endianness::Little;
    assert_eq!(
        header.program_headers(little, &*built.bytes).unwrap().len(),
        2
    );
    let sections = header.sections(little, &*built.bytes).unwrap();
    assert_eq!(sections.len(), 5);
    assert!(sections.section_by_name(little, b".part").is_some());
}

#[test]
fn tables_go_where_they_are_told() {
    for class in CLASSES {
        let mut image = sample(class);
        image.phdr_at = Some(0x9000);
        let built = image.build().unwrap();
        assert_eq!(built.phdr_offset, 0x9000);
        let elf = object::File::parse(&*built.bytes).unwrap();
        assert_eq!(elf.segments().count(), 2);
        image.raw.push((0x8000, vec![0xaa; 9]));
        let built = image.build().unwrap();
        assert_eq!(built.bytes[0x8000..0x8009], [0xaa; 9]);
    }
}

#[test]
fn strides_leave_room_behind_each_header() {
    let mut image = sample(Class::Elf32);
    image.phdr_stride = Some(48);
    image.shdr_stride = Some(64);
    let built = image.build().unwrap();
    let second = built.phdr_offset as usize + 48;
    assert_eq!(u32_at(&built.bytes, second + 12), Some(0x20_4008));
    let third = built.shdr_offset as usize + 2 * 64;
    assert_eq!(u32_at(&built.bytes, third + 4), Some(SHT_NOBITS));
}

#[test]
fn patches_change_the_named_field_only() {
    for class in CLASSES {
        let good = sample(class).build().unwrap().bytes;
        for (patch, len) in [
            (Patch::Ehdr(Ehdr::PhNum, 0x1234), 2),
            (Patch::Phdr(1, Phdr::Flags, 0x0102_0304), 4),
            (Patch::Shdr(0, Shdr::Info, 0x0102_0304), 4),
            (Patch::Bytes(3, vec![0x99]), 1),
        ] {
            let bad = sample(class).patch(patch.clone()).build().unwrap().bytes;
            let changed = good.iter().zip(&bad).filter(|(a, b)| a != b).count();
            assert!((1..=len).contains(&changed), "{patch:?}");
            assert_eq!(good.len(), bad.len());
        }
    }
    let image = sample(Class::Elf32);
    assert!(
        image
            .clone()
            .patch(Patch::Phdr(2, Phdr::Type, 0))
            .build()
            .is_err()
    );
    assert!(
        image
            .clone()
            .patch(Patch::Shdr(5, Shdr::Type, 0))
            .build()
            .is_err()
    );
    let short = image.patch(Patch::Truncate(40)).build().unwrap();
    assert_eq!(short.bytes.len(), 40);
}

#[test]
fn raw_fields_match_the_object_crate() {
    let built = sample(Class::Elf32).build().unwrap();
    let little = Endianness::Little;
    let header = object::elf::FileHeader32::<Endianness>::parse(&*built.bytes).unwrap();
    let segment = &header.program_headers(little, &*built.bytes).unwrap()[1];
    assert_eq!(segment.p_paddr(little), 0x20_4008);
    assert_eq!(segment.p_align(little), 0x1000);
    let section = &header.section_headers(little, &*built.bytes).unwrap()[1];
    assert_eq!(section.sh_size(little), 50);
}

#[test]
fn address_tag_follows_the_layout() {
    use crate::header::HeaderBuilder;
    let mut flat = FlatBuilder::new(HeaderBuilder::new(), 0x20_0000);
    flat.header_offset = 0x50;
    flat.load_offset = 0x40;
    flat.explicit_load_end = true;
    flat.mem_len = Some(0x900);
    let file = flat.part(0x100, vec![5; 0x100]).build();
    assert_eq!(u32_at(&file, 0x50), Some(crate::header::MAGIC));
    // Header address, load address, load end, zero end.
    let tag: Vec<_> = (0..4)
        .filter_map(|i| u32_at(&file, 0x50 + 24 + 4 * i))
        .collect();
    assert_eq!(tag, [0x20_0010, 0x20_0000, 0x20_01c0, 0x20_0900]);
}
