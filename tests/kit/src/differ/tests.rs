// SPDX-License-Identifier: GPL-3.0-or-later
//! The judge finds what is wrong, and nothing in what is right.

use super::*;
use crate::bytes::{noise, put, put_number};
use crate::header::{HeaderBuilder, Relocatable, Tag};
use crate::image::{Class, Ehdr, FlatBuilder, ImageBuilder, Patch, Phdr, Section, Segment, Shdr};

const BASE: u32 = 0x20_0000;
const INFO: u32 = 0x1000;

/// Segments that touch, sections of two kinds.
fn image(class: Class, header: &HeaderBuilder) -> ImageBuilder {
    let mut first = noise(3, 0x1000);
    put(&mut first, 0, &header.build());
    let base = u64::from(BASE);
    let mut image = ImageBuilder::new(class)
        .segment(Segment::load(base, first))
        .segment(Segment::load(base + 0x1000, noise(4, 0x80)).mem_len(0x100))
        .section(Section::loose(".debug", noise(5, 0x30)));
    image.entry = base + 0x400;
    image
}

fn plain(class: Class) -> ImageBuilder {
    image(class, &HeaderBuilder::new().tag(Tag::ModuleAlignment))
}

fn terrain(firmware: Firmware) -> Terrain {
    Terrain {
        firmware,
        usable: vec![(0x1000, 0xa_0000), (0x10_0000, 0x200_0000)],
        lasting: vec![(0x1000, 0xa_0000), (0x10_0000, 0x200_0000)],
        direct: None,
        palette: false,
        vbe_interface: true,
    }
}

fn found(file: &[u8], firmware: Firmware) -> Vec<Oddity> {
    let terrain = terrain(firmware);
    let case = Case {
        file,
        sized: true,
        modules: &[],
        terrain: &terrain,
    };
    oddities(&case).into_iter().collect()
}

#[test]
fn nothing_is_odd_about_an_ordinary_kernel() {
    for class in [Class::Elf32, Class::Elf64] {
        let file = plain(class).build().unwrap().bytes;
        for firmware in [Firmware::Bios, Firmware::Efi32, Firmware::Efi64] {
            assert_eq!(found(&file, firmware), []);
        }
    }
    let flat = FlatBuilder::new(HeaderBuilder::new().tag(Tag::Entry(BASE + 8)), BASE);
    let flat = flat.part(0, noise(6, 0x800)).build();
    assert_eq!(found(&flat, Firmware::Bios), []);
}

#[test]
fn each_damage_has_its_name() {
    use Oddity::*;
    let high = u64::from(u32::MAX);
    for (patch, odd) in [
        (Patch::Ehdr(Ehdr::PhEntSize, 31), ProgramTable),
        (Patch::Ehdr(Ehdr::PhOff, 0x10_0000), ProgramTable),
        (Patch::Ehdr(Ehdr::PhNum, 0), NoSegment),
        (Patch::Phdr(0, Phdr::FileSz, 0x1001), SegmentSize),
        (Patch::Phdr(1, Phdr::PAddr, high), SegmentRange),
        (Patch::Phdr(1, Phdr::PAddr, high - 0xff), SegmentTop),
        (Patch::Phdr(1, Phdr::Offset, 0x10_0000), SegmentCut),
        (Patch::Phdr(1, Phdr::PAddr, BASE.into()), Overlap),
        (Patch::Phdr(1, Phdr::PAddr, 0xb_0000), NotFree),
        (Patch::Ehdr(Ehdr::Entry, 7), EntryNotInSegment),
        (Patch::Ehdr(Ehdr::ShOff, 0), SectionsNowhere),
        (Patch::Ehdr(Ehdr::ShEntSize, 39), SectionTable),
        (Patch::Ehdr(Ehdr::ShNum, 0xfff0), SectionTable),
        (Patch::Ehdr(Ehdr::ShStrNdx, 0xffff), NameIndex),
        (Patch::Shdr(1, Shdr::Type, 4), Relocations),
        (Patch::Shdr(1, Shdr::Type, 8), EmptySection),
        (Patch::Shdr(1, Shdr::AddrAlign, 0), SectionAlign0),
        (Patch::Shdr(1, Shdr::AddrAlign, 3), SectionAlign),
        (Patch::Shdr(1, Shdr::Size, 0x10_0000), SectionCut),
    ] {
        for class in [Class::Elf32, Class::Elf64] {
            let file = plain(class).patch(patch.clone()).build().unwrap().bytes;
            let odds = found(&file, Firmware::Bios);
            assert!(odds.contains(&odd), "{patch:?}: {odds:?}, not {odd:?}");
        }
    }
}

#[test]
fn each_odd_header_has_its_name() {
    use Oddity::*;
    let place = |align, min| {
        Tag::Relocatable(Relocatable {
            min,
            max: u32::MAX,
            align,
            preference: 0,
        })
    };
    for (tag, odd) in [
        (Tag::InformationRequest(vec![1, 13]), SmbiosRequest),
        (Tag::EntryEfi32(BASE), Efi32Entry),
        (Tag::EfiBootServices, NoServicesEntry),
        (Tag::Entry(BASE - 1), EntryOutside),
        (place(3, 0), PlacementAlign),
        (place(1, 0x8000_0000), NoPlace),
        (Tag::Framebuffer(1 << 31, 1, 1), HugeMode),
        (Tag::Raw(5, None, vec![0; 4]), HeaderFrame),
    ] {
        let header = HeaderBuilder::new().tag(tag);
        let file = image(Class::Elf64, &header).build().unwrap().bytes;
        assert_eq!(found(&file, Firmware::Efi64), [odd]);
    }
}

