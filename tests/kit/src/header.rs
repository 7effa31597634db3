// SPDX-License-Identifier: GPL-3.0-or-later
//! Multiboot2 headers (Multiboot2, 3.1), right by default and wrong on request.

use crate::bytes::{align_up, put, put_number};

/// First word of every header (Multiboot2, 3.1.2).
pub const MAGIC: u32 = 0xe852_50d6;

/// Placement wish of the relocatable tag (Multiboot2, 3.1.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocatable {
    /// Lowest acceptable load address.
    pub min: u32,
    /// Highest acceptable end.
    pub max: u32,
    /// Required alignment.
    pub align: u32,
    /// 0 none, 1 lowest, 2 highest.
    pub preference: u32,
}

/// The four numbers of the address tag (Multiboot2, 3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where the header's first byte is meant to be.
    pub header: u32,
    /// Where loading starts, or all ones.
    pub load: u32,
    /// End of the loaded part, or 0.
    pub load_end: u32,
    /// End of the zeroed part, or 0.
    pub bss_end: u32,
}

/// One header tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tag {
    /// Type 1: wanted boot information types.
    InformationRequest(Vec<u32>),
    /// Type 2.
    Address(Address),
    /// Type 3: physical entry address.
    Entry(u32),
    /// Type 4: console flags.
    Console(u32),
    /// Type 5: width, height, depth.
    Framebuffer(u32, u32, u32),
    /// Type 6.
    ModuleAlignment,
    /// Type 7.
    EfiBootServices,
    /// Type 8: physical entry address for 32-bit UEFI.
    EntryEfi32(u32),
    /// Type 9: physical entry address for 64-bit UEFI.
    EntryEfi64(u32),
    /// Type 10.
    Relocatable(Relocatable),
    /// Anything: type, size field (the true one if absent), bytes behind it.
    Raw(u16, Option<u32>, Vec<u8>),
}

impl Tag {
    fn kind(&self) -> u16 {
        match self {
            Self::InformationRequest(_) => 1,
            Self::Address(_) => 2,
            Self::Entry(_) => 3,
            Self::Console(_) => 4,
            Self::Framebuffer(..) => 5,
            Self::ModuleAlignment => 6,
            Self::EfiBootServices => 7,
            Self::EntryEfi32(_) => 8,
            Self::EntryEfi64(_) => 9,
            Self::Relocatable(_) => 10,
            Self::Raw(kind, ..) => *kind,
        }
    }

    fn words(&self) -> Vec<u32> {
        match self {
            Self::InformationRequest(types) => types.clone(),
            Self::Address(tag) => vec![tag.header, tag.load, tag.load_end, tag.bss_end],
            Self::Entry(address) | Self::EntryEfi32(address) | Self::EntryEfi64(address) => {
                vec![*address]
            }
            Self::Console(flags) => vec![*flags],
            Self::Framebuffer(width, height, depth) => vec![*width, *height, *depth],
            Self::Relocatable(tag) => vec![tag.min, tag.max, tag.align, tag.preference],
            Self::ModuleAlignment | Self::EfiBootServices | Self::Raw(..) => Vec::new(),
        }
    }

    fn encode(&self, flags: u16) -> Vec<u8> {
        let body = match self {
            Self::Raw(_, _, body) => body.clone(),
            _ => self.words().iter().flat_map(|w| w.to_le_bytes()).collect(),
        };
        let size = match self {
            Self::Raw(_, Some(size), _) => *size,
            _ => 8 + u32::try_from(body.len()).unwrap_or(u32::MAX - 8),
        };
        let mut tag = Vec::new();
        tag.extend(self.kind().to_le_bytes());
        tag.extend(flags.to_le_bytes());
        tag.extend(size.to_le_bytes());
        tag.extend(body);
        tag
    }
}

/// Collects tags and writes the header.
#[derive(Clone, Debug)]
pub struct HeaderBuilder {
    magic: u32,
    architecture: u32,
    length: Option<u32>,
    checksum: Option<u32>,
    alignment: u64,
    end: bool,
    tags: Vec<(Tag, u16)>,
}

