// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory maps as sets of ranges.

use super::{Dump, Tag, kind};
use crate::error::Result;

/// Available RAM below 4 GiB, joined and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available(Vec<(u64, u64)>);

impl Available {
    /// From the memory map tag; nothing without one (boot services kept).
    ///
    /// # Errors
    ///
    /// As [`Dump::tags`].
    pub fn of(dump: &Dump) -> Result<Option<Self>> {
        let tags = dump.tags()?;
        let map = tags.iter().find(|tag| tag.kind == kind::MEMORY_MAP);
        Ok(map.map(|map| {
            let ranges = memory_map(map).into_iter();
            Self(
                ranges
                    .filter(|range| range.class == 1)
                    .map(|range| (range.start, range.end.min(1 << 32)))
                    .filter(|(start, end)| start < end)
                    .collect(),
            )
        }))
    }

    /// Whether every byte of the range is available.
    #[must_use]
    pub fn contains(&self, start: u64, len: u64) -> bool {
        let end = start + len;
        len == 0
            || self
                .0
                .iter()
                .any(|range| range.0 <= start && end <= range.1)
    }
}

/// A part of a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) class: u64,
}

/// Sorts and joins neighbours of the same class.
fn join(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.class == range.class && last.end == range.start => {
                last.end = range.end;
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Entries of a tag 6, joined.
pub(super) fn memory_map(tag: &Tag<'_>) -> Vec<Range> {
    let stride = tag.u32(8).unwrap_or(0).max(1) as usize;
    let entries = (16..).step_by(stride).map_while(|at| {
        let start = tag.u64(at)?;
        Some(Range {
            start,
            end: start.saturating_add(tag.u64(at + 8)?),
            class: tag.u32(at + 16)?.into(),
        })
    });
    join(entries.collect())
}

/// Types whose memory is free once boot services have ended: loader code and
/// data, boot services code and data, conventional memory.
const FREE_TYPES: [u32; 5] = [1, 2, 3, 4, 7];

/// Entries of a tag 17, joined; all free types are class 0, because what lies
/// in them is up to the allocations of the loader.
pub(super) fn efi_map(tag: &Tag<'_>) -> Vec<Range> {
    let stride = tag.u32(8).unwrap_or(0).max(1) as usize;
    let entries = (16..).step_by(stride).map_while(|at| {
        let memory_type = tag.u32(at)?;
        let start = tag.u64(at + 8)?;
        let pages = tag.u64(at + 24)?;
        let attributes = tag.u64(at + 32)?;
        Some(Range {
            start,
            end: start.saturating_add(pages.saturating_mul(0x1000)),
            class: match FREE_TYPES.contains(&memory_type) {
                true => 0,
                false => u64::from(memory_type) << 56 ^ attributes,
            },
        })
    });
    join(entries.collect())
}
