// SPDX-License-Identifier: GPL-3.0-or-later
//! The one static: what must be known between commands and callbacks.

use super::grub::Grub;
use crate::error::{Kind, Outcome, Report};
use crate::place::{Place, Places};
use core::cell::{Cell, RefCell};
use core::ffi::c_char;
use core::hint::black_box;
use core::ptr;

/// State of the loader. Re-entry is answered, not undefined.
struct Global {
    /// What errors call the file: an argument of the running command, or NULL.
    name: Cell<*const c_char>,
    /// The loaded kernel, if there is one, and one that is only looked at.
    sessions: RefCell<Places<Grub>>,
}

// SAFETY: GRUB has one thread and takes no interrupts of its own; the cells
// themselves refuse a second borrow.
unsafe impl Sync for Global {}

static GLOBAL: Global = Global {
    sessions: RefCell::new(Places::EMPTY),
    name: Cell::new(ptr::null()),
};

/// The state, by an address that the compiler forgets: else it writes that
/// address, and a relocation, at every use of every field.
#[inline(never)]
fn global() -> &'static Global {
    black_box(&GLOBAL)
}

/// Runs `work` with the sessions.
pub(super) fn with<T>(work: impl FnOnce(&mut Places<Grub>) -> Outcome<T>) -> Outcome<T> {
    match global().sessions.try_borrow_mut() {
        Ok(mut sessions) => work(&mut sessions),
        Err(_) => Err(Grub.refuse(Kind::Busy)),
    }
}

/// Drops the session. A command that is running has done it itself: `multiboot2`
/// before it makes GRUB call here, and the others do not.
pub(super) fn clear() {
    if let Ok(mut sessions) = global().sessions.try_borrow_mut() {
        sessions.loaded = Place::Empty;
    }
}

/// What errors call the file.
pub(super) fn name() -> *const c_char {
    global().name.get()
}

/// Sets what errors call the file, for the length of a command.
pub(super) fn set_name(name: *const c_char) {
    global().name.set(name);
}
