// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of this process at the addresses of a fake machine, for kernels
//! whose chunks must not move.
#![expect(unsafe_code, reason = "only the system can give memory at an address")]

use std::ffi::{c_int, c_long, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// First address, and length in bytes.
pub(crate) const START: usize = 0x1000_0000;
pub(crate) const LEN: usize = 0x300_0000;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        len: usize,
        access: c_int,
        flags: c_int,
        file: c_int,
        offset: c_long,
    ) -> *mut c_void;
}

/// Read and write; private, no file, at this address unless it is taken, no
/// swap space.
const ACCESS: c_int = 3;
const FLAGS: c_int = 0x2 | 0x20 | 0x10_0000 | 0x4000;

struct Area(NonNull<u8>);

// SAFETY: the mutex around it lets one thread at a time use the memory.
unsafe impl Send for Area {}

/// The right to use the memory.
pub(crate) struct Low(MutexGuard<'static, Area>);

impl Low {
    /// Waits until nobody else uses the memory.
    pub(crate) fn take() -> Self {
        static AREA: OnceLock<Mutex<Area>> = OnceLock::new();
        let area = AREA.get_or_init(|| {
            let at = std::ptr::without_provenance_mut(START);
            // SAFETY: the flags refuse an address that is in use.
            let area = unsafe { mmap(at, LEN, ACCESS, FLAGS, -1, 0) };
            assert_eq!(area.addr(), START, "the system has no such memory");
            Mutex::new(Area(NonNull::new(area.cast()).expect("an address")))
        });
        Self(area.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Memory at these addresses, as long as `self` lives and nobody else
    /// asks for the same; the relocator's chunks do not overlap.
    pub(crate) fn memory(&mut self, at: u32, len: usize) -> NonNull<[u8]> {
        let offset = (at as usize).checked_sub(START).expect("low memory");
        assert!(offset + len <= LEN, "low memory has an end");
        // SAFETY: inside the area, as just compared.
        let start = unsafe { self.0.0.add(offset) };
        NonNull::slice_from_raw_parts(start, len)
    }
}

/// The bytes of a chunk.
pub(crate) fn bytes(memory: &mut NonNull<[u8]>) -> &mut [u8] {
    // SAFETY: the area is never unmapped, the chunk's owner has its part of
    // it alone, and zeroes are bytes.
    unsafe { memory.as_mut() }
}
