// SPDX-License-Identifier: GPL-3.0-or-later
//! `boot`: every byte of the boot information, the registers, and the last
//! steps before the jump.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::facts::{ACKNOWLEDGEMENT, IMAGE_HANDLE, SYSTEM_TABLE};
use common::images::{self, BASE, ENTRY, LOW_BASE};
use common::information::{Expected, kinds};
use common::world::{FREE, Fault, Range, Started};
use common::{Fake, New};
use mb2::error::Kind;
use mb2::params::Firmware;
use mb2::platform::MemoryMap;
use mb2_testkit::bytes::noise;
use mb2_testkit::dump::parse_with_multiboot2_crate;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, ImageBuilder, Segment};

/// Compares the boot information, and has another reader look at it.
fn compare(started: &Started, expected: Expected) {
    let expected = expected.end();
    let found = started.information();
    assert_eq!(kinds(found), kinds(&expected));
    assert_eq!(found, expected);
    assert_eq!(started.registers.info % 8, 0);
    parse_with_multiboot2_crate(found).unwrap();
}

fn text_screen(expected: Expected) -> Expected {
    expected.tag(8, &[0xb_8000, 0, 160, 80, 25], &[16, 2, 0, 0])
}

#[test]
fn a_bios_kernel_is_told_everything_in_order() {
    let mut fake = Fake::bios().file("/module", &noise(1, 100));
    fake.store("/kernel", &images::good());
    fake.multiboot2(&["/kernel", "quiet", "a b"]).unwrap();
    fake.module2(&["/module", "m"]).unwrap();
    fake.module2(&["/module"]).unwrap();
    let started = fake.boot().unwrap();
    let expected = Expected::new()
        .start(BASE, b"quiet \"a b\"\0")
        .apm()
        .tag(3, &[0x10_0000, 0x10_0064], b"m\0")
        .tag(3, &[0x10_1000, 0x10_1064], b"\0")
        .memory_map(&fake.world.map(MemoryMap::Report))
        .tag(9, &[0, 0, 0], &[])
        .basic_memory()
        .tag(16, &[], ACKNOWLEDGEMENT)
        .tag(5, &[0x80, 1, u32::MAX], &[]);
    compare(&started, text_screen(expected).acpi());
    assert_eq!(started.registers.entry, BASE + ENTRY);
    assert!(!started.registers.keep_services);
    assert!(fake.balanced());
}

#[test]
fn what_a_machine_lacks_has_no_tag() {
    let mut fake = Fake::bios();
    fake.facts.apm = None;
    fake.facts.acpi = [None, None];
    fake.facts.acknowledgements.clear();
    fake.facts.boot_device = None;
    fake.facts.vbe_mode = None;
    fake.load(&images::good()).unwrap();
    let started = fake.boot().unwrap();
    let expected = Expected::new()
        .start(BASE, b"\0")
        .memory_map(&fake.world.map(MemoryMap::Report))
        .tag(9, &[0, 0, 0], &[])
        .basic_memory();
    compare(&started, expected);
}

fn ended(fake: &Fake, kinds: (u32, &[u8])) -> Expected {
    Expected::new()
        .start(BASE, b"\0")
        .memory_map(&fake.world.map(MemoryMap::Report))
        .tag(9, &[0, 0, 0], &[])
        .basic_memory()
        .tag(16, &[], ACKNOWLEDGEMENT)
        .tag(kinds.0, &[], kinds.1)
        .acpi()
        .tag(17, &[48, 1], &fake.facts.efi_map)
}

/// What a kernel beside boot services gets: the tags of system table and image handle.
fn kept(table: (u32, &[u8]), handle: (u32, &[u8])) -> Expected {
    Expected::new()
        .start(LOW_BASE, b"\0")
        .tag(9, &[0, 0, 0], &[])
        .tag(16, &[], ACKNOWLEDGEMENT)
        .tag(table.0, &[], table.1)
        .acpi()
        .tag(18, &[], &[])
        .tag(handle.0, &[], handle.1)
}

