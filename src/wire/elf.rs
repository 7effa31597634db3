// SPDX-License-Identifier: GPL-3.0-or-later
//! ELF32 and ELF64 headers as a loader needs them (ELF, 1-3 to 2-3).
//!
//! One path serves both classes: each field is named by its two offsets, and
//! the class picks one.

use super::{u16_at, u32_at, u64_at};
use crate::error::{Kind, Outcome, Report};
use crate::units::{PhysAddr, in_file, index as place, low32};

/// `e_phnum` says that section header 0 has the count (ELF, `PN_XNUM`).
const COUNT_IN_SECTION: u32 = 0xffff;

/// `e_shstrndx` says that section header 0 has the index (ELF, `SHN_XINDEX`).
const INDEX_IN_SECTION: u32 = 0xffff;

/// Section indexes from here on are reserved (ELF, `SHN_LORESERVE`).
const RESERVED_INDEX: u64 = 0xff00;

/// Longest table of headers, in bytes: four times what counts of 16 bits need.
const MAX_TABLE: u64 = 16 << 20;

/// Segment that is loaded (ELF, `PT_LOAD`).
pub const PT_LOAD: u32 = 1;

/// Section without contents or meaning (ELF, `SHT_NULL`).
pub const SHT_NULL: u32 = 0;

/// Section that takes no place in the file (ELF, `SHT_NOBITS`).
pub const SHT_NOBITS: u32 = 8;

/// Width of an ELF file's numbers (ELF, 1-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32-bit numbers.
    Elf32,
    /// 64-bit numbers.
    Elf64,
}

/// Where a field is in the headers of the two classes, and how many bytes it
/// has: in 32-bit files, in 64-bit files.
pub type Field = [(u8, u8); 2];

/// Reads fields of a header; what is not there reads as 0.
pub(crate) fn read<const N: usize>(class: Class, bytes: &[u8], fields: &[Field; N]) -> [u64; N] {
    let mut values = [0; N];
    read_into(class, bytes, fields, &mut values);
    values
}

#[inline(never)] // one loop for every header of both classes
fn read_into(class: Class, bytes: &[u8], fields: &[Field], values: &mut [u64]) {
    for (value, field) in values.iter_mut().zip(fields) {
        let (offset, width) = class.pick(*field);
        let offset = offset.into();
        *value = match width {
            2 => u16_at(bytes, offset).into(),
            4 => u32_at(bytes, offset).into(),
            _ => u64_at(bytes, offset),
        };
    }
}

impl Class {
    pub(crate) fn pick<T>(self, [elf32, elf64]: [T; 2]) -> T {
        match self {
            Self::Elf32 => elf32,
            Self::Elf64 => elf64,
        }
    }

    /// Bytes of a program header without extensions (ELF, 2-2).
    #[must_use]
    pub fn program_header_len(self) -> u32 {
        self.pick([32, 56])
    }

    /// Bytes of a word: an address, an offset (ELF, 1-2).
    #[must_use]
    pub fn word_len(self) -> u32 {
        self.pick([4, 8])
    }

    /// Cuts an address to the width of the file's.
    #[must_use]
    pub fn narrow(self, address: u64) -> u64 {
        match self {
            Self::Elf32 => low32(address).into(),
            Self::Elf64 => address,
        }
    }

    /// Bytes of a section header without extensions (ELF, 1-9).
    #[must_use]
    pub fn section_header_len(self) -> u32 {
        self.pick([40, 64])
    }
}

/// Place and shape of a table of headers in the file (ELF, 1-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderTable {
    /// Offset of the first entry, in bytes.
    pub offset: u64,
    /// Number of entries.
    pub count: u32,
    /// Bytes from one entry to the next.
    pub entry_size: u32,
}

impl HeaderTable {
    /// Bytes of the whole table; meant for one that is in the file.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count.wrapping_mul(self.entry_size)
    }

    /// Tells whether the table has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Offset of the first entry; meant for a table that is in the file.
    #[must_use]
    pub fn offset(&self) -> u32 {
        low32(self.offset)
    }

    /// Checks that the entries are large enough and lie in the file.
    fn check(&self, least: u32, file_size: u32, report: &mut impl Report) -> Outcome {
        let size = u64::from(self.count).saturating_mul(self.entry_size.into());
        let inside = size <= MAX_TABLE && in_file(self.offset, size, file_size);
        if self.is_empty() || (inside && self.entry_size >= least) {
            return Ok(());
        }
        let (count, entry_size) = (self.count.into(), self.entry_size.into());
        Err(report.refuse3(Kind::ElfTable, count, entry_size, self.offset))
    }
}

