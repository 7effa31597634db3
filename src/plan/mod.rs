// SPDX-License-Identifier: GPL-3.0-or-later
//! Decisions, as values: what is loaded, and where it goes.
//!
//! Nothing here reads a file or asks GRUB for memory; lists lie in buffers
//! that the caller obtained.

pub mod console;
pub mod image;
pub mod placement;
pub mod relocate;
