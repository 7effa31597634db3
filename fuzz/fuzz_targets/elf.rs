// SPDX-License-Identifier: GPL-3.0-or-later
//! The ELF reader and the plan of an image.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| mb2_fuzz::elf(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mb2_fuzz::change(data, [size, max], mb2_fuzz::APART_LEN, seed)
});
