// SPDX-License-Identifier: GPL-3.0-or-later
//! What bindgen read from GRUB's headers and from the contract.
#![expect(
    non_camel_case_types,
    unused,
    unreachable_pub,
    clippy::all,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    clippy::ptr_as_ptr,
    clippy::must_use_candidate,
    clippy::doc_markdown,
    reason = "generated"
)]
include!(concat!(env!("OUT_DIR"), "/sys.rs"));
