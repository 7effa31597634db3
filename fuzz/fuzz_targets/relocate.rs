// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels with relocations, loaded and started.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus { mb2_fuzz::relocate(bytes) });
