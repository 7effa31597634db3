// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations that are none, go wrong or ask for much work, and such options.
#![expect(
    clippy::as_conversions,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{self, BASE, CLASSES, FIRST, SECOND};
use common::pies::{DYNAMIC, Pie, REL, RELA, RELR, SYMBOLS, TABLES, start, word};
use common::world::Fault;
use mb2::error::{Error, Kind};
use mb2_testkit::bytes::{put_number, u32_at};
use mb2_testkit::image::{Class, ImageBuilder, Patch, Phdr, Section, Segment, Shdr};

const B: u64 = BASE as u64;

#[test]
fn bits_before_any_address_start_at_0() {
    let pie = Pie::new(Class::Elf32).table(RELR, &[3]);
    let error = Fake::bios().refuses(&pie.file(), Kind::RelocationOutside);
    assert_eq!(error.values, [36, 0, 8, 0, 0, 0]);
}

#[test]
fn places_lie_in_one_segment() {
    let gap = B + u64::from(FIRST.1);
    for class in CLASSES {
        let pie = Pie::new(class);
        let len = pie.word() as u64;
        for place in [
            B - 1,
            B - len + 1,
            gap - len + 1,
            gap,
            B + u64::from(SECOND.0) - 1,
            0,
            u64::MAX,
        ] {
            let pie = pie.clone();
            let place = if class == Class::Elf32 {
                place % (1 << 32)
            } else {
                place
            };
            let entries = [B + 0x700, pie.info(8, 0), place, pie.info(8, 0)];
            let pie = pie.table(REL, &entries).stores(0x700, B);
            let error = Fake::bios().refuses(&pie.file(), Kind::RelocationOutside);
            assert_eq!(error.values, [17, 1, 8, place, 0, 0]);
        }
        // The last one that fits.
        let pie = pie.table(REL, &[gap - len, Pie::new(class).info(8, 0)]);
        let started = start(&pie.file(), &[]);
        assert_eq!(word(&started, class, FIRST.1 - len as u32), pie.slide());
    }
}

#[test]
fn tables_lie_in_one_segment_and_have_whole_entries() {
    for class in CLASSES {
        let pie = Pie::new(class);
        let stride = 2 * pie.word() as u64;
        let refuse = |tags: &[[u64; 2]], kind, values: [u64; 3]| {
            let pie = Pie {
                tags: tags.to_vec(),
                ..Pie::new(class)
            };
            let error = Fake::bios().refuses(&pie.file(), kind);
            assert_eq!(error.values[..3], values);
        };
        let (table, gap) = (Kind::RelocationTable, B + u64::from(FIRST.1));
        refuse(&[[17, gap - 4], [18, stride]], table, [17, stride, gap - 4]);
        refuse(&[[17, 0], [18, stride]], table, [17, stride, 0]);
        refuse(&[[36, B], [35, 0xffff_fff0]], table, [36, 0xffff_fff0, B]);
        let entry = Kind::RelocationEntry;
        refuse(&[[17, B], [18, stride + 1]], entry, [17, stride + 1, 0]);
        refuse(
            &[[7, B], [8, 0], [17, B], [18, stride], [19, 7]],
            entry,
            [17, stride, 7],
        );
        // Memory that no file fills is zero, and more of it than the file has is too much.
        let image = pie.image();
        let mut image = ImageBuilder { ..image };
        image.segments[1].mem_len = 0x80_0000;
        put_number(&mut image.segments[0].data, DYNAMIC, 17, pie.word());
        let at = B + u64::from(SECOND.0) + 0x1000;
        put_number(
            &mut image.segments[0].data,
            DYNAMIC + pie.word(),
            at,
            pie.word(),
        );
        put_number(
            &mut image.segments[0].data,
            DYNAMIC + 2 * pie.word(),
            18,
            pie.word(),
        );
        put_number(
            &mut image.segments[0].data,
            DYNAMIC + 3 * pie.word(),
            0x40_0000,
            pie.word(),
        );
        Fake::bios().refuses(&images::bytes(&image), Kind::Scattered);
        put_number(
            &mut image.segments[0].data,
            DYNAMIC + 3 * pie.word(),
            0x400,
            pie.word(),
        );
        start(&images::bytes(&image), &[]);
    }
}

