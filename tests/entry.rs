// SPDX-License-Identifier: GPL-3.0-or-later
//! What the entries make of the arguments that C hands them. Every entry with
//! parameters gives them to `Args::new` and to nothing else (rule 12).
#![expect(unsafe_code, reason = "C's side of the boundary is played here")]

#[path = "../src/ffi/args.rs"]
mod args;

/// What the file finds at this path in the loader.
mod platform {
    pub(crate) use mb2::platform::Arguments;
}

use args::Args;
use platform::Arguments;
use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

/// The arguments that arrive, and what GRUB is handed for a command line.
fn arrive(argc: i32, argv: *mut *mut c_char) -> (Vec<&'static CStr>, usize) {
    // SAFETY: every caller below has as many pointers as it says, to strings
    // that live for ever, or none.
    let args = unsafe { Args::new(argc, argv) };
    let got = (0..).map_while(|index| {
        let text = args.get(index)?.as_ptr();
        // SAFETY: as above.
        Some(unsafe { CStr::from_ptr(text) })
    });
    (got.collect(), args.pointers().len())
}

fn text(c: &'static CStr) -> *mut c_char {
    c.as_ptr().cast_mut()
}

#[test]
fn strings_arrive_as_they_are() {
    let mut argv = [text(c"/kernel"), text(c""), text(c"a b")];
    let (got, count) = arrive(3, argv.as_mut_ptr());
    assert_eq!((got, count), (vec![c"/kernel", c"", c"a b"], 3));
    let (got, count) = arrive(1, argv.as_mut_ptr());
    assert_eq!((got, count), (vec![c"/kernel"], 1));
}

#[test]
fn no_pointer_is_no_argument() {
    for argc in [0, 1, i32::MAX, -1, i32::MIN] {
        assert_eq!(arrive(argc, null_mut()), (vec![], 0), "{argc}");
    }
}

#[test]
fn a_count_that_is_none_is_no_argument() {
    let mut argv = [text(c"/kernel")];
    for argc in [0, -1, i32::MIN] {
        assert_eq!(arrive(argc, argv.as_mut_ptr()), (vec![], 0), "{argc}");
    }
}

#[test]
fn arguments_end_with_a_string_that_is_none() {
    let mut argv = [text(c"/kernel"), null_mut(), text(c"a")];
    let (got, count) = arrive(3, argv.as_mut_ptr());
    assert_eq!((got, count), (vec![c"/kernel"], 1));
    let (got, count) = arrive(2, argv.last_chunk_mut::<2>().unwrap().as_mut_ptr());
    assert_eq!((got, count), (vec![], 0));
}
