// SPDX-License-Identifier: GPL-3.0-or-later
//! Every near miss, planted.

mod kernels;
mod reports;

use kernels::{BASE, built, image};
use mb2_testkit::bytes::{put, put_number, u32_at};
use mb2_testkit::header::{HeaderBuilder, MAGIC, Tag};
use mb2_testkit::image::{Class, Section};
use reports::report;

/// Expects the only near miss of a file at an offset, with these words.
#[track_caller]
fn near(file: &[u8], offset: Option<u64>, words: &str) {
    let report = report(file);
    assert!(!report.loads);
    let notes = report.near_misses;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].offset, offset, "{notes:?}");
    assert!(notes[0].text.contains(words), "{notes:?}");
}

/// A flat file with a header at an offset.
fn with(header: &[u8], offset: usize) -> Vec<u8> {
    let mut file = vec![0; offset + 0x100];
    put(&mut file, offset, header);
    file
}

#[test]
fn a_wrong_checksum_comes_with_the_right_one() {
    let good = HeaderBuilder::new().build();
    let right = u32_at(&good, 12).unwrap();
    let bad = HeaderBuilder::new().checksum(5).build();
    near(
        &with(&bad, 0x40),
        Some(0x4c),
        &format!("checksum 0x5: {right:#x} is right"),
    );
}

#[test]
fn headers_out_of_place() {
    let good = HeaderBuilder::new().build();
    near(
        &with(&good, 0x44),
        Some(0x44),
        "4 bytes behind a multiple of 8",
    );
    near(
        &with(&good, 0x8000),
        Some(0x8000),
        "not inside the first 32 KiB",
    );
    near(
        &with(&good, 0x7ff8),
        Some(0x7ff8),
        "not inside the first 32 KiB",
    );
    let mut cut = with(&good, 0x40);
    cut.truncate(0x4c);
    near(&cut, Some(0x40), "ends inside the header");
    let mut swapped = with(&good, 0x40);
    put(&mut swapped, 0x40, &MAGIC.to_be_bytes());
    near(&swapped, Some(0x40), "big endian");
}

#[test]
fn headers_for_others() {
    let mips = HeaderBuilder::new().architecture(4).build();
    near(&with(&mips, 0x40), Some(0x44), "architecture 4 (MIPS)");
    let mut first = vec![0; 0x100];
    put_number(&mut first, 0x20, 0x1bad_b002, 4);
    put_number(
        &mut first,
        0x28,
        u64::from(0u32.wrapping_sub(0x1bad_b002)),
        4,
    );
    near(&first, Some(0x20), "Multiboot1");
    // Not Multiboot1: the sum is wrong.
    first[0x28] ^= 1;
    assert!(report(&first).near_misses.is_empty());
    let mut linux = vec![0; 0x400];
    put(&mut linux, 0x202, b"HdrS");
    near(&linux, Some(0x202), "a Linux kernel");
    near(&[], None, "empty");
}

#[test]
fn the_best_candidate_hides_mere_constants() {
    let bad = HeaderBuilder::new().checksum(5).build();
    let mut file = with(&bad, 0x40);
    put(&mut file, 0x83, &MAGIC.to_le_bytes());
    near(&file, Some(0x4c), "is right");
}

#[test]
fn sections_that_the_linker_lost_or_moved() {
    let plain = HeaderBuilder::new();
    let none = HeaderBuilder::new().magic(0);
    // The header is far behind, in a section with a name.
    let mut late = image(Class::Elf64, &none);
    late.segments[0].data.resize(0x9000, 0x90);
    late.segments[0].mem_len = 0x9000;
    late.segments[1].paddr += 0x1_0000;
    late = late.section(Section::loose(".multiboot", plain.build()).align(8));
    let file = late.build().unwrap();
    let offset = file.section_offsets[2];
    assert!(offset >= 0x8000);
    near(
        &file.bytes,
        Some(offset),
        "in section .multiboot. Put its section first",
    );

    // It is nowhere, and its section is empty.
    let lost = image(Class::Elf32, &none).section(Section::nobits(".multiboot2", 0, 0));
    let notes = report(&lost.build().unwrap().bytes).near_misses;
    let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[0], "section .multiboot2 is empty");
    assert!(texts[1].contains("nowhere in this ELF file"));
    // Not even a section.
    let lost = built(Class::Elf32, &none).bytes;
    near(&lost, None, "with KEEP()");
}

