// SPDX-License-Identifier: GPL-3.0-or-later
//! A writer that counts: over no memory it tells the size, over enough memory
//! it writes. One sequence of calls serves both, so the two cannot disagree.

use super::InfoType;
use crate::units::short;

/// Tags start on multiples of this, in bytes (Multiboot2, 3.6.2).
const TAG_ALIGN: usize = 8;

/// Little-endian bytes into memory that may be too short; what does not fit
/// is counted only (Multiboot2, 3.6.1).
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written or counted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tells whether everything fitted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.len <= self.out.len()
    }

    /// Appends `len` bytes that the caller writes; none are given where they do
    /// not fit.
    #[inline(never)] // one copy for all that is written
    pub fn room(&mut self, len: usize) -> &mut [u8] {
        let start = self.len;
        self.len = start.saturating_add(len);
        self.out.get_mut(start..self.len).unwrap_or_default()
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        crate::table::copy(room, bytes);
    }

    /// Appends `len` zeroes.
    pub fn zeroes(&mut self, len: usize) {
        self.room(len).fill(0);
    }

    /// Appends a 16-bit number.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    /// Appends a 32-bit number.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Appends 32-bit numbers.
    pub fn words(&mut self, values: &[u32]) {
        for &value in values {
            self.u32(value);
        }
    }

    /// Replaces the 32-bit number at `position` by a length in bytes.
    pub fn patch_u32(&mut self, position: usize, len: usize) {
        let field = self
            .out
            .get_mut(position..)
            .and_then(|b| b.first_chunk_mut());
        if let Some(field) = field {
            *field = short(len).to_le_bytes();
        }
    }

    /// Appends a tag of 32-bit numbers and, behind them, bytes.
    pub fn tag(&mut self, kind: InfoType, words: &[u32], bytes: &[u8]) {
        let start = self.begin(kind);
        self.words(words);
        self.bytes(bytes);
        self.end(start);
    }

    /// Starts a tag: type, and a size that [`Writer::end`] fills in. Returns its
    /// position.
    pub fn begin(&mut self, kind: InfoType) -> usize {
        let start = self.len;
        self.words(&[kind.0, 0]);
        start
    }

    /// Ends the tag at `start`: its size, and padding, which the size does not
    /// count (Multiboot2, 3.6.2).
    pub fn end(&mut self, start: usize) {
        self.patch_u32(start.saturating_add(4), self.len.saturating_sub(start));
        let over = self.len % TAG_ALIGN;
        self.zeroes(if over == 0 {
            0
        } else {
            TAG_ALIGN.saturating_sub(over)
        });
    }

    /// Passes over `len` bytes that are there already.
    pub fn skip(&mut self, len: usize) {
        self.room(len);
    }

    /// Forgets what was written behind `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The memory behind `position`, written or not.
    pub fn behind(&mut self, position: usize) -> &mut [u8] {
        self.out.get_mut(position..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(out: &mut Writer<'_>) {
        out.tag(InfoType::COMMAND_LINE, &[], b"abc\0");
        out.tag(InfoType::END, &[], &[]);
    }

    #[test]
    fn counting_and_writing_agree() {
        let mut counter = Writer::new(&mut []);
        sequence(&mut counter);
        assert!(!counter.is_complete());
        let mut memory = [0xff; 24];
        let mut writer = Writer::new(&mut memory);
        sequence(&mut writer);
        assert!(writer.is_complete());
        assert_eq!((counter.len(), writer.len()), (24, 24));
        #[rustfmt::skip]
        let expected = [
            1, 0, 0, 0, 12, 0, 0, 0, b'a', b'b', b'c', 0, // size without padding
            0, 0, 0, 0,                                   // padding is zero
            0, 0, 0, 0, 8, 0, 0, 0,
        ];
        assert_eq!(memory, expected);
    }

    #[test]
    fn memory_that_is_too_short_stays_within_its_bounds() {
        for len in 0..24 {
            let mut memory = vec![0xff; len];
            let mut writer = Writer::new(&mut memory);
            sequence(&mut writer);
            assert!(!writer.is_complete());
            assert_eq!(writer.len(), 24);
        }
    }
}
