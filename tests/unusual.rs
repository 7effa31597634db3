// SPDX-License-Identifier: GPL-3.0-or-later
//! Legal kernels that other loaders refuse or spoil.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{self, BASE, CLASSES, ENTRY, FIRST, SECOND};
use common::world::{FREE, Range, Started};
use mb2::error::Kind;
use mb2_testkit::bytes::{noise, put};
use mb2_testkit::header::{HeaderBuilder, MAGIC, Tag};
use mb2_testkit::image::{Class, ImageBuilder, Numbering, Patch, Phdr, Section, Segment};

/// The image starts on every machine, with the two parts where they belong.
#[track_caller]
fn starts(image: &ImageBuilder) -> Started {
    let file = images::bytes(image);
    let mut last = None;
    for mut fake in [Fake::efi32, Fake::efi64, Fake::bios].map(|new| new()) {
        fake.load(&file).unwrap();
        let started = fake.boot().unwrap();
        assert!(fake.balanced());
        let (first, second) = images::parts(&HeaderBuilder::new());
        assert!(started.memory(BASE + 0x40, FIRST.0 - 0x40) == first.get(0x40..).unwrap());
        assert!(started.memory(BASE + SECOND.0, SECOND.1) == second);
        last = Some(started);
    }
    last.unwrap()
}

fn plain(class: Class) -> ImageBuilder {
    images::elf(class, &HeaderBuilder::new())
}

#[test]
fn no_section_table() {
    for class in CLASSES {
        starts(&plain(class));
    }
}

#[test]
fn program_headers_behind_the_first_32_kib() {
    for class in CLASSES {
        let mut image = plain(class);
        image.phdr_at = Some(0x1_8000);
        starts(&image);
        // And across the window's end.
        image.phdr_at = Some(0x7fe0);
        starts(&image);
    }
}

#[test]
fn wide_program_headers() {
    for class in CLASSES {
        let mut image = plain(class);
        image.phdr_stride = Some(200);
        starts(&image);
    }
}

#[test]
fn a_section_without_contents_or_address() {
    for class in CLASSES {
        starts(&plain(class).section(Section::nobits(".later", 0, 0x4000_0000)));
    }
}

#[test]
fn a_small_file_of_unknown_size() {
    for class in CLASSES {
        let file = images::bytes(&plain(class));
        assert!(file.len() < 0x8000);
        let mut fake = Fake::bios();
        fake.store("/kernel", &file).sized = false;
        fake.multiboot2(&["/kernel"]).unwrap();
        assert_eq!(fake.boot().unwrap().registers.entry, BASE + ENTRY);
    }
}

#[test]
fn section_alignment_0() {
    for class in CLASSES {
        let section = Section::loose(".data0", noise(21, 500)).align(0);
        starts(&plain(class).section(section));
    }
}

#[test]
fn relocation_sections_that_nothing_needs() {
    for class in CLASSES {
        for kind in [mb2_testkit::image::SHT_REL, mb2_testkit::image::SHT_RELA] {
            let section = Section::loose(".reloc", noise(22, 48)).kind(kind);
            starts(&plain(class).section(section));
        }
    }
}

#[test]
fn an_entry_only_by_tag() {
    for class in CLASSES {
        let header = HeaderBuilder::new().tag(Tag::Entry(BASE + 0x50));
        let mut image = images::elf(class, &header);
        image.entry = 0x1234_5678;
        assert_eq!(starts(&image).registers.entry, BASE + 0x50);
    }
}

#[test]
fn a_bad_magic_before_the_good_header() {
    let mut file = images::bytes(&plain(Class::Elf64));
    put(&mut file, 0x200, &MAGIC.to_le_bytes());
    put(
        &mut file,
        0x300,
        &HeaderBuilder::new().architecture(4).build(),
    );
    put(&mut file, 0x400, &HeaderBuilder::new().checksum(1).build());
    // Not on a multiple of 8.
    put(&mut file, 0x504, &HeaderBuilder::new().length(0).build());
    let mut fake = Fake::bios();
    fake.load(&file).unwrap();
    assert_eq!(fake.boot().unwrap().registers.entry, BASE + ENTRY);
}

#[test]
fn notes_and_empty_segments_over_the_image() {
    for class in CLASSES {
        let mut note = Segment::load(BASE.into(), noise(24, 64));
        (note.kind, note.align) = (4, 4);
        let mut image = plain(class).segment(note);
        for at in [u64::from(BASE) + 0x800, 0, 0xffff_f000] {
            image = image.segment(Segment::load(at, Vec::new()));
        }
        // An empty segment may even point behind the file.
        image = image.patch(Patch::Phdr(3, Phdr::Offset, 0xffff_0000));
        starts(&image);
    }
}

