// SPDX-License-Identifier: GPL-3.0-or-later
//! The boundary to C: GRUB's functions as safe values, and the functions that
//! GRUB's commands call. C header: `grub-headers/mb2_abi.h`.
#![expect(unsafe_code, reason = "the boundary to C lives in this folder")]

mod args;
mod buffer;
mod entry;
mod file;
mod global;
mod grub;
mod relocator;
mod report;
mod rt;
mod sys;
