// SPDX-License-Identifier: GPL-3.0-or-later
//! The inputs of `defects.rs` that are flat files: rows D14a to D14e.

mod common;

use common::Fake;
use common::images::{self, BASE};
use common::refusal::refuse;
use common::world::Fault;
use mb2::error::Kind;
use mb2_testkit::header::{Address, HeaderBuilder, Tag};

/// A flat file of 0x2345 bytes and its address tag.
fn flat(address: Address) -> Vec<u8> {
    let mut flat = images::flat(HeaderBuilder::new());
    flat.address = Some(address);
    flat.build()
}

const FLAT: Address = Address {
    header: BASE,
    load: BASE,
    load_end: 0,
    bss_end: 0,
};

#[test]
fn d14a_ends_count_from_the_derived_load_address() {
    let implied = Address {
        load: u32::MAX,
        load_end: BASE + 0x2000,
        ..FLAT
    };
    let file = flat(implied);
    let mut fake = Fake::bios();
    fake.load(&file).unwrap();
    let started = fake.boot().unwrap();
    assert!(started.chunks.get(&BASE).unwrap() == &file[..0x2000]);
    refuse(
        &flat(Address {
            load_end: BASE,
            ..implied
        }),
        Kind::LoadEnd,
    );
    let longer = Address {
        load_end: BASE + 0x2346,
        ..implied
    };
    refuse(&flat(longer), Kind::FileEnd);
}

#[test]
fn d14b_the_bss_does_not_end_before_the_contents() {
    for bss_end in [1, BASE, BASE + 0x2344] {
        refuse(&flat(Address { bss_end, ..FLAT }), Kind::BssEnd);
        let bss_end = bss_end.min(BASE + 0x1fff);
        let both = Address {
            load_end: BASE + 0x2000,
            bss_end,
            ..FLAT
        };
        refuse(&flat(both), Kind::BssEnd);
    }
}

#[test]
fn d14c_contents_have_a_size_above_zero() {
    for load_end in [1, BASE - 1, BASE] {
        refuse(&flat(Address { load_end, ..FLAT }), Kind::LoadEnd);
    }
}

#[test]
fn d14d_the_file_holds_all_contents() {
    for load_end in [BASE + 0x2346, BASE + 0x10_0000, 0xffff_fff0] {
        refuse(&flat(Address { load_end, ..FLAT }), Kind::FileEnd);
    }
    // The size says so, and reading says otherwise.
    let file = flat(Address {
        load_end: BASE + 0x2345,
        ..FLAT
    });
    let mut longer = file.clone();
    longer.resize(0xa000, 7);
    let longer = {
        let mut flat = images::flat(HeaderBuilder::new()).part(0, longer);
        flat.explicit_load_end = true;
        flat.build()
    };
    let mut fake = Fake::bios();
    fake.store("/kernel", &longer).readable = 0x9fff;
    let error = fake.multiboot2(&["/kernel"]).unwrap_err();
    assert!(matches!(error, Fault::Ours(e) if e.kind == Kind::FileEnd));
    assert!(fake.empty());
}

#[test]
fn d14e_flat_images_fit_below_four_gib_and_around_the_header() {
    for header in [BASE - 8, BASE + 8, u32::MAX, 0] {
        refuse(&flat(Address { header, ..FLAT }), Kind::HeaderAddr);
    }
    let mut far = images::flat(HeaderBuilder::new());
    far.header_offset = 0x1000;
    far.address = Some(Address {
        header: 0xfff,
        load: u32::MAX,
        ..FLAT
    });
    refuse(&far.build(), Kind::HeaderAddr);
    let high = Address {
        header: 0xffff_f000,
        load: 0xffff_f000,
        ..FLAT
    };
    let entry = Tag::Entry(0xffff_f000);
    let mut file = HeaderBuilder::new()
        .tag(Tag::Address(high))
        .tag(entry)
        .build();
    file.resize(0x1001, 0);
    refuse(&file, Kind::ImageEnd);
}
