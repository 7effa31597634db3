// SPDX-License-Identifier: GPL-3.0-or-later
//! What is odd about a header.

use super::{Case, Firmware, Kernel, N, Oddity, number};
use crate::header::MAGIC;

/// Bytes that are searched.
const WINDOW: usize = 32768;

/// Bytes that a tag has at least, by type; the last is for all others.
const LEAST: [N; 12] = [8, 8, 24, 12, 12, 20, 8, 8, 12, 12, 24, 8];

pub(super) fn read(kernel: &mut Kernel, case: &Case<'_>) {
    let window = &case.file[..case.file.len().min(WINDOW)];
    let limit = window.len() as N;
    let word = |at: N| number(window, at, 4);
    let is_header = |at: &N| {
        let sum: N = (0..4).map(|i| word(at + 4 * i)).sum();
        word(*at) == N::from(MAGIC) && word(at + 4) == 0 && sum.is_multiple_of(1 << 32)
    };
    let mut places = (0..limit.saturating_sub(15)).step_by(8);
    let Some(header) = places.find(is_header) else {
        return;
    };
    kernel.header = header;
    let end = header + word(header + 8);
    if end < header + 24 || end > limit {
        return kernel.note(Oddity::HeaderFrame, true);
    }
    let mut at = header + 16;
    loop {
        let (kind, optional) = (number(window, at, 2), number(window, at + 2, 2) & 1 == 1);
        let size = word(at + 4);
        let least = LEAST[kind.min(11) as usize];
        let whole = at + 8 <= end && size >= least && at + size <= end;
        if !whole || (kind == 0 && size != 8) {
            return kernel.note(Oddity::HeaderFrame, true);
        }
        let field = |index: N| match 8 + 4 * index < size {
            true => word(at + 8 + 4 * index),
            false => 0,
        };
        match kind {
            0 => break,
            1 => {
                let asks = (0..(size - 8) / 4).any(|i| field(i) == 13);
                kernel.note(Oddity::SmbiosRequest, asks);
            }
            8 => kernel.note(Oddity::Efi32Entry, !optional),
            _ => {}
        }
        if let Some(tag) = kernel.tags.get_mut(kind as usize) {
            *tag = Some([0, 1, 2, 3].map(field));
        }
        at += size.next_multiple_of(8);
    }
    if let Some([_, _, align, _]) = kernel.tags[10] {
        kernel.note(Oddity::PlacementAlign, !align.max(1).is_power_of_two());
    }
    if let Some([width, height, depth, _]) = kernel.tags[5] {
        let huge = width.max(height).max(depth) >= 1 << 31;
        kernel.note(Oddity::HugeMode, huge);
    }
    let efi_entry = match case.terrain.firmware {
        Firmware::Bios => None,
        Firmware::Efi32 => kernel.tags[8],
        Firmware::Efi64 => kernel.tags[9],
    };
    let asks = case.terrain.firmware != Firmware::Bios && kernel.tags[7].is_some();
    kernel.keeps_services = asks && efi_entry.is_some();
    kernel.entry_tag = efi_entry.filter(|_| asks).or(kernel.tags[3]);
    kernel.note(Oddity::NoServicesEntry, asks && efi_entry.is_none());
    let only_ours = kernel.keeps_services && case.terrain.firmware == Firmware::Efi32;
    kernel.note(Oddity::BesideEfi32, only_ours);
}
