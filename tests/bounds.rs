// SPDX-License-Identifier: GPL-3.0-or-later
//! What header tags and program headers may cost: time and heap grow with
//! their number and no faster, and end at fixed numbers.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::cost::{CHUNKS, FAR, MANY, grows, load, small};
use common::images::{self, BASE, CLASSES, LOW_BASE, relocatable, with_header};
use mb2::error::{Kept, Kind};
use mb2::params::Firmware;
use mb2::wire::header::Header;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, Ehdr, ImageBuilder, PT_NOTE, Patch, Segment};

#[test]
fn a_header_has_no_more_tags_than_its_bytes_allow() {
    for tag in [
        Tag::Raw(77, None, Vec::new()),
        Tag::ModuleAlignment,
        Tag::InformationRequest(vec![6]),
        Tag::Console(2),
        relocatable(0, u32::MAX, 1, 0),
    ] {
        let mut header = HeaderBuilder::new();
        for _ in 0..1300 {
            header = header.optional(tag.clone());
        }
        let bytes = header.build();
        let header = Header::find(&bytes, &mut Kept::default());
        let mut tags = header.expect("a header").tags();
        let mut count = 0;
        while let Ok(Some(_)) = tags.next(&mut Kept::default()) {
            count += 1;
        }
        assert!(count == 1300 && count <= bytes.len() / 8, "{count}");
    }
}

#[test]
fn a_header_of_any_tags_costs_what_a_small_one_costs() {
    let (_, least) = load(Fake::bios(), &with_header(&HeaderBuilder::new()));
    let many = |tag: Tag, count| {
        let mut header = HeaderBuilder::new();
        for _ in 0..count {
            header = header.optional(tag.clone());
        }
        header
    };
    for header in [
        many(Tag::Raw(77, None, Vec::new()), 3500),
        many(Tag::InformationRequest(vec![6; 4000]), 1),
        many(relocatable(0, u32::MAX, 1, 0), 1000),
        many(Tag::Framebuffer(0, 0, 0), 1000),
    ] {
        let mut first = header.build();
        first.resize(0x7800, 0);
        let first = Segment::load(BASE.into(), first).at(0x100);
        let mut image = ImageBuilder::new(Class::Elf32).segment(first);
        image.entry = BASE.into();
        let (outcome, cost) = load(Fake::bios(), &images::bytes(&image));
        assert_eq!(outcome, Ok(()));
        assert!(cost.calls <= least.calls, "{cost:?}");
        assert!(cost.heap <= least.heap + 0x8000, "{cost:?}");
    }
}

#[test]
fn program_headers_that_are_not_loaded_are_only_read() {
    grows(
        |class, count| {
            let mut note = Segment::load(0, Vec::new());
            note.kind = PT_NOTE;
            let mut image = small(class);
            image.segments.resize(count + 2, note);
            image
        },
        Ok(()),
    );
}

/// An image that may be moved, of parts of one byte in these places.
fn parts(class: Class, places: impl Iterator<Item = usize>) -> ImageBuilder {
    let mut image = images::elf(
        class,
        &HeaderBuilder::new().tag(relocatable(0, u32::MAX, 1, 0)),
    );
    image.phdr_at = Some(FAR);
    for place in places {
        let at = u64::from(BASE) + 0x1_0000 + 16 * place as u64;
        let mut part = Segment::load(at, vec![1]).mem_len(9);
        part.align = 1;
        image.segments.push(part);
    }
    image
}

/// The numbers below `count`, lowest and highest in turn.
fn interleaved(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |i| if i % 2 == 0 { i / 2 } else { count - 1 - i / 2 })
}

#[test]
fn segments_in_any_order_are_sorted_and_read() {
    grows(|class, count| parts(class, 0..count), Ok(()));
    grows(|class, count| parts(class, (0..count).rev()), Ok(()));
    grows(|class, count| parts(class, interleaved(count)), Ok(()));
    // Contents in another order than addresses.
    grows(
        |class, count| {
            let mut image = parts(class, interleaved(count));
            for (index, part) in image.segments.iter_mut().skip(2).enumerate() {
                part.offset = Some((0x40_0000 - 2 * index) as u64);
            }
            image
        },
        Ok(()),
    );
}

