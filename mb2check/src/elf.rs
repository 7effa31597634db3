// SPDX-License-Identifier: GPL-3.0-or-later
//! The ELF headers of a file, read by the loader's own reader.

use mb2::error::Kept;
use mb2::wire::elf::{Class, FileHeader, HeaderTable, PT_LOAD, Program, Section, entry};

/// Most headers that are looked at; no sound file has more.
const MOST: u32 = 1 << 20;

/// Longest name of a section, in bytes; a table without an end has no name in it.
const LONGEST_NAME: usize = 256;

/// A count or an index that stands in section header 0 (ELF, `PN_XNUM`, `SHN_XINDEX`).
const ELSEWHERE: u32 = 0xffff;

/// The headers of an ELF file.
pub struct Elf<'a> {
    /// The file header, with the counts that section 0 has.
    pub header: FileHeader,
    /// The counts stand in section 0.
    pub extended: bool,
    /// The file header says that there are sections.
    pub counts_sections: bool,
    /// All program headers, or none where the table is no good.
    pub programs: Vec<Program>,
    /// All section headers, likewise.
    pub sections: Vec<Section>,
    bytes: &'a [u8],
}

impl<'a> Elf<'a> {
    /// Reads what there is of a file.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut kept = Kept::default();
        let mut header = FileHeader::parse(bytes, &mut kept).ok()?;
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let class = header.class;
        let counts = [header.programs.count, header.sections.count];
        let names = header.name_index;
        let first = header.extension(size);
        let first = first.and_then(|table| bytes.get(table.offset() as usize..));
        let asked = first.is_some() && header.sections.entry_size >= class.section_header_len();
        let sound = header.resolve(first, size, &mut kept).is_ok();
        let many = counts[1] == 0 && header.sections.count != 0;
        let table = |table: &HeaderTable| {
            let rest = bytes.get(table.offset() as usize..).unwrap_or_default();
            let count = if sound { table.count.min(MOST) } else { 0 };
            let table = *table;
            (0..count).map(move |index| entry(&table, rest, index))
        };
        let programs = table(&header.programs).map(|bytes| Program::parse(class, bytes));
        let sections = table(&header.sections).map(|bytes| Section::parse(class, bytes));
        Some(Self {
            extended: asked && (many || [counts[0], names].contains(&ELSEWHERE)),
            counts_sections: counts[1] != 0,
            programs: programs.collect(),
            sections: sections.collect(),
            header,
            bytes,
        })
    }

    /// What the class is called.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self.header.class {
            Class::Elf32 => "ELF32",
            Class::Elf64 => "ELF64",
        }
    }

    /// Picks what belongs to the class: for 32 bits, for 64 bits.
    #[must_use]
    pub fn pick<T>(&self, narrow: T, wide: T) -> T {
        match self.header.class {
            Class::Elf32 => narrow,
            Class::Elf64 => wide,
        }
    }

    /// The segments that take memory, with their numbers.
    pub fn loadable(&self) -> impl Iterator<Item = (u32, &Program)> {
        let takes = |program: &Program| program.kind() == PT_LOAD && program.memory_size() > 0;
        (0..)
            .zip(&self.programs)
            .filter(move |(_, program)| takes(program))
    }

    /// Name of a section, empty where it has none.
    #[must_use]
    pub fn name(&self, index: u32) -> String {
        let name = || {
            let names = self.sections.get(self.header.name_index as usize)?;
            let table = &self.header.sections;
            let rest = self.bytes.get(table.offset() as usize..)?;
            let at = entry(table, rest, index).first_chunk::<4>()?;
            let from = names.offset().checked_add(u32::from_le_bytes(*at).into())?;
            let text = self.bytes.get(usize::try_from(from).ok()?..)?;
            let text = text.get(..LONGEST_NAME).unwrap_or(text);
            let len = text.iter().position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&text[..len]).into_owned())
        };
        name().unwrap_or_default()
    }

    /// The section that holds a byte of the file.
    #[must_use]
    pub fn section_at(&self, offset: u64) -> Option<(u32, &Section)> {
        let holds = |section: &Section| {
            let inside = offset.checked_sub(section.offset());
            let in_file = ![0, 8].contains(&section.kind());
            in_file && inside.is_some_and(|inside| inside < section.size())
        };
        (0..)
            .zip(&self.sections)
            .find(|(_, section)| holds(section))
    }

    /// Offset in the file of a field of a program header; the field's offsets are those
    /// of 32 and of 64 bits.
    #[must_use]
    pub fn program_field(&self, index: u64, narrow: u64, wide: u64) -> u64 {
        field(&self.header.programs, index, self.pick(narrow, wide))
    }

    /// The same of a section header.
    #[must_use]
    pub fn section_field(&self, index: u64, narrow: u64, wide: u64) -> u64 {
        field(&self.header.sections, index, self.pick(narrow, wide))
    }
}

fn field(table: &HeaderTable, index: u64, inside: u64) -> u64 {
    let start = index.saturating_mul(table.entry_size.into());
    table.offset.saturating_add(start).saturating_add(inside)
}
