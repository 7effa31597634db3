// SPDX-License-Identifier: GPL-3.0-or-later
//! The functions that GRUB's commands and callbacks call, and the one door
//! for errors.

use super::args::Args;
use super::grub::Grub;
use super::report::answer;
use super::{global, sys};
use crate::error::Outcome;
use crate::{boot, load};
use core::ffi::{c_char, c_int};

/// The command `multiboot2`.
///
/// # Safety
///
/// `argv` holds `argc` strings that live for the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn mb2_rs_multiboot2(argc: c_int, argv: *mut *mut c_char) -> u32 {
    // SAFETY: by this function's contract.
    let args = unsafe { Args::new(argc, argv) };
    answer(multiboot2(&args))
}

/// The command `module2`.
///
/// # Safety
///
/// `argv` holds `argc` strings that live for the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn mb2_rs_module2(argc: c_int, argv: *mut *mut c_char) -> u32 {
    // SAFETY: by this function's contract.
    let args = unsafe { Args::new(argc, argv) };
    answer(global::with(|places| {
        load::module(&mut Grub, places.loaded.session(), &args)
    }))
}

/// The callback of `boot`; returns only when that fails.
#[unsafe(no_mangle)]
extern "C" fn mb2_rs_boot() -> u32 {
    answer(global::with(|places| {
        boot::boot(&mut Grub, places.loaded.session())
    }))
}

/// The callback for unloading: frees everything.
#[unsafe(no_mangle)]
extern "C" fn mb2_rs_unload() {
    global::clear();
}

/// Loads first and registers last, so that nothing half-done is ever
/// registered.
fn multiboot2(args: &Args) -> Outcome {
    if global::with(|places| load::kernel(&mut Grub, args, places))? {
        // SAFETY: the callbacks that GRUB gets are the glue's own.
        unsafe { sys::mb2_grub_loader_set() };
    }
    Ok(())
}
