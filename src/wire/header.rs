// SPDX-License-Identifier: GPL-3.0-or-later
//! The Multiboot2 header in a kernel file: search and tags (Multiboot2, 3.1).

use super::{open_enum, u16_at, u32_at};
use crate::error::{Kind, Outcome, Report};
use crate::units::{align_up, index, short, wide};

/// Bytes of the file that are searched for the header (Multiboot2, 3.1).
pub const SEARCH_LEN: usize = 32 * 1024;

/// First word of the header (Multiboot2, 3.1.2).
pub const MAGIC: u32 = 0xe852_50d6;

/// Processor family of the header: 32-bit i386 (Multiboot2, 3.1.2).
pub const ARCHITECTURE_I386: u32 = 0;

/// Tags start on multiples of this, in bytes (Multiboot2, 3.1.3).
pub const TAG_ALIGN: u32 = 8;

/// Magic, architecture, length and checksum (Multiboot2, 3.1.1).
const FIXED_LEN: usize = 16;

/// The fixed fields and an end tag: no header is shorter.
const MIN_LEN: u32 = 24;

/// Type, flags and size of a tag (Multiboot2, 3.1.3).
const TAG_HEAD: usize = 8;

open_enum! {
    /// Type of a header tag (Multiboot2, 3.1.3).
    pub struct TagType(u16) {
        /// Ends the list (Multiboot2, 3.1.3).
        END = 0,
        /// Asks for boot information (Multiboot2, 3.1.4).
        INFORMATION_REQUEST = 1,
        /// Makes the file a flat image (Multiboot2, 3.1.5).
        ADDRESS = 2,
        /// Replaces the ELF entry (Multiboot2, 3.1.6).
        ENTRY = 3,
        /// Wishes for the console (Multiboot2, 3.1.9).
        CONSOLE_FLAGS = 4,
        /// Wishes for the video mode (Multiboot2, 3.1.10).
        FRAMEBUFFER = 5,
        /// Wants modules on page boundaries (Multiboot2, 3.1.11).
        MODULE_ALIGN = 6,
        /// Wants boot services to stay (Multiboot2, 3.1.12).
        EFI_BOOT_SERVICES = 7,
        /// Entry for UEFI i386 (Multiboot2, 3.1.7).
        ENTRY_EFI32 = 8,
        /// Entry for UEFI amd64 (Multiboot2, 3.1.8).
        ENTRY_EFI64 = 9,
        /// Allows the loader to move the image (Multiboot2, 3.1.13).
        RELOCATABLE = 10,
    }
}

impl TagType {
    /// Smallest legal size of a tag of this type in bytes; `None` for a type
    /// that this loader does not know.
    #[must_use]
    pub fn min_size(self) -> Option<u32> {
        Some(match self {
            Self::INFORMATION_REQUEST | Self::MODULE_ALIGN | Self::EFI_BOOT_SERVICES => 8,
            Self::ENTRY | Self::CONSOLE_FLAGS | Self::ENTRY_EFI32 | Self::ENTRY_EFI64 => 12,
            Self::FRAMEBUFFER => 20,
            Self::ADDRESS | Self::RELOCATABLE => 24,
            _ => return None,
        })
    }
}

/// One tag: its type, and its fields from the ninth byte on (Multiboot2,
/// 3.1.3). The fields are at least as long as [`TagType::min_size`] says.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    /// Type as the file gives it.
    pub kind: TagType,
    /// The loader may skip this tag when it does not know it.
    pub optional: bool,
    fields: &'a [u8],
}

impl Tag<'_> {
    /// The 32-bit field number `index` behind type, flags and size.
    #[must_use]
    pub fn field(&self, index: usize) -> u32 {
        let (fields, _) = self.fields.as_chunks();
        fields
            .get(index)
            .map_or(0, |field| u32::from_le_bytes(*field))
    }

    /// Number of whole 32-bit fields.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.fields.len() / 4
    }
}

/// A header that was found and whose frame is sound (Multiboot2, 3.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Where the header starts in the file.
    pub offset: u32,
    bytes: &'a [u8],
}