#[test]
fn uefi_ends_with_its_last_map() {
    let mut fake = Fake::efi64();
    fake.load(&images::good()).unwrap();
    let started = fake.boot().unwrap();
    compare(&started, ended(&fake, (12, &SYSTEM_TABLE.to_le_bytes())));
    assert!(!started.registers.keep_services);

    let mut fake = Fake::efi32();
    fake.load(&images::good()).unwrap();
    let started = fake.boot().unwrap();
    let low = (SYSTEM_TABLE as u32).to_le_bytes();
    compare(&started, ended(&fake, (11, &low)));
    assert!(fake.balanced());
}

#[test]
fn a_kernel_beside_boot_services_gets_no_map_but_the_handle() {
    let header = images::keeping(HeaderBuilder::new());
    let image = images::elf_at(Class::Elf64, LOW_BASE, &header);
    let mut fake = Fake::in_place(Firmware::Efi64);
    fake.load(&images::bytes(&image)).unwrap();
    let started = fake.boot().unwrap();
    let (table, handle) = (SYSTEM_TABLE.to_le_bytes(), IMAGE_HANDLE.to_le_bytes());
    compare(&started, kept((12, &table), (20, &handle)));
    assert!(started.registers.keep_services);
    // The UEFI entry counts, the ELF entry does not.
    assert_eq!(started.registers.entry, LOW_BASE + ENTRY + 16);
    assert!(!fake.world.ended.get());
    let memory = images::memory(&header);
    assert!(started.memory(LOW_BASE, 0x1000) == &memory[..0x1000]);
    assert!(fake.balanced());
}

#[test]
fn a_kernel_beside_32_bit_boot_services_gets_the_32_bit_handle() {
    let header = HeaderBuilder::new()
        .tag(Tag::EfiBootServices)
        .tag(Tag::EntryEfi64(LOW_BASE + ENTRY + 8))
        .tag(Tag::EntryEfi32(LOW_BASE + ENTRY + 16));
    let image = images::elf_at(Class::Elf32, LOW_BASE, &header);
    let mut fake = Fake::in_place(Firmware::Efi32);
    fake.load(&images::bytes(&image)).unwrap();
    let started = fake.boot().unwrap();
    let [table, handle] = [SYSTEM_TABLE, IMAGE_HANDLE].map(|word| (word as u32).to_le_bytes());
    compare(&started, kept((11, &table), (19, &handle)));
    assert!(started.registers.keep_services);
    assert_eq!(started.registers.entry, LOW_BASE + ENTRY + 16);
    assert!(!fake.world.ended.get());
    assert!(fake.balanced());
}

#[test]
fn tag_7_counts_only_with_an_entry_for_this_firmware() {
    let both = HeaderBuilder::new()
        .tag(Tag::EfiBootServices)
        .tag(Tag::EntryEfi64(BASE + 0x40));
    let alone = HeaderBuilder::new().tag(Tag::EfiBootServices);
    let entry_only = HeaderBuilder::new().tag(Tag::EntryEfi64(BASE + 0x40));
    let narrow = HeaderBuilder::new()
        .tag(Tag::EfiBootServices)
        .tag(Tag::EntryEfi32(BASE + 0x40));
    let machines: [(New, &HeaderBuilder); 6] = [
        (Fake::bios, &both),
        (Fake::bios, &narrow),
        (Fake::efi64, &narrow),
        (Fake::efi32, &both),
        (Fake::efi64, &alone),
        (Fake::efi64, &entry_only),
    ];
    for (fake, header) in machines {
        let mut fake = fake();
        let image = images::elf(Class::Elf64, header);
        fake.load(&images::bytes(&image)).unwrap();
        let started = fake.boot().unwrap();
        let registers = started.registers;
        assert_eq!(registers.entry, BASE + ENTRY);
        assert!(!registers.keep_services);
        let kinds = kinds(started.information());
        assert!(kinds.contains(&4) && kinds.contains(&6));
        assert!(![18, 19, 20].iter().any(|kind| kinds.contains(kind)));
    }
}

