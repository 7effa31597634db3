// SPDX-License-Identifier: GPL-3.0-or-later
//! Headers that numbers choose.

use super::{Ground, Random};
use crate::header::{HeaderBuilder, Relocatable, Tag};

/// What an image has to say about itself in its header: where it may start.
pub(super) struct Entries {
    pub(super) first: u32,
    pub(super) span: u32,
}

/// A correct header.
pub(super) fn header(random: &mut Random, ground: &Ground, entries: &Entries) -> HeaderBuilder {
    let mut tags = Vec::new();
    let inside = |random: &mut Random| entries.first + random.below(entries.span.max(1));
    if random.one_in(2) {
        tags.push(Tag::Console(random.pick(&[0, 1, 2, 2, 3, 3])));
    }
    if random.one_in(3) {
        let mode = random.pick(&[(0, 0, 0), (1024, 768, 32), (800, 600, 0), (640, 0, 8)]);
        tags.push(Tag::Framebuffer(mode.0, mode.1, mode.2));
    }
    if random.one_in(3) {
        tags.push(Tag::ModuleAlignment);
    }
    if random.one_in(2) {
        tags.push(relocatable(random, entries));
    }
    if random.one_in(4) {
        tags.push(Tag::Entry(inside(random)));
    }
    let odds = if ground.efi64 { 3 } else { 12 };
    if random.one_in(odds) {
        tags.push(Tag::EfiBootServices);
        if !random.one_in(6) {
            tags.push(Tag::EntryEfi64(inside(random)));
        }
    }
    if random.one_in(2) {
        let types = (0..random.below(6)).map(|_| random.below(22)).collect();
        tags.push(Tag::InformationRequest(types));
    }
    random.shuffle(&mut tags);
    let mut header = HeaderBuilder::new();
    for tag in tags {
        let flags = u16::from(random.one_in(2));
        header = header.flagged(tag, flags);
        if random.one_in(10) {
            // Nobody knows it, or nobody uses it here.
            let unknown = match random.one_in(2) {
                true => Tag::Raw(77, None, vec![1, 2, 3, 4, 5]),
                false => Tag::EntryEfi32(inside(random)),
            };
            header = header.optional(unknown);
        }
    }
    if random.one_in(40) {
        header = header.tag(Tag::EntryEfi32(inside(random)));
    }
    header
}

fn relocatable(random: &mut Random, entries: &Entries) -> Tag {
    let align = 1 << random.pick(&[0, 4, 12, 12, 12, 16, 21]);
    let near = entries.first & !0xf_ffff;
    let min = random.pick(&[0, 0, 0x1000, 0x10_0000, near, 0x20_0000]);
    let room = entries.span.next_multiple_of(0x1000) + align;
    let max = match random.below(6) {
        0 => near.saturating_add(room),
        1 => near.saturating_add(room * 2),
        2 => 0x7fff_ffff,
        3 => min
            .saturating_add(room)
            .saturating_add(random.below(0x10_0000)),
        _ => u32::MAX,
    };
    Tag::Relocatable(Relocatable {
        min,
        max,
        align: if random.one_in(20) { 0 } else { align },
        preference: random.below(4),
    })
}
