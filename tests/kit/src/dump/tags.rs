// SPDX-License-Identifier: GPL-3.0-or-later
//! Boot information tags, walked by this crate's own code.

use super::kind;
use crate::bytes::{align_up, u32_at};
use crate::error::{Error, Result};

/// One tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Type number.
    pub kind: u32,
    /// Offset in the boot information.
    pub offset: usize,
    /// The tag with its eight fixed bytes, without padding.
    pub bytes: &'a [u8],
    /// Padding behind it.
    pub padding: &'a [u8],
}

impl Tag<'_> {
    /// 32-bit number at an offset in the tag.
    #[must_use]
    pub fn u32(&self, offset: usize) -> Option<u32> {
        u32_at(self.bytes, offset)
    }

    /// 64-bit number at an offset in the tag.
    #[must_use]
    pub fn u64(&self, offset: usize) -> Option<u64> {
        crate::bytes::u64_at(self.bytes, offset)
    }
}

/// Walks over the tags up to the end tag, which is the last item.
#[derive(Clone, Debug)]
pub struct Tags<'a> {
    mbi: &'a [u8],
    offset: usize,
    done: bool,
}

impl<'a> Tags<'a> {
    /// Checks the eight fixed bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Mbi`] if the length is not that of the block or not a
    /// multiple of eight, or if the reserved word is not zero.
    pub fn new(mbi: &'a [u8]) -> Result<Self> {
        match (u32_at(mbi, 0), u32_at(mbi, 4)) {
            (Some(len), Some(0)) if len as usize == mbi.len() && len % 8 == 0 => Ok(Self {
                mbi,
                offset: 8,
                done: false,
            }),
            (len, reserved) => Err(Error::Mbi(format!(
                "starts with {len:x?} {reserved:x?}, has {:#x} bytes",
                mbi.len()
            ))),
        }
    }

    fn read(&mut self) -> Result<Tag<'a>> {
        let offset = self.offset;
        let bad = || Error::Mbi(format!("no whole tag at {offset:#x}"));
        let kind = u32_at(self.mbi, offset).ok_or_else(bad)?;
        let size = u32_at(self.mbi, offset + 4).ok_or_else(bad)? as usize;
        let end = offset.saturating_add(size);
        let bytes = self.mbi.get(offset..end).filter(|_| size >= 8);
        let bytes = bytes.ok_or_else(bad)?;
        self.offset = align_up(end as u64, 8) as usize;
        let padding = self.mbi.get(end..self.offset).ok_or_else(bad)?;
        if kind == kind::END {
            self.done = true;
            if size != 8 || self.offset != self.mbi.len() {
                return Err(Error::Mbi(format!("end tag at {offset:#x}")));
            }
        }
        Ok(Tag {
            kind,
            offset,
            bytes,
            padding,
        })
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<Tag<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let tag = self.read();
        self.done |= tag.is_err();
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length, reserved word, a command line `ab`, the end.
    const GOOD: [u8; 32] = [
        32, 0, 0, 0, 0, 0, 0, 0, //
        1, 0, 0, 0, 11, 0, 0, 0, b'a', b'b', 0, 9, 9, 9, 9, 9, //
        0, 0, 0, 0, 8, 0, 0, 0,
    ];

    fn walk(mbi: &[u8]) -> Result<Vec<(u32, usize)>> {
        Tags::new(mbi)?
            .map(|tag| tag.map(|tag| (tag.kind, tag.bytes.len())))
            .collect()
    }

    #[test]
    fn good_block_is_walked_to_its_end() {
        assert_eq!(walk(&GOOD).unwrap(), [(1, 11), (0, 8)]);
        let tags: Vec<_> = Tags::new(&GOOD).unwrap().flatten().collect();
        assert_eq!(tags[0].padding, [9; 5]);
    }

    #[test]
    fn each_damage_is_an_error() {
        for (at, value) in [(0, 24), (4, 1), (12, 7), (12, 200), (24, 1), (28, 9)] {
            let mut bad = GOOD;
            bad[at] = value;
            assert!(walk(&bad).is_err(), "byte {at} set to {value}");
        }
        assert!(walk(&GOOD[..24]).is_err());
        assert!(walk(&[]).is_err());
    }
}
