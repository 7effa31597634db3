// SPDX-License-Identifier: GPL-3.0-or-later
//! The inputs that hurt GRUB's C loader, each with what it has to get here.
//!
//! The numbers are those of `docs/defects.md`, which names every test.
#![expect(
    clippy::as_conversions,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{
    self, BASE, CLASSES, ENTRY, FIRST, LOW_BASE, SECOND, relocatable, with_header,
};
use common::refusal::{refuse, refuse_patched};
use common::world::Fault;
use mb2::error::Kind;
use mb2::params::Firmware;
use mb2_testkit::bytes::{noise, put};
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, Ehdr, Numbering, Patch, Phdr, Section, Segment, Shdr};

#[test]
fn d1_tags_of_size_0_or_near_4_gib_do_not_loop() {
    for kind in [1, 3, 6, 99] {
        for size in [0, 1, 7, 0xffff_fff8, 0xffff_fff9, 0xffff_ffff] {
            let tag = Tag::Raw(kind, Some(size), vec![0; 24]);
            refuse(
                &with_header(&HeaderBuilder::new().tag(tag.clone())),
                Kind::TagSize,
            );
            refuse(
                &with_header(&HeaderBuilder::new().optional(tag)),
                Kind::TagSize,
            );
        }
    }
}

#[test]
fn d2_headers_do_not_reach_out_of_the_window() {
    // Starts in the window and ends behind it.
    let header = HeaderBuilder::new().optional(Tag::Raw(99, None, vec![0; 100]));
    let bytes = header.build();
    for (offset, error) in [
        (0x8000 - bytes.len(), None),
        (0x8000 - bytes.len() + 8, Some(Kind::HeaderLength)),
        // The first 16 bytes are just in the window, or not.
        (0x7ff0, Some(Kind::HeaderLength)),
        (0x7ff8, Some(Kind::NoHeader)),
        (0x8000, Some(Kind::NoHeader)),
        (0x7004, Some(Kind::NoHeader)),
    ] {
        let mut image = images::elf(Class::Elf64, &HeaderBuilder::new().magic(0));
        image.segments[1].data = noise(5, 0x9000);
        image.segments[1].mem_len = 0x9000;
        let mut file = images::bytes(&image);
        put(&mut file, offset, &bytes);
        match error {
            None => Fake::bios().load(&file).unwrap(),
            Some(kind) => refuse(&file, kind),
        }
    }
    // Less than 16 bytes are no candidate.
    for rest in [4, 8, 12, 15] {
        let mut file = vec![0; 0x100];
        file.extend(&HeaderBuilder::new().build()[..rest]);
        refuse(&file, Kind::NoHeader);
    }
}

#[test]
fn d2_lengths_and_ends_are_looked_at() {
    for length in [0, 16, 23, 0x8001, 0x7fff_ffff, u32::MAX] {
        let header = HeaderBuilder::new().length(length);
        refuse(&with_header(&header), Kind::HeaderLength);
    }
    let endless = HeaderBuilder::new().tag(Tag::ModuleAlignment).without_end();
    refuse(&with_header(&endless.clone().length(24)), Kind::NoEndTag);
    // An end tag of another size is none.
    for size in [0, 7, 9, 16] {
        let end = Tag::Raw(0, Some(size), vec![0; 16]);
        refuse(&with_header(&HeaderBuilder::new().tag(end)), Kind::TagSize);
    }
}

#[test]
fn d2_tags_hold_their_fields() {
    for (kind, least) in [
        (2, 24),
        (3, 12),
        (4, 12),
        (5, 20),
        (8, 12),
        (9, 12),
        (10, 24),
    ] {
        // Only this is wrong: the next tag follows where it should.
        let tag = Tag::Raw(kind, None, vec![0; least - 9]);
        for header in [
            HeaderBuilder::new().tag(tag.clone()),
            HeaderBuilder::new().optional(tag),
        ] {
            refuse(&with_header(&header), Kind::TagSize);
        }
    }
}

