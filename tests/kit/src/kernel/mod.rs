// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole images around the test kernel, and what a correct boot of them shows.
//!
//! Memory, from the link base: one page that starts with the Multiboot2
//! header, the 32-bit blob with its bss, a hole of at least two pages, the
//! 64-bit blob with its bss.

mod parts;
#[cfg(test)]
mod tests;

use crate::bytes::put;
use crate::error::Result;
use crate::header::{HeaderBuilder, Relocatable, Tag};
use crate::image::{Class, ET_EXEC, FlatBuilder, ImageBuilder, Section, Segment};
use crate::payload::Payload;
use parts::{layout, with_loose_sections};

/// Default link base: available RAM under every firmware that the tests use
/// (32-bit OVMF with system management mode occupies the second 8 MiB).
pub const BASE: u32 = 0x400_0000;

/// What one of the two blobs is expected to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedBlob {
    /// Distance from the link base.
    pub offset: u32,
    /// Checksum of its file bytes.
    pub fnv: u64,
    /// Checksum of the file bytes of each range, and whether it is a gap.
    pub ranges: Vec<(u64, bool)>,
}

/// What a correct boot of an image shows, whatever loader did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Lowest physical address of the image as linked.
    pub link_base: u32,
    /// Bytes from there to the highest end.
    pub span: u32,
    /// Report of the 32-bit blob.
    pub blob32: ExpectedBlob,
    /// Report of the 64-bit blob.
    pub blob64: ExpectedBlob,
    /// Whether the header carries tags 7 and 8.
    pub efi32_entry: bool,
    /// Whether the header carries tags 7 and 9.
    pub efi64_entry: bool,
    /// Placement wish.
    pub relocatable: Option<Relocatable>,
    /// Sections that the loader has to load by itself: index and checksum.
    pub loose_sections: Vec<(u32, u64)>,
}

/// Choices for a flat file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flat {
    /// The tag gives the end of the loaded part.
    pub load_end: bool,
    /// The tag gives the end of the zeroed part; else the file holds it.
    pub bss_end: bool,
    /// The tag's load address is all ones.
    pub implied_load: bool,
    /// Bytes in front of the loaded part (not with `implied_load`).
    pub lead: u32,
    /// Bytes behind the loaded part (only with `load_end`).
    pub trail: u32,
}

/// Describes an image; the fields are the dimensions of the differential test.
#[derive(Clone, Debug)]
pub struct KernelSpec {
    /// ELF class.
    pub class: Class,
    /// `e_type`.
    pub kind: u16,
    /// Link base.
    pub base: u32,
    /// Virtual minus physical address of the ELF segments.
    pub virtual_offset: u64,
    /// Whether tag 3 gives the entry; `e_entry` then points elsewhere.
    pub entry_tag: bool,
    /// Tag 10.
    pub relocatable: Option<Relocatable>,
    /// Tag 7.
    pub boot_services: bool,
    /// Tag 8.
    pub entry_efi32: bool,
    /// Tag 9.
    pub entry_efi64: bool,
    /// Other header tags with their flags.
    pub tags: Vec<(Tag, u16)>,
    /// Whether the ELF file describes its segments by sections as well.
    pub sections: bool,
    /// More sections.
    pub more_sections: Vec<Section>,
    /// A flat file instead of ELF.
    pub flat: Option<Flat>,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The file.
    pub bytes: Vec<u8>,
    /// What a correct boot shows.
    pub expected: Expected,
}

impl KernelSpec {
    /// An ELF executable at [`BASE`] with sections, without any header tag.
    #[must_use]
    pub fn elf(class: Class) -> Self {
        Self {
            class,
            kind: ET_EXEC,
            base: BASE,
            virtual_offset: 0,
            entry_tag: false,
            relocatable: None,
            boot_services: false,
            entry_efi32: false,
            entry_efi64: false,
            tags: Vec::new(),
            sections: true,
            more_sections: Vec::new(),
            flat: None,
        }
    }

    /// The same without sections, which takes no more memory than its segments.
    #[must_use]
    pub fn bare(class: Class) -> Self {
        Self {
            sections: false,
            ..Self::elf(class)
        }
    }

    /// A flat file at [`BASE`].
    #[must_use]
    pub fn flat(flat: Flat) -> Self {
        Self {
            flat: Some(flat),
            entry_tag: true,
            ..Self::elf(Class::Elf32)
        }
    }

