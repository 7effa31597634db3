// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Buffer`]: memory of GRUB's heap. C header: `grub/mm.h`.

use super::sys;
use crate::error::{Failed, Outcome};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use static_assertions::assert_not_impl_any;

/// Heap memory, freed when it is dropped.
///
/// # Invariants
///
/// `start` came from GRUB's heap for `len` bytes or more, these initialised,
/// and belongs to this value alone.
#[must_use]
pub(super) struct Buffer {
    start: NonNull<u8>,
    len: usize,
}

assert_not_impl_any!(Buffer: Clone, Copy, Send, Sync);

impl Buffer {
    /// Reserves `len` bytes, all zero.
    #[doc(alias = "grub_malloc")]
    pub(super) fn new(len: usize) -> Outcome<Self> {
        // SAFETY: any length may be asked for; GRUB answers NULL if it cannot.
        let memory = unsafe { sys::mb2_grub_malloc(len) };
        let start = NonNull::new(memory.cast::<u8>()).ok_or(Failed)?;
        // SAFETY: GRUB gave `len` bytes at `start` for writing.
        unsafe { start.write_bytes(0, len) };
        // INVARIANT: fresh from GRUB's heap and written to the last byte.
        Ok(Self { start, len })
    }

    /// Forgets what lies behind `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        // INVARIANT: no more bytes than before.
        self.len = self.len.min(len);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: by the invariant, `len` initialised bytes of ours.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant, `len` initialised bytes that nobody else
        // has.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: by the invariant the memory is ours to give back, once.
        unsafe { sys::mb2_grub_free(self.start.as_ptr().cast()) };
    }
}
