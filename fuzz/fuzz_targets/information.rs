// SPDX-License-Identifier: GPL-3.0-or-later
//! The boot information of machines that have much to tell, and its writer.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus { mb2_fuzz::information(bytes) });