#[test]
fn d3_requests_have_room_for_their_own_head() {
    for size in 0..8 {
        let tag = Tag::Raw(1, Some(size), vec![0; 16]);
        refuse(&with_header(&HeaderBuilder::new().tag(tag)), Kind::TagSize);
    }
    // A last part of less than a number is ignored.
    let tag = Tag::Raw(1, Some(11), vec![0xff; 3]);
    let file = with_header(&HeaderBuilder::new().tag(tag));
    Fake::bios().load(&file).unwrap();
}

#[test]
fn d4_no_segment_has_more_file_than_memory() {
    for class in CLASSES {
        for size in [1, SECOND.1 as u64 - 1] {
            let patch = Patch::Phdr(1, Phdr::MemSz, size);
            refuse_patched(class, &[patch], Kind::SegmentSize);
        }
        let patches = [
            Patch::Phdr(1, Phdr::FileSz, 0xffff_fff0),
            Patch::Phdr(1, Phdr::MemSz, 0xfff0),
        ];
        refuse_patched(class, &patches, Kind::SegmentSize);
        // Nothing in memory is still too little for something in the file.
        refuse_patched(class, &[Patch::Phdr(1, Phdr::MemSz, 0)], Kind::SegmentSize);
    }
}

#[test]
fn d5_no_segment_ends_above_four_gib() {
    for header in [
        HeaderBuilder::new(),
        HeaderBuilder::new().tag(relocatable(0x10_0000, u32::MAX, 0x1000, 1)),
    ] {
        for class in CLASSES {
            for (address, size) in [
                (0xffff_f000, 0x1004),
                (0xffff_f000, 0xffff_f000),
                (0xffff_ffff, 0xffff_ffff),
            ] {
                let mut image = images::elf(class, &header);
                image.segments[1].mem_len = size;
                image.segments[1].paddr = address;
                refuse(&images::bytes(&image), Kind::SegmentRange);
            }
        }
        for (address, size) in [
            (1 << 32, 0x1004),
            (u64::MAX, 0x1004),
            (u64::MAX - 7, u64::MAX),
            (0, 1 << 33),
        ] {
            let mut image = images::elf(Class::Elf64, &header);
            image.segments[1].mem_len = size;
            image.segments[1].paddr = address;
            refuse(&images::bytes(&image), Kind::SegmentRange);
        }
    }
}

#[test]
fn d6_program_headers_are_inside_the_file() {
    for class in CLASSES {
        let least = class.phdr_len() as u64;
        for patch in [
            Patch::Ehdr(Ehdr::PhEntSize, 0),
            Patch::Ehdr(Ehdr::PhEntSize, 1),
            Patch::Ehdr(Ehdr::PhEntSize, least - 1),
            Patch::Ehdr(Ehdr::PhOff, 0xffff_ffe0),
            Patch::Ehdr(Ehdr::PhOff, 0x7fff_ffff),
            Patch::Ehdr(Ehdr::PhNum, 0xfffe),
        ] {
            refuse_patched(class, &[patch], Kind::ElfTable);
        }
        let all = [
            Patch::Ehdr(Ehdr::PhNum, 0xfffe),
            Patch::Ehdr(Ehdr::PhEntSize, 0xffff),
        ];
        refuse_patched(class, &all, Kind::ElfTable);
        refuse_patched(class, &[Patch::Ehdr(Ehdr::PhNum, 0)], Kind::NoSegment);
    }
    for offset in [u64::MAX, u64::MAX - 55, 1 << 32, 1 << 63] {
        let patch = Patch::Ehdr(Ehdr::PhOff, offset);
        refuse_patched(Class::Elf64, &[patch], Kind::ElfTable);
    }
}

#[test]
fn d6_counts_of_65535_come_from_section_0_or_not_at_all() {
    for class in CLASSES {
        // No section 0 to ask.
        refuse_patched(class, &[Patch::Ehdr(Ehdr::PhNum, 0xffff)], Kind::ElfTable);
        for count in [
            0,
            2,
            0xfffe,
            0xffff,
            0x1_0000,
            0x0800_0001,
            u64::from(u32::MAX),
        ] {
            let mut image = images::elf(class, &HeaderBuilder::new());
            image.numbering = Numbering {
                segments: true,
                ..Numbering::default()
            };
            let image = image.patch(Patch::Shdr(0, Shdr::Info, count));
            refuse(&images::bytes(&image), Kind::ElfTable);
        }
    }
}