#[test]
fn a_dynamic_section_outside_the_image_is_odd() {
    let header = HeaderBuilder::new().tag(Tag::Relocatable(Relocatable {
        min: 0,
        max: u32::MAX,
        align: 1,
        preference: 0,
    }));
    let mut image = image(Class::Elf64, &header);
    image.kind = crate::image::ET_DYN;
    let mut dynamic = image.segments[0].clone();
    dynamic.kind = crate::image::PT_DYNAMIC;
    image.segments.push(dynamic);
    let odd = |image: &crate::image::ImageBuilder| {
        found(&image.build().unwrap().bytes, Firmware::Efi64).contains(&Oddity::DynamicNowhere)
    };
    assert!(!odd(&image));
    image.segments.last_mut().unwrap().mem_len += 0x10_0000;
    assert!(odd(&image));
    image.kind = crate::image::ET_EXEC;
    assert!(!odd(&image));
}

/// What a loader that does everything right leaves behind.
fn start(file: &[u8], base: u32) -> Start {
    let mut memory = file[0x1000..].to_vec();
    memory.truncate(0x1080);
    memory.resize(0x1100, 0);
    let mut info = vec![0; 8];
    for (kind, size, value) in [(21, 12, base), (0, 8, 0)] {
        let at = info.len();
        put_number(&mut info, at, kind, 4);
        put_number(&mut info, at + 4, size, 4);
        if size > 8 {
            put_number(&mut info, at + 8, value.into(), 8);
        }
    }
    let len = info.len() as u64;
    put_number(&mut info, 0, len, 4);
    let entry = u64::from(base) + 0x400;
    let chunk = |target: u32, bytes| Chunk {
        target: target.into(),
        in_place: false,
        bytes,
    };
    Start {
        registers: vec![entry, 0x36d7_6289, INFO.into(), 0, 0, 0, 0, 0, 0x7_ff00],
        chunks: vec![chunk(INFO, info), chunk(base, memory)],
        events: vec!["open".to_owned()],
    }
}

#[test]
fn only_what_is_the_same_is_called_so() {
    let header = HeaderBuilder::new().tag(Tag::Relocatable(Relocatable {
        min: 0x10_0000,
        max: 0x100_0000,
        align: 0x1000,
        preference: 0,
    }));
    let mut image = image(Class::Elf32, &header);
    image.sections.clear();
    let file = image.build().unwrap().bytes;
    let terrain = terrain(Firmware::Bios);
    let case = Case {
        file: &file,
        sized: true,
        modules: &[],
        terrain: &terrain,
    };
    let ends = |start: &Start| Outcome::Started(start.clone());
    let stock = start(&file, BASE);
    let moved = start(&file, BASE + 0x5000);
    assert_eq!(
        judge(&case, &ends(&stock), &ends(&stock)),
        Ok(Verdict::Same)
    );
    assert_eq!(
        judge(&case, &ends(&stock), &ends(&moved)),
        Ok(Verdict::Same)
    );

    let wrong = |damage: fn(&mut Start)| {
        let mut ours = moved.clone();
        damage(&mut ours);
        judge(&case, &ends(&stock), &ends(&ours)).unwrap_err()
    };
    assert!(wrong(|s| s.registers[0] += 1).contains("entered"));
    assert!(wrong(|s| s.registers[3] = 1).contains("ecx"));
    assert!(wrong(|s| s.chunks[1].bytes[0x10ff] = 1).contains("image"));
    assert!(wrong(|s| s.chunks[1].target += 8).contains("lie"));
    assert!(wrong(|s| s.chunks[1].target = 0x9_f800).contains("badly"));
    assert!(wrong(|s| s.chunks[0].bytes[8] = 22).contains("load base"));
    assert!(wrong(|s| s.chunks[0].bytes[20] = 1).contains("padding"));
    assert!(wrong(|s| s.events.clear()).contains("verifiers"));

    let fatal = image
        .patch(Patch::Ehdr(Ehdr::Entry, 7))
        .build()
        .unwrap()
        .bytes;
    let fatal = Case {
        file: &fatal,
        ..case
    };
    assert!(judge(&fatal, &ends(&stock), &ends(&stock)).is_err());

    let refused = Outcome::Refused("no free memory".to_owned());
    let broke = Outcome::Broke("Crashed".to_owned());
    assert!(judge(&case, &ends(&stock), &refused).is_err());
    assert!(judge(&case, &refused, &ends(&stock)).is_err());
    assert!(judge(&case, &broke, &ends(&stock)).is_err());
    assert!(judge(&case, &broke, &broke).is_err());
    assert_eq!(judge(&case, &broke, &refused), Ok(Verdict::NeitherStarts));
}
