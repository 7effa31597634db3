// SPDX-License-Identifier: GPL-3.0-or-later
//! What a refusal names is the number that was made wrong.

mod kernels;
mod reports;

use kernels::{BASE, built, image};
use mb2::error::{Code, Error, Kind};
use mb2::params::Firmware;
use mb2_testkit::bytes::{put_number, u64_at};
use mb2_testkit::header::{Address, HeaderBuilder, Relocatable, Tag};
use mb2_testkit::image::{Class, FlatBuilder};
use mb2check::elf::Elf;
use mb2check::explain::{Facts, explain};
use mb2check::host::Setup;
use mb2check::line::Fault;
use mb2check::memory::Map;
use reports::report;

/// Makes one number wrong, and expects the offset, the loader's reason, and words of
/// what was expected.
#[track_caller]
fn wrong(good: &[u8], (offset, width): (u64, usize), value: u64, (reason, words): (&str, &str)) {
    assert!(report(good).loads, "{:?}", report(good).refusal);
    let mut file = good.to_vec();
    put_number(&mut file, offset as usize, value, width);
    mb2_testkit::random::mend(&mut file); // the checksum of the header
    let refusal = report(&file).refusal.unwrap();
    assert_eq!(
        (refusal.reason.as_str(), refusal.offset),
        (reason, Some(offset)),
        "{refusal:?}"
    );
    let expected = refusal.expected.unwrap();
    assert!(expected.contains(words), "{expected}");
    assert!(refusal.line.starts_with("error: ") && refusal.line.ends_with('.'));
}

#[test]
fn numbers_of_the_header() {
    let tags = HeaderBuilder::new()
        .tag(Tag::InformationRequest(vec![4, 6])) // 16 bytes at 16
        .tag(Tag::Console(2)) // 12 at 32
        .tag(Tag::Relocatable(Relocatable {
            min: 0,
            max: u32::MAX,
            align: 0x1000,
            preference: 1,
        })); // 24 at 48, the end at 72
    let file = built(Class::Elf64, &tags);
    let at = |inside: u64| file.segment_offsets[0] + inside;
    let good = &file.bytes;
    wrong(good, (at(8), 4), 0x10, ("HeaderLength", "from 0x18 to"));
    wrong(good, (at(16), 2), 77, ("UnknownTag", "bit 0 of the flags"));
    wrong(good, (at(20), 4), 7, ("TagSize", "a size of 8 to 64"));
    wrong(good, (at(28), 4), 22, ("UnknownRequest", "0 to 21"));
    wrong(
        good,
        (at(60), 4),
        1,
        ("PlacementRange", "by the size of the image"),
    );
    wrong(good, (at(64), 4), 3, ("PlacementAlign", "power of two"));
    wrong(good, (at(76), 4), 9, ("TagSize", "a size of 8;"));
    // The end tag becomes an optional one of another type.
    let mut endless = good.clone();
    put_number(&mut endless, at(72) as usize, 0x1_0063, 4);
    let refusal = report(&endless).refusal.unwrap();
    assert_eq!(
        (refusal.reason.as_str(), refusal.offset),
        ("NoEndTag", Some(at(80)))
    );
}

#[test]
fn numbers_of_elf_headers() {
    for class in [Class::Elf32, Class::Elf64] {
        let file = built(class, &HeaderBuilder::new());
        let wide = class == Class::Elf64;
        let width = if wide { 8 } else { 4 };
        let pick = |narrow: u64, broad: u64| if wide { broad } else { narrow };
        let good = &file.bytes;
        wrong(good, (0, 4), 0, ("ElfMagic", "7f 45 4c 46"));
        wrong(good, (18, 2), 8, ("ElfMachine", "found machine 8"));
        wrong(good, (16, 2), 1, ("ElfType", "found 1"));
        wrong(
            good,
            (24, width),
            0x10,
            ("EntryNotInSegment", "0x400000-0x400fff, 0x404000-"),
        );
        let far = good.len() as u64;
        wrong(
            good,
            (pick(28, 32), width),
            far,
            ("ElfTable", "inside the file"),
        );
        wrong(
            good,
            (pick(32, 40), width),
            far,
            ("ElfTable", "inside the file"),
        );

        let second = file.phdr_offset + pick(32, 56);
        let field = |narrow, broad| (second + pick(narrow, broad), width);
        wrong(
            good,
            field(16, 32),
            0x1001,
            ("SegmentSize", "at most 0x1000"),
        );
        wrong(
            good,
            field(12, 24),
            0xffff_f001,
            ("SegmentRange", "end at 4 GiB"),
        );
        wrong(
            good,
            field(12, 24),
            u64::from(BASE) + 8,
            ("Overlap", "above 0x400fff, the end of segment 0"),
        );
        wrong(good, field(4, 8), far, ("FileEnd", "segment 1 up to"));
        wrong(
            good,
            field(12, 24),
            0xf000_0000,
            ("NotFree", "has nothing at 0xf0000000"),
        );

        let debug = file.shdr_offset + pick(40, 64);
        let field = |narrow, broad| (debug + pick(narrow, broad), width);
        wrong(good, field(16, 24), far, ("SectionRange", "or below"));
        wrong(good, field(32, 48), 3, ("SectionAlign", "power of two"));
    }
}