#[test]
fn notes_with_odd_numbers() {
    for class in CLASSES {
        let mut odd = Segment::load(0xfee0_1235, noise(25, 33));
        (odd.kind, odd.align, odd.mem_len) = (4, 3, 1);
        let mut image = plain(class).segment(odd.clone());
        // Types that nobody knows are no business of a loader.
        (odd.kind, odd.file_len) = (0x6474_e551, Some(0xffff_0000));
        image.segments.insert(0, odd);
        starts(&image);
    }
}

#[test]
fn a_virtual_address_that_ends_at_the_top() {
    for (class, top) in [(Class::Elf32, 1u64 << 32), (Class::Elf64, 0)] {
        let mut image = plain(class);
        let second = image.segments.get_mut(1).unwrap();
        second.vaddr = top.wrapping_sub(second.mem_len);
        image.entry = top.wrapping_sub(1);
        let started = starts(&image);
        assert_eq!(started.registers.entry, BASE + SECOND.0 + SECOND.2 - 1);
    }
}

#[test]
fn a_segment_that_ends_at_four_gib_where_there_is_memory() {
    for class in CLASSES {
        for zeroes in [0u32, 0x800] {
            let mut image = plain(class);
            let second = image.segments.get_mut(1).unwrap();
            second.mem_len = second.data.len() as u64 + u64::from(zeroes);
            second.paddr = (1 << 32) - second.mem_len;
            let at = second.paddr as u32;
            let file = images::bytes(&image);
            let mut fake = Fake::bios();
            let free = Range {
                start: 0xffff_0000,
                end: 1 << 32,
                kind: FREE,
            };
            let mut ranges = fake.world.ranges.borrow().clone();
            *ranges.last_mut().unwrap() = free;
            fake.world.ranges.replace(ranges);
            fake.load(&file).unwrap();
            let started = fake.boot().unwrap();
            let (_, second) = images::parts(&HeaderBuilder::new());
            assert!(started.memory(at, SECOND.1) == second);
            // There is no memory elsewhere, and the border is not the reason.
            Fake::bios().refuses(&file, Kind::NotFree);
        }
    }
}

#[test]
fn segments_from_high_to_low() {
    for class in CLASSES {
        let mut image = plain(class);
        image.segments.reverse();
        starts(&image);
    }
}

#[test]
fn counts_in_section_header_0() {
    for class in CLASSES {
        let mut image = plain(class).section(Section::loose(".x", noise(1, 10)));
        // 65535 segments, nearly all of them notes.
        let mut note = Segment::load(0, Vec::new());
        note.kind = 4;
        image.segments.resize(0xffff, note);
        image.phdr_at = Some(0x1_0000);
        image.numbering = Numbering {
            segments: true,
            sections: false,
            names: true,
        };
        starts(&image);
    }
}

#[test]
fn a_section_count_of_0_that_section_0_does_not_explain() {
    for class in CLASSES {
        let image = plain(class).section(Section::loose(".x", noise(1, 10)));
        let image = image.patch(Patch::Ehdr(mb2_testkit::image::Ehdr::ShNum, 0));
        starts(&image);
    }
}

#[test]
fn a_header_at_the_last_place_of_the_window() {
    let header = HeaderBuilder::new();
    let bytes = header.build();
    let mut image = plain(Class::Elf32);
    let first = image.segments.first_mut().unwrap();
    first.data = noise(1, 0x8000);
    first.offset = Some(0x1000);
    first.mem_len = 0x8000;
    put(&mut first.data, 0x7000 - bytes.len(), &bytes);
    image.segments.truncate(1);
    let mut fake = Fake::bios();
    fake.load(&images::bytes(&image)).unwrap();
    assert!(fake.balanced());
}

#[test]
fn segments_that_share_the_file() {
    let mut image = plain(Class::Elf64);
    let (first, _) = images::parts(&HeaderBuilder::new());
    image.segments.truncate(1);
    let offset = image.build().unwrap().segment_offsets.first().copied();
    let mut twin = Segment::load(u64::from(BASE) + 0x10_0000, Vec::new());
    twin.offset = offset;
    twin.file_len = Some(0x1000);
    twin.mem_len = 0x1000;
    let image = image.segment(twin);
    let mut fake = Fake::bios();
    fake.load(&images::bytes(&image)).unwrap();
    let started = fake.boot().unwrap();
    assert!(started.memory(BASE + 0x10_0000, 0x1000) == first.get(..0x1000).unwrap());
}
