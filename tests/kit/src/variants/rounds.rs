// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory before and after: what commands may cost when they are repeated.
//!
//! The module of tests/boot/probe counts. GRUB itself keeps something of each
//! chunk of its relocator, and on UEFI of each look at the memory map, so only
//! commands without can be held to cost nothing.

use super::Platform;
use std::collections::BTreeMap;

/// Commands that are repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Unique in its session.
    pub name: String,
    /// How many.
    pub times: u64,
    /// How often one round looks for memory.
    pub searches: u64,
    /// Chunks that it finds.
    pub chunks: u64,
    /// Pages that these chunks take.
    pub pages: u64,
}

/// Heap that GRUB's relocator loses with a chunk on a BIOS, in bytes, at most:
/// 16 for each of its pieces, and what it remembers of one that it did not find
/// (grub-core/lib/relocator.c).
const BIOS_LOSS: u64 = 128;

/// Copies of the firmware's map that GRUB loses in a search on UEFI, on
/// average: one in each walk over the map, and one whenever its relocator looks
/// for memory, which may be twice (grub-core/mmap/efi/mmap.c,
/// grub-core/lib/efi/relocator.c).
const EFI_MAPS: u64 = 3;

/// What GRUB's relocator is made of, for one chunk, in bytes.
const EFI_LOSS: u64 = 1280;

/// Numbers of one count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    heap: u64,
    pages: u64,
    map: u64,
    zero: u64,
}

impl Count {
    /// Reads the count of this name from a transcript.
    fn find(transcript: &str, name: &str) -> Option<Self> {
        let (_, rest) = transcript.split_once(&format!("mb2t memory {name} "))?;
        let mut fields = BTreeMap::new();
        // GRUB's terminal breaks long lines at a space.
        for field in rest.split_whitespace().take(4) {
            let (key, value) = field.split_once('=')?;
            fields.insert(key, u64::from_str_radix(value, 16).ok()?);
        }
        let field = |key| fields.get(key).copied();
        Some(Self {
            heap: field("heap")?,
            pages: field("pages")?,
            map: field("map")?,
            zero: field("zero")?,
        })
    }
}

impl Rounds {
    /// Twenty of them, each of which places so many chunks of so many pages.
    pub(super) fn twenty(name: &str, chunks: u64, pages: u64) -> Self {
        Self {
            name: name.to_owned(),
            times: 20,
            searches: chunks,
            chunks,
            pages,
        }
    }

    /// Commands that are not repeated, and place nothing although some look.
    pub(super) fn single(name: &str, searches: u64) -> Self {
        Self {
            times: 1,
            searches,
            ..Self::twenty(name, 0, 0)
        }
    }

    /// The command that counts; both words are equally long, since GRUB keeps
    /// them while it runs it.
    pub(super) fn count(&self, when: &str) -> String {
        format!("probe_memory {}-{when}", self.name)
    }

    /// Lines for GRUB: what is needed once happens before the first count.
    pub(super) fn script(&self, lines: &[&str]) -> Vec<String> {
        let lines = lines.join("; ");
        // Letters: the variable is always as long.
        let names: String = ('a'..='z')
            .take(self.times as usize)
            .map(|n| format!(" {n}"))
            .collect();
        vec![
            format!("for n in a; do {lines}; done"),
            self.count("first"),
            format!("for n in{names}; do {lines}; done"),
            self.count("again"),
        ]
    }

    /// What is wrong with a transcript.
    pub(super) fn check(&self, transcript: &str, platform: Platform) -> Vec<String> {
        let count = |when| Count::find(transcript, &format!("{}-{when}", self.name));
        let (Some(before), Some(after)) = (count("first"), count("again")) else {
            return vec![format!("{}: memory was not counted", self.name)];
        };
        let heap = match platform {
            Platform::I386Pc => BIOS_LOSS * self.chunks,
            _ => EFI_MAPS * after.map * self.searches + EFI_LOSS * self.chunks,
        };
        let lost = |before: u64, after: u64| i128::from(before) - i128::from(after);
        let mut wrong = Vec::new();
        let mut expect = |what, lost: i128, allowed: u64| {
            let allowed = self.times * allowed;
            if lost > allowed.into() || (lost < 0 && allowed == 0) {
                let name = &self.name;
                wrong.push(format!("{name}: {what}: {lost} lost, {allowed} allowed"));
            }
        };
        expect("bytes of heap", lost(before.heap, after.heap), heap);
        expect(
            "pages of firmware",
            lost(before.pages, after.pages),
            self.pages,
        );
        if before.zero != after.zero {
            wrong.push(format!("{}: the page at address 0 was written", self.name));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(heap: [u64; 2], pages: [u64; 2], zero: [u64; 2]) -> String {
        let count = |when, i: usize| {
            let (heap, pages, zero) = (heap[i], pages[i], zero[i]);
            format!("mb2t memory x-{when} heap={heap:x}\r\npages={pages:x} map=100 zero={zero:x}\n")
        };
        format!("{}error: noise.\n{}", count("first", 0), count("again", 1))
    }

    #[test]
    fn what_places_nothing_may_cost_nothing() {
        let rounds = Rounds::twenty("x", 0, 0);
        let check = |t: String| rounds.check(&t, Platform::X86_64Efi);
        let same = || transcript([0x5000; 2], [7; 2], [9; 2]);
        assert_eq!(check(same()), Vec::<String>::new());
        for worse in [
            transcript([0x5000, 0x4ff0], [7; 2], [9; 2]),
            transcript([0x5000, 0x5010], [7; 2], [9; 2]),
            transcript([0x5000; 2], [7, 6], [9; 2]),
            transcript([0x5000; 2], [7; 2], [9, 10]),
            same().replace("x-again", "y-again"),
            same().replacen("map=100 ", "", 1),
        ] {
            assert_eq!(check(worse.clone()).len(), 1, "{worse}");
        }
    }

    #[test]
    fn a_chunk_costs_what_grub_loses_with_it() {
        let rounds = Rounds::twenty("x", 2, 3);
        let bios = 20 * 2 * BIOS_LOSS;
        let efi = 20 * 2 * (EFI_MAPS * 0x100 + EFI_LOSS);
        for (platform, most) in [(Platform::I386Pc, bios), (Platform::I386Efi, efi)] {
            let check = |lost: u64, pages: u64| {
                let text = transcript([most, most - lost], [100, 100 - pages], [0; 2]);
                rounds.check(&text, platform).len()
            };
            assert_eq!(check(most, 60), 0);
            assert_eq!(check(0, 61), 1);
            let text = transcript([most + 16, 0], [100; 2], [0; 2]);
            assert_eq!(rounds.check(&text, platform).len(), 1);
        }
    }
}
