// SPDX-License-Identifier: GPL-3.0-or-later
//! Addresses, offsets and ranges, and the arithmetic that cannot wrap.
//!
//! Everything that comes from a file is a `u64` here; sums saturate, and a
//! saturated sum is above every limit that it is compared with.

/// First address that 32-bit hand-over cannot reach, in bytes.
pub const FOUR_GIB: u64 = 1 << 32;

/// Size of a page, in bytes; modules start on one (Multiboot2, 3.1.12).
pub const PAGE: u64 = 0x1000;

/// A physical address, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysAddr(pub u64);

/// A position in a file, in bytes from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileOffset(pub u64);

/// A range of physical memory, in bytes; `end` is the first byte behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// First byte behind the range.
    pub end: u64,
}

impl Span {
    /// Makes the range of `len` bytes from `start`.
    #[must_use]
    pub fn new(start: PhysAddr, len: u64) -> Self {
        Self {
            start: start.0,
            end: start.0.saturating_add(len),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Tells whether the range has no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Tells whether the two ranges share a byte.
    #[must_use]
    pub fn overlaps(&self, other: &Span) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Tells whether every byte of `other` lies in this range.
    #[must_use]
    pub fn contains(&self, other: &Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Rounds up to a multiple of `align`, a power of two; saturates.
#[must_use]
pub fn align_up(value: u64, align: u64) -> u64 {
    align_down(value.saturating_add(align.saturating_sub(1)), align)
}

/// Rounds down to a multiple of `align`, a power of two.
#[must_use]
pub fn align_down(value: u64, align: u64) -> u64 {
    value & !align.saturating_sub(1)
}

/// Widens a length of this machine to the width of the file's numbers.
#[must_use]
#[expect(clippy::as_conversions, reason = "usize is never wider than u64 here")]
pub fn wide(len: usize) -> u64 {
    len as u64
}

/// Narrows a number of the file to a length of this machine; what does not
/// fit becomes the largest length, which no buffer has.
#[must_use]
pub fn narrow(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Takes the low 32 bits of a number that was compared with [`FOUR_GIB`].
#[must_use]
#[expect(clippy::as_conversions, reason = "the callers' values are below 4 GiB")]
pub fn low32(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up_never_wraps() {
        assert_eq!(align_up(0, 0x1000), 0);
        assert_eq!(align_up(1, 0x1000), 0x1000);
        assert!(align_up(u64::MAX, 0x1000) > FOUR_GIB);
        assert_eq!(align_up(7, 1), 7);
    }

    #[test]
    fn a_range_that_would_wrap_ends_above_every_limit() {
        let span = Span::new(PhysAddr(u64::MAX - 1), 0x1000);
        assert!(span.end > FOUR_GIB);
        assert!(!span.is_empty());
    }

    #[test]
    fn touching_ranges_do_not_overlap() {
        let a = Span { start: 0, end: 4 };
        let b = Span { start: 4, end: 8 };
        assert!(!a.overlaps(&b) && !b.overlaps(&a));
        assert!(a.overlaps(&Span { start: 3, end: 5 }));
    }
}
