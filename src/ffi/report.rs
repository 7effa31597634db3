// SPDX-License-Identifier: GPL-3.0-or-later
//! The one door for errors. C header: `grub/err.h`.

use super::grub::Grub;
use super::{global, sys};
use crate::error::{Code, Failed, Kind, MAX_TEXT, Numbers, Outcome, Report};
use core::ffi::CStr;
use core::ptr;

/// The result of a call that answers with GRUB's error number.
pub(super) fn check(error: u32) -> Outcome {
    if error == 0 { Ok(()) } else { Err(Failed) }
}

/// Tells GRUB how a command ended; a failure without GRUB's error set would
/// look like success.
pub(super) fn answer(outcome: Outcome) -> u32 {
    if outcome.is_err() && pending_error() == 0 {
        Grub.refuse(Kind::Unexplained);
    }
    global::set_name(ptr::null());
    pending_error()
}

/// GRUB's error, 0 for none.
#[doc(alias = "grub_errno")]
pub(super) fn pending_error() -> u32 {
    // SAFETY: reads one global of GRUB.
    unsafe { sys::mb2_grub_errno() }
}

/// GRUB's error numbers by the low bits of a class's letter.
const CODES: [u8; 32] = {
    use sys::grub_err_t as e;
    let mut codes = [0; 32];
    let mut letter = b'A';
    while letter <= b'Z' {
        codes[(letter & 0x1f) as usize] = match Code::of(letter) {
            Code::BadArgument => e::GRUB_ERR_BAD_ARGUMENT,
            Code::BadOs => e::GRUB_ERR_BAD_OS,
            Code::UnknownOs => e::GRUB_ERR_UNKNOWN_OS,
            Code::FileRead => e::GRUB_ERR_FILE_READ_ERROR,
            Code::OutOfMemory => e::GRUB_ERR_OUT_OF_MEMORY,
            Code::Bug => e::GRUB_ERR_BUG,
            Code::None => e::GRUB_ERR_NONE,
        }
        .0 as u8;
        letter += 1;
    }
    codes
};

impl Report for Grub {
    #[doc(alias = "grub_error")]
    #[inline(never)] // many callers, none of them hurried
    fn report(&mut self, kind: Kind, numbers: &Numbers) -> Failed {
        let mut text = [0; MAX_TEXT];
        let letter = kind.unpack(&mut text);
        let code = usize::from(letter & 0x1f);
        let code = CODES.get(code).copied().unwrap_or_default();
        let name = match global::name() {
            _ if letter.is_ascii_uppercase() => ptr::null(),
            _ if letter == b'n' => c"".as_ptr(),
            name if name.is_null() => c"multiboot2".as_ptr(),
            name => name,
        };
        let text = text.as_ptr().cast();
        // SAFETY: the text has a NUL, the name is an argument of the running
        // command, and the text asks for no more numbers than there are.
        unsafe { sys::mb2_grub_error(code.into(), text, name, numbers.as_ptr()) };
        Failed
    }

    fn name(&mut self, name: &CStr) {
        global::set_name(name.as_ptr());
    }
}
