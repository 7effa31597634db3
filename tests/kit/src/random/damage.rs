// SPDX-License-Identifier: GPL-3.0-or-later
//! Wrong numbers in right files.

use super::{Draft, Random};
use crate::bytes::{put, put_number, u32_at};
use crate::header::{HeaderBuilder, MAGIC, Tag};

/// Changes a few numbers, and sometimes the file's length.
pub(super) fn apply(draft: Draft, random: &mut Random) -> Vec<u8> {
    let Draft { mut file, numbers } = draft;
    let len = file.len();
    for _ in 0..=random.below(2) {
        let (at, width) = random.pick(&numbers);
        if at + width > len {
            continue;
        }
        let value = number(
            random,
            u64::from(u32_at(&file, at).unwrap_or(0)),
            len as u64,
        );
        let width = random.pick(&[width, width, width, 1, 8]);
        put_number(&mut file, at, value, width);
    }
    match random.below(30) {
        0 => file.truncate(random.below(len as u32) as usize),
        1 => file.extend(vec![7; random.below(0x9000) as usize]),
        2 => {
            let at = random.below(0x200) as usize * 8;
            put(
                &mut file,
                at,
                &HeaderBuilder::new().tag(Tag::Console(2)).build(),
            );
        }
        _ => {}
    }
    if !random.one_in(20) {
        mend_checksum(&mut file);
    }
    file
}

/// A number that is near another one, at a border, or anything.
fn number(random: &mut Random, old: u64, len: u64) -> u64 {
    let some = random.next();
    match random.below(10) {
        0 => random.pick(&[0, 1, 2, 3, 7, 8, 9, 16, 24, 31, 32, 56, 63, 64]),
        1 => random.pick(&[0xff, 0xfffe, 0xffff, 0x7fff, 0x8000, 0x1_0000]),
        2 => random.pick(&[0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff, u64::MAX]),
        3 => (len + 4).saturating_sub(some % 9),
        4 | 5 => old ^ 1 << (some % 32),
        6 => old.wrapping_add(some % 17).wrapping_sub(8),
        7 => 1 << (some % 32),
        8 => some % 0x8000,
        _ => some,
    }
}

/// Puts the first header's checksum right, or nothing behind it would be seen.
fn mend_checksum(file: &mut Vec<u8>) {
    let mut places = (0..file.len().saturating_sub(16)).step_by(8);
    if let Some(at) = places.find(|&at| u32_at(file, at) == Some(MAGIC)) {
        let sum = (0..3).fold(0u32, |sum, i| {
            sum.wrapping_add(u32_at(file, at + 4 * i).unwrap_or(0))
        });
        put_number(file, at + 12, sum.wrapping_neg().into(), 4);
    }
}
