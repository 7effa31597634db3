// SPDX-License-Identifier: GPL-3.0-or-later
//! Flat files, loaded by the address tag (Multiboot2, 3.1.5).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{self, BASE, ENTRY, relocatable};
use common::world::Started;
use mb2::error::Kind;
use mb2_testkit::header::{Address, HeaderBuilder, Tag};
use mb2_testkit::image::FlatBuilder;

fn start(file: &[u8]) -> Started {
    let mut fake = Fake::bios();
    fake.load(file).unwrap();
    assert!(fake.world.reads_ascend("/kernel"));
    let started = fake.boot().unwrap();
    assert!(fake.balanced());
    started
}

/// The image's chunk: exactly these bytes.
fn image_is(started: &Started, base: u32, bytes: &[u8]) {
    assert!(started.chunks.get(&base).unwrap() == bytes, "at {base:#x}");
    assert_eq!(started.registers.entry, base + ENTRY);
    assert_eq!(started.chunks.len(), 2, "image and information");
}

fn image() -> FlatBuilder {
    images::flat(HeaderBuilder::new())
}

#[test]
fn a_whole_file_is_loaded_without_ends() {
    let file = image().build();
    image_is(&start(&file), BASE, &file);
}

#[test]
fn the_load_end_leaves_the_rest_of_the_file_out() {
    let mut flat = image();
    flat.explicit_load_end = true;
    let file = flat.build();
    let mut longer = file.clone();
    longer.extend([0x66; 500]);
    image_is(&start(&longer), BASE, &file);
}

#[test]
fn memory_up_to_the_bss_end_is_zero() {
    for explicit in [false, true] {
        let mut flat = image();
        flat.mem_len = Some(0x9999);
        flat.explicit_load_end = explicit;
        let file = flat.build();
        let mut memory = file.clone();
        memory.resize(0x9999, 0);
        image_is(&start(&file), BASE, &memory);
    }
}

#[test]
fn loading_starts_before_the_header() {
    let mut flat = image();
    flat.header_offset = 0x148;
    flat.load_offset = 0x40;
    flat.mem_len = Some(0x4000);
    let file = flat.build();
    let mut memory = file[0x40..].to_vec();
    memory.resize(0x4000, 0);
    image_is(&start(&file), BASE, &memory);
}

#[test]
fn an_implied_load_address_means_the_start_of_the_file() {
    for (explicit, bss) in [(false, None), (true, None), (true, Some(0x8000))] {
        let mut flat = image();
        flat.header_offset = 0x1008;
        flat.implied_load = true;
        flat.explicit_load_end = explicit;
        flat.mem_len = bss;
        let file = flat.build();
        let mut memory = file.clone();
        memory.resize(bss.map_or(file.len(), |len| len as usize), 0);
        image_is(&start(&file), BASE, &memory);
    }
}

#[test]
fn a_relocatable_flat_file_moves_in_one_piece() {
    for (preference, base) in [(0, 0x80_0000), (1, 0x80_0000), (2, 0x1ff_c000)] {
        let tag = relocatable(0x80_0000, 0x200_0000, 0x1000, preference);
        let mut flat = images::flat(HeaderBuilder::new().tag(tag));
        flat.mem_len = Some(0x3456);
        let file = flat.build();
        let mut memory = file.clone();
        memory.resize(0x3456, 0);
        image_is(&start(&file), base, &memory);
    }
}

#[test]
fn an_address_tag_makes_an_elf_file_flat() {
    let header = HeaderBuilder::new()
        .tag(Tag::Entry(BASE + ENTRY))
        .tag(Tag::Address(Address {
            header: BASE + 0x1000,
            load: BASE,
            load_end: 0,
            bss_end: 0,
        }));
    let image = images::elf(mb2_testkit::image::Class::Elf32, &header);
    let file = images::bytes(&image);
    image_is(&start(&file), BASE, &file);
}

#[test]
fn a_flat_file_has_no_sections() {
    let started = start(&image().build());
    let tag = common::information::find(started.information(), 9);
    assert_eq!(
        tag,
        [9, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn the_size_must_be_known_only_where_it_is_used() {
    let mut flat = image();
    // Longer than the window, which would be too short otherwise.
    flat.file_len = Some(0x9000);
    let mut fake = Fake::bios();
    fake.store("/kernel", &flat.build()).sized = false;
    let error = fake.multiboot2(&["/kernel"]).unwrap_err();
    let unknown = mb2::error::Error::new(Kind::UnknownSize, &[]);
    assert_eq!(error, common::world::Fault::Ours(unknown));
    assert!(fake.empty());
    flat.explicit_load_end = true;
    fake.store("/kernel", &flat.build()).sized = false;
    fake.multiboot2(&["/kernel"]).unwrap();
    assert!(fake.balanced());
}

#[test]
fn an_entry_tag_is_mandatory_and_inside() {
    let tag = Tag::Address(Address {
        header: BASE,
        load: BASE,
        load_end: 0,
        bss_end: 0,
    });
    let mut file = HeaderBuilder::new().tag(tag.clone()).build();
    file.resize(0x2000, 0);
    Fake::bios().refuses(&file, Kind::NoEntryTag);
    for entry in [BASE - 1, BASE + 0x2000] {
        let header = HeaderBuilder::new().tag(tag.clone()).tag(Tag::Entry(entry));
        let mut file = header.build();
        file.resize(0x2000, 0);
        Fake::bios().refuses(&file, Kind::EntryOutside);
    }
}

#[test]
fn an_image_may_end_at_four_gib_where_there_is_memory() {
    let mut fake = Fake::bios();
    let top = common::world::Range {
        start: 0xffff_0000,
        end: 0x1_0000_0000,
        kind: common::world::FREE,
    };
    let mut ranges = fake.world.ranges.borrow().clone();
    ranges.pop();
    ranges.push(top);
    fake.world.ranges.replace(ranges);
    let base = 0xffff_f000;
    let header = HeaderBuilder::new().tag(Tag::Entry(base));
    let mut flat = FlatBuilder::new(header, base);
    flat.file_len = Some(0x1000);
    let file = flat.build();
    fake.load(&file).unwrap();
    let started = fake.boot().unwrap();
    assert!(started.memory(base, 0x1000) == file);
    // One byte more is one too many.
    let mut longer = file;
    longer.push(0);
    fake.world.ended.set(false);
    fake.refuses(&longer, Kind::ImageEnd);
}
