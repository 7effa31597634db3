// SPDX-License-Identifier: GPL-3.0-or-later
//! The cell of the one static: the session between commands.

use super::grub::Grub;
use crate::error::{Kind, Outcome, Report};
use crate::session::Session;
use core::cell::RefCell;

/// The loaded kernel, if there is one. Re-entry is answered, not undefined.
struct Global(RefCell<Option<Session<Grub>>>);

// SAFETY: GRUB has one thread and takes no interrupts of its own; the cell
// itself refuses a second borrow.
unsafe impl Sync for Global {}

static SESSION: Global = Global(RefCell::new(None));

/// Runs `work` with the session.
pub(super) fn with<T>(
    grub: &mut Grub,
    work: impl FnOnce(&mut Grub, &mut Option<Session<Grub>>) -> Outcome<T>,
) -> Outcome<T> {
    match SESSION.0.try_borrow_mut() {
        Ok(mut session) => work(grub, &mut session),
        Err(_) => Err(grub.refuse(Kind::Busy)),
    }
}