#[test]
fn a_map_that_outgrows_its_room_is_asked_for_again() {
    let mut fake = Fake::efi64();
    // Longer than the length that was asked for, and than all slack.
    fake.facts.efi_map_grows = vec![30_000, 9_600];
    fake.load(&images::good()).unwrap();
    let started = fake.boot().unwrap();
    assert_eq!(fake.facts.efi_map.len(), 30_000);
    compare(&started, ended(&fake, (12, &SYSTEM_TABLE.to_le_bytes())));
    assert!(fake.balanced());
}

#[test]
fn a_map_that_grows_for_ever_is_given_up_and_boot_may_be_tried_again() {
    let mut fake = Fake::efi64();
    fake.facts.efi_map_grows = vec![96_000, 60_000, 30_000, 9_600];
    fake.load(&images::good()).unwrap();
    let error = fake.boot().unwrap_err();
    assert!(matches!(error, Fault::Ours(e) if e.kind == Kind::NoRoom));
    assert!(!fake.world.ended.get());
    let started = fake.boot().unwrap();
    compare(&started, ended(&fake, (12, &SYSTEM_TABLE.to_le_bytes())));
}

#[test]
fn a_jump_that_fails_is_an_error_before_and_the_end_after_firmware() {
    for (mut fake, halts) in [Fake::bios, Fake::efi64]
        .map(|new| new())
        .into_iter()
        .zip([false, true])
    {
        fake.load(&images::good()).unwrap();
        let calls = fake.world.calls.get();
        let start = fake.boot().unwrap();
        let jump = fake.world.calls.get() - calls - 1;
        drop(start);
        fake.world.ended.set(false);
        fake.fail_at(jump);
        let error = fake.boot().unwrap_err();
        assert_eq!(fake.world.failed.get(), Some("jump"));
        assert_eq!(error == Fault::Halted, halts, "{error:?}");
        fake.world.pending.take();
        fake.world.ended.set(false);
        fake.boot().unwrap();
        assert!(fake.balanced());
    }
}

#[test]
fn low_memory_for_the_last_code_is_checked_while_there_is_firmware() {
    let mut fake = Fake::efi64();
    let header = HeaderBuilder::new();
    let mut first = header.build();
    first.resize(0x200, 0x90);
    let mut image =
        ImageBuilder::new(Class::Elf32).segment(Segment::load(0x1000, first).mem_len(0x9_e000));
    image.entry = 0x1100;
    let file = images::bytes(&image);
    fake.load(&file).unwrap();
    let error = fake.boot().unwrap_err();
    assert!(
        matches!(error, Fault::Ours(e) if e.kind == Kind::NoRoom),
        "{error:?}"
    );
    assert!(!fake.world.ended.get());
    // One page less covered is enough.
    image.segments[0] = image.segments[0].clone().mem_len(0x9_8000);
    fake.load(&images::bytes(&image)).unwrap();
    fake.boot().unwrap();
    assert!(fake.balanced());
}

#[test]
fn the_information_lies_low_and_in_free_memory() {
    let mut fake = Fake::bios();
    fake.load(&images::good()).unwrap();
    assert_eq!(fake.boot().unwrap().registers.info, 0x10_0000);
    fake.world.ranges.replace(vec![
        Range {
            start: 0,
            end: 0x9_fc00,
            kind: FREE,
        },
        Range {
            start: u64::from(BASE),
            end: u64::from(BASE) + 0x1_0000,
            kind: FREE,
        },
    ]);
    fake.load(&images::good()).unwrap();
    let info = fake.boot().unwrap().registers.info;
    // The first aligned byte that no part of the image has.
    assert_eq!(info, BASE + images::FIRST.1);
    assert!(fake.balanced());
}

#[test]
fn boot_without_a_kernel_is_an_error() {
    let mut fake = Fake::bios();
    let error = fake.boot().unwrap_err();
    assert!(matches!(error, Fault::Ours(e) if e.kind == Kind::NoKernel));
    assert!(fake.empty());
}

#[test]
fn the_device_is_looked_up_when_the_kernel_is_loaded() {
    let mut fake = Fake::bios();
    fake.load(&images::good()).unwrap();
    fake.facts.boot_device = Some([0x81, 2, 3]);
    let started = fake.boot().unwrap();
    let tag = common::information::find(started.information(), 5);
    assert_eq!(tag[8..], [0x80, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255]);
}
