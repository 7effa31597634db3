// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Relocator`]: GRUB's relocator. C header: `grub/relocator.h`.

use super::grub::check;
use super::sys;
use crate::error::{Failed, Outcome};
use crate::params::Preference;
use crate::plan::placement::Request;
use crate::platform::{self, Chunk, HandOver};
use crate::units::{PhysAddr, index};
use core::ptr::{self, NonNull};
use core::slice;
use static_assertions::assert_not_impl_any;

/// The relocator, unloaded with all its chunks when it is dropped.
///
/// # Invariants
///
/// The handle came from GRUB and belongs to this value alone.
#[must_use]
pub(super) struct Relocator(NonNull<sys::grub_relocator>);

assert_not_impl_any!(Relocator: Clone, Copy, Send, Sync);

impl Relocator {
    /// Starts without chunks.
    #[doc(alias = "grub_relocator_new")]
    pub(super) fn new() -> Outcome<Self> {
        // SAFETY: the call takes nothing.
        let relocator = unsafe { sys::mb2_grub_relocator_new() };
        // INVARIANT: fresh from GRUB.
        NonNull::new(relocator).map(Self).ok_or(Failed)
    }

    /// The chunk that GRUB reserved for `len` bytes.
    fn chunk(&mut self, error: u32, raw: &sys::mb2_chunk, len: usize) -> Outcome<Chunk<'_>> {
        check(error)?;
        let current = NonNull::new(raw.current.cast::<u8>()).ok_or(Failed)?;
        // SAFETY: the relocator reserved `len` bytes at `current`; they stay
        // ours while it lives, and the borrow of `self` keeps it alive and
        // lets nobody else have them.
        let bytes = unsafe { slice::from_raw_parts_mut(current.as_ptr(), len) };
        Ok(Chunk {
            target: PhysAddr(u32::try_from(raw.target).or(Err(Failed))?),
            bytes,
        })
    }
}

/// A chunk that GRUB has not filled in yet.
const NO_CHUNK: sys::mb2_chunk = sys::mb2_chunk {
    target: 0,
    current: ptr::null_mut(),
};

impl platform::Relocator for Relocator {
    #[doc(alias = "grub_relocator_alloc_chunk_addr")]
    fn alloc_at(&mut self, target: PhysAddr, len: u32) -> Outcome<Chunk<'_>> {
        let (mut raw, len) = (NO_CHUNK, index(len));
        // SAFETY: the handle is live by the invariant, `raw` is writable.
        let error = unsafe {
            sys::mb2_grub_relocator_alloc_addr(self.0.as_ptr(), &raw mut raw, target.0.into(), len)
        };
        self.chunk(error, &raw, len)
    }

    #[doc(alias = "grub_relocator_alloc_chunk_align")]
    fn alloc_in(&mut self, request: &Request) -> Outcome<Chunk<'_>> {
        let Request { size, align, .. } = *request;
        // GRUB compares both ends as they are: only aligned ones keep what it
        // finds aligned (GRUB, grub-core/lib/relocator.c).
        let (lowest, highest) = match request.fits(&request.window) {
            Some(fits) => (fits.first, fits.last),
            None => return Err(Failed),
        };
        let window = sys::mb2_window {
            min: lowest.into(),
            limit: u64::from(highest).saturating_add(size.into()),
            align: align.into(),
            high: u32::from(request.preference == Preference::High),
            reserved: 0,
        };
        let len = index(size);
        let mut raw = NO_CHUNK;
        // SAFETY: the handle is live by the invariant, `raw` is writable and
        // `window` readable.
        let error = unsafe {
            sys::mb2_grub_relocator_alloc_align(
                self.0.as_ptr(),
                &raw mut raw,
                len,
                &raw const window,
            )
        };
        self.chunk(error, &raw, len)
    }

    #[doc(alias = "grub_relocator32_boot")]
    #[doc(alias = "grub_relocator64_efi_boot")]
    fn boot(&mut self, registers: &HandOver) -> Outcome {
        let HandOver {
            entry,
            info,
            keep_services,
        } = *registers;
        check(if keep_services {
            // SAFETY: the handle is live by the invariant; the chunks hold a
            // kernel and its information, which was the caller's work.
            unsafe { sys::mb2_grub_relocator_boot_efi(self.0.as_ptr(), entry.into(), info.into()) }
        } else {
            // SAFETY: as above.
            unsafe { sys::mb2_grub_relocator_boot32(self.0.as_ptr(), entry, info) }
        })
    }
}

impl Drop for Relocator {
    fn drop(&mut self) {
        // SAFETY: by the invariant the handle is live and ours to give back,
        // once; no chunk outlives its borrow of it.
        unsafe { sys::mb2_grub_relocator_unload(self.0.as_ptr()) };
    }
}