    /// Adds a required header tag.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push((tag, 0));
        self
    }

    /// Adds an optional header tag.
    #[must_use]
    pub fn optional(mut self, tag: Tag) -> Self {
        self.tags.push((tag, 1));
        self
    }

    /// Adds a section that is in no segment.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.more_sections.push(section);
        self
    }

    /// The header without an address tag.
    #[must_use]
    pub fn header(&self, payload: &Payload) -> HeaderBuilder {
        let layout = layout(payload);
        let mut header = HeaderBuilder::new();
        for (tag, flags) in &self.tags {
            header = header.flagged(tag.clone(), *flags);
        }
        if self.entry_tag {
            let entry = self.base + layout.blob32 + payload.blob32.entry();
            header = header.tag(Tag::Entry(entry));
        }
        if self.boot_services {
            header = header.optional(Tag::EfiBootServices);
        }
        if self.entry_efi32 {
            let entry = self.base + layout.blob32 + payload.blob32.entry_efi();
            header = header.optional(Tag::EntryEfi32(entry));
        }
        if self.entry_efi64 {
            let entry = self.base + layout.blob64 + payload.blob64.entry_efi();
            header = header.optional(Tag::EntryEfi64(entry));
        }
        if let Some(place) = self.relocatable {
            header = header.tag(Tag::Relocatable(place));
        }
        header
    }

    /// The ELF image in parts, to be damaged or extended before it is built.
    ///
    /// # Errors
    ///
    /// None with blobs of ordinary shape; see [`crate::payload::Blob::finish`].
    pub fn elf_builder(&self, payload: &Payload) -> Result<(ImageBuilder, Expected)> {
        let layout = layout(payload);
        let mut first = self.header(payload).build();
        first.resize(layout.blob32 as usize, 0);
        let (blob32, blob64, expected) = self.blobs(payload, &layout, &first)?;
        put(&mut first, layout.blob32 as usize, &blob32);

        let base = u64::from(self.base);
        let entry = if self.entry_tag {
            base
        } else {
            base + u64::from(layout.blob32 + payload.blob32.entry())
        };
        let mut image = ImageBuilder::new(self.class);
        image.kind = self.kind;
        image.entry = entry + self.virtual_offset;
        let at64 = base + u64::from(layout.blob64);
        image.segments = vec![
            Segment::load(base, first)
                .mem_len(layout.end32.into())
                .vaddr(base + self.virtual_offset),
            Segment::load(at64, blob64)
                .mem_len((layout.end64 - layout.blob64).into())
                .vaddr(at64 + self.virtual_offset),
        ];
        if self.sections {
            image.sections = self.standard_sections(payload, &layout);
        }
        image.sections.extend(self.more_sections.iter().cloned());
        Ok((image, expected))
    }

    /// Builds the image.
    ///
    /// # Errors
    ///
    /// As [`ImageBuilder::build`].
    pub fn build(&self, payload: &Payload) -> Result<Kernel> {
        match self.flat {
            Some(flat) => self.build_flat(payload, flat),
            None => {
                let (image, expected) = self.elf_builder(payload)?;
                let image = image.build()?;
                let expected = with_loose_sections(expected, &self.sections_of(payload), &image);
                Ok(Kernel {
                    bytes: image.bytes,
                    expected,
                })
            }
        }
    }

    fn sections_of(&self, payload: &Payload) -> Vec<Section> {
        let mut all = Vec::new();
        if self.sections {
            all = self.standard_sections(payload, &layout(payload));
        }
        all.extend(self.more_sections.iter().cloned());
        all
    }

    /// The flat file in parts, to be damaged before it is built.
    ///
    /// # Errors
    ///
    /// As [`KernelSpec::elf_builder`].
    pub fn flat_builder(&self, payload: &Payload, flat: Flat) -> Result<(FlatBuilder, Expected)> {
        let layout = layout(payload);
        let header = self.header(payload);
        let lead = if flat.implied_load { 0 } else { flat.lead };
        let mut builder = FlatBuilder::new(header, self.base);
        builder.header_offset = lead;
        builder.load_offset = lead;
        builder.implied_load = flat.implied_load;
        builder.explicit_load_end = flat.load_end;
        builder.mem_len = flat.bss_end.then_some(layout.end64);
        let file_end = match flat.bss_end {
            true => layout.blob64 + payload.blob64.file_len(),
            false => layout.end64,
        };
        builder.file_len = Some(lead + file_end);
        builder = builder.part(0, crate::bytes::noise(3, lead as usize));

        // The header page is complete only once the tags are: build it, look.
        let page_at = |file: &[u8]| file[lead as usize..(lead + layout.blob32) as usize].to_vec();
        let page = page_at(&builder.build());
        let (blob32, blob64, expected) = self.blobs(payload, &layout, &page)?;
        builder = builder
            .part(lead + layout.blob32, blob32)
            .part(lead + layout.blob64, blob64);
        Ok((builder, expected))
    }

    fn build_flat(&self, payload: &Payload, flat: Flat) -> Result<Kernel> {
        let (builder, expected) = self.flat_builder(payload, flat)?;
        let mut bytes = builder.build();
        if flat.load_end {
            bytes.extend(crate::bytes::noise(4, flat.trail as usize));
        }
        Ok(Kernel { bytes, expected })
    }
}
