// SPDX-License-Identifier: GPL-3.0-or-later
//! Flat files that numbers choose.

use super::header::{Entries, header};
use super::{Ground, Random};
use crate::bytes::noise;
use crate::header::Tag;
use crate::image::FlatBuilder;

pub(super) fn file(random: &mut Random, ground: &Ground) -> Vec<u8> {
    let base = ground.base + 8 * random.below(0x8000);
    let len = 0x400 + random.below(0x5000);
    let entries = Entries {
        first: base,
        span: len - 0x200,
    };
    let entry = Tag::Entry(base + random.below(entries.span));
    let header = header(random, ground, &entries).tag(entry);
    let mut flat = FlatBuilder::new(header, base).part(0, noise(random.next(), len as usize));
    flat.header_offset = 8 * random.below(0x20);
    if random.one_in(3) {
        flat.implied_load = true;
        // The end is counted from the address that C has not understood.
        flat.explicit_load_end = random.one_in(8);
    } else {
        flat.load_offset = random.below(flat.header_offset + 1);
        flat.explicit_load_end = random.one_in(2);
    }
    if random.one_in(2) {
        let loaded = len - flat.load_offset;
        flat.mem_len = Some(loaded + random.pick(&[0, 1, 0x100, 0x3456, 0x1_0000]));
    }
    flat.build()
}