impl<'a> Header<'a> {
    /// Finds the header in `window`, the first bytes of the file.
    ///
    /// A lone magic, a wrong checksum or another architecture is no header;
    /// the search goes on behind it.
    ///
    /// ```
    /// use mb2::error::{Kept, Kind};
    /// use mb2::wire::header::Header;
    ///
    /// let words = [0, 0, 0xe85250d6, 0, 24, 0x17adaf12, 0, 8_u32];
    /// let mut file: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    /// let mut kept = Kept::default();
    /// let header = Header::find(&file, &mut kept).unwrap();
    /// assert_eq!(header.offset, 8);
    /// assert!(header.tags().next(&mut kept).unwrap().is_none());
    ///
    /// file[20] += 1; // the checksum
    /// assert!(Header::find(&file, &mut kept).is_err());
    /// assert_eq!(kept.0.unwrap().kind, Kind::NoHeader);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Kind::NoHeader`]; [`Kind::HeaderLength`] when the first candidate
    /// does not end inside the window.
    pub fn find(window: &'a [u8], report: &mut impl Report) -> Outcome<Self> {
        let mut rest = window.get(..SEARCH_LEN).unwrap_or(window);
        let mut offset = 0u32;
        while let Some(fixed) = rest.first_chunk::<FIXED_LEN>() {
            let length = u32_at(fixed, 8);
            let sum = MAGIC
                .wrapping_add(ARCHITECTURE_I386)
                .wrapping_add(length)
                .wrapping_add(u32_at(fixed, 12));
            let known = u32_at(fixed, 0) == MAGIC && u32_at(fixed, 4) == ARCHITECTURE_I386;
            if known && sum == 0 {
                return match rest.get(..index(length)) {
                    Some(bytes) if length >= MIN_LEN => Ok(Self { offset, bytes }),
                    _ => {
                        let limit = wide(SEARCH_LEN);
                        let (offset, length) = (offset.into(), length.into());
                        Err(report.refuse3(Kind::HeaderLength, offset, length, limit))
                    }
                };
            }
            rest = rest.get(index(TAG_ALIGN)..).unwrap_or_default();
            offset = offset.saturating_add(TAG_ALIGN);
        }
        Err(report.refuse(Kind::NoHeader))
    }

    /// Starts a walk over the tags.
    #[must_use]
    pub fn tags(&self) -> Tags<'a> {
        Tags {
            rest: self.bytes.get(FIXED_LEN..).unwrap_or_default(),
            offset: self.offset.saturating_add(short(FIXED_LEN)),
        }
    }
}

/// A walk over the tags of a header.
pub struct Tags<'a> {
    /// What is left of the header.
    rest: &'a [u8],
    /// Where that starts in the file.
    offset: u32,
}

impl<'a> Tags<'a> {
    /// Where the next tag starts in the file, in bytes.
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// The next tag, or `None` at the end tag.
    ///
    /// # Errors
    ///
    /// [`Kind::NoEndTag`], [`Kind::TagSize`].
    #[inline(never)] // two callers, none of them hurried
    pub fn next(&mut self, report: &mut impl Report) -> Outcome<Option<Tag<'a>>> {
        let rest = self.rest;
        let Some(head) = rest.first_chunk::<TAG_HEAD>() else {
            return Err(report.refuse1(Kind::NoEndTag, self.offset));
        };
        let kind = TagType(u16_at(head, 0));
        let size = u32_at(head, 4);
        let min = kind.min_size().unwrap_or(8);
        if kind == TagType::END && size == 8 {
            return Ok(None);
        }
        let fields = rest.get(TAG_HEAD..index(size));
        let Some(fields) = fields.filter(|_| size >= min && kind != TagType::END) else {
            let (kind, size) = (kind.0.into(), size.into());
            return Err(report.refuse3(Kind::TagSize, kind, self.offset.into(), size));
        };
        // A size that ends at the header's end may leave less than its padding.
        let step = align_up(size, TAG_ALIGN).unwrap_or(size);
        self.rest = rest.get(index(step)..).unwrap_or_default();
        self.offset = self.offset.saturating_add(step);
        Ok(Some(Tag {
            kind,
            optional: u16_at(head, 2) & 1 != 0,
            fields,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kept};

    /// A header with `tags` behind its fixed fields.
    fn header(tags: &[u8]) -> Vec<u8> {
        let length = short(FIXED_LEN.saturating_add(tags.len()));
        let checksum = 0u32.wrapping_sub(MAGIC.wrapping_add(length));
        let mut bytes = Vec::new();
        for word in [MAGIC, ARCHITECTURE_I386, length, checksum] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(tags);
        bytes
    }

    const END: [u8; 8] = [0, 0, 0, 0, 8, 0, 0, 0]; // type 0, flags 0, size 8

    fn find(bytes: &[u8]) -> Result<Header<'_>, Error> {
        let mut kept = Kept::default();
        Header::find(bytes, &mut kept).map_err(|_| kept.0.unwrap())
    }

    fn tags(bytes: &[u8]) -> Result<Vec<Tag<'_>>, Error> {
        let mut kept = Kept::default();
        let mut walk = find(bytes)?.tags();
        let mut list = Vec::new();
        while let Some(tag) = walk.next(&mut kept).map_err(|_| kept.0.unwrap())? {
            list.push(tag);
        }
        Ok(list)
    }