impl Default for HeaderBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderBuilder {
    /// A correct header without tags except the last one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            magic: MAGIC,
            architecture: 0,
            length: None,
            checksum: None,
            alignment: 8,
            end: true,
            tags: Vec::new(),
        }
    }

    /// Adds a tag that the loader has to understand.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push((tag, 0));
        self
    }

    /// Adds a tag that the loader may ignore.
    #[must_use]
    pub fn optional(mut self, tag: Tag) -> Self {
        self.tags.push((tag, 1));
        self
    }

    /// Adds a tag with any flags word.
    #[must_use]
    pub fn flagged(mut self, tag: Tag, flags: u16) -> Self {
        self.tags.push((tag, flags));
        self
    }

    /// Replaces the magic number.
    #[must_use]
    pub fn magic(mut self, value: u32) -> Self {
        self.magic = value;
        self
    }

    /// Replaces the architecture (0 is i386, 4 is MIPS).
    #[must_use]
    pub fn architecture(mut self, value: u32) -> Self {
        self.architecture = value;
        self
    }

    /// Replaces the length field; the checksum follows it.
    #[must_use]
    pub fn length(mut self, value: u32) -> Self {
        self.length = Some(value);
        self
    }

    /// Replaces the checksum.
    #[must_use]
    pub fn checksum(mut self, value: u32) -> Self {
        self.checksum = Some(value);
        self
    }

    /// Aligns tags to something else than 8 bytes.
    #[must_use]
    pub fn tag_alignment(mut self, bytes: u64) -> Self {
        self.alignment = bytes;
        self
    }

    /// Leaves the end tag out.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.end = false;
        self
    }

    /// Writes the header.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut out = vec![0; 16];
        for (tag, flags) in &self.tags {
            let at = align_up(out.len() as u64, self.alignment) as usize;
            put(&mut out, at, &tag.encode(*flags));
        }
        if self.end {
            let at = align_up(out.len() as u64, self.alignment) as usize;
            put(&mut out, at, &[0, 0, 0, 0, 8, 0, 0, 0]);
        }
        let length = self.length.unwrap_or(out.len() as u32);
        let sum = self
            .magic
            .wrapping_add(self.architecture)
            .wrapping_add(length)
            .wrapping_neg();
        let checksum = self.checksum.unwrap_or(sum);
        for (index, word) in [self.magic, self.architecture, length, checksum]
            .into_iter()
            .enumerate()
        {
            put_number(&mut out, 4 * index, word.into(), 4);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{u16_at, u32_at};

    /// Every tag with a recognisable value.
    fn full() -> HeaderBuilder {
        HeaderBuilder::new()
            .optional(Tag::InformationRequest(vec![6, 9, 21]))
            .tag(Tag::Address(Address {
                header: 0x10_0000,
                load: 0x10_0000,
                load_end: 0,
                bss_end: 0x11_0000,
            }))
            .tag(Tag::Entry(0x10_1234))
            .tag(Tag::Console(3))
            .tag(Tag::Framebuffer(800, 600, 32))
            .tag(Tag::ModuleAlignment)
            .tag(Tag::EfiBootServices)
            .tag(Tag::EntryEfi32(0x10_2000))
            .tag(Tag::EntryEfi64(0x10_3000))
            .tag(Tag::Relocatable(Relocatable {
                min: 0x20_0000,
                max: 0x7fff_ffff,
                align: 0x1000,
                preference: 2,
            }))
    }

    #[test]
    #[expect(unsafe_code, reason = "the independent reader takes a raw pointer")]
    fn an_independent_reader_finds_every_tag() {
        let mut bytes = full().build();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let words: Vec<u64> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|chunk| u64::from_le_bytes(*chunk))
            .collect();
        // SAFETY: the words are 8-aligned and hold a whole header whose length
        // field matches; they outlive the borrow.
        let header = unsafe { multiboot2_header::Header::load(words.as_ptr().cast()) };
        let header = header.expect("a valid header");
        assert_eq!(header.verify_checksum(), Ok(()));
        assert_eq!(header.iter().count(), 11);
        assert_eq!(
            header.entry_address_tag().map(|t| t.entry_addr()),
            Some(0x10_1234)
        );
        assert_eq!(
            header.address_tag().map(|t| t.bss_end_addr()),
            Some(0x11_0000)
        );
        let place = header.relocatable_tag().expect("tag 10");
        assert_eq!(
            (place.min_addr(), place.max_addr(), place.align()),
            (0x20_0000, 0x7fff_ffff, 0x1000)
        );
        let mode = header.framebuffer_tag().expect("tag 5");
        assert_eq!((mode.width(), mode.height(), mode.depth()), (800, 600, 32));
        assert_eq!(
            header.entry_address_efi64_tag().map(|t| t.entry_addr()),
            Some(0x10_3000)
        );
    }

    #[test]
    fn words_sum_to_zero_unless_asked_otherwise() {
        let sum =
            |bytes: &[u8]| (0..4).fold(0u32, |s, i| s.wrapping_add(u32_at(bytes, 4 * i).unwrap()));
        assert_eq!(sum(&full().build()), 0);
        assert_eq!(sum(&full().length(99).build()), 0);
        assert_ne!(sum(&full().checksum(1).build()), 0);
    }

    #[test]
    fn raw_tags_lie_as_told() {
        let bytes = HeaderBuilder::new()
            .tag(Tag::Raw(77, Some(0), vec![1]))
            .tag_alignment(4)
            .build();
        assert_eq!(u16_at(&bytes, 16), Some(77));
        assert_eq!(u32_at(&bytes, 20), Some(0));
        // Nine bytes, then the end tag at the next multiple of four.
        assert_eq!(u32_at(&bytes, 28 + 4), Some(8));
        assert_eq!(HeaderBuilder::new().without_end().build().len(), 16);
    }
}
