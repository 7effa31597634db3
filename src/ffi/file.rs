// SPDX-License-Identifier: GPL-3.0-or-later
//! [`File`]: an open file. C header: `grub/file.h`.

use super::sys;
use crate::error::{Failed, Outcome};
use crate::platform::{self, FileKind};
use crate::units::FileOffset;
use core::ffi::CStr;
use core::ptr::NonNull;
use static_assertions::assert_not_impl_any;

/// GRUB's answer for a size that it does not know.
const UNKNOWN_SIZE: u64 = u64::MAX;

/// An open file, closed when it is dropped.
///
/// # Invariants
///
/// The handle came from GRUB's open call and belongs to this value alone.
#[must_use]
pub(super) struct File(NonNull<sys::grub_file>);

assert_not_impl_any!(File: Clone, Copy, Send, Sync);

impl File {
    /// Opens the file at `path`.
    #[doc(alias = "grub_file_open")]
    pub(super) fn open(path: &CStr, kind: FileKind) -> Outcome<Self> {
        use sys::grub_file_type as t;
        let kind = match kind {
            FileKind::Kernel => t::GRUB_FILE_TYPE_MULTIBOOT_KERNEL.0,
            FileKind::Module => t::GRUB_FILE_TYPE_MULTIBOOT_MODULE.0,
            FileKind::StoredModule => {
                t::GRUB_FILE_TYPE_MULTIBOOT_MODULE.0 | t::GRUB_FILE_TYPE_NO_DECOMPRESS.0
            }
        };
        // SAFETY: `path` ends with a NUL and lives for the call.
        let file = unsafe { sys::mb2_grub_file_open(path.as_ptr(), kind) };
        // INVARIANT: fresh from the open call.
        NonNull::new(file).map(Self).ok_or(Failed)
    }

    /// Reads from `offset` on and returns how many bytes there were.
    #[doc(alias = "grub_file_read")]
    #[doc(alias = "grub_file_seek")]
    pub(super) fn read(&mut self, offset: FileOffset, into: &mut [u8]) -> Outcome<usize> {
        let (buffer, len) = (into.as_mut_ptr().cast(), into.len());
        // SAFETY: the handle is open by the invariant, and `buffer` is
        // writable for `len` bytes.
        let read = unsafe { sys::mb2_grub_file_read(self.0.as_ptr(), offset.0, buffer, len) };
        usize::try_from(read).or(Err(Failed))
    }
}

impl platform::File for File {
    #[doc(alias = "grub_file_size")]
    fn size(&self) -> Option<u64> {
        // SAFETY: by the invariant the handle is open.
        let size = unsafe { sys::mb2_grub_file_size(self.0.as_ptr()) };
        (size != UNKNOWN_SIZE).then_some(size)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: by the invariant the handle is open and ours to close, once.
        unsafe { sys::mb2_grub_file_close(self.0.as_ptr()) };
    }
}
