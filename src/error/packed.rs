// SPDX-License-Identifier: GPL-3.0-or-later
//! The texts with a byte for what many of them have.

use super::TEXTS;

/// A byte of the packed texts, 0 behind them.
pub(super) fn packed(index: usize) -> u8 {
    PACKED.get(index).copied().unwrap_or_default()
}

/// Where the packed text or fragment with a number starts.
#[inline(never)] // two callers
pub(super) fn start(mut number: u8) -> usize {
    let mut at = 0usize;
    while number > 0 {
        number = number.wrapping_sub((packed(at) == 0).into());
        at = at.wrapping_add(1);
    }
    at
}

/// What many texts have, each with a NUL. The first one that fits is taken, so
/// what begins like another stands before it.
pub(super) const FRAGMENTS: &[u8] = concat!(
    "EFI boot services\0",
    "relocatable: \0",
    ", relocation\0",
    "section\0",
    "header\0",
    " address \0",
    " at 0x%llx\0",
    " 0x%llx\0",
    "0x%llx\0",
    " bytes \0",
    " %llu\0",
    "%s: \0",
    "s not \0",
    " the \0",
    " size\0",
    " type\0",
    "end\0",
    "ent\0",
    "file\0",
    " address\0",
    "%s\0",
)
.as_bytes();

/// Number of the first text, behind the fragments.
pub(super) const FIRST_TEXT: u8 = 21;

/// From here on a byte is the number of a fragment.
pub(super) const FRAGMENT: u8 = 0x80;

/// The fragments, and the texts with a byte for each fragment.
#[expect(
    clippy::large_const_arrays,
    reason = "a second static is against the rules"
)]
pub(super) const PACKED: [u8; pack().1] = {
    let (bytes, len) = pack();
    *bytes.split_at(len).0.first_chunk().unwrap()
};

/// Packs the texts, and counts the bytes that this takes.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "runs when this is compiled"
)]
const fn pack() -> ([u8; FRAGMENTS.len() + TEXTS.len()], usize) {
    let mut bytes = [0; FRAGMENTS.len() + TEXTS.len()];
    let mut len = 0;
    while len < FRAGMENTS.len() {
        bytes[len] = FRAGMENTS[len];
        len += 1;
    }
    let mut at = 0;
    while at < TEXTS.len() {
        bytes[len] = TEXTS[at];
        let mut step = 1;
        let (mut start, mut number) = (0, FRAGMENT);
        while start < FRAGMENTS.len() && step == 1 {
            let mut same = 0;
            while FRAGMENTS[start + same] != 0 && FRAGMENTS[start + same] == TEXTS[at + same] {
                same += 1;
            }
            let whole = FRAGMENTS[start + same] == 0;
            if whole {
                bytes[len] = number;
                step = same;
            }
            while FRAGMENTS[start] != 0 {
                start += 1;
            }
            start += 1;
            number += 1;
        }
        at += step;
        len += 1;
    }
    (bytes, len)
}
