// SPDX-License-Identifier: GPL-3.0-or-later
//! Sections that no segment holds: loaded, aligned, and told to the kernel.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{self, BASE, CLASSES, LOW_BASE, SPAN, relocatable, with_sections};
use common::information::find;
use common::world::{Finds, Started};
use mb2::error::Kind;
use mb2_testkit::bytes::{noise, u32_at, u64_at};
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{
    Class, Contents, ImageBuilder, Numbering, Patch, SHF_ALLOC, SHT_REL, SHT_RELA, Section, Shdr,
};

/// Type, address, offset, size, alignment.
type Header = (u32, u64, usize, usize, u64);

/// The section headers in the boot information.
fn headers(started: &Started, class: Class) -> Vec<Header> {
    let tag = find(started.information(), 9);
    let [count, stride] = [8, 12].map(|at| u32_at(tag, at).unwrap() as usize);
    assert_eq!(tag.len(), 20 + count * stride);
    let number = |at: usize, narrow: usize, wide: usize| match class {
        Class::Elf32 => u64::from(u32_at(tag, at + narrow).unwrap()),
        Class::Elf64 => u64_at(tag, at + wide).unwrap(),
    };
    let header = |at: usize| {
        (
            u32_at(tag, at + 4).unwrap(),
            number(at, 12, 16),
            number(at, 16, 24) as usize,
            number(at, 20, 32) as usize,
            number(at, 32, 48),
        )
    };
    (0..count).map(|i| header(20 + i * stride)).collect()
}

/// Loads, and checks that every section without an address was given one,
/// that its bytes lie there, aligned, and that nothing else was changed.
fn check(mut fake: Fake, image: &ImageBuilder) -> Vec<Header> {
    let file = image.build().unwrap();
    fake.load(&file.bytes).unwrap();
    let started = fake.boot().unwrap();
    assert!(fake.balanced());
    let headers = headers(&started, image.class);
    let tag = find(started.information(), 9);
    let stride = u32_at(tag, 12).unwrap() as usize;
    for (index, &(kind, addr, offset, size, align)) in headers.iter().enumerate() {
        let at = file.shdr_offset as usize + index * stride;
        let (before, field) = match image.class {
            Class::Elf32 => (u64::from(u32_at(&file.bytes, at + 12).unwrap()), 12..16),
            Class::Elf64 => (u64_at(&file.bytes, at + 16).unwrap(), 16..24),
        };
        let loaded = before == 0 && size != 0 && kind != 0 && kind != 8;
        assert_eq!(addr != before, loaded, "section {index}");
        if loaded {
            assert_eq!(addr % align.max(1), 0, "section {index}");
            let contents = &file.bytes[offset..offset + size];
            assert!(started.memory(addr as u32, size) == contents, "{index}");
        }
        let [mut ours, mut theirs] = [
            tag[20 + index * stride..][..stride].to_vec(),
            file.bytes[at..at + stride].to_vec(),
        ];
        ours[field.clone()].fill(0);
        theirs[field].fill(0);
        assert_eq!(ours, theirs, "section {index}");
    }
    headers
}

fn plain(class: Class) -> ImageBuilder {
    with_sections(images::elf(class, &HeaderBuilder::new()))
}

#[test]
fn sections_lie_where_their_headers_say() {
    for class in CLASSES {
        for fake in [Fake::bios, Fake::efi64, Fake::efi32] {
            assert_eq!(check(fake(), &plain(class)).len(), 6);
        }
    }
}

#[test]
fn sections_are_loaded_beside_boot_services() {
    let header = images::keeping(HeaderBuilder::new());
    let image = with_sections(images::elf_at(Class::Elf64, LOW_BASE, &header));
    let headers = check(Fake::in_place(mb2::params::Firmware::Efi64), &image);
    let free = |addr: u64| (0x1000_0000..0x1100_0000).contains(&addr);
    assert!(headers.iter().all(|&(_, addr, ..)| addr == 0 || free(addr)));
}

#[test]
fn sections_of_a_moved_image_keep_their_link_addresses() {
    let header = HeaderBuilder::new().tag(relocatable(0x100_0000, u32::MAX, 0x1000, 1));
    let text = Section {
        flags: SHF_ALLOC,
        addr: u64::from(BASE) + 0x100,
        contents: Contents::InSegment(0, 0x100, 0x200),
        ..Section::loose(".text", Vec::new())
    };
    let image = with_sections(images::elf(Class::Elf64, &header).section(text));
    assert_eq!(check(Fake::bios(), &image)[1].1, u64::from(BASE) + 0x100);
}

