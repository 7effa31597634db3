// SPDX-License-Identifier: GPL-3.0-or-later
//! Lists of small records in memory that somebody else obtained.
//!
//! The module has no allocator of its own, and the pure rings must not ask
//! for memory; so a table is a buffer with a count. Every record has the same
//! five words, whatever it means, so that the code exists once.

use crate::units::Span;
use core::marker::PhantomData;
use core::ops::DerefMut;

/// Memory that holds bytes: GRUB's heap in the module, a `Vec` on the host.
pub trait Bytes: DerefMut<Target = [u8]> {}
impl<T: DerefMut<Target = [u8]>> Bytes for T {}

/// Bytes that one record takes: five words.
pub const RECORD_LEN: usize = 20;

/// A record as it lies in the buffer.
pub type RecordBytes = [u8; RECORD_LEN];

/// A value that a [`Table`] can hold.
pub trait Record: Copy {
    /// Reads the record.
    fn load(bytes: &RecordBytes) -> Self;
    /// Writes the record.
    fn store(&self, bytes: &mut RecordBytes);
}

/// The word number `index` of a record.
pub(crate) fn word(bytes: &RecordBytes, index: usize) -> u32 {
    let (words, _) = bytes.as_chunks();
    words.get(index).map_or(0, |word| u32::from_le_bytes(*word))
}

/// Writes the word number `index` of a record.
pub(crate) fn set_word(bytes: &mut RecordBytes, index: usize, value: u32) {
    let (words, _) = bytes.as_chunks_mut();
    if let Some(word) = words.get_mut(index) {
        *word = value.to_le_bytes();
    }
}

impl Record for Span {
    fn load(bytes: &RecordBytes) -> Self {
        Self {
            first: word(bytes, 0),
            last: word(bytes, 1),
        }
    }

    fn store(&self, bytes: &mut RecordBytes) {
        set_word(bytes, 0, self.first);
        set_word(bytes, 1, self.last);
    }
}

/// The bytes of every record, and how many records there are.
struct Raw<B> {
    buffer: B,
    len: usize,
}

impl<B: Bytes> Raw<B> {
    #[inline(never)] // one copy for all the tables' callers
    fn get(&self, index: usize) -> Option<&RecordBytes> {
        let (records, _) = self.buffer.as_chunks();
        records.get(index).filter(|_| index < self.len)
    }

    #[inline(never)] // as above
    fn get_mut(&mut self, index: usize) -> Option<&mut RecordBytes> {
        let (records, _) = self.buffer.as_chunks_mut();
        records.get_mut(index).filter(|_| index < self.len)
    }

    /// Makes the list one record longer, if there is room.
    fn grow(&mut self) -> Option<&mut RecordBytes> {
        let last = self.len;
        if last >= self.buffer.len() / RECORD_LEN {
            return None;
        }
        self.len = last.wrapping_add(1); // at most the buffer's length
        self.get_mut(last)
    }

    #[inline(never)] // as above
    fn swap(&mut self, a: usize, b: usize) {
        let (records, _) = self.buffer.as_chunks_mut::<RECORD_LEN>();
        if a < records.len() && b < records.len() {
            records.swap(a, b);
        }
    }

    /// Sorts by word `first_word`, and by the next word where that is the same.
    #[inline(never)] // as above
    fn sort(&mut self, first_word: usize) {
        let mut unsorted = self.len;
        let mut root = self.len / 2;
        while unsorted > 1 {
            if let Some(next) = root.checked_sub(1) {
                root = next; // still building the heap
            } else {
                unsorted = unsorted.saturating_sub(1);
                self.swap(0, unsorted);
            }
            self.sift_down(root, unsorted, first_word);
        }
    }

    fn sift_down(&mut self, mut root: usize, end: usize, first_word: usize) {
        loop {
            let left = root.saturating_mul(2).saturating_add(1);
            let mut largest = root;
            for child in left..=left.saturating_add(1) {
                if child < end && self.key(largest, first_word) < self.key(child, first_word) {
                    largest = child;
                }
            }
            if largest == root {
                return;
            }
            self.swap(root, largest);
            root = largest;
        }
    }

    #[inline(never)] // as above
    fn key(&self, index: usize, first_word: usize) -> u64 {
        let Some(bytes) = self.get(index) else {
            return 0;
        };
        join(
            word(bytes, first_word),
            word(bytes, first_word.saturating_add(1)),
        )
    }
}

/// Joins the high and the low word of a 64-bit number.
pub(crate) fn join(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// A list of records of one type, as long as its buffer.
pub struct Table<T, B> {
    raw: Raw<B>,
    record: PhantomData<T>,
}

impl<T: Record, B: Bytes> Table<T, B> {
    /// Starts an empty list in `buffer`, [`RECORD_LEN`] bytes for each record.
    pub fn new(buffer: B) -> Self {
        Self {
            raw: Raw { buffer, len: 0 },
            record: PhantomData,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.raw.len
    }

    /// Tells whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.raw.len == 0
    }

    /// Tells whether the buffer has no room for another record.
    pub fn is_full(&self) -> bool {
        self.raw.len >= self.raw.buffer.len() / RECORD_LEN
    }

    /// The record at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<T> {
        self.raw.get(index).map(T::load)
    }

    /// Replaces the record at `index`; a position behind the last does nothing.
    pub fn set(&mut self, index: usize, record: &T) {
        if let Some(bytes) = self.raw.get_mut(index) {
            record.store(bytes);
        }
    }

    /// Appends a record; a full table stays as it is and answers `false`.
    pub fn push(&mut self, record: &T) -> bool {
        let room = self.raw.grow();
        room.map(|bytes| record.store(bytes)).is_some()
    }

    /// The records in order.
    pub fn iter(&self) -> Iter<'_, T, B> {
        Iter {
            table: self,
            index: 0,
        }
    }

    /// Sorts by the 64-bit number whose high word is number `first_word` of a record
    /// and whose low word is the next; in place, without recursion.
    pub fn sort_by_words(&mut self, first_word: usize) {
        self.raw.sort(first_word);
    }

    /// Moves the records to a larger `buffer`.
    pub fn move_to(&mut self, mut buffer: B) {
        copy(&mut buffer, &self.raw.buffer);
        self.raw.buffer = buffer;
    }
}

