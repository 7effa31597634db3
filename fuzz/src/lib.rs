// SPDX-License-Identifier: GPL-3.0-or-later
//! What the fuzzer's targets do with their bytes. All judging is done by the
//! tests' own `oracle`, so that tests and fuzzer cannot say different things.

#[path = "../../tests/common/mod.rs"]
mod common;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use common::images::BASE;
use libfuzzer_sys::{Corpus, fuzzer_mutate};
use mb2_testkit::random::{Random, mend, mutate};
use oracle::memory::Memory;
use oracle::moved::Moved;
use oracle::parts::{self, Apart, Flat};
use oracle::script::{SCRIPT_LEN, Script};
use oracle::told::Much;
use oracle::writer::{self, Call};

/// Bytes behind an ELF file that say how it is planned.
pub const APART_LEN: usize = 8;

/// Searches a header and reads its tags.
pub fn header(file: &[u8]) {
    parts::header(file);
}

/// Plans an ELF file.
pub fn elf(bytes: &[u8]) {
    if let Some((file, apart)) = bytes.split_last_chunk::<APART_LEN>() {
        let apart = Apart::arbitrary(&mut Unstructured::new(apart));
        parts::elf(file, apart.unwrap_or_default());
    }
}

/// Plans flat files.
pub fn flat(bytes: &[u8]) -> Corpus {
    match Flat::arbitrary(&mut Unstructured::new(bytes)) {
        Ok(flat) => {
            parts::flat(&flat);
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
}

/// Writes boot information: by single calls, or whole.
pub fn information(bytes: &[u8]) -> Corpus {
    let mut input = Unstructured::new(bytes);
    let checked = match bool::arbitrary(&mut input) {
        Ok(false) => Much::arbitrary(&mut input).map(|much| much.check()),
        _ => <(u16, Vec<Call>)>::arbitrary(&mut input)
            .map(|(len, calls)| writer::check(len % 0x800, &calls)),
    };
    match checked {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
}

/// Looks for a place in memory.
pub fn placement(bytes: &[u8]) -> Corpus {
    match Memory::arbitrary(&mut Unstructured::new(bytes)) {
        Ok(memory) => {
            memory.check();
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
}

/// Loads a kernel with relocations.
pub fn relocate(bytes: &[u8]) -> Corpus {
    match Moved::arbitrary(&mut Unstructured::new(bytes)) {
        Ok(moved) => {
            moved.check();
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
}

/// Gives commands to a machine.
pub fn load(bytes: &[u8]) {
    let (file, script) = Script::split(bytes);
    script.run(file);
}

/// Length of the script behind a file for [`load`].
pub const LOAD_LEN: usize = SCRIPT_LEN;

/// Changes a file that has `behind` bytes of something else behind it: `size`
/// bytes at the start of `data`, which must be at most `max` afterwards.
/// Returns the new size.
///
/// Numbers that a loader reads are changed more often than bytes that it only
/// copies, and most checksums are put right.
pub fn change(data: &mut [u8], [size, max]: [usize; 2], behind: usize, seed: u32) -> usize {
    let mut random = Random::of(seed.into());
    let mut file = data[..size].to_vec();
    let mut tail = file.split_off(size.saturating_sub(behind));
    tail.resize(behind, 0);
    let Some(room) = max.checked_sub(behind) else {
        return 0;
    };
    file.truncate(room);
    match random.below(8) {
        0 if behind > 0 => _ = fuzzer_mutate(&mut tail, behind, behind),
        0..3 => {
            let len = file.len();
            file.resize(room, 0);
            let len = fuzzer_mutate(&mut file, len, room);
            file.truncate(len);
            if random.below(8) > 0 {
                mend(&mut file);
            }
        }
        _ => mutate(&mut file, &mut random, BASE),
    }
    file.truncate(room);
    file.extend(tail);
    data[..file.len()].copy_from_slice(&file);
    file.len()
}
