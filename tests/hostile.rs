// SPDX-License-Identifier: GPL-3.0-or-later
//! Files that are no kernel, are cut, or ask for much work.

mod common;

use common::Fake;
use common::images::{self, BASE, CLASSES, with_header};
use common::refusal::{refuse, refuse_patched};
use mb2::error::Kind;
use mb2_testkit::bytes::{noise, put_number};
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, Ehdr, ImageBuilder, Patch, Section, Segment};

#[test]
fn files_that_end_too_early_are_refused_at_every_length() {
    let mut image = images::elf(Class::Elf32, &HeaderBuilder::new());
    image = image.section(Section::loose(".x", noise(1, 99)));
    let file = images::bytes(&image);
    let mut fake = Fake::bios();
    for len in (0..file.len())
        .step_by(41)
        .chain(file.len() - 50..file.len())
    {
        assert!(fake.load(&file[..len]).is_err(), "{len:#x}");
        assert!(fake.empty());
    }
    fake.load(&file).unwrap();
}

#[test]
fn elf_files_of_other_kinds_are_refused() {
    for (field, value, kind) in [
        (Ehdr::Magic, 0x464c_457e, Kind::ElfMagic),
        (Ehdr::Data, 2, Kind::ElfMagic),
        (Ehdr::Class, 0, Kind::ElfMachine),
        (Ehdr::Class, 3, Kind::ElfMachine),
        (Ehdr::Machine, 40, Kind::ElfMachine),
        (Ehdr::Version, 0, Kind::ElfMachine),
        (Ehdr::Type, 1, Kind::ElfType),
        (Ehdr::Type, 4, Kind::ElfType),
    ] {
        for class in CLASSES {
            refuse_patched(class, &[Patch::Ehdr(field, value)], kind);
        }
    }
    // Each class has its own machine.
    refuse_patched(
        Class::Elf32,
        &[Patch::Ehdr(Ehdr::Machine, 62)],
        Kind::ElfMachine,
    );
    refuse_patched(
        Class::Elf64,
        &[Patch::Ehdr(Ehdr::Machine, 3)],
        Kind::ElfMachine,
    );
}

#[test]
fn tags_and_requests_that_nobody_knows_are_refused_only_if_required() {
    let tag = Tag::Raw(11, None, vec![0; 5]);
    let request = Tag::InformationRequest(vec![1, 21, 22]);
    for (tag, kind) in [(tag, Kind::UnknownTag), (request, Kind::UnknownRequest)] {
        refuse(&with_header(&HeaderBuilder::new().tag(tag.clone())), kind);
        let file = with_header(&HeaderBuilder::new().optional(tag));
        Fake::efi64().load(&file).unwrap();
    }
    let all = Tag::InformationRequest((0..=21).collect());
    Fake::bios()
        .load(&with_header(&HeaderBuilder::new().tag(all)))
        .unwrap();
}

#[test]
fn header_tags_as_many_as_fit_are_read() {
    let mut header = HeaderBuilder::new();
    for _ in 0..(0x8000 - 0x1000 - 24) / 8 {
        header = header.optional(Tag::Raw(77, None, Vec::new()));
    }
    let mut image = ImageBuilder::new(Class::Elf32);
    image = image.segment(Segment::load(BASE.into(), header.build()).at(0x1000));
    image.entry = BASE.into();
    Fake::bios().load(&images::bytes(&image)).unwrap();
}

#[test]
fn sixty_five_thousand_headers_are_read_or_refused() {
    for class in CLASSES {
        let mut image = images::elf(class, &HeaderBuilder::new());
        image.phdr_at = Some(0x1_0000);
        // Segments that are not loaded, as many as the field counts.
        let mut note = Segment::load(0, Vec::new());
        note.kind = 4;
        image.segments.resize(0xfffe, note);
        Fake::bios().load(&images::bytes(&image)).unwrap();
        // All of them at the same place.
        let second = Segment::load(u64::from(BASE) + 0x8000, vec![1]);
        image.segments.truncate(2);
        image.segments.resize(0xfffe, second);
        Fake::bios().refuses(&images::bytes(&image), Kind::Overlap);
    }
}

#[test]
fn a_number_in_a_file_is_not_trusted_with_the_heap() {
    // A table of 64 KiB entries that the file does not have.
    let mut file = images::good();
    put_number(&mut file, 44, 0xfffe, 2);
    put_number(&mut file, 42, 0xffff, 2);
    let mut fake = Fake::bios();
    fake.load(&file).unwrap_err();
    assert!(fake.world.heap_peak.get() < 0x2_0000);
}
