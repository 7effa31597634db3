// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory: what a machine has, and whether a kernel lies well in it.

use super::{Case, Chunk, Firmware, Kernel, N, Oddity, Start};

const PAGE: N = 0x1000;

/// Pieces of an image, above which our loader may find them too many.
const MANY: usize = 200;

/// The first address that is ever used.
const FIRST: N = PAGE;

/// A machine's memory; ends are not inside, ranges are in order and apart.
#[derive(Clone, Debug)]
pub struct Terrain {
    /// Firmware.
    pub firmware: Firmware,
    /// Memory that is free, that of boot services included.
    pub usable: Vec<(u64, u64)>,
    /// Memory that is free while boot services live.
    pub lasting: Vec<(u64, u64)>,
    /// Memory that can be used where it is.
    pub direct: Option<(u64, u64)>,
    /// The screen has a palette.
    pub palette: bool,
    /// VBE tells where its protected-mode interface is.
    pub vbe_interface: bool,
}

impl Terrain {
    /// Free memory for an image, in one piece where ranges touch.
    fn free(&self, kernel: &Kernel) -> Vec<(N, N)> {
        let ranges = match kernel.keeps_services {
            true => &self.lasting,
            false => &self.usable,
        };
        let mut joined: Vec<(N, N)> = Vec::new();
        for &(start, end) in ranges {
            let (mut start, mut end) = (N::from(start).max(FIRST), N::from(end));
            if kernel.keeps_services {
                let (first, limit) = self.direct.unwrap_or((0, 0));
                (start, end) = (start.max(first.into()), end.min(limit.into()));
            }
            match joined.last_mut() {
                _ if start >= end => {}
                Some(last) if last.1 == start => last.1 = end,
                _ => joined.push((start, end)),
            }
        }
        joined
    }
}

fn holds(free: &[(N, N)], at: N, size: N) -> bool {
    free.iter()
        .any(|(start, end)| *start <= at && at + size <= *end)
}

/// Finds out what is odd about where the image wants to be.
pub(super) fn read(kernel: &mut Kernel, case: &Case<'_>) {
    let free = case.terrain.free(kernel);
    let end = kernel.parts.iter().map(|part| part.at + part.size).max();
    let span = end.unwrap_or(0).saturating_sub(kernel.link_base);
    if let Some([min, max, align, _]) = kernel.tags[10] {
        let align = align.max(1);
        let fits = |&(start, end): &(N, N)| {
            let lowest = start.max(min).next_multiple_of(align);
            lowest + span <= end.min(max)
        };
        let mut free = free.clone();
        let ends_services = case.terrain.firmware != Firmware::Bios && !kernel.keeps_services;
        if let Some(lowest) = free.first_mut().filter(|_| ends_services) {
            lowest.0 += PAGE;
        }
        let none = align.is_power_of_two() && !free.iter().any(fits);
        kernel.note(Oddity::NoPlace, none);
    } else {
        let lies = |at, size| holds(&free, at, size);
        let outside = !kernel.parts.iter().all(|part| lies(part.at, part.size));
        kernel.note(Oddity::NotFree, outside);
    }
    kernel.note(Oddity::Palette, case.terrain.palette);
    let none = kernel.keeps_services && free.is_empty();
    kernel.note(Oddity::MovesOverServices, none);
    let loose: N = kernel.loose.iter().map(|section| section.size as N).sum();
    let modules: N = case.modules.iter().map(|module| module.len() as N).sum();
    let pieces = kernel.parts.len() + kernel.loose.len();
    kernel.note(Oddity::Scattered, pieces > MANY);
    let largest = free.iter().map(|(start, end)| end - start).max();
    let needed = span + loose + modules + case.file.len() as N;
    kernel.note(Oddity::Large, needed > largest.unwrap_or(0) / 2);
}

/// Checks that all that our loader placed lies in free memory, apart from each
/// other, and that the image lies where the kernel allows it.
pub(super) fn check(case: &Case<'_>, kernel: &Kernel, start: &Start) -> Result<(), String> {
    let free = case.terrain.free(kernel);
    let mut end = 0;
    for chunk in &start.chunks {
        let (at, size) = (N::from(chunk.target), chunk.bytes.len() as N);
        if !holds(&free, at, size) || at < end {
            return Err(format!("our chunk at {at:#x}, size {size:#x} lies badly"));
        }
        if kernel.keeps_services && !chunk.in_place {
            return Err(format!("our chunk at {at:#x} has to move over services"));
        }
        end = at + size;
    }
    let Some([min, max, align, _]) = kernel.tags[10] else {
        return Ok(());
    };
    let end = kernel.parts.iter().map(|part| part.at + part.size).max();
    let span = end.unwrap_or(0) - kernel.link_base;
    let allowed = |chunk: &Chunk| {
        let (at, size) = (N::from(chunk.target), chunk.bytes.len() as N);
        size == span && at >= min && at + size <= max && at % align.max(1) == 0
    };
    match start.chunks.iter().any(allowed) {
        true => Ok(()),
        false => Err("our image does not lie where it may".to_owned()),
    }
}