/// Iterator over the records of a [`Table`].
pub struct Iter<'a, T, B> {
    table: &'a Table<T, B>,
    index: usize,
}

impl<T: Record, B: Bytes> Iterator for Iter<'_, T, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let index = self.index;
        self.index = index.wrapping_add(1); // no table is that long
        self.table.get(index)
    }
}

impl<B: Bytes> Table<Span, B> {
    /// Adds a range; one that touches it grows instead, if there is one.
    pub fn join(&mut self, span: &Span) {
        for index in 0..self.len() {
            let Some(mut other) = self.get(index) else {
                break;
            };
            if span.first.checked_sub(1) == Some(other.last) {
                other.last = span.last;
            } else if other.first.checked_sub(1) == Some(span.last) {
                other.first = span.first;
            } else {
                continue;
            }
            return self.set(index, &other);
        }
        self.push(span);
    }

    /// Leaves what is in no range: in order, and no two ranges touch. There
    /// has to be room for one range more.
    pub fn invert(&mut self) {
        self.sort_by_words(0);
        let mut kept = 0usize;
        let mut rest = Some(0);
        for index in 0..self.len() {
            let (Some(span), Some(first)) = (self.get(index), rest) else {
                break;
            };
            if let Some(last) = span.first.checked_sub(1).filter(|&last| first <= last) {
                self.set(kept, &Span { first, last });
                kept = kept.wrapping_add(1); // at most the length
            }
            if span.last >= first {
                rest = span.last.checked_add(1);
            }
        }
        self.raw.len = kept;
        if let Some(first) = rest {
            self.push(&Span {
                first,
                last: u32::MAX,
            });
        }
    }
}

/// Copies as many bytes as both sides have.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(u32, u32)]) -> Table<Span, Vec<u8>> {
        let mut table = Table::new(vec![0; 64 * RECORD_LEN]);
        for &(first, last) in list {
            assert!(table.push(&Span { first, last }));
        }
        table
    }

    fn list(table: &Table<Span, Vec<u8>>) -> Vec<(u32, u32)> {
        table.iter().map(|s| (s.first, s.last)).collect()
    }

    #[test]
    fn a_full_table_refuses_and_keeps_what_it_has() {
        let mut table = Table::<Span, _>::new(vec![0; RECORD_LEN]);
        assert!(table.push(&Span { first: 1, last: 2 }));
        assert!(!table.push(&Span { first: 3, last: 4 }));
        assert_eq!(list(&table), [(1, 2)]);
    }

    #[test]
    fn sorting_orders_every_permutation_of_five() {
        let mut order = [0u32, 1, 2, 3, 4];
        for n in 0..120 {
            let mut table = spans(&order.map(|x| (x, x)));
            table.sort_by_words(0);
            assert_eq!(list(&table), [0, 1, 2, 3, 4].map(|x| (x, x)), "{order:?}");
            order.swap(n % 4, n % 4 + 1);
        }
    }

    #[test]
    fn sorting_compares_both_words() {
        let mut table = spans(&[(1, 0), (0, 9), (1, u32::MAX), (0, 3)]);
        table.sort_by_words(0);
        assert_eq!(list(&table), [(0, 3), (0, 9), (1, 0), (1, u32::MAX)]);
    }

    #[test]
    fn inverting_leaves_what_no_range_holds() {
        for (ranges, rest) in [
            (&[][..], &[(0, u32::MAX)][..]),
            (&[(0, u32::MAX)], &[]),
            (&[(0, 4), (u32::MAX, u32::MAX)], &[(5, u32::MAX - 1)]),
            // Touching, nested, overlapping, out of order.
            (
                &[(9, 10), (4, 7), (2, 3), (5, 6), (10, 20)],
                &[(0, 1), (8, 8), (21, u32::MAX)],
            ),
        ] {
            let mut table = spans(ranges);
            table.invert();
            assert_eq!(list(&table), rest, "{ranges:?}");
            // Twice leaves the ranges in order and joined.
            table.invert();
            table.invert();
            assert_eq!(list(&table), rest, "{ranges:?}");
        }
    }

    #[test]
    fn a_range_joins_one_that_it_touches() {
        let mut table = spans(&[(10, 19), (40, 49)]);
        for (first, last) in [(20, 24), (38, 39), (26, 36), (0, 8), (u32::MAX, u32::MAX)] {
            table.join(&Span { first, last });
        }
        let apart = [(10, 24), (38, 49), (26, 36), (0, 8), (u32::MAX, u32::MAX)];
        assert_eq!(list(&table), apart);
    }
}
