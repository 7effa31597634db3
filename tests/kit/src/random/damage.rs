// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernel files with wrong numbers where a loader reads numbers, and with a
//! header whose checksum is right, or nothing behind it would be seen.

use super::Random;
use crate::bytes::{put, put_number, u16_at, u32_at, u64_at};
use crate::header::{HeaderBuilder, MAGIC, Tag};

/// The first header of a file, good or bad.
fn header(file: &[u8]) -> Option<usize> {
    let starts = (0..file.len().min(0x8000).saturating_sub(16)).step_by(8);
    starts
        .into_iter()
        .find(|&at| u32_at(file, at) == Some(MAGIC))
}

/// Positions and widths of the numbers in a header's tags, in an ELF header and in
/// the tables that it names.
fn numbers(file: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut add = |start: usize, len: usize, width: usize| {
        let places = (start..start.saturating_add(len).min(file.len())).step_by(width);
        all.extend(places.map(|at| (at, width)));
    };
    if let Some(at) = header(file) {
        let len = u32_at(file, at + 8).unwrap_or(0).clamp(24, 0x200) as usize;
        add(at + 8, len - 8, 4);
    }
    let wide = match file.get(..5) {
        Some(b"\x7fELF\x01") => false,
        Some(b"\x7fELF\x02") => true,
        _ => return all,
    };
    let word = |narrow, broad| match wide {
        true => u64_at(file, broad).unwrap_or(0) as usize,
        false => u32_at(file, narrow).unwrap_or(0) as usize,
    };
    let short = |narrow, broad| u16_at(file, if wide { broad } else { narrow }).unwrap_or(0);
    add(16, if wide { 48 } else { 36 }, 2);
    for (at, size, count) in [
        (word(28, 32), short(42, 54), short(44, 56)),
        (word(32, 40), short(46, 58), short(48, 60)),
    ] {
        add(at, usize::from(size) * usize::from(count).min(24), 4);
    }
    all
}

/// Makes a few numbers wrong; some become addresses near `base`, where the
/// kernel is linked.
pub fn mutate(file: &mut Vec<u8>, random: &mut Random, base: u32) {
    let numbers = numbers(file);
    let len = file.len();
    for _ in 0..=random.below(3) {
        if numbers.is_empty() {
            break;
        }
        let (at, width) = random.pick(&numbers);
        if at + width > file.len() {
            continue;
        }
        let width = random.pick(&[width, width, width, 1, 8]);
        let at_random = |random: &mut Random| {
            let (at, _) = random.pick(&numbers);
            u64::from(u32_at(file, at).unwrap_or(0))
        };
        // Ends that meet: numbers of the file, and one number behind another.
        let [one, other] = [at_random(random), at_random(random)];
        let old = u64::from(u32_at(file, at).unwrap_or(0));
        let some = random.next();
        let value = match random.below(13) {
            0 => random.pick(&[0, 1, 2, 3, 7, 8, 9, 16, 24, 31, 32, 56, 63, 64]),
            1 => random.pick(&[0xff, 0xfffe, 0xffff, 0x7fff, 0x8000, 0x1_0000]),
            2 => random.pick(&[0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff, u64::MAX]),
            3 => (len as u64).wrapping_sub(some % 9).wrapping_add(4),
            4 => u64::from(base) + some % 0x6000,
            5 => old ^ 1 << (some % 32),
            6 => old.wrapping_add(some % 17).wrapping_sub(8),
            7 => 1 << (some % 32),
            8 => some % 0x8000,
            9 => one,
            10 => one.wrapping_add(other).wrapping_sub(some % 3),
            11 => one
                .wrapping_sub(other)
                .wrapping_add(some % 3)
                .wrapping_sub(1),
            _ => some,
        };
        put_number(file, at, value, width);
    }
    match random.below(30) {
        0 => file.truncate(random.index(len)),
        1 => file.resize(len + random.index(0x9000), 7),
        2 => {
            let other = HeaderBuilder::new().tag(Tag::Console(2)).build();
            put(file, random.index(0x200) * 8, &other);
        }
        _ => {}
    }
    if !random.one_in(20) {
        mend(file);
    }
}

/// Puts the checksum of the first header right.
pub fn mend(file: &mut Vec<u8>) {
    if let Some(at) = header(file) {
        let word = |i| u32_at(file, at + i).unwrap_or(0);
        let sum = word(0).wrapping_add(word(4)).wrapping_add(word(8));
        put_number(file, at + 12, sum.wrapping_neg().into(), 4);
    }
}