#[test]
fn the_dynamic_section_lies_in_a_segment() {
    for class in CLASSES {
        let image = Pie::new(class).image();
        let image = image.patch(Patch::Phdr(2, Phdr::VAddr, 0x10));
        let error = Fake::bios().refuses(&images::bytes(&image), Kind::RelocationTable);
        assert_eq!(error.values[2], 0x10);
    }
}

#[test]
fn a_table_that_relocates_itself_is_read_as_it_is_then() {
    // The first entry turns the second one's place into another.
    let pie = Pie::new(Class::Elf32);
    let second = B + TABLES as u64 + 8;
    let entries = [second, 8, B + 0x404, 8];
    let pie = Pie {
        min: BASE + 0x1000,
        ..pie.table(REL, &entries)
    };
    let pie = pie.stores(0x404, 4).stores(0x1404, 5);
    let started = start(&pie.file(), &[]);
    assert_eq!(word(&started, pie.class, 0x404), 4);
    assert_eq!(word(&started, pie.class, 0x1404), 0x1005);
}

#[test]
fn broken_kept_sections() {
    for class in CLASSES {
        let pie = Pie::kept(class);
        let entry = [B + 0x400, pie.info(1, 1)];
        let pie = pie.table(REL, &entry);
        let len = 2 * pie.word() as u64;
        for (patch, kind) in [
            (Patch::Shdr(4, Shdr::EntSize, 7), Kind::RelocationEntry),
            (Patch::Shdr(4, Shdr::Size, len + 4), Kind::RelocationEntry),
            (Patch::Shdr(4, Shdr::Size, 1 << 31), Kind::SectionRange),
            (Patch::Shdr(4, Shdr::AddrAlign, 3), Kind::SectionAlign),
            (Patch::Shdr(3, Shdr::Offset, 1 << 31), Kind::SectionRange),
            // No table of symbols.
            (Patch::Shdr(4, Shdr::Link, 1), Kind::RelocationOutside),
            (Patch::Shdr(4, Shdr::Link, 77), Kind::RelocationOutside),
        ] {
            let image = pie.image().patch(patch);
            Fake::bios().refuses(&images::bytes(&image), kind);
        }
    }
}

#[test]
fn segments_are_searched_only_where_they_are_few() {
    for (count, tables, good) in [(250, true, true), (400, true, false), (400, false, true)] {
        let mut pie = Pie::new(Class::Elf64);
        if tables {
            pie = pie.table(REL, &[B + 0x400, 0]);
        }
        let mut image = pie.image();
        image.phdr_at = Some(0x10_0000);
        for index in 0..count {
            let at = B + 0x1_0000 + index * 16;
            image = image.segment(Segment::load(at, Vec::new()).mem_len(8).at(0));
        }
        let file = images::bytes(&image);
        if good {
            start(&file, &[]);
        } else {
            Fake::bios().refuses(&file, Kind::Scattered);
        }
    }
}

#[test]
fn sections_that_name_the_same_table_again_and_again() {
    let pie = Pie::kept(Class::Elf32);
    let pie = pie.table(REL, &vec![0; 0x800]);
    let mut image = pie.image();
    for _ in 0..100 {
        image = image.section(Section::loose(".rel", vec![0]).kind(9).table(3, 1, 8));
    }
    let built = image.build().unwrap();
    for index in 5..105 {
        let offset = built.section_offsets[4];
        image = image
            .patch(Patch::Shdr(index, Shdr::Offset, offset))
            .patch(Patch::Shdr(index, Shdr::Size, 0x2000));
    }
    Fake::bios().refuses(&images::bytes(&image), Kind::Scattered);
}

