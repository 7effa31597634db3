// SPDX-License-Identifier: GPL-3.0-or-later
//! The address tag of flat files, with any numbers.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus { mb2_fuzz::flat(bytes) });
