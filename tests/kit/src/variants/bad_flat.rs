// SPDX-License-Identifier: GPL-3.0-or-later
//! Address tags that contradict themselves or the file.

use super::Variant;
use super::bad::{Bad, Cost, session};
use crate::error::Result;
use crate::header::Address;
use crate::kernel::{BASE, Flat, KernelSpec};
use crate::payload::Payload;

const GOOD: Address = Address {
    header: BASE,
    load: BASE,
    load_end: 0,
    bss_end: 0,
};

/// Name, error, tag.
static TAGS: [(&str, &str, Address); 18] = [
    (
        "load-above-header",
        "header_addr",
        Address {
            load: BASE + 8,
            ..GOOD
        },
    ),
    (
        "header-too-far",
        "header_addr",
        Address {
            header: BASE + 0x9000,
            ..GOOD
        },
    ),
    (
        "implied-below-0",
        "header_addr",
        Address {
            header: 0xffc,
            load: u32::MAX,
            ..GOOD
        },
    ),
    (
        "load-end-low",
        "load_end_addr",
        Address {
            load_end: BASE - 1,
            ..GOOD
        },
    ),
    (
        "load-end-equal",
        "load_end_addr",
        Address {
            load_end: BASE,
            ..GOOD
        },
    ),
    (
        "load-end-behind",
        "premature end",
        Address {
            load_end: BASE + 0x10_0000,
            ..GOOD
        },
    ),
    (
        "load-end-2gib",
        "premature end",
        Address {
            load_end: BASE + 0x9000_0000,
            ..GOOD
        },
    ),
    (
        "bss-end-low",
        "bss_end_addr",
        Address {
            bss_end: BASE + 0x100,
            ..GOOD
        },
    ),
    (
        "bss-end-below-file",
        "bss_end_addr",
        Address {
            bss_end: BASE + 0x1000,
            ..GOOD
        },
    ),
    (
        "bss-end-below-load",
        "bss_end_addr",
        Address {
            bss_end: BASE - 1,
            ..GOOD
        },
    ),
    (
        "load-end-1",
        "/load-end-1: load_end_addr 0x1 is not above 0x4000000",
        Address {
            load_end: 1,
            ..GOOD
        },
    ),
    (
        "bss-end-1",
        // The end depends on the kernel.
        "/bss-end-1: bss_end_addr 0x1 is below load end 0x4",
        Address { bss_end: 1, ..GOOD },
    ),
    (
        "bss-end-below-load-end",
        "bss_end_addr",
        Address {
            load_end: BASE + 0x2000,
            bss_end: BASE + 0x1fff,
            ..GOOD
        },
    ),
    (
        "implied-load-end-equal",
        "load_end_addr",
        Address {
            load: u32::MAX,
            load_end: BASE,
            ..GOOD
        },
    ),
    (
        "implied-load-end-behind",
        "premature end",
        Address {
            load: u32::MAX,
            load_end: BASE + 0x10_0000,
            ..GOOD
        },
    ),
    (
        "header-0",
        "/header-0: header_addr 0x0 does not fit offset 0x0",
        Address { header: 0, ..GOOD },
    ),
    (
        "image-end",
        "image end 0x",
        Address {
            header: 0xffff_f000,
            load: 0xffff_f000,
            ..GOOD
        },
    ),
    (
        "bss-not-ram",
        "is not free memory",
        Address {
            bss_end: 0xf000_0000,
            ..GOOD
        },
    ),
];

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut bad: Vec<Bad> = Vec::new();
    for &(name, error, tag) in &TAGS {
        let flat = Flat::default();
        let (mut file, _) = KernelSpec::flat(flat).flat_builder(payload, flat)?;
        // The header lies at 0x1000 where the tag would allow more.
        if name == "implied-below-0" {
            file.header_offset = 0x1000;
            file.parts.clear();
            file.file_len = Some(0x5000);
        }
        file.address = Some(tag);
        bad.push((name.to_owned(), error, file.build()));
    }
    let flat = Flat::default();
    let (mut file, _) = KernelSpec::flat(flat).flat_builder(payload, flat)?;
    let no_entry = KernelSpec {
        entry_tag: false,
        ..KernelSpec::flat(flat)
    };
    file.header = no_entry.header(payload);
    let error = "load address tag without entry address tag";
    bad.push(("no-entry".to_owned(), error, file.build()));
    Ok(vec![session(
        "refused-flat",
        bad,
        Cost::Searches(1),
        payload,
    )?])
}