#[test]
fn d7_a_section_table_far_away_is_not_followed() {
    for class in CLASSES {
        let sections = |patches: &[Patch]| {
            let mut image = images::elf(class, &HeaderBuilder::new());
            image = image.section(Section::loose(".x", vec![1; 9]));
            image.patches = patches.to_vec();
            images::bytes(&image)
        };
        for offset in [0x10_0000, 0x7fff_ffff, 0xffff_ffff, 0xffff_fff8] {
            let far = Patch::Ehdr(Ehdr::ShOff, offset);
            refuse(&sections(std::slice::from_ref(&far)), Kind::ElfTable);
            // Without a count, and with nobody to ask, there are none.
            let file = sections(&[far.clone(), Patch::Ehdr(Ehdr::ShNum, 0)]);
            Fake::bios().load(&file).unwrap();
            let names = Patch::Ehdr(Ehdr::ShStrNdx, 0xffff);
            let none = Patch::Ehdr(Ehdr::ShNum, 0);
            let file = sections(&[far.clone(), names.clone(), none]);
            Fake::bios().load(&file).unwrap();
            refuse(&sections(&[far.clone(), names]), Kind::ElfTable);
            let file = sections(&[far, Patch::Ehdr(Ehdr::PhNum, 0xffff)]);
            refuse(&file, Kind::ElfTable);
        }
        // A count in section 0 is bounded by the file as well.
        for size in [0xff00, 0xffff_ffff, u64::from(u32::MAX) / 40] {
            let count = [
                Patch::Ehdr(Ehdr::ShNum, 0),
                Patch::Shdr(0, Shdr::Size, size),
            ];
            refuse(&sections(&count), Kind::ElfTable);
        }
    }
    for offset in [u64::MAX, u64::MAX - 63, 1 << 32] {
        let far = Patch::Ehdr(Ehdr::ShOff, offset);
        let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
        image = image.section(Section::loose(".x", vec![1; 9])).patch(far);
        refuse(&images::bytes(&image), Kind::ElfTable);
    }
}

#[test]
fn d7_section_0_is_never_loaded() {
    for class in CLASSES {
        let mut image = images::elf(class, &HeaderBuilder::new());
        image = image.section(Section::loose(".x", vec![1; 9]));
        image = image.patch(Patch::Shdr(0, Shdr::Size, 0x4000_0000));
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        assert!(fake.balanced());
    }
}

#[test]
fn d8_section_headers_are_large_enough() {
    for class in CLASSES {
        for size in [0, 1, 8, class.shdr_len() as u64 - 1] {
            let mut image = images::elf(class, &HeaderBuilder::new());
            image = image.section(Section::loose(".x", vec![1; 9]));
            image = image.patch(Patch::Ehdr(Ehdr::ShEntSize, size));
            refuse(&images::bytes(&image), Kind::ElfTable);
        }
    }
}

#[test]
fn d9_alignments_are_powers_of_two() {
    for class in CLASSES {
        for align in [3, 5, 0x1001, 0xffff_ffff] {
            let mut image = images::elf(class, &HeaderBuilder::new());
            image = image.section(Section::loose(".x", vec![1; 9]));
            image = image.patch(Patch::Shdr(1, Shdr::AddrAlign, align));
            refuse(&images::bytes(&image), Kind::SectionAlign);
        }
    }
    for align in [1 << 32, 1 << 63, u64::MAX] {
        let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
        image = image.section(Section::loose(".x", vec![1; 9]));
        image = image.patch(Patch::Shdr(1, Shdr::AddrAlign, align));
        refuse(&images::bytes(&image), Kind::SectionAlign);
    }
    for align in [3, 6, 0xffff_ffff] {
        let header = HeaderBuilder::new().tag(relocatable(0, u32::MAX, align, 1));
        refuse(&with_header(&header), Kind::PlacementAlign);
    }
}

