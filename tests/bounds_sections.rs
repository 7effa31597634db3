// SPDX-License-Identifier: GPL-3.0-or-later
//! What section headers may cost: as `bounds.rs` has it for segments.
#![expect(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::cost::{CHUNKS, MANY, grows, load, small};
use common::images::{self, CLASSES};
use mb2::error::Kind;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{Class, Ehdr, ImageBuilder, Patch, Section, Shdr};

/// A small image and `count` sections of one byte.
fn sections(class: Class, count: usize) -> ImageBuilder {
    let mut image = images::elf(class, &HeaderBuilder::new());
    image.sections.resize(count, Section::loose("", vec![7]));
    image
}

/// The same with a field of each section changed: by the section's number and
/// by where the builder has put the first of them and the last.
fn changed(
    class: Class,
    count: usize,
    field: Shdr,
    value: fn(usize, [u64; 2]) -> u64,
) -> ImageBuilder {
    let mut image = sections(class, count);
    let offsets = image.build().expect("an image").section_offsets;
    let ends = [offsets[1], offsets[count]];
    let patch = |index: usize| Patch::Shdr(index, field, value(index, ends));
    image.patches = (1..=count).map(patch).collect();
    image
}

#[test]
fn sections_behind_the_segments_are_loaded_in_one_piece() {
    grows(sections, Ok(()));
    // In the other order.
    grows(
        |class, count| {
            changed(class, count, Shdr::Offset, |index, [_, last]| {
                last + 1 - index as u64
            })
        },
        Ok(()),
    );
    // All of them are the same byte.
    grows(
        |class, count| changed(class, count, Shdr::Offset, |_, [first, _]| first),
        Ok(()),
    );
}

/// Sections that may not stay where the file has them.
fn misaligned(class: Class, count: usize) -> ImageBuilder {
    changed(class, count, Shdr::AddrAlign, |_, _| 0x2000)
}

#[test]
fn sections_apart_are_at_most_as_many_as_chunks() {
    for class in CLASSES {
        for new in [Fake::bios, Fake::efi64] {
            // Beside the segments, and the piece that the rest is in.
            let (outcome, cost) = load(new(), &images::bytes(&misaligned(class, CHUNKS - 3)));
            assert_eq!(outcome, Ok(()));
            cost.assert_few_chunks();
        }
        for count in [CHUNKS, MANY] {
            let file = images::bytes(&misaligned(class, count));
            let (outcome, cost) = load(Fake::bios(), &file);
            assert_eq!(outcome, Err(Kind::Scattered), "{count}");
            cost.assert_few_chunks();
            assert!(cost.read <= 2 * file.len(), "{cost:?}");
        }
    }
}

#[test]
fn sections_whose_table_comes_first_are_apart() {
    for class in CLASSES {
        for (count, expected) in [(200, Ok(())), (300, Err(Kind::Scattered))] {
            let mut image = sections(class, count);
            let header = HeaderBuilder::new().build();
            image.raw = vec![(0x400, header), (0x6000, vec![0])];
            let file = image.build().expect("an image");
            // The builder's own table is copied to the front.
            let table = file.shdr_offset as usize;
            let table = file.bytes[table..][..(count + 2) * class.shdr_len()].to_vec();
            image.patches = vec![Patch::Bytes(0x800, table), Patch::Ehdr(Ehdr::ShOff, 0x800)];
            let (outcome, cost) = load(Fake::bios(), &images::bytes(&image));
            assert_eq!(outcome, expected, "{class:?} {count}");
            cost.assert_few_chunks();
        }
    }
}

#[test]
fn more_than_16_bits_of_section_headers_end_with_16_mib() {
    for class in CLASSES {
        let mut many = sections(class, 0x1_2345);
        many.numbering.sections = true;
        let file = images::bytes(&many);
        let (outcome, cost) = load(Fake::bios(), &file);
        assert_eq!(outcome, Ok(()));
        cost.assert_bounded((0x1_2345, class.shdr_len()), &file);

        let most = (16 << 20) / class.shdr_len();
        for (count, expected) in [
            (most, Ok(())),
            (most + 1, Err(Kind::ElfTable)),
            (3_000_000, Err(Kind::ElfTable)),
        ] {
            // The file has room for all of them.
            let mut image = small(class);
            image.numbering.sections = true;
            image.patches = vec![Patch::Shdr(0, Shdr::Size, count as u64)];
            let mut file = image.build().expect("an image");
            let table = file.shdr_offset as usize;
            file.bytes.resize(table + count * class.shdr_len(), 0);
            let (outcome, cost) = load(Fake::bios(), &file.bytes);
            assert_eq!(outcome, expected, "{class:?} {count}");
            assert!(cost.heap <= 17 << 20, "{cost:?}");
        }
    }
}

#[test]
fn boot_information_holds_a_large_table_once() {
    let mut fake = Fake::bios();
    let file = images::bytes(&sections(Class::Elf64, MANY));
    fake.load(&file).expect("a kernel");
    let before = fake.world.heap.get();
    let started = fake.boot().expect("a start");
    assert!(started.information().len() < 0x1_0000 + MANY * 64);
    assert!(fake.world.heap_peak.get() - before < 0x8_0000);
}
