// SPDX-License-Identifier: GPL-3.0-or-later
//! What a freestanding crate owes its compiler: the panic handler, which the
//! linked module does not reach, and the memory functions, which the glue has.

use super::sys;
use core::ffi::{c_char, c_int, c_void};
use core::panic::PanicInfo;

/// Ends GRUB. The build refuses a module from which this can be reached.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    // SAFETY: the name is a string with a NUL.
    unsafe { sys::mb2_grub_fatal(c"panic".as_ptr(), line) };
    loop {
        core::hint::spin_loop();
    }
}

/// C's `memcpy`.
///
/// # Safety
///
/// As in C: `len` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_memmove(to, from, len) }
}

/// C's `memmove`.
///
/// # Safety
///
/// As in C: `len` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_memmove(to, from, len) }
}

/// C's `memset`.
///
/// # Safety
///
/// As in C: `len` bytes at `to`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, len: usize) -> *mut c_void {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_memset(to, byte, len) }
}

/// C's `memcmp`.
///
/// # Safety
///
/// As in C: `len` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_memcmp(a, b, len) }
}

/// C's `bcmp`.
///
/// # Safety
///
/// As in C: `len` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, len: usize) -> c_int {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_memcmp(a, b, len) }
}

/// C's `strlen`.
///
/// # Safety
///
/// As in C: a string with its NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    // SAFETY: by this function's contract.
    unsafe { sys::mb2_grub_strlen(text) }
}
