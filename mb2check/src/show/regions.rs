// SPDX-License-Identifier: GPL-3.0-or-later
//! The address space below 4 GiB in pieces, for pictures.

use crate::memory::Sort;
use crate::report::Report;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Loaded.
    Loaded,
    /// Free memory.
    Free,
    /// Memory that is not to be used.
    Kept,
    /// No memory.
    Nothing,
}

/// A piece of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// What lies there.
    pub what: String,
    /// What sort of thing that is.
    pub class: Class,
}

/// All pieces from 0 to 4 GiB, upwards.
#[must_use]
pub fn regions(report: &Report) -> Vec<Region> {
    let chunks = report.placement.iter().flat_map(|place| &place.chunks);
    let chunks: Vec<_> = chunks
        .map(|chunk| {
            (
                u64::from(chunk.first),
                u64::from(chunk.last) + 1,
                &chunk.what,
            )
        })
        .collect();
    let mut borders = vec![0, 1 << 32];
    for range in &report.machine.memory {
        borders.extend([range.start, range.end]);
    }
    borders.extend(chunks.iter().flat_map(|chunk| [chunk.0, chunk.1]));
    borders.retain(|border| *border <= 1 << 32);
    borders.sort_unstable();
    borders.dedup();

    let mut found: Vec<Region> = Vec::new();
    for pair in borders.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let chunk = chunks
            .iter()
            .find(|chunk| chunk.0 <= start && start < chunk.1);
        let mut ranges = report.machine.memory.iter();
        let range = ranges.find(|range| range.start <= start && start < range.end);
        let (what, class) = match (chunk, range.map(|range| range.sort)) {
            (Some((_, _, what)), _) => ((*what).clone(), Class::Loaded),
            (None, None) => (String::new(), Class::Nothing),
            (None, Some(Sort::Available)) => ("free".to_owned(), Class::Free),
            (None, Some(Sort::Reserved)) => ("reserved".to_owned(), Class::Kept),
            (None, Some(Sort::Acpi)) => ("ACPI tables".to_owned(), Class::Kept),
            (None, Some(Sort::Nvs)) => ("ACPI storage".to_owned(), Class::Kept),
            (None, Some(Sort::Bad)) => ("broken".to_owned(), Class::Kept),
            (None, Some(Sort::BootServices)) => ("boot services".to_owned(), Class::Kept),
            (None, Some(Sort::Other(kind))) => (format!("type {kind}"), Class::Kept),
        };
        match found.last_mut() {
            Some(last) if (&last.what, last.class) == (&what, class) => last.end = end,
            _ => found.push(Region {
                start,
                end,
                what,
                class,
            }),
        }
    }
    found
}