/// The ELF header (ELF, 1-3).
#[derive(Clone, Copy, Debug)]
pub struct FileHeader {
    /// Width of the numbers.
    pub class: Class,
    /// A shared object, or a program linked like one.
    pub shared: bool,
    /// Virtual address where the program starts.
    pub entry: u64,
    /// Program headers.
    pub programs: HeaderTable,
    /// Section headers; empty when the file has none.
    pub sections: HeaderTable,
    /// Index of the section that holds the sections' names.
    pub name_index: u32,
}

impl FileHeader {
    /// Reads the header from the first bytes of the file.
    ///
    /// # Errors
    ///
    /// [`Kind::ElfMagic`], [`Kind::ElfMachine`], [`Kind::ElfType`].
    pub fn parse(bytes: &[u8], report: &mut impl Report) -> Outcome<Self> {
        // Magic, then the class, then little endian.
        let Some([0x7f, b'E', b'L', b'F', class, 1]) = bytes.first_chunk() else {
            return Err(report.refuse(Kind::ElfMagic));
        };
        let machine = u16_at(bytes, 18);
        let class = match (class, machine) {
            (1, 3) => Class::Elf32,
            (2, 62) => Class::Elf64,
            _ => return Err(report.refuse(Kind::ElfMachine)),
        };
        if u32_at(bytes, 20) != 1 {
            return Err(report.refuse(Kind::ElfMachine));
        }
        // Executable or shared object.
        let kind = u16_at(bytes, 16);
        if !matches!(kind, 2 | 3) {
            return Err(report.refuse(Kind::ElfType));
        }
        const FIELDS: [Field; 8] = [
            [(24, 4), (24, 8)], // e_entry
            [(28, 4), (32, 8)], // e_phoff
            [(44, 2), (56, 2)], // e_phnum
            [(42, 2), (54, 2)], // e_phentsize
            [(32, 4), (40, 8)], // e_shoff
            [(48, 2), (60, 2)], // e_shnum
            [(46, 2), (58, 2)], // e_shentsize
            [(50, 2), (62, 2)], // e_shstrndx
        ];
        let [entry, phoff, phnum, phsize, shoff, shnum, shsize, names] =
            read(class, bytes, &FIELDS);
        let table = |offset, count, entry_size| HeaderTable {
            offset,
            count: low32(count),
            entry_size: low32(entry_size),
        };
        Ok(Self {
            class,
            shared: kind == 3,
            entry,
            programs: table(phoff, phnum, phsize),
            sections: table(shoff, shnum, shsize),
            name_index: low32(names),
        })
    }

    /// Section header 0, when counts must be looked up in it and a file of
    /// `file_size` bytes has it.
    #[must_use]
    pub fn extension(&self, file_size: u32) -> Option<HeaderTable> {
        let wanted = self.programs.count == COUNT_IN_SECTION
            || self.sections.count == 0
            || self.name_index == INDEX_IN_SECTION;
        let first = HeaderTable {
            offset: self.sections.offset,
            count: 1,
            entry_size: self.class.section_header_len(),
        };
        let inside = in_file(first.offset, first.len().into(), file_size);
        (wanted && first.offset != 0 && inside).then_some(first)
    }

    /// Looks up the counts and checks both tables against the file.
    ///
    /// `first` is section header 0 where [`FileHeader::extension`] asks for it
    /// and the file has it; `file_size` is in bytes.
    ///
    /// # Errors
    ///
    /// [`Kind::ElfTable`].
    pub fn resolve(
        &mut self,
        first: Option<&[u8]>,
        file_size: u32,
        report: &mut impl Report,
    ) -> Outcome {
        let program_len = self.class.program_header_len();
        let section_len = self.class.section_header_len();
        // A file with odd entries has no section 0 to ask; what is not there
        // reads as 0.
        let first = first.filter(|_| self.sections.entry_size >= section_len);
        let known = first.is_some();
        let first = Section::parse(self.class, first.unwrap_or_default());

        if self.programs.count == COUNT_IN_SECTION {
            self.programs.count = first.info();
            if self.programs.count < COUNT_IN_SECTION {
                // Refused below, with its offset.
                self.programs.count = 1;
                self.programs.entry_size = 0;
            }
        }
        if self.sections.offset == 0 {
            self.sections.count = 0;
        } else if self.sections.count == 0 && first.size() >= RESERVED_INDEX {
            // More than 2^32 sections are in no file.
            self.sections.count = u32::try_from(first.size()).unwrap_or(u32::MAX);
        }
        if self.name_index == INDEX_IN_SECTION && known {
            self.name_index = first.link();
        }
        self.programs.check(program_len, file_size, report)?;
        self.sections.check(section_len, file_size, report)
    }
}