#[test]
fn numbers_of_address_tags() {
    let header = HeaderBuilder::new().tag(Tag::Entry(BASE + 0x40)); // 12 bytes at 16
    let mut flat = FlatBuilder::new(header, BASE).part(0, vec![0x90; 0x1000]);
    flat.address = Some(Address {
        header: BASE,
        load: BASE,
        load_end: BASE + 0x1000,
        bss_end: BASE + 0x2000,
    }); // 24 bytes at 32
    let good = flat.build();
    let base = u64::from(BASE);
    wrong(
        &good,
        (40, 4),
        base + 8,
        ("HeaderAddr", "load_addr plus at most 0x0"),
    );
    wrong(&good, (48, 4), base, ("LoadEnd", "above 0x400000, or 0"));
    wrong(&good, (48, 4), base + 0x1800, ("FileEnd", "ends at 0x1000"));
    wrong(&good, (52, 4), base + 0xfff, ("BssEnd", "from 0x401000 on"));
    wrong(
        &good,
        (24, 4),
        0x10,
        ("EntryOutside", "a physical address in the image"),
    );
    let mut high = good.clone();
    for at in [40, 44, 48, 52, 24] {
        let old = u64_at(&high, at).unwrap() & 0xffff_ffff;
        put_number(&mut high, at, old + 0x1000_0000, 4);
    }
    let refusal = report(&high).refusal.unwrap();
    assert_eq!(
        (refusal.reason.as_str(), refusal.offset),
        ("Elsewhere", Some(44))
    );
}

#[test]
fn what_stands_in_no_single_number() {
    let none = report(b"no kernel").refusal.unwrap();
    assert_eq!(none.line, "error: no multiboot header found.");
    assert!(none.expected.unwrap().contains("in the first 32 KiB"));

    let mut empty = image(Class::Elf64, &HeaderBuilder::new());
    for segment in &mut empty.segments {
        segment.kind = 4;
    }
    let file = empty.build().unwrap();
    let refusal = report(&file.bytes).refusal.unwrap();
    assert_eq!(refusal.offset, Some(file.phdr_offset));

    let flat = FlatBuilder::new(HeaderBuilder::new(), BASE).part(0, vec![0; 0x100]);
    let refusal = report(&flat.build()).refusal.unwrap();
    assert_eq!(
        (refusal.reason.as_str(), refusal.offset),
        ("NoEntryTag", Some(16))
    );

    let console = HeaderBuilder::new().tag(Tag::Console(1));
    let file = built(Class::Elf32, &console);
    let refusal = report(&file.bytes).refusal.unwrap();
    assert_eq!(refusal.offset, Some(file.segment_offsets[0] + 24));

    // More than there is.
    let mut large = image(
        Class::Elf64,
        &HeaderBuilder::new().tag(Tag::Relocatable(Relocatable {
            min: 0,
            max: u32::MAX,
            align: 0,
            preference: 0,
        })),
    );
    large.segments[1].mem_len = 65 << 20;
    let file = large.build().unwrap();
    let refusal = report(&file.bytes).refusal.unwrap();
    assert_eq!(refusal.reason, "NoRoom");
    assert!(
        refusal
            .expected
            .unwrap()
            .contains("the largest below 4 GiB has 0x3f00000")
    );
}

/// A new reason for a refusal needs an explanation, too.
#[test]
fn every_reason_is_explained() {
    // What no file on a host can cause.
    let others = [
        Kind::Busy,
        Kind::Unexplained,
        Kind::UnknownOption,
        Kind::NoFileName,
        Kind::NoKernel,
        Kind::UnknownSize,
    ];
    let file = built(Class::Elf64, &HeaderBuilder::new());
    let elf = Elf::read(&file.bytes);
    let header = mb2check::header::read(&file.bytes);
    let firmware = Firmware::Bios;
    let facts = Facts {
        bytes: &file.bytes,
        elf: elf.as_ref(),
        header: header.as_ref(),
        setup: &Setup {
            firmware,
            map: Map::of(64 << 20, firmware),
        },
    };
    for &kind in Kind::ALL.iter().filter(|kind| kind.code() != Code::None) {
        let (_, expected) = explain(&Fault::Loader(Error::new(kind, &[])), &facts);
        assert_eq!(
            expected.is_none(),
            others.contains(&kind),
            "{kind:?}: {expected:?}"
        );
    }
}
