// SPDX-License-Identifier: GPL-3.0-or-later
//! Where sessions are made and stay: they are long, and so never moved.

use crate::platform::Platform;
use crate::session::Session;

/// Where a session lives between commands. The empty place is all zero, so
/// that it takes no room in the module's file.
#[repr(u32)]
#[expect(clippy::large_enum_variant, reason = "there is one, in a static")]
pub enum Place<P: Platform> {
    /// No kernel is loaded.
    Empty,
    /// A kernel is loaded.
    Full(Session<P>),
}

impl<P: Platform> Place<P> {
    /// The loaded kernel, if there is one.
    pub fn session(&mut self) -> Option<&mut Session<P>> {
        match self {
            Self::Empty => None,
            Self::Full(session) => Some(session),
        }
    }
}

/// The sessions that there can be at a time: a check leaves a loaded kernel alone.
pub struct Places<P: Platform> {
    /// The loaded kernel.
    pub loaded: Place<P>,
    /// The kernel that a check looks at.
    pub checked: Place<P>,
}

impl<P: Platform> Places<P> {
    /// Both are empty.
    pub const EMPTY: Self = Self {
        loaded: Place::Empty,
        checked: Place::Empty,
    };
}