#[test]
fn options_stand_before_the_file() {
    let file = Pie::new(Class::Elf32).file();
    let mut fake = Fake::bios().file("/kernel", &file);
    for words in [
        &["--check-me", "/kernel"][..],
        &["--no-elf-relocs", "--no-elf-reloc", "/kernel"],
        &["--", "/kernel"],
    ] {
        let fault = fake.multiboot2(words).unwrap_err();
        let unknown = Error::new(Kind::UnknownOption, &[]);
        assert_eq!(fault, Fault::Ours(unknown));
        assert_eq!(fake.named, *words.iter().rev().nth(1).unwrap());
        assert!(fake.empty());
    }
    let fault = fake.multiboot2(&["--no-elf-relocs"]).unwrap_err();
    assert_eq!(fault, Fault::Ours(Error::new(Kind::NoFileName, &[])));
    fake.multiboot2(&["--no-elf-relocs", "--no-elf-relocs", "/kernel"])
        .unwrap();
    // A single dash is a name like any other.
    let fault = fake.multiboot2(&["-kernel"]).unwrap_err();
    assert_eq!(fault, Fault::Grub("no such file"));
}

#[test]
fn sections_that_are_not_about_the_image_are_data() {
    for class in CLASSES {
        let pie = Pie::kept(class)
            .table(REL, &[B + 0x400, 77])
            .stores(0x400, 3);
        for (field, value) in [
            (Shdr::Info, 3),
            (Shdr::Info, 0),
            (Shdr::Info, 99),
            (Shdr::Flags, 2),
        ] {
            let image = pie.image().patch(Patch::Shdr(4, field, value));
            let started = start(&images::bytes(&image), &[]);
            assert_eq!(word(&started, class, 0x400), 3);
        }
        // With a dynamic section, that alone is the source.
        let pie = Pie::new(class).stores(0x400, 3);
        let table = Section::loose(".rel", vec![0xff; 64]).kind(9);
        let image = pie.image().section(table.table(0, 1, 0));
        let started = start(&images::bytes(&image), &[]);
        assert_eq!(word(&started, class, 0x400), 3);
    }
}

#[test]
fn what_the_linker_did_is_not_done_again() {
    for class in CLASSES {
        for shared in [false, true] {
            // At its link address, unknown types are no reason to stop.
            let pie = Pie {
                min: BASE,
                shared,
                ..Pie::kept(class)
            };
            let entries = [B + 0x400, 77, 0, B + 0x404, 8, B];
            let pie = pie.table(RELA, &entries).stores(0x400, 3);
            let started = start(&pie.file(), &[]);
            assert_eq!(word(&started, class, 0x400) as u32, 3);
            let now = u32_at(started.memory(BASE + 0x404, 4), 0);
            assert_eq!(now == Some(BASE), shared);
        }
        let pie = Pie {
            min: BASE,
            ..Pie::new(class)
        };
        let pie = pie.table(RELA, &[B + 0x400, 77, 0]);
        Fake::bios().refuses(&pie.file(), Kind::RelocationType);
    }
}

#[test]
fn symbols_may_lie_before_the_tail() {
    let pie = Pie::kept(Class::Elf32);
    let entry = [B + 0x400, pie.info(1, 1)];
    let symbol = SYMBOLS as u32 + 16;
    let pie = pie.table(REL, &entry).stores(0x400, B + 5);
    let pie = pie.stores(symbol + 4, B).stores(symbol + 12, 1 << 16);
    let image = pie.image();
    let offset = image.build().unwrap().segment_offsets[0] + SYMBOLS as u64;
    let image = image
        .patch(Patch::Shdr(3, Shdr::Offset, offset))
        .patch(Patch::Shdr(3, Shdr::Size, 32));
    let started = start(&images::bytes(&image), &[]);
    assert_eq!(word(&started, pie.class, 0x400), B + 5 + pie.slide());
}

#[test]
fn tables_may_be_longer_than_the_image_in_a_file_of_unknown_size() {
    let mut entries = vec![B + 0x400, 8];
    entries.resize(0x6000, 0);
    let pie = Pie::kept(Class::Elf32).table(REL, &entries);
    let mut fake = Fake::bios();
    fake.store("/kernel", &pie.file()).sized = false;
    fake.multiboot2(&["/kernel"]).unwrap();
    assert!(fake.balanced());
}
