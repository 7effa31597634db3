// SPDX-License-Identifier: GPL-3.0-or-later
//! The SMBIOS tag: an entry point as the firmware has it, and behind it the
//! whole structure table (Multiboot2, 3.6.15; SMBIOS, 5.2 and 6.1).

use super::{InfoType, Writer};
use crate::wire::{u8_at, u16_at, u32_at, u64_at};

/// An entry point's distance from the start of memory is a multiple of this.
const STEP: usize = 16;

/// Type of the last structure.
const END_OF_TABLE: u8 = 127;

/// Bytes of a structure's head.
const HEAD_LEN: usize = 4;

/// An entry point whose sums are right.
#[derive(Clone, Copy, Debug)]
pub struct EntryPoint<'a> {
    bytes: &'a [u8],
    new: bool,
}

impl<'a> EntryPoint<'a> {
    /// Finds the first one in memory that starts at a multiple of 16 bytes; `new`
    /// ones are those of SMBIOS 3.
    #[must_use]
    pub fn find(mut memory: &'a [u8], new: bool) -> Option<Self> {
        loop {
            if let Some(found) = Self::parse(memory, new) {
                return Some(found);
            }
            memory = memory.get(STEP..)?;
        }
    }

    fn parse(memory: &'a [u8], new: bool) -> Option<Self> {
        let (anchor, len, least): (&[u8], _, _) = match new {
            true => (b"_SM3_", u8_at(memory, 6), 24),
            false => (b"_SM_", u8_at(memory, 5), 31),
        };
        let bytes = memory.get(..len.into())?;
        let whole = memory.starts_with(anchor) && bytes.len() >= least && sum(bytes) == 0;
        // The older kind has a second one inside.
        let inner = bytes.get(16..31).unwrap_or_default();
        let right = new || inner.starts_with(b"_DMI_") && sum(inner) == 0;
        (whole && right).then_some(Self { bytes, new })
    }

    /// Physical address of the structure table, and how many bytes it has at most.
    #[must_use]
    pub fn table(&self) -> (u64, u32) {
        match self.new {
            true => (u64_at(self.bytes, 16), u32_at(self.bytes, 12)),
            false => (u32_at(self.bytes, 24).into(), u16_at(self.bytes, 22).into()),
        }
    }

    /// What of `memory` the table takes: for SMBIOS 3 up to its last structure.
    /// `None` when the structures do not end in there.
    #[must_use]
    pub fn extent<'m>(&self, memory: &'m [u8]) -> Option<&'m [u8]> {
        let mut left = u16_at(self.bytes, 28);
        let mut rest = memory;
        while self.new || left > 0 {
            let (kind, len) = (u8_at(rest, 0), u8_at(rest, 1));
            let strings = rest.get(usize::from(len).max(HEAD_LEN)..)?;
            let end = strings.windows(2).position(|pair| pair == [0, 0])?;
            rest = strings.get(end.saturating_add(2)..)?;
            if kind == END_OF_TABLE {
                break;
            }
            left = left.saturating_sub(1);
        }
        match self.new {
            true => memory.get(..memory.len().saturating_sub(rest.len())),
            false => Some(memory),
        }
    }

    /// Writes the tag; `table` is all of the table.
    pub fn write(&self, out: &mut Writer<'_>, table: &[u8]) {
        let version = u16_at(self.bytes, if self.new { 7 } else { 6 });
        let start = out.begin(InfoType::SMBIOS);
        out.words(&[version.into(), 0]);
        out.bytes(self.bytes);
        out.bytes(table);
        out.end(start);
    }
}

