// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Relocator`]: GRUB's relocator. C header: `grub/relocator.h`.

use super::grub::EFI;
use super::report::check;
use super::sys;
use crate::error::{Failed, Outcome};
use crate::params::Preference;
use crate::plan::placement::Request;
use crate::platform::{self, HandOver, Whose};
use crate::units::{PhysAddr, Span, index};
use core::ptr::{self, NonNull};
use static_assertions::assert_not_impl_any;

/// The relocator, unloaded with all its chunks when it is dropped, as far as
/// GRUB can do that.
///
/// # Invariants
///
/// The handle came from GRUB and belongs to this value alone. `pool` and `first`
/// are memory of a chunk, which the relocator keeps for us while it lives, or
/// nothing, and `newest` is a part of the pool or memory of another chunk. The
/// first chunk is no pool.
#[must_use]
pub(super) struct Relocator {
    handle: NonNull<sys::grub_relocator>,
    first: NonNull<[u8]>,
    newest: NonNull<[u8]>,
    pool: NonNull<[u8]>,
}

assert_not_impl_any!(Relocator: Clone, Copy, Send, Sync);

impl Relocator {
    /// Starts without chunks.
    #[doc(alias = "grub_relocator_new")]
    pub(super) fn new() -> Outcome<Self> {
        // SAFETY: the call takes nothing.
        let relocator = unsafe { sys::mb2_grub_relocator_new() };
        let handle = NonNull::new(relocator).ok_or(Failed)?;
        let nothing = NonNull::slice_from_raw_parts(NonNull::dangling(), 0);
        // INVARIANT: fresh from GRUB, and no chunk yet.
        Ok(Self {
            handle,
            first: nothing,
            newest: nothing,
            pool: nothing,
        })
    }

    /// Takes note of the chunk of `len` bytes that GRUB reserved.
    fn note(&mut self, error: u32, raw: &sys::mb2_chunk, len: usize) -> Outcome<PhysAddr> {
        check(error)?;
        let current = NonNull::new(raw.current.cast::<u8>()).ok_or(Failed)?;
        // INVARIANT: GRUB reserved `len` bytes there for as long as the
        // relocator lives.
        self.newest = NonNull::slice_from_raw_parts(current, len);
        if self.first.is_empty() {
            self.first = self.newest;
        }
        u32::try_from(raw.target).map(PhysAddr).or(Err(Failed))
    }
}

/// A chunk that GRUB has not filled in yet.
const NO_CHUNK: sys::mb2_chunk = sys::mb2_chunk {
    target: 0,
    current: ptr::null_mut(),
};

/// All addresses but the last below 4 GiB.
const BELOW_TOP: Span = Span {
    first: 0,
    last: u32::MAX - 1,
};

impl platform::Relocator for Relocator {
    #[doc(alias = "grub_relocator_alloc_chunk_addr")]
    fn alloc_at(&mut self, target: PhysAddr, len: u32) -> Outcome<PhysAddr> {
        let (mut raw, len) = (NO_CHUNK, index(len));
        let handle = self.handle.as_ptr();
        // SAFETY: the handle is live by the invariant, `raw` is writable.
        let error =
            unsafe { sys::mb2_grub_relocator_alloc_addr(handle, &raw mut raw, target.0, len) };
        self.note(error, &raw, len)
    }

    #[doc(alias = "grub_relocator_alloc_chunk_align")]
    fn alloc_in(&mut self, request: &Request, whose: Whose) -> Outcome<PhysAddr> {
        let Request { size, align, .. } = *request;
        // GRUB compares both ends as they are: only aligned ones keep what it
        // finds aligned (GRUB, grub-core/lib/relocator.c). An end at 4 GiB would
        // be 0 where GRUB's addresses have 32 bits.
        let fits = request.fits(&BELOW_TOP).ok_or(Failed)?;
        let window = sys::mb2_window {
            min: fits.first,
            limit: fits.last.wrapping_add(size), // below 4 GiB, as said above
            align,
            high: u32::from(request.preference == Preference::High),
            avoid_services: u32::from(whose == Whose::Other),
        };
        let (mut raw, len) = (NO_CHUNK, index(size));
        let handle = self.handle.as_ptr();
        // SAFETY: the handle is live by the invariant, `raw` is writable and
        // `window` readable.
        let error = unsafe {
            sys::mb2_grub_relocator_alloc_align(handle, &raw mut raw, len, &raw const window)
        };
        self.note(error, &raw, len)
    }

    fn newest(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant, memory that is ours while the relocator
        // lives; the borrow of `self` lets nobody else have it.
        unsafe { self.newest.as_mut() }
    }

    fn open_pool(&mut self) {
        // INVARIANT: it is memory of the last chunk.
        self.pool = self.newest;
    }

    fn share(&mut self, start: u32, len: u32) {
        // SAFETY: by the invariant, memory that is ours while the relocator
        // lives; the borrow of `self` lets nobody else have it.
        let pool = unsafe { self.pool.as_mut() };
        let part = pool.get_mut(index(start)..).unwrap_or_default();
        let part = part.get_mut(..index(len)).unwrap_or_default();
        // INVARIANT: a part of a chunk that the relocator keeps.
        self.newest = NonNull::from(part);
    }

    fn first_and_newest(&mut self) -> (&mut [u8], &mut [u8]) {
        // SAFETY: as for the newest.
        let first = unsafe { self.first.as_mut() };
        let newest = if ptr::addr_eq(self.first.as_ptr(), self.newest.as_ptr()) {
            &mut []
        } else {
            // SAFETY: as above, and another chunk shares no byte with the first.
            unsafe { self.newest.as_mut() }
        };
        (first, newest)
    }

    #[doc(alias = "grub_relocator32_boot")]
    fn boot(&mut self, registers: &HandOver) -> Outcome {
        let HandOver {
            entry,
            info,
            keep_services,
        } = *registers;
        if EFI && keep_services {
            // SAFETY: every chunk lies where it stays; they hold a kernel and
            // its information, which was the caller's work.
            unsafe { sys::mb2_grub_start_efi(index(entry), index(info)) };
            return Err(Failed); // the call does not come back
        }
        // SAFETY: the handle is live by the invariant; the chunks hold a kernel
        // and its information, which was the caller's work.
        check(unsafe { sys::mb2_grub_relocator_boot32(self.handle.as_ptr(), entry, info) })
    }
}

impl Drop for Relocator {
    fn drop(&mut self) {
        // Giving back firmware memory that is no whole number of pages writes
        // through a null pointer, and giving back a second piece leaves GRUB's
        // list of such pieces with a link to freed memory, which the next load
        // follows (grub-core/lib/relocator.c, free_subchunk). The pieces stay
        // reserved instead.
        if EFI && !self.newest.is_empty() {
            return;
        }
        // SAFETY: by the invariant the handle is live and ours to give back,
        // once; no chunk outlives its borrow of it.
        unsafe { sys::mb2_grub_relocator_unload(self.handle.as_ptr()) };
    }
}
