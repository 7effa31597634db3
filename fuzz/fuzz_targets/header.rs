// SPDX-License-Identifier: GPL-3.0-or-later
//! The header parser on any bytes.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| mb2_fuzz::header(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mb2_fuzz::change(data, [size, max], 0, seed)
});
