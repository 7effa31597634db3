// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's Multiboot2 loader: `multiboot2`, `module2`, and what `boot` does
//! with them.
//!
//! The path of one load through the rooms:
//!
//! ```text
//! file ── wire::header ── params ── wire::elf ── plan ── load ── session
//!         find the tags   what is   find the     what    do it   keep it
//!                         asked     segments     where
//!
//! boot ── video ── info ── platform
//!         screen   bytes   end firmware services, jump
//! ```
//!
//! `wire` and `info` turn bytes into values and back, `plan` decides, and both
//! know neither GRUB nor memory. [`platform::Platform`] is the only door to
//! effects; `ffi` opens it to GRUB and is the only room with unsafe code.
#![cfg_attr(target_os = "none", no_std)]

pub mod boot;
mod check;
pub mod error;
#[cfg(target_os = "none")]
mod ffi;
mod file;
pub mod info;
pub mod load;
pub mod params;
pub mod place;
pub mod plan;
pub mod platform;
mod sections;
pub mod session;
pub mod table;
mod tags;
pub mod units;
pub mod video;
pub mod wire;
