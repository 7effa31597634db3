// SPDX-License-Identifier: GPL-3.0-or-later
//! Free memory and the choice of a place in any memory map.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus { mb2_fuzz::placement(bytes) });