/// The sum of all bytes, as a byte.
fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three structures, the last one the end; strings behind the first two.
    const TABLE: &[u8] = b"\x01\x06\x00\x01\x01\x02ours\0board\0\0\
        \x02\x05\x01\x01\x00\0\0\
        \x7f\x04\xff\xfe\0\0";

    /// Sets the byte that makes the sum zero.
    fn balance(bytes: &mut [u8], index: usize) {
        bytes[index] = 0;
        bytes[index] = sum(bytes).wrapping_neg();
    }

    fn new(len: u32) -> Vec<u8> {
        let mut entry = b"_SM3_\0\x18\x03\x04\x00\x01\0".to_vec();
        entry.extend(len.to_le_bytes());
        entry.extend(0x1_0000_1000u64.to_le_bytes());
        balance(&mut entry, 5);
        entry
    }

    fn old(len: u16, count: u16) -> Vec<u8> {
        let mut entry = b"_SM_\0\x1f\x02\x08\x40\0\0\0\0\0\0\0_DMI_\0".to_vec();
        entry.extend(len.to_le_bytes());
        entry.extend(0xe_1000u32.to_le_bytes());
        entry.extend(count.to_le_bytes());
        entry.push(0x28);
        balance(&mut entry[16..], 5);
        balance(&mut entry, 4);
        entry
    }

    /// What the tag holds behind its head.
    fn payload(entry: &EntryPoint<'_>, memory: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = [0; 256];
        let mut out = Writer::new(&mut bytes);
        if let Some(table) = entry.extent(memory) {
            entry.write(&mut out, table);
        }
        (!out.is_empty()).then(|| bytes[8..crate::units::index(u32_at(&bytes, 4))].to_vec())
    }

    #[test]
    fn both_kinds_are_found_wherever_a_paragraph_starts() {
        for (bytes, is_new) in [(new(99), true), (old(99, 3), false)] {
            for at in 0..64 {
                let mut memory = vec![0x5f; 160];
                memory[at..at + bytes.len()].copy_from_slice(&bytes);
                let found = EntryPoint::find(&memory, is_new);
                assert_eq!(found.is_some(), at % 16 == 0, "at {at}");
                assert!(EntryPoint::find(&memory, !is_new).is_none());
            }
        }
        let new = new(99);
        let found = EntryPoint::find(&new, true).unwrap();
        assert_eq!(found.table(), (0x1_0000_1000, 99));
        let old = old(98, 3);
        let found = EntryPoint::find(&old, false).unwrap();
        assert_eq!(found.table(), (0xe_1000, 98));
    }

    #[test]
    fn an_entry_point_with_any_byte_changed_is_none() {
        for (bytes, is_new) in [(new(99), true), (old(99, 3), false)] {
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(EntryPoint::find(&changed, is_new).is_none(), "at {at}");
                assert!(EntryPoint::find(&bytes[..at], is_new).is_none());
            }
        }
    }

    #[test]
    fn the_new_kind_ends_with_its_last_structure() {
        let bytes = new(200);
        let entry = EntryPoint::find(&bytes, true).unwrap();
        let memory = [TABLE, &[0xcc; 50]].concat();
        let expected = [&[3, 4, 0, 0, 0, 0, 0, 0], &bytes[..], TABLE].concat();
        assert_eq!(payload(&entry, &memory), Some(expected));
        for len in 0..TABLE.len() {
            assert_eq!(payload(&entry, &TABLE[..len]), None, "{len}");
        }
    }

    #[test]
    fn the_old_kind_is_given_as_long_as_it_says() {
        let memory = [TABLE, &[0xcc; 3]].concat();
        for count in [1, 2, 3, 9] {
            let bytes = old(u16::try_from(memory.len()).unwrap(), count);
            let entry = EntryPoint::find(&bytes, false).unwrap();
            let expected = [&[2, 8, 0, 0, 0, 0, 0, 0], &bytes[..], &memory].concat();
            assert_eq!(payload(&entry, &memory), Some(expected));
        }
        let bytes = old(20, 3);
        let entry = EntryPoint::find(&bytes, false).unwrap();
        assert_eq!(payload(&entry, &TABLE[..20]), None);
    }
}
