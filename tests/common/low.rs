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
    fn madvise(at: *mut c_void, len: usize, advice: c_int) -> c_int;
}

/// Read and write; private, no file, at this address unless it is taken, no
/// swap space.
const ACCESS: c_int = 3;
const FLAGS: c_int = 0x2 | 0x20 | 0x10_0000 | 0x4000;

/// Gives pages back: they are zero when they are looked at again.
const DONT_NEED: c_int = 4;

static ZEROES: [u8; 0x1_0000] = [0; 0x1_0000];

struct Area(NonNull<u8>);

// SAFETY: the mutex around it lets one thread at a time use the memory.
unsafe impl Send for Area {}

/// The right to use the memory, and what has been used of it: offsets and
/// lengths.
pub(crate) struct Low(MutexGuard<'static, Area>, Vec<(usize, usize)>);

impl Low {
    /// Waits until nobody else uses the memory, which is zero then.
    pub(crate) fn take() -> Self {
        static AREA: OnceLock<Mutex<Area>> = OnceLock::new();
        let area = AREA.get_or_init(|| {
            let at = std::ptr::without_provenance_mut(START);
            // SAFETY: the flags refuse an address that is in use.
            let area = unsafe { mmap(at, LEN, ACCESS, FLAGS, -1, 0) };
            assert_eq!(area.addr(), START, "the system has no such memory");
            Mutex::new(Area(NonNull::new(area.cast()).expect("an address")))
        });
        let area = area.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: private pages of the area, which nobody uses now.
        let emptied = unsafe { madvise(area.0.as_ptr().cast(), LEN, DONT_NEED) };
        assert_eq!(emptied, 0, "the system keeps old memory");
        Self(area, Vec::new())
    }

    /// Memory at these addresses, as long as `self` lives and nobody else
    /// asks for the same; the relocator's chunks do not overlap.
    pub(crate) fn memory(&mut self, at: u32, len: usize) -> NonNull<[u8]> {
        let offset = (at as usize).checked_sub(START).expect("low memory");
        assert!(offset + len <= LEN, "low memory has an end");
        self.1.push((offset, len));
        // SAFETY: inside the area, as just compared.
        let start = unsafe { self.0.0.add(offset) };
        NonNull::slice_from_raw_parts(start, len)
    }

    /// Tells whether nothing was written but where it was handed out: before,
    /// between, and some way behind.
    pub(crate) fn is_untouched(&mut self) -> bool {
        let mut used = self.1.clone();
        used.sort_unstable();
        let ends = used.iter().map(|(start, len)| start + len);
        let end = ends.max().unwrap_or(0) + ZEROES.len();
        used.push((end, 0));
        // SAFETY: no longer than the area; the borrow keeps others from asking
        // for it, and zeroes are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.0.0.as_ptr(), end.min(LEN)) };
        let mut at = 0;
        used.iter().all(|&(start, len)| {
            let gap = bytes.get(at..start.min(LEN)).unwrap_or_default();
            at = at.max(start + len);
            gap.chunks(ZEROES.len())
                .all(|some| some == &ZEROES[..some.len()])
        })
    }
}

/// The bytes of a chunk.
pub(crate) fn bytes(memory: &mut NonNull<[u8]>) -> &mut [u8] {
    // SAFETY: the area is never unmapped, the chunk's owner has its part of
    // it alone, and zeroes are bytes.
    unsafe { memory.as_mut() }
}