#[test]
fn tags_without_their_padding() {
    // An entry tag has 12 bytes, so the next one starts at 28 instead of 32.
    let header = HeaderBuilder::new()
        .tag(Tag::Entry(BASE + 0x800))
        .tag(Tag::Console(2))
        .tag_alignment(4);
    let file = built(Class::Elf64, &header);
    let at = file.segment_offsets[0] + 28;
    near(&file.bytes, Some(at), "type 4 at");
    let notes = report(&file.bytes).near_misses;
    assert!(notes[0].text.contains("4 bytes of padding"), "{notes:?}");
    // A tag of 17 bytes, and the next one at 36 or at 33.
    for (align, start, missing) in [(4, 36, 4), (1, 33, 7)] {
        let header = HeaderBuilder::new()
            .tag(Tag::Raw(6, None, vec![0; 9]))
            .tag(Tag::Console(2))
            .tag_alignment(align);
        let file = built(Class::Elf64, &header);
        let words = format!("{missing} bytes of padding");
        near(&file.bytes, Some(file.segment_offsets[0] + start), &words);
    }
}

#[test]
fn a_length_that_ends_before_the_end_tag() {
    let header = HeaderBuilder::new().tag(Tag::ModuleAlignment).length(24);
    let file = built(Class::Elf64, &header);
    let at = file.segment_offsets[0] + 8;
    near(&file.bytes, Some(at), "0x20 is right");
}

#[test]
fn entries_that_mix_up_addresses() {
    let base = u64::from(BASE);
    // The file's entry is physical.
    let mut high = image(Class::Elf64, &HeaderBuilder::new());
    for segment in &mut high.segments {
        segment.vaddr += 0xffff_ffff_8000_0000;
    }
    near(
        &high.build().unwrap().bytes,
        None,
        "the virtual one is 0xffffffff80400800",
    );
    // The tag's is virtual.
    let mut image = image(
        Class::Elf32,
        &HeaderBuilder::new().tag(Tag::Entry(0xc040_0800)),
    );
    for segment in &mut image.segments {
        segment.vaddr += 0xc000_0000;
    }
    near(
        &image.build().unwrap().bytes,
        None,
        "the physical one is 0x400800",
    );
    // Neither: how far it is.
    let mut far = kernels::image(Class::Elf32, &HeaderBuilder::new());
    far.entry = base + 0x5010;
    near(
        &far.build().unwrap().bytes,
        None,
        "0x11 bytes behind the end of segment 1",
    );
    far.entry = base - 0x10;
    near(
        &far.build().unwrap().bytes,
        None,
        "0x10 bytes before the start of segment 0",
    );
}

#[test]
fn files_full_of_almost_nothing_stay_cheap() {
    let magic = MAGIC.to_le_bytes().repeat(1 << 22);
    let notes = report(&magic).near_misses;
    assert!(!notes.is_empty() && notes.len() < 20, "{}", notes.len());

    // Each of 65000 sections has a name without an end.
    let none = HeaderBuilder::new().magic(0);
    let mut file = built(Class::Elf64, &none).bytes;
    let names = file.len() as u64;
    file.resize(file.len() + (8 << 20), b'a');
    let table = file.len() as u64;
    for index in 0..65_000usize {
        let at = table as usize + 64 * index;
        put_number(&mut file, at + 56, 0, 8);
        put_number(&mut file, at + 4, 1, 4);
        put_number(&mut file, at + 24, names, 8);
    }
    for (at, value, width) in [(40, table, 8), (58, 64, 2), (60, 65_000, 2), (62, 1, 2)] {
        put_number(&mut file, at, value, width);
    }
    near(&file, None, "nowhere in this ELF file");
}
