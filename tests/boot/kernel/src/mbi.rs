// SPDX-License-Identifier: GPL-3.0-or-later
//! The boot information: bounds, tags, and what the tags point to.

use crate::memory::Region;

/// Value that a Multiboot2 loader leaves in the accumulator (Multiboot2, 3.3).
pub(crate) const MAGIC: u32 = 0x36d7_6289;

/// Ends the list.
pub(crate) const TAG_END: u32 = 0;
/// A module.
pub(crate) const TAG_MODULE: u32 = 3;
/// Section headers.
pub(crate) const TAG_SECTIONS: u32 = 9;
/// 32-bit UEFI system table.
pub(crate) const TAG_EFI32: u32 = 11;
/// 64-bit UEFI system table.
pub(crate) const TAG_EFI64: u32 = 12;

const SHT_NOBITS: u32 = 8;

/// One tag.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    /// Type number.
    pub(crate) kind: u32,
    /// The whole tag without padding.
    pub(crate) body: Region,
}

/// The block as a whole, with a checked length.
pub(crate) fn block(address: u64) -> Result<Region, &'static str> {
    let head = Region::new(address, 8).ok_or("mbi address")?;
    if address % 8 != 0 {
        return Err("mbi alignment");
    }
    let len = head.u32(0).ok_or("mbi length")?;
    if len < 16 || len % 8 != 0 || len > 1 << 24 {
        return Err("mbi length");
    }
    Region::new(address, u64::from(len)).ok_or("mbi end")
}

/// Walks over the tags of a block up to the end tag.
pub(crate) struct Tags {
    block: Region,
    offset: u64,
    done: bool,
}

impl Tags {
    /// Starts behind the eight fixed bytes.
    pub(crate) fn new(block: Region) -> Self {
        Self {
            block,
            offset: 8,
            done: false,
        }
    }

    fn read(&mut self) -> Option<Tag> {
        let kind = self.block.u32(self.offset)?;
        let len = u64::from(self.block.u32(self.offset + 4)?);
        let body = self.block.part(self.offset, len.max(8))?;
        self.offset += (len.max(8) + 7) & !7;
        (len >= 8).then_some(Tag { kind, body })
    }
}

impl Iterator for Tags {
    type Item = Result<Tag, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let tag = self.read();
        self.done = tag.is_none_or(|tag| tag.kind == TAG_END);
        match tag {
            Some(tag) if tag.kind == TAG_END && self.offset != self.block.len() => {
                Some(Err("end tag is not at the end"))
            }
            Some(tag) => Some(Ok(tag)),
            None => Some(Err("tag does not fit")),
        }
    }
}

/// A section with contents and an address.
pub(crate) struct Section {
    /// Index in the table.
    pub(crate) index: u32,
    /// Flags word.
    pub(crate) flags: u64,
    /// Where the contents should lie.
    pub(crate) contents: Region,
}

/// Sections of tag 9 that have an address and contents.
pub(crate) fn sections(tag: Tag) -> impl Iterator<Item = Result<Section, &'static str>> {
    let count = tag.body.u32(8).unwrap_or(0);
    let stride = u64::from(tag.body.u32(12).unwrap_or(0));
    (0..count).filter_map(move |index| {
        let start = 20 + u64::from(index) * stride;
        let Some(header) = tag.body.part(start, stride) else {
            return Some(Err("section header does not fit"));
        };
        // 40 bytes is the 32-bit form, everything from 64 on the 64-bit one.
        let (flags, address, len) = if stride < 64 {
            (
                header.u32(8).map(u64::from),
                header.u32(12).map(u64::from),
                header.u32(20).map(u64::from),
            )
        } else {
            (header.u64(8), header.u64(16), header.u64(32))
        };
        let (Some(kind), Some(flags), Some(address), Some(len)) =
            (header.u32(4), flags, address, len)
        else {
            return Some(Err("section header is short"));
        };
        // Link addresses above 4 GiB say nothing about physical memory.
        let none = kind == 0 || kind == SHT_NOBITS || address == 0 || len == 0;
        if none || address > u64::from(u32::MAX) {
            return None;
        }
        Some(
            Region::new(address, len)
                .map(|contents| Section {
                    index,
                    flags,
                    contents,
                })
                .ok_or("section address"),
        )
    })
}
