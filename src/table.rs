// SPDX-License-Identifier: GPL-3.0-or-later
//! Lists of small records in memory that somebody else obtained.
//!
//! The module has no allocator of its own, and the pure rings must not ask
//! for memory; so a table is a buffer with a count, and its records are
//! written as words.

use crate::units::{PhysAddr, Span};
use crate::wire::u64_at;
use core::marker::PhantomData;
use core::ops::DerefMut;

/// Memory that holds bytes: GRUB's heap in the module, a `Vec` on the host.
pub trait Bytes: DerefMut<Target = [u8]> {}
impl<T: DerefMut<Target = [u8]>> Bytes for T {}

/// Writes a little-endian word at `offset`; nothing beyond the end.
pub(crate) fn set_word(bytes: &mut [u8], offset: usize, word: u64) {
    if let Some(field) = bytes
        .get_mut(offset..)
        .and_then(|b| b.first_chunk_mut::<8>())
    {
        *field = word.to_le_bytes();
    }
}

/// A value that a [`Table`] can hold.
pub trait Record: Copy {
    /// Bytes that one record takes.
    const LEN: usize;
    /// Reads the record from `LEN` bytes.
    fn load(bytes: &[u8]) -> Self;
    /// Writes the record to `LEN` bytes.
    fn store(&self, bytes: &mut [u8]);
}

impl Record for Span {
    const LEN: usize = 16;

    fn load(bytes: &[u8]) -> Self {
        Self {
            start: u64_at(bytes, 0),
            end: u64_at(bytes, 8),
        }
    }

    fn store(&self, bytes: &mut [u8]) {
        set_word(bytes, 0, self.start);
        set_word(bytes, 8, self.end);
    }
}

/// A list of records of one type, as long as its buffer.
pub struct Table<T, B> {
    buffer: B,
    len: usize,
    record: PhantomData<T>,
}

impl<T: Record, B: Bytes> Table<T, B> {
    /// Bytes that a buffer needs for `count` records.
    #[must_use]
    pub fn bytes_for(count: usize) -> usize {
        count.saturating_mul(T::LEN)
    }

    /// Starts an empty list in `buffer`.
    pub fn new(buffer: B) -> Self {
        Self {
            buffer,
            len: 0,
            record: PhantomData,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tells whether the buffer has no room for another record.
    pub fn is_full(&self) -> bool {
        self.offset(self.len.saturating_add(1)) > self.buffer.len()
    }

    fn offset(&self, index: usize) -> usize {
        index.saturating_mul(T::LEN)
    }

    /// The record at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len {
            return None;
        }
        self.buffer.get(self.offset(index)..).map(T::load)
    }

    /// Replaces the record at `index`; a position behind the last does nothing.
    pub fn set(&mut self, index: usize, record: &T) {
        let offset = self.offset(index);
        if index < self.len
            && let Some(bytes) = self.buffer.get_mut(offset..)
        {
            record.store(bytes);
        }
    }

    /// Appends a record; a full table stays as it is and answers `false`.
    pub fn push(&mut self, record: &T) -> bool {
        if self.is_full() {
            return false;
        }
        self.len = self.len.saturating_add(1);
        self.set(self.len.saturating_sub(1), record);
        true
    }

