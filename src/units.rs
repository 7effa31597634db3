// SPDX-License-Identifier: GPL-3.0-or-later
//! Addresses, offsets and ranges, and the arithmetic that cannot wrap.
//!
//! Numbers from a file are `u64` until they were compared with 4 GiB. What is
//! placed lies below, so addresses are `u32` from then on, and a range has its
//! last byte in it: so it can end at 4 GiB, and it is never empty.

/// First address that 32-bit hand-over cannot reach, in bytes.
pub const FOUR_GIB: u64 = 1 << 32;

/// Size of a page, in bytes; modules start on one (Multiboot2, 3.1.11).
pub const PAGE: u32 = 0x1000;

/// A physical address below 4 GiB, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysAddr(pub u32);

/// A position in a file, in bytes from its first. Files are read up to 4 GiB:
/// what a loader puts below 4 GiB comes from no larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileOffset(pub u32);

/// A range of physical memory below 4 GiB with at least one byte.
///
/// ```
/// use mb2::units::{PhysAddr, Span};
///
/// let top = Span::new(PhysAddr(0xffff_f000), 0x1000).unwrap();
/// assert_eq!(top.last, u32::MAX);
/// assert_eq!(Span::new(PhysAddr(0xffff_f001), 0x1000), None);
/// assert_eq!(Span::whole(0xffff_f000, 0x1000), Some(top));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub first: u32,
    /// Last byte, inside the range.
    pub last: u32,
}

impl Span {
    /// The range of `len` bytes from `start`, if there is such a range.
    #[must_use]
    pub fn new(start: PhysAddr, len: u32) -> Option<Self> {
        let last = start.0.checked_add(len.checked_sub(1)?)?;
        Some(Self {
            first: start.0,
            last,
        })
    }

    /// The part below 4 GiB of a range as firmware or a file gives it.
    #[must_use]
    pub fn clip(start: u64, len: u64) -> Option<Self> {
        let last = start.saturating_add(len.checked_sub(1)?);
        Some(Self {
            first: u32::try_from(start).ok()?,
            last: u32::try_from(last).unwrap_or(u32::MAX),
        })
    }

    /// A range as a file gives it, if it has a byte and lies below 4 GiB.
    #[must_use]
    #[inline(never)] // one copy of the 64-bit arithmetic
    pub fn whole(start: u64, len: u64) -> Option<Self> {
        let last = start.checked_add(len.checked_sub(1)?)?;
        Some(Self {
            first: u32::try_from(start).ok()?,
            last: u32::try_from(last).ok()?,
        })
    }

    /// Length in bytes; the whole 4 GiB are one byte short.
    #[must_use]
    #[inline(never)] // many callers
    pub fn len(&self) -> u32 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Tells whether the range has no byte: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Tells whether the two ranges share a byte.
    #[must_use]
    pub fn overlaps(&self, other: &Span) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Tells whether every byte of `other` lies in this range.
    #[must_use]
    pub fn contains(&self, other: &Span) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Tells whether a file of `file_size` bytes has all of a range, offset and size
/// in bytes; then both have 32 bits.
#[must_use]
#[inline(never)] // one copy of the 64-bit arithmetic
pub fn in_file(offset: u64, size: u64, file_size: u32) -> bool {
    let end = offset.checked_add(size);
    end.is_some_and(|end| end <= file_size.into())
}

/// Rounds up to a multiple of `align`, a power of two, if that is below 4 GiB.
#[must_use]
pub fn align_up(value: u32, align: u32) -> Option<u32> {
    let over = value.checked_add(align.saturating_sub(1))?;
    Some(align_down(over, align))
}

/// Rounds down to a multiple of `align`, a power of two.
#[must_use]
pub fn align_down(value: u32, align: u32) -> u32 {
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

/// Takes the low 32 bits of a number that is known to have no more.
#[must_use]
#[expect(clippy::as_conversions, reason = "the callers have compared it")]
pub fn low32(value: u64) -> u32 {
    value as u32
}

/// Takes the low 16 bits of a number that is known to have no more.
#[must_use]
#[expect(clippy::as_conversions, reason = "the callers have compared it")]
pub fn low16(value: u64) -> u16 {
    value as u16
}

/// Turns 32 bits into a length of this machine.
#[must_use]
#[expect(
    clippy::as_conversions,
    reason = "usize is never narrower than u32 here"
)]
pub fn index(len: u32) -> usize {
    len as usize
}

/// Turns a length of this machine into 32 bits; what does not fit becomes the
/// largest number.
#[must_use]
pub fn short(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up_never_wraps() {
        assert_eq!(align_up(0, 0x1000), Some(0));
        assert_eq!(align_up(1, 0x1000), Some(0x1000));
        assert_eq!(align_up(0xffff_f001, 0x1000), None);
        assert_eq!(align_up(7, 1), Some(7));
        assert_eq!(align_up(u32::MAX, 1), Some(u32::MAX));
    }

    #[test]
    fn a_range_has_a_byte_and_does_not_wrap() {
        assert_eq!(Span::new(PhysAddr(5), 0), None);
        assert_eq!(Span::new(PhysAddr(u32::MAX), 2), None);
        let top = Span::new(PhysAddr(0xffff_f000), 0x1000).unwrap();
        assert_eq!((top.last, top.len()), (u32::MAX, 0x1000));
    }

    #[test]
    fn what_lies_above_four_gib_is_cut() {
        assert_eq!(Span::clip(FOUR_GIB, 1), None);
        assert_eq!(Span::clip(0, 0), None);
        let cut = Span::clip(0xffff_0000, u64::MAX).unwrap();
        assert_eq!((cut.first, cut.last), (0xffff_0000, u32::MAX));
    }

    #[test]
    fn touching_ranges_do_not_overlap() {
        let a = Span { first: 0, last: 3 };
        let b = Span { first: 4, last: 7 };
        assert!(!a.overlaps(&b) && !b.overlaps(&a));
        assert!(a.overlaps(&Span { first: 3, last: 5 }));
    }
}
