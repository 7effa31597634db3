// SPDX-License-Identifier: GPL-3.0-or-later
//! The parts of an ELF file, each with every number that can be chosen.

use super::fields::Class;
use super::{ET_EXEC, PT_LOAD, Patch, SHT_NOBITS, SHT_PROGBITS};

/// A program header and the bytes that it covers.
#[derive(Clone, Debug)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// `p_offset`; chosen by the builder if absent.
    pub offset: Option<u64>,
    /// `p_vaddr`.
    pub vaddr: u64,
    /// `p_paddr`.
    pub paddr: u64,
    /// Bytes in the file.
    pub data: Vec<u8>,
    /// `p_filesz` if it is not the length of `data`.
    pub file_len: Option<u64>,
    /// `p_memsz`.
    pub mem_len: u64,
    /// `p_align`; the builder keeps the file offset congruent to the address.
    pub align: u64,
}

impl Segment {
    /// A loadable segment with equal addresses and no zeroed tail.
    #[must_use]
    pub fn load(address: u64, data: Vec<u8>) -> Self {
        Self {
            kind: PT_LOAD,
            flags: 7,
            offset: None,
            vaddr: address,
            paddr: address,
            mem_len: data.len() as u64,
            data,
            file_len: None,
            align: 0x1000,
        }
    }

    /// Sets the length in memory.
    #[must_use]
    pub fn mem_len(mut self, bytes: u64) -> Self {
        self.mem_len = bytes;
        self
    }

    /// Moves the virtual address away from the physical one.
    #[must_use]
    pub fn vaddr(mut self, address: u64) -> Self {
        self.vaddr = address;
        self
    }

    /// Puts the bytes at a file offset of one's own choice.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

/// What a section consists of.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Bytes of its own, placed behind the segments.
    Bytes(Vec<u8>),
    /// A part of a segment: index, offset in it, length.
    InSegment(usize, u64, u64),
    /// No bytes in the file, this length in memory.
    NoBits(u64),
}

/// A section header and its contents.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name, for the string table.
    pub name: String,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`.
    pub addr: u64,
    /// What it holds.
    pub contents: Contents,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_entsize`.
    pub entry_len: u64,
}

impl Section {
    /// A section of bytes that is not part of any segment and has no address.
    #[must_use]
    pub fn loose(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            kind: SHT_PROGBITS,
            flags: 0,
            addr: 0,
            contents: Contents::Bytes(bytes),
            link: 0,
            info: 0,
            align: 1,
            entry_len: 0,
        }
    }

    /// A section without bytes.
    #[must_use]
    pub fn nobits(name: &str, addr: u64, len: u64) -> Self {
        Self {
            kind: SHT_NOBITS,
            addr,
            contents: Contents::NoBits(len),
            ..Self::loose(name, Vec::new())
        }
    }

    /// Sets the type.
    #[must_use]
    pub fn kind(mut self, kind: u32) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the alignment.
    #[must_use]
    pub fn align(mut self, align: u64) -> Self {
        self.align = align;
        self
    }

    /// Sets the two references to other sections and the entry length.
    #[must_use]
    pub fn table(mut self, link: u32, info: u32, entry_len: u64) -> Self {
        (self.link, self.info, self.entry_len) = (link, info, entry_len);
        self
    }
}

/// Which counts go through section header 0 instead of the file header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbering {
    /// Number of program headers (`e_phnum` 0xFFFF).
    pub segments: bool,
    /// Number of section headers (`e_shnum` 0).
    pub sections: bool,
    /// Index of the name table (`e_shstrndx` 0xFFFF).
    pub names: bool,
}

/// A finished file and where its parts ended up.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file.
    pub bytes: Vec<u8>,
    /// File offset of the program headers.
    pub phdr_offset: u64,
    /// File offset of the section headers, 0 without sections.
    pub shdr_offset: u64,
    /// File offset of each segment.
    pub segment_offsets: Vec<u64>,
    /// File offset of each section, the null section included.
    pub section_offsets: Vec<u64>,
}

/// Collects the parts of an ELF file.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    /// Class of all structures.
    pub class: Class,
    /// `e_type`.
    pub kind: u16,
    /// `e_entry`.
    pub entry: u64,
    /// Program headers in order.
    pub segments: Vec<Segment>,
    /// Section headers in order, without the null section and the name table.
    pub sections: Vec<Section>,
    /// Bytes at fixed file offsets, for instance a header outside the segments.
    pub raw: Vec<(u64, Vec<u8>)>,
    /// File offset of the program headers, if not behind the file header.
    pub phdr_at: Option<u64>,
    /// Stride of the program headers, if larger than needed.
    pub phdr_stride: Option<usize>,
    /// Stride of the section headers, if larger than needed.
    pub shdr_stride: Option<usize>,
    /// Extended numbering.
    pub numbering: Numbering,
    /// Damage, applied in order at the end.
    pub patches: Vec<Patch>,
}

impl ImageBuilder {
    /// An executable without contents.
    #[must_use]
    pub fn new(class: Class) -> Self {
        Self {
            class,
            kind: ET_EXEC,
            entry: 0,
            segments: Vec::new(),
            sections: Vec::new(),
            raw: Vec::new(),
            phdr_at: None,
            phdr_stride: None,
            shdr_stride: None,
            numbering: Numbering::default(),
            patches: Vec::new(),
        }
    }

    /// Adds a segment.
    #[must_use]
    pub fn segment(mut self, segment: Segment) -> Self {
        self.segments.push(segment);
        self
    }

    /// Adds a section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Adds damage.
    #[must_use]
    pub fn patch(mut self, patch: Patch) -> Self {
        self.patches.push(patch);
        self
    }
}