#[test]
fn the_file_is_read_front_to_back_when_nothing_has_to_move() {
    for class in CLASSES {
        let mut fake = Fake::bios();
        let image = images::elf(class, &HeaderBuilder::new())
            .section(Section::loose(".symtab", noise(1, 0x9000)).align(8))
            .section(Section::loose(".debug", noise(2, 0x1_2345)).align(16));
        fake.load(&images::bytes(&image)).unwrap();
        assert!(fake.world.reads_ascend("/kernel"), "{class:?}");
        assert!(fake.balanced());
        // The reads cover the file once: nothing is left out, nothing twice.
        let read: usize = fake.world.reads.borrow().iter().map(|r| r.len).sum();
        assert!(read <= images::bytes(&image).len());
    }
}

#[test]
fn a_section_whose_alignment_the_file_does_not_keep_is_moved() {
    for class in CLASSES {
        let mut image = images::elf(class, &HeaderBuilder::new())
            .section(Section::loose(".a", noise(1, 77)))
            .section(Section::loose(".b", noise(2, 700)));
        for (index, align) in [(1, 0x1_0000), (2, 0x4000_0000)] {
            image = image.patch(Patch::Shdr(index, Shdr::AddrAlign, align));
        }
        let mut fake = Fake::bios();
        // Nothing of 64 MiB is a multiple of 1 GiB.
        let file = images::bytes(&image);
        fake.refuses(&file, Kind::NoRoom);
        let image = image.patch(Patch::Shdr(2, Shdr::AddrAlign, 0x80_0000));
        check(Fake::bios(), &image);
    }
}

#[test]
fn a_section_table_before_its_sections_is_followed() {
    for class in CLASSES {
        let image = plain(class);
        let built = image.build().unwrap();
        // The table is copied into the gap between header and first segment.
        let stride = class.shdr_len();
        let table = built.shdr_offset as usize;
        let bytes = built.bytes[table..table + 6 * stride].to_vec();
        let place = 0x400;
        assert!(place + bytes.len() <= built.segment_offsets[0] as usize);
        let image = image
            .patch(Patch::Bytes(place, bytes))
            .patch(Patch::Ehdr(mb2_testkit::image::Ehdr::ShOff, place as u64));
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        let started = fake.boot().unwrap();
        for (kind, addr, offset, size, _) in headers(&started, class) {
            if kind != 0 && kind != 8 {
                let contents = &built.bytes[offset..offset + size];
                assert!(started.memory(addr as u32, size) == contents);
            }
        }
    }
}

#[test]
fn wide_headers_keep_their_stride() {
    for class in CLASSES {
        let mut image = plain(class);
        image.shdr_stride = Some(class.shdr_len() + 24);
        image.phdr_stride = Some(class.phdr_len() + 8);
        check(Fake::bios(), &image);
    }
}

#[test]
fn sections_are_placed_also_where_bytes_move_at_the_end() {
    for class in CLASSES {
        let fake = Fake::bios();
        fake.world.finds.set(Finds::Moved);
        check(fake, &plain(class));
    }
}

#[test]
fn counts_in_section_header_0_are_looked_up() {
    for class in CLASSES {
        let mut image = plain(class);
        image.numbering = Numbering {
            segments: true,
            sections: true,
            names: true,
        };
        // 6 sections are too few for the count to be there, 0xff00 are not.
        for index in 0..0xff00 - 4 {
            let odd = index % 1000 == 999;
            let section = Section::nobits("", u64::from(odd), 1);
            image = image.section(section);
        }
        image.numbering.segments = false;
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        let started = fake.boot().unwrap();
        let tag = find(started.information(), 9);
        let numbers: Vec<_> = [8, 12, 16].map(|at| u32_at(tag, at).unwrap()).to_vec();
        let count = image.sections.len() as u32 + 2;
        assert_eq!(numbers, [count, class.shdr_len() as u32, count - 1]);
    }
}

#[test]
fn relocation_sections_are_data_like_any_other() {
    for class in CLASSES {
        let image = images::elf(class, &HeaderBuilder::new())
            .section(
                Section::loose(".rel", noise(22, 64))
                    .kind(SHT_REL)
                    .table(0, 1, 8),
            )
            .section(
                Section::loose(".rela", noise(23, 96))
                    .kind(SHT_RELA)
                    .table(0, 1, 24),
            );
        check(Fake::bios(), &image);
    }
}

#[test]
fn sections_do_not_lie_in_the_image() {
    for preference in [1, 2] {
        let header = HeaderBuilder::new().tag(relocatable(0x10_0000, u32::MAX, 1, preference));
        let image = with_sections(images::elf(Class::Elf64, &header));
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        let base = fake.loaded.as_ref().unwrap().kernel.loaded.load_base;
        let started = fake.boot().unwrap();
        assert!(started.memory(base, SPAN as usize) == images::memory(&header));
        let mut end = 0;
        for (&start, bytes) in &started.chunks {
            assert!(start >= end, "chunks overlap");
            end = start + bytes.len() as u32;
        }
    }
}