    /// Keeps the first `len` records.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The records in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = T> + '_ {
        (0..self.len).filter_map(|index| self.get(index))
    }

    /// Sorts by `key`, in place and without recursion; equal keys may swap.
    pub fn sort_by_key(&mut self, key: fn(&T) -> u64) {
        for root in (0..self.len / 2).rev() {
            self.sift_down(root, self.len, key);
        }
        for last in (1..self.len).rev() {
            self.swap(0, last);
            self.sift_down(0, last, key);
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(x), Some(y)) = (self.get(a), self.get(b)) {
            self.set(a, &y);
            self.set(b, &x);
        }
    }

    fn sift_down(&mut self, mut root: usize, end: usize, key: fn(&T) -> u64) {
        loop {
            let left = root.saturating_mul(2).saturating_add(1);
            let mut largest = root;
            for child in [left, left.saturating_add(1)] {
                if child < end && self.key_at(largest, key) < self.key_at(child, key) {
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

    fn key_at(&self, index: usize, key: fn(&T) -> u64) -> Option<u64> {
        self.get(index).as_ref().map(key)
    }

    /// Moves the records to a larger `buffer` and returns the old one.
    pub fn move_to(&mut self, mut buffer: B) -> B {
        copy(&mut buffer, &self.buffer);
        core::mem::replace(&mut self.buffer, buffer)
    }
}

impl<B: Bytes> Table<Span, B> {
    /// Joins ranges that touch or overlap; the table must be sorted by start.
    pub fn merge(&mut self) {
        let mut kept = 0usize;
        for index in 0..self.len {
            let Some(span) = self.get(index) else { break };
            let before = kept.checked_sub(1).and_then(|last| self.get(last));
            match before {
                Some(last) if span.start <= last.end => {
                    let end = last.end.max(span.end);
                    self.set(kept.saturating_sub(1), &Span { end, ..last });
                }
                _ => {
                    self.set(kept, &span);
                    kept = kept.saturating_add(1);
                }
            }
        }
        self.truncate(kept);
    }

    /// Takes `hole` out of every range; the order may change.
    pub fn subtract(&mut self, hole: &Span) {
        let mut index = 0;
        while let Some(span) = self.get(index) {
            index = index.saturating_add(1);
            if !span.overlaps(hole) {
                continue;
            }
            let here = index.saturating_sub(1);
            let below = Span {
                end: hole.start.max(span.start),
                ..span
            };
            let above = Span {
                start: hole.end.min(span.end),
                ..span
            };
            self.set(here, &below);
            if below.is_empty() {
                self.set(here, &above);
            } else if !above.is_empty() {
                self.push(&above);
            }
        }
    }

    /// Tells whether one range holds all of `wanted`.
    pub fn contain(&self, wanted: &Span) -> bool {
        self.iter().any(|span| span.contains(wanted))
    }

    /// First address of `wanted` that no range holds.
    pub fn first_missing(&self, wanted: &Span) -> Option<PhysAddr> {
        let mut at = wanted.start;
        for span in self.iter() {
            if span.start <= at && at < span.end {
                at = span.end;
            }
        }
        (at < wanted.end).then_some(PhysAddr(at))
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

    fn spans(list: &[(u64, u64)]) -> Table<Span, Vec<u8>> {
        let mut table = Table::new(vec![0; 64 * Span::LEN]);
        for &(start, end) in list {
            assert!(table.push(&Span { start, end }));
        }
        table
    }

    fn list(table: &Table<Span, Vec<u8>>) -> Vec<(u64, u64)> {
        table.iter().map(|s| (s.start, s.end)).collect()
    }

    #[test]
    fn a_full_table_refuses_and_keeps_what_it_has() {
        let mut table = Table::<Span, _>::new(vec![0; Span::LEN]);
        assert!(table.push(&Span { start: 1, end: 2 }));
        assert!(!table.push(&Span { start: 3, end: 4 }));
        assert_eq!(list(&table), [(1, 2)]);
    }

    #[test]
    fn sorting_orders_every_permutation_of_five() {
        let mut order = [0u64, 1, 2, 3, 4];
        for n in 0..120 {
            let mut table = spans(&order.map(|x| (x, x)));
            table.sort_by_key(|s| s.start);
            assert_eq!(list(&table), [0, 1, 2, 3, 4].map(|x| (x, x)), "{order:?}");
            order.swap(n % 4, n % 4 + 1);
        }
    }

    #[test]
    fn merging_joins_touching_and_nested_ranges() {
        let mut table = spans(&[(0, 4), (4, 8), (5, 6), (9, 10)]);
        table.merge();
        assert_eq!(list(&table), [(0, 8), (9, 10)]);
    }

    #[test]
    fn subtracting_trims_splits_and_removes() {
        let mut table = spans(&[(0, 10), (20, 30), (40, 50)]);
        table.subtract(&Span { start: 5, end: 25 });
        table.subtract(&Span { start: 42, end: 44 });
        table.subtract(&Span { start: 25, end: 30 });
        table.sort_by_key(|s| s.start);
        let left: Vec<_> = list(&table).into_iter().filter(|s| s.0 < s.1).collect();
        assert_eq!(left, [(0, 5), (40, 42), (44, 50)]);
    }

    #[test]
    fn the_first_missing_address_is_named() {
        let table = spans(&[(0, 10), (10, 20), (30, 40)]);
        let missing = |start, end| table.first_missing(&Span { start, end });
        assert_eq!(missing(5, 20), None);
        assert_eq!(missing(5, 21), Some(PhysAddr(20)));
        assert_eq!(missing(25, 35), Some(PhysAddr(25)));
    }
}