#[test]
fn d13_the_entry_is_in_what_is_loaded() {
    for class in CLASSES {
        // A note covers it first, with another physical address.
        let mut image = images::elf(class, &HeaderBuilder::new());
        let mut note = Segment::load(u64::from(BASE) + 0x8000, Vec::new());
        (note.kind, note.mem_len) = (4, 0x1_0000);
        note.vaddr = u64::from(BASE);
        image.segments.insert(0, note);
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        assert_eq!(fake.boot().unwrap().registers.entry, BASE + ENTRY);
        // Only a note covers it.
        image.entry = u64::from(BASE + FIRST.1) + 8;
        refuse(&images::bytes(&image), Kind::EntryNotInSegment);
    }
    for entry in [0, BASE - 1, BASE + FIRST.1] {
        let header = HeaderBuilder::new().tag(Tag::Entry(entry));
        refuse(&with_header(&header), Kind::EntryOutside);
    }
}

#[test]
fn d15_fixed_images_lie_in_free_memory() {
    let at = |base: u32| images::bytes(&images::elf_at(Class::Elf32, base, &HeaderBuilder::new()));
    // The fake's NVS, its ROM, nothing at all, the first page.
    for (base, first, kind) in [
        (0x400_0000, 0x400_0000, 4),
        (0x3ff_f000, 0x400_0000, 4),
        (0xfffd_0000, 0xfffd_0000, 2),
        (0x8000_0000, 0x8000_0000, 0),
        (0x9_f000, 0x9_fc00, 2),
        (0, 0, 1),
    ] {
        let error = Fake::bios().refuses(&at(base), Kind::Elsewhere);
        assert_eq!(error.values[2..4], [first, kind], "{base:#x}");
    }
    // Boot services' memory, beside them and after them.
    let base = 0x1100_0000;
    let keep = HeaderBuilder::new()
        .tag(Tag::EfiBootServices)
        .tag(Tag::EntryEfi64(base + ENTRY));
    let mut fake = Fake::in_place(Firmware::Efi64);
    fake.load(&at(base)).unwrap();
    let beside = images::bytes(&images::elf_at(Class::Elf64, base, &keep));
    let error = fake.load(&beside).unwrap_err();
    assert!(
        matches!(error, Fault::Ours(e) if e.kind == Kind::Elsewhere),
        "{error:?}"
    );
    assert!(fake.empty());
    let base = LOW_BASE;
    let keep = images::keeping(HeaderBuilder::new());
    fake.load(&images::bytes(&images::elf_at(Class::Elf64, base, &keep)))
        .unwrap();
}

#[test]
fn d19_a_kernel_is_loaded_only_when_everything_went_well() {
    for call in ["verifier", "boot device", "variable"] {
        let mut fake = Fake::bios();
        for n in 0.. {
            fake.fail_at(n);
            let outcome = fake.load(&images::good());
            let failed = fake.world.failed.get().expect("the call exists");
            if failed == call {
                assert_eq!(outcome, Err(Fault::Grub(call)));
                assert!(fake.empty());
                break;
            }
        }
        fake.boot().unwrap_err();
        fake.world.fail_at.set(None);
        fake.load(&images::good()).unwrap();
        assert!(fake.balanced());
    }
}

#[test]
fn d24_overlapping_segments_are_named_and_empty_ones_are_not_there() {
    for tag in [None, Some(relocatable(0x10_0000, u32::MAX, 1, 0))] {
        let header = tag
            .into_iter()
            .fold(HeaderBuilder::new(), HeaderBuilder::tag);
        let mut image = images::elf(Class::Elf64, &header);
        image.segments[1].paddr = u64::from(BASE + FIRST.1) - 1;
        let error = Fake::bios().refuses(&images::bytes(&image), Kind::Overlap);
        let [a, b] = [BASE, BASE + FIRST.1 - 1].map(u64::from);
        let last = b + u64::from(SECOND.2) - 1;
        assert_eq!(error.values, [0, a, b, 1, b, last]);
        // One byte further it is none.
        image.segments[1].paddr += 1;
        Fake::bios().load(&images::bytes(&image)).unwrap();
        let empty = Segment::load(u64::from(BASE) + 0x10, Vec::new());
        Fake::bios()
            .load(&images::bytes(&image.segment(empty)))
            .unwrap();
    }
}
