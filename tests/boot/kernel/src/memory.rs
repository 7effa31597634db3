// SPDX-License-Identifier: GPL-3.0-or-later
//! Physical memory, read byte by byte, and checksums over it.
//!
//! Memory is mapped one to one in every entry state: paging is off, or the
//! firmware's identity mapping is in force.

/// One past the highest address that a loader may use.
const LIMIT: u64 = 1 << 32;

/// A byte range in physical memory that lies above 0 and below 4 GiB.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    start: u64,
    len: u64,
}

impl Region {
    /// Checks the bounds; an empty region may lie anywhere.
    pub(crate) fn new(start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        (len == 0 || (start != 0 && end <= LIMIT)).then_some(Self { start, len })
    }

    /// Start address.
    pub(crate) fn start(self) -> u64 {
        self.start
    }

    /// Length in bytes.
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// The part of `len` bytes at `offset`, if it lies inside.
    pub(crate) fn part(self, offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then(|| Self {
            start: self.start + offset,
            len,
        })
    }

    /// The byte at `offset`, or 0 outside.
    pub(crate) fn byte(self, offset: u64) -> u8 {
        if offset >= self.len {
            return 0;
        }
        // SAFETY: the address is not null and below 4 GiB, and all of that is
        // mapped; reading RAM has no effect and volatile reads assume nothing
        // about what lies there.
        unsafe { core::ptr::read_volatile((self.start + offset) as usize as *const u8) }
    }

    /// Little-endian number of `len` (at most 8) bytes at `offset`.
    fn number(self, offset: u64, len: u64) -> Option<u64> {
        self.part(offset, len)?;
        Some((0..len).fold(0, |sum, index| {
            sum | u64::from(self.byte(offset + index)) << (8 * index)
        }))
    }

    /// Little-endian 32-bit word at `offset`.
    pub(crate) fn u32(self, offset: u64) -> Option<u32> {
        self.number(offset, 4).map(|value| value as u32)
    }

    /// Little-endian 64-bit word at `offset`.
    pub(crate) fn u64(self, offset: u64) -> Option<u64> {
        self.number(offset, 8)
    }

    /// FNV-1a-64 of the bytes.
    pub(crate) fn fnv(self) -> u64 {
        (0..self.len).fold(0xcbf2_9ce4_8422_2325, |sum, offset| {
            (sum ^ u64::from(self.byte(offset))).wrapping_mul(0x100_0000_01b3)
        })
    }

    /// Offset of the first byte that is not zero.
    pub(crate) fn first_nonzero(self) -> Option<u64> {
        (0..self.len).find(|&offset| self.byte(offset) != 0)
    }
}