/// Makes a header of numbers whose fields are read once and asked by name.
macro_rules! header {
    (@ u32 $value:expr) => {
        low32($value)
    };
    (@ u64 $value:expr) => {
        $value
    };
    (
        $(#[$meta:meta])* $name:ident;
        $($(#[$doc:meta])* $field:ident: $type:ident = $index:literal: $elf32:expr, $elf64:expr;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name([u64; [$($index),*].len()]);

        impl $name {
            /// Reads an entry, which is as long as its class says.
            #[must_use]
            pub fn parse(class: Class, bytes: &[u8]) -> Self {
                Self(read(class, bytes, &[$([$elf32, $elf64]),*]))
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $field(&self) -> $type {
                header!(@ $type self.0[$index])
            })*
        }
    };
}

header! {
    /// A program header (ELF, 2-2).
    Program;
    /// Type of the segment.
    kind: u32 = 0: (0, 4), (0, 4);
    /// Offset of its contents, in bytes.
    offset: u64 = 1: (4, 4), (8, 8);
    /// Virtual address.
    vaddr: u64 = 2: (8, 4), (16, 8);
    /// Physical address.
    paddr: u64 = 3: (12, 4), (24, 8);
    /// Bytes in the file.
    file_size: u64 = 4: (16, 4), (32, 8);
    /// Bytes in memory.
    memory_size: u64 = 5: (20, 4), (40, 8);
}

header! {
    /// A section header (ELF, 1-9).
    Section;
    /// Type of the section.
    kind: u32 = 0: (4, 4), (4, 4);
    /// Address in memory, 0 for a section that is not part of the image.
    addr: u64 = 1: (12, 4), (16, 8);
    /// Offset of its contents, in bytes.
    offset: u64 = 2: (16, 4), (24, 8);
    /// Bytes.
    size: u64 = 3: (20, 4), (32, 8);
    /// Index of a related section.
    link: u32 = 4: (24, 4), (40, 4);
    /// More, by type.
    info: u32 = 5: (28, 4), (44, 4);
    /// Alignment in bytes.
    align: u64 = 6: (32, 4), (48, 8);
    /// Flags, as far as they are known.
    flags: u32 = 7: (8, 4), (8, 8);
    /// Bytes of an entry, for a table.
    entry_len: u64 = 8: (36, 4), (56, 8);
}

impl Section {
    /// Tells whether the loader has to load it beside the segments: it has
    /// contents and nobody gave it an address.
    #[must_use]
    pub fn needs_loading(&self) -> bool {
        let empty = self.size() == 0 || self.kind() == SHT_NULL || self.kind() == SHT_NOBITS;
        self.addr() == 0 && !empty
    }

    /// Writes an address into an entry.
    pub fn set_addr(class: Class, bytes: &mut [u8], addr: PhysAddr) {
        let at = class.pick([12, 16]);
        if let Some(field) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
            *field = addr.0.to_le_bytes(); // the high half is 0, and stays so
        }
    }
}

/// Entry number `index` of a table that lies in `bytes`.
#[must_use]
pub fn entry<'a>(table: &HeaderTable, bytes: &'a [u8], index: u32) -> &'a [u8] {
    let start = index.wrapping_mul(table.entry_size);
    bytes.get(place(start)..).unwrap_or_default()
}

/// Where a section lies in the file, offset and size in bytes, and its
/// alignment, at least 1.
pub struct SectionPart {
    /// Offset and size in bytes.
    pub range: (u32, u32),
    /// Power of two that its address is a multiple of.
    pub align: u32,
}

/// Checks that a section which has to be loaded can be: alignment and bounds.
///
/// # Errors
///
/// [`Kind::SectionAlign`], [`Kind::SectionRange`].
pub fn check_section(
    section: &Section,
    index: u32,
    file_size: u32,
    report: &mut impl Report,
) -> Outcome<SectionPart> {
    let align = u32::try_from(section.align().max(1)).unwrap_or(0);
    if !align.is_power_of_two() {
        return Err(report.refuse2(Kind::SectionAlign, index.into(), section.align()));
    }
    let (offset, size) = (section.offset(), section.size());
    if !in_file(offset, size, file_size) {
        return Err(report.refuse3(Kind::SectionRange, index.into(), offset, size));
    }
    let range = (low32(offset), low32(size));
    Ok(SectionPart { range, align })
}
