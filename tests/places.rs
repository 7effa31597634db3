// SPDX-License-Identifier: GPL-3.0-or-later
//! Images for which there is no place where they want to be: what the error
//! says would do, does.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, ENTRY, LOW_BASE, SECOND, SPAN, relocatable};
use common::world::Fault;
use common::{Fake, New};
use mb2::error::{Error, Kind};
use mb2::params::Firmware;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::Class;

const MACHINES: [New; 3] = [Fake::bios, Fake::efi32, Fake::efi64];

/// A fixed kernel.
fn fixed(base: u32, beside: bool) -> Vec<u8> {
    let mut header = HeaderBuilder::new();
    if beside {
        header = header
            .tag(Tag::EfiBootServices)
            .tag(Tag::EntryEfi64(base + ENTRY));
    }
    images::bytes(&images::elf_at(Class::Elf64, base, &header))
}

/// A kernel that wants to lie here.
fn movable(min: u32, max: u32, align: u32, preference: u32) -> Vec<u8> {
    let tag = relocatable(min, max, align, preference);
    images::with_header(&HeaderBuilder::new().tag(tag))
}

/// Why there is no place; nothing is left.
#[track_caller]
fn refused(fake: &mut Fake, file: &[u8]) -> Error {
    let fault = fake.load(file).unwrap_err();
    assert!(fake.empty());
    match fault {
        Fault::Ours(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Where it was loaded, and that it starts.
#[track_caller]
fn starts(fake: &mut Fake, file: &[u8]) -> u32 {
    fake.load(file).unwrap();
    let base = fake.loaded.as_ref().unwrap().kernel.loaded.load_base;
    fake.boot().unwrap();
    fake.world.ended.set(false);
    assert!(fake.balanced());
    base
}

#[test]
fn a_fixed_image_can_be_linked_to_the_place_that_is_named() {
    for new in MACHINES {
        for base in [0, 0x10, 0x9_f000, 0xf_0000, 0x3ff_e010, 0xf000_0000] {
            let mut fake = new();
            let error = refused(&mut fake, &fixed(base, false));
            assert_eq!(error.kind, Kind::Elsewhere, "{base:#x}");
            let [first, last, at, _, size, near] = error.values;
            assert!(first <= at && at <= last);
            assert_eq!(size, SPAN.into());
            assert_eq!(near % 0x1000, 0);
            assert_eq!(starts(&mut fake, &fixed(near as u32, false)), near as u32);
        }
    }
}

#[test]
fn a_fixed_image_is_moved_as_a_whole() {
    // Only its second segment is in the way of ACPI's memory.
    let base = 0x400_0000 - SECOND.0;
    let mut fake = Fake::bios();
    let error = refused(&mut fake, &fixed(base, false));
    let [last, near] = [0x400_0000 + SECOND.2 - 1, (0x400_0000 - SPAN) & !0xfff];
    let values = [0x400_0000, last, 0x400_0000, 4, SPAN, near].map(u64::from);
    assert_eq!(error, Error::new(Kind::Elsewhere, &values));
    starts(&mut fake, &fixed(near, false));
    // One page higher is too high.
    refused(&mut fake, &fixed(near + 0x1000, false));
}

#[test]
fn an_image_may_be_moved_to_the_place_that_is_named() {
    for new in MACHINES {
        for (min, max, align) in [
            (0x4000_0000, 0x5000_0000, 0x20_0000),
            (0x12_3001, 0x12_3001 + SPAN, 0x1000),
            (0x40_0000, 0x40_1000, 1),
            (0x3ff_e000, 0x400_2000, 0x10),
            (0, 0x1001, 0x1000),
            (0x280_0000, 0x2c0_0000, 0x1000_0000),
            (0x281_0000, 0x281_8000, 0x80_0000),
        ] {
            for preference in [0, 1, 2] {
                let mut fake = new();
                let Err(fault) = fake.load(&movable(min, max, align, preference)) else {
                    assert_eq!((fake.machine.firmware, min), (Firmware::Bios, 0x281_0000));
                    continue;
                };
                let Fault::Ours(error) = fault else {
                    panic!("{fault:?}");
                };
                if align == 0x1000_0000 {
                    let values = [SPAN, min, max - 1].map(u64::from);
                    assert_eq!(error, Error::new(Kind::NoRoom, &values));
                    continue;
                }
                assert_eq!(error.kind, Kind::Elsewhere, "{min:#x}");
                let near = error.values[5] as u32;
                let file = movable(near, near + SPAN, align, preference);
                assert_eq!(starts(&mut fake, &file), near);
            }
        }
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let window = |min, max| movable(min, max, 0x1000, 1);
    let mut fake = Fake::bios();
    for (file, at, kind) in [
        (window(0x400_0000, 0x410_0000), 0x400_0000, 4),
        (window(0x3ff_f000, 0x410_0000), 0x400_0000, 4),
        (window(0xfffc_0000, 0xffff_0000), 0xfffc_0000, 2),
        (window(0x8000_0000, 0x9000_0000), 0x8000_0000, 0),
        // Nothing but its alignment.
        (window(0x12_3001, 0x12_3001 + SPAN), 0x12_3001, 1),
    ] {
        let error = refused(&mut fake, &file);
        assert_eq!(error.values[2..4], [at, kind]);
    }
}

#[test]
fn where_nothing_would_do_nothing_is_proposed() {
    let mut fake = Fake::bios();
    fake.world
        .ranges
        .borrow_mut()
        .retain(|range| range.start == 0);
    fake.world.ranges.borrow_mut()[0].end = 0x4000;
    let error = refused(&mut fake, &fixed(0x10_0000, false));
    let last = 0x10_0000 + images::FIRST.1 - 1;
    let values = [0x10_0000, last, 0x10_0000, 0, SPAN].map(u64::from);
    assert_eq!(error, Error::new(Kind::NotFree, &values));
    let error = refused(&mut fake, &movable(0, u32::MAX, 1, 0));
    let values = [SPAN, 0x1000, u32::MAX - 1].map(u64::from);
    assert_eq!(error, Error::new(Kind::NoRoom, &values));
}

#[test]
fn beside_boot_services_their_memory_is_not_proposed() {
    let mut fake = Fake::in_place(Firmware::Efi64);
    let error = refused(&mut fake, &fixed(0x1100_0000, true));
    let near = error.values[5] as u32;
    assert_eq!(near, (0x1100_0000 - SPAN) & !0xfff);
    starts(&mut fake, &fixed(near, true));
    // It is when they end; and a page of low memory is left for the jump.
    starts(&mut fake, &fixed(0x1100_0000, false));
    let error = refused(&mut fake, &fixed(0xa_0000, false));
    starts(&mut fake, &fixed(error.values[5] as u32, false));
    let window = |base: u32, max| {
        let header = HeaderBuilder::new().tag(relocatable(base, max, 0x1000, 2));
        let header = images::keeping(header);
        images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header))
    };
    let error = refused(&mut fake, &window(0x1100_0000, 0x1180_0000));
    let near = error.values[5] as u32;
    assert_eq!(starts(&mut fake, &window(near, near + SPAN)), near);
}
