// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Args`]: the arguments of a command. C header: `grub/command.h`.

use crate::platform::Arguments;
use core::ffi::{CStr, c_char, c_int};
use core::ptr::NonNull;
use core::slice;

/// The arguments of a command, without its name.
///
/// # Invariants
///
/// `argv` holds `argc` strings, each with its NUL, that outlive this value; or
/// it is NULL, `argc` is negative, or a string is NULL, and then there are no
/// arguments from there on.
pub(super) struct Args {
    argc: c_int,
    argv: *mut *mut c_char,
}

impl Args {
    /// Takes the arguments that C hands to a command.
    ///
    /// # Safety
    ///
    /// `argv` holds `argc` strings that outlive the value, as far as it is not
    /// NULL and they are not.
    pub(super) unsafe fn new(argc: c_int, argv: *mut *mut c_char) -> Self {
        Self { argc, argv } // INVARIANT: by this function's contract.
    }

    /// The strings, none of them NULL.
    pub(super) fn pointers(&self) -> &[*mut c_char] {
        match (NonNull::new(self.argv), usize::try_from(self.argc)) {
            (Some(argv), Ok(argc)) => {
                // SAFETY: by the invariant, `argc` pointers.
                let all = unsafe { slice::from_raw_parts(argv.as_ptr(), argc) };
                all.split(|text| text.is_null()).next().unwrap_or_default()
            }
            _ => &[],
        }
    }
}

impl Arguments for Args {
    fn get(&self, index: usize) -> Option<&CStr> {
        let text = NonNull::new(*self.pointers().get(index)?)?;
        // SAFETY: by the invariant, a string with its NUL.
        Some(unsafe { CStr::from_ptr(text.as_ptr()) })
    }
}
