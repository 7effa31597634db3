// SPDX-License-Identifier: GPL-3.0-or-later
//! Files without a format, loaded by the address tag (Multiboot2, 3.1.5).

use crate::bytes::put;
use crate::header::{Address, HeaderBuilder, Tag};

/// A flat file: something in front, the header, the loaded bytes.
///
/// The address tag is computed from the layout; [`FlatBuilder::address`]
/// replaces it as a whole.
#[derive(Clone, Debug)]
pub struct FlatBuilder {
    /// Header without an address tag.
    pub header: HeaderBuilder,
    /// File offset of the header.
    pub header_offset: u32,
    /// File offset from which bytes are loaded.
    pub load_offset: u32,
    /// Where they are loaded to.
    pub load_addr: u32,
    /// Bytes at file offsets.
    pub parts: Vec<(u32, Vec<u8>)>,
    /// File length; what `parts` need if absent.
    pub file_len: Option<u32>,
    /// Whether the tag says that `load_addr` follows from the header's place.
    pub implied_load: bool,
    /// Whether the tag gives the end of the loaded part.
    pub explicit_load_end: bool,
    /// End of the image in memory, counted from `load_addr`.
    pub mem_len: Option<u32>,
    /// Address tag that replaces the computed one.
    pub address: Option<Address>,
}

impl FlatBuilder {
    /// Loads a whole file whose header stands at its start.
    #[must_use]
    pub fn new(header: HeaderBuilder, load_addr: u32) -> Self {
        Self {
            header,
            header_offset: 0,
            load_offset: 0,
            load_addr,
            parts: Vec::new(),
            file_len: None,
            implied_load: false,
            explicit_load_end: false,
            mem_len: None,
            address: None,
        }
    }

    /// Adds bytes at a file offset.
    #[must_use]
    pub fn part(mut self, offset: u32, bytes: Vec<u8>) -> Self {
        self.parts.push((offset, bytes));
        self
    }

    /// Writes the file.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (offset, bytes) in &self.parts {
            put(&mut out, *offset as usize, bytes);
        }
        if let Some(len) = self.file_len {
            out.resize(len as usize, 0);
        }
        let loaded = (out.len() as u32).wrapping_sub(self.load_offset);
        let address = self.address.unwrap_or(Address {
            header: self
                .load_addr
                .wrapping_add(self.header_offset)
                .wrapping_sub(self.load_offset),
            load: if self.implied_load {
                u32::MAX
            } else {
                self.load_addr
            },
            load_end: if self.explicit_load_end {
                self.load_addr.wrapping_add(loaded)
            } else {
                0
            },
            bss_end: self
                .mem_len
                .map_or(0, |len| self.load_addr.wrapping_add(len)),
        });
        let header = self.header.clone().tag(Tag::Address(address)).build();
        put(&mut out, self.header_offset as usize, &header);
        out
    }
}
