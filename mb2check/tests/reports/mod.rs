// SPDX-License-Identifier: GPL-3.0-or-later
//! The check of a file in memory.

use mb2::params::Firmware;
use mb2check::check::{Commands, check};
use mb2check::host::Setup;
use mb2check::input::Input;
use mb2check::memory::Map;
use mb2check::report::Report;

/// Checks a file for a PC with 64 MiB.
pub(crate) fn report(bytes: &[u8]) -> Report {
    let input = Input {
        name: "k".to_owned(),
        bytes: bytes.into(),
        packing: None,
    };
    let firmware = Firmware::Bios;
    let map = Map::of(64 << 20, firmware);
    check(&input, &Setup { firmware, map }, &Commands::default())
}
