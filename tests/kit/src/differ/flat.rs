// SPDX-License-Identifier: GPL-3.0-or-later
//! What is odd about a flat file.

use super::{Case, Kernel, N, Oddity, Part};

const ALL_ONES: N = 0xffff_ffff;

pub(super) fn read(
    kernel: &mut Kernel,
    case: &Case<'_>,
    [header, load, load_end, bss_end]: [N; 4],
) {
    kernel.note(Oddity::FlatImplied, load == ALL_ONES && load_end != 0);
    let start = match load {
        ALL_ONES => header.checked_sub(kernel.header),
        _ => Some(load),
    };
    let before = start.and_then(|start| header.checked_sub(start));
    let offset = before.and_then(|before| kernel.header.checked_sub(before));
    let (Some(start), Some(offset)) = (start, offset) else {
        return kernel.note(Oddity::FlatHeader, true);
    };
    let rest = (case.file.len() as N).saturating_sub(offset);
    let size = match load_end {
        0 if !case.sized => return kernel.note(Oddity::FlatUnsized, true),
        0 => rest,
        end if end <= start => return kernel.note(Oddity::FlatEnd, true),
        end => end - start,
    };
    kernel.note(Oddity::FlatCut, size > rest);
    kernel.note(Oddity::FlatBss, bss_end != 0 && bss_end < start + size);
    let end = bss_end.max(start + size);
    kernel.note(Oddity::FlatRange, end == start || end > 1 << 32);
    kernel.parts.push(Part {
        at: start,
        size: end - start,
    });
    kernel.link_base = start;
    kernel.stock_link_base = start;
    let inside = |[entry, ..]: [N; 4]| start <= entry && entry < end;
    kernel.note(Oddity::EntryOutside, !kernel.entry_tag.is_some_and(inside));
}