    fn kinds(bytes: &[u8]) -> Result<Vec<u16>, Error> {
        Ok(tags(bytes)?.iter().map(|tag| tag.kind.0).collect())
    }

    #[test]
    fn an_empty_header_has_no_tags() {
        assert_eq!(kinds(&header(&END)), Ok(vec![]));
    }

    #[test]
    fn tags_start_on_multiples_of_eight() {
        #[rustfmt::skip]
        let body = [
            3, 0, 0, 0, 12, 0, 0, 0, 1, 2, 3, 4, // entry address, size 12
            9, 9, 9, 9,                          // padding
            7, 0, 1, 0, 8, 0, 0, 0,              // boot services, optional
            0, 0, 0, 0, 8, 0, 0, 0,              // end
        ];
        let bytes = header(&body);
        let list = tags(&bytes).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].field(0), 0x0403_0201);
        assert!(!list[0].optional && list[1].optional);
    }

    #[test]
    fn the_search_goes_on_behind_a_bad_candidate() {
        let mut bytes = vec![0; 8];
        bytes.extend(MAGIC.to_le_bytes()); // a lone magic
        bytes.extend([0; 12]);
        let mut other = header(&END);
        other[4] = 4; // MIPS
        bytes.extend(other);
        let good = bytes.len();
        bytes.extend(header(&END));
        assert_eq!(usize::try_from(find(&bytes).unwrap().offset), Ok(good));
    }

    #[test]
    fn a_header_must_be_aligned_and_inside_the_window() {
        let at = |offset: usize| {
            let mut bytes = vec![0; offset];
            bytes.extend(header(&END));
            find(&bytes).map(|h| h.offset)
        };
        assert_eq!(at(4), Err(Error::new(Kind::NoHeader, &[])));
        assert_eq!(at(SEARCH_LEN - 24), Ok(32744));
        let crossing = Error::new(Kind::HeaderLength, &[32752, 24, 32768]);
        assert_eq!(at(SEARCH_LEN - 16), Err(crossing));
        assert_eq!(at(SEARCH_LEN), Err(Error::new(Kind::NoHeader, &[])));
    }

    #[test]
    fn short_files_have_no_header() {
        for len in 0..16 {
            assert_eq!(
                kinds(&header(&END)[..len]),
                Err(Error::new(Kind::NoHeader, &[]))
            );
        }
        let cut = kinds(&header(&END)[..23]);
        assert!(matches!(
            cut,
            Err(Error {
                kind: Kind::HeaderLength,
                ..
            })
        ));
    }

    #[test]
    fn sizes_that_would_loop_or_wrap_are_refused() {
        for size in [0u32, 7, 0xffff_fff9, u32::MAX, 0x8000_0000] {
            let mut tags = vec![0x63, 0, 1, 0];
            tags.extend(size.to_le_bytes());
            tags.extend(END);
            let wrong = Error::new(Kind::TagSize, &[0x63, 16, size.into()]);
            assert_eq!(kinds(&header(&tags)), Err(wrong));
        }
    }

    #[test]
    fn known_tags_hold_their_fields() {
        for kind in 1..=10u16 {
            let min = TagType(kind).min_size().unwrap();
            for (size, fits) in [(min, true), (min - 1, false)] {
                let mut tags = kind.to_le_bytes().to_vec();
                tags.extend([1, 0]); // optional does not excuse it
                tags.extend(size.to_le_bytes());
                tags.resize(index(size).next_multiple_of(8).max(8), 0);
                tags.extend(END);
                let walk = super::tests::kinds(&header(&tags)).is_ok();
                assert_eq!(walk, fits, "type {kind} size {size}");
            }
        }
    }

    #[test]
    fn a_list_without_end_tag_is_refused() {
        let tags = [7, 0, 0, 0, 8, 0, 0, 0];
        assert_eq!(
            kinds(&header(&tags)),
            Err(Error::new(Kind::NoEndTag, &[24]))
        );
        let long_end = [0, 0, 0, 0, 12, 0, 0, 0];
        assert!(kinds(&header(&long_end)).is_err());
    }
}