#[test]
fn segments_at_one_place_are_refused_before_anything_is_reserved() {
    grows(
        |class, count| parts(class, std::iter::repeat_n(0, count)),
        Err(Kind::Overlap),
    );
}

/// The same, without the right to be moved, with `count` parts in all.
fn fixed(class: Class, count: usize) -> ImageBuilder {
    let mut image = parts(class, interleaved(count - 2));
    image.segments[0] = small(class).segments[0].clone();
    image
}

#[test]
fn a_fixed_image_has_at_most_256_segments() {
    for class in CLASSES {
        for new in [Fake::bios, Fake::efi64] {
            let (outcome, cost) = load(new(), &images::bytes(&fixed(class, CHUNKS)));
            assert_eq!(outcome, Ok(()));
            cost.assert_few_chunks();
        }
    }
    // More than that are refused before anything is reserved.
    grows(fixed, Err(Kind::Scattered));
    let (_, cost) = load(Fake::bios(), &images::bytes(&fixed(Class::Elf32, MANY)));
    assert!(cost.calls < 20, "{cost:?}");
}

#[test]
fn the_same_holds_beside_boot_services() {
    let header = images::keeping(HeaderBuilder::new());
    let mut image = images::elf_at(Class::Elf64, LOW_BASE, &header);
    image.phdr_at = Some(FAR);
    for place in 2..CHUNKS as u64 {
        let at = u64::from(LOW_BASE) + 0x1_0000 + 0x20 * place;
        let mut part = Segment::load(at, vec![1]).mem_len(9);
        part.align = 1;
        image.segments.push(part);
    }
    let new = || Fake::in_place(Firmware::Efi64);
    assert_eq!(load(new(), &images::bytes(&image)).0, Ok(()));
    let more = Segment::load(u64::from(LOW_BASE) + 0x10_0000, vec![1]);
    let (outcome, _) = load(new(), &images::bytes(&image.segment(more)));
    assert_eq!(outcome, Err(Kind::Scattered));
}

#[test]
fn a_file_is_read_backwards_at_most_255_times() {
    // Each part starts before the one before it ends.
    let overlapping = |class, count: usize| {
        let mut image = parts(class, 0..count);
        for (index, part) in image.segments.iter_mut().skip(2).enumerate() {
            (part.data, part.file_len) = (vec![1; 3], Some(3));
            part.offset = Some(0x40_0000 + 2 * index as u64);
        }
        image
    };
    for class in CLASSES {
        for (count, expected) in [
            (256, Ok(())),
            (257, Err(Kind::Scattered)),
            (MANY, Err(Kind::Scattered)),
        ] {
            let (outcome, cost) = load(Fake::bios(), &images::bytes(&overlapping(class, count)));
            assert_eq!(outcome, expected, "{class:?} {count}");
            assert!(cost.calls < 300, "{cost:?}");
        }
    }
}

#[test]
fn more_than_16_bits_of_program_headers_are_counted() {
    for class in CLASSES {
        let mut note = Segment::load(0, Vec::new());
        note.kind = PT_NOTE;
        let mut image = small(class);
        image.segments.resize(0x1_2345, note);
        image.numbering.segments = true;
        let file = images::bytes(&image);
        let (outcome, cost) = load(Fake::bios(), &file);
        assert_eq!(outcome, Ok(()));
        cost.assert_bounded((0x1_2345, class.phdr_len()), &file);
    }
}

#[test]
fn a_file_that_does_not_tell_its_size_gets_no_more_heap() {
    for class in CLASSES {
        for field in [Ehdr::PhEntSize, Ehdr::ShEntSize] {
            let mut image = small(class);
            image.patches = vec![
                Patch::Ehdr(Ehdr::ShOff, 0x1000),
                Patch::Ehdr(field, 0xffff),
                Patch::Ehdr(Ehdr::PhNum, 3000),
                Patch::Ehdr(Ehdr::ShNum, 3000),
            ];
            let mut fake = Fake::bios();
            fake.store("/kernel", &images::bytes(&image)).sized = false;
            assert!(fake.multiboot2(&["/kernel"]).is_err());
            assert!(fake.world.heap_peak.get() < 0x2_0000);
            assert!(fake.empty());
        }
    }
}
