// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels with relocations, in any form a linker or an enemy may write them.

use super::Fake;
use super::images::{BASE, ENTRY, FIRST, SECOND, bytes, parts, relocatable};
use super::information::find;
use super::world::Started;
use mb2_testkit::bytes::{put, put_number, u32_at, u64_at};
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{
    Class, Contents, ET_DYN, ET_EXEC, Ehdr, ImageBuilder, Patch, SHF_ALLOC, SHT_REL, SHT_RELA,
    Section, Segment,
};

/// Where the parts of the first segment lie, counted from its start.
pub(crate) const DYNAMIC: usize = 0x800;
pub(crate) const SYMBOLS: usize = 0xa00;
pub(crate) const TABLES: usize = 0x1000;

/// Type of a segment with the dynamic section, and of a symbol table.
const PT_DYNAMIC: u32 = 2;
const SHT_SYMTAB: u32 = 2;

/// Loads a kernel with options before its name, and starts it.
pub(crate) fn start(file: &[u8], options: &[&str]) -> Started {
    let mut fake = Fake::bios().file("/kernel", file);
    let words = [options, &["/kernel", "--line"]].concat();
    fake.multiboot2(&words).unwrap();
    let started = fake.boot().unwrap();
    assert_eq!(&find(started.information(), 1)[8..], b"--line\0");
    assert!(fake.balanced());
    started
}

/// Where the image lies.
pub(crate) fn base(started: &Started) -> u32 {
    u32_at(find(started.information(), 21), 8).unwrap()
}

/// The word at a distance from the start of the image.
pub(crate) fn word(started: &Started, class: Class, offset: u32) -> u64 {
    let bytes = started.memory(base(started) + offset, 8);
    match class {
        Class::Elf32 => u32_at(bytes, 0).unwrap().into(),
        Class::Elf64 => u64_at(bytes, 0).unwrap(),
    }
}

/// Forms of tables: the tags of their address, size and length of an entry,
/// and the words of an entry.
pub(crate) const REL: Form = ([17, 18, 19], 2);
pub(crate) const RELA: Form = ([7, 8, 9], 3);
pub(crate) const RELR: Form = ([36, 35, 37], 1);
pub(crate) const JMPREL: Form = ([23, 2, 0], 2);
pub(crate) const JMPRELA: Form = ([23, 2, 0], 3);
pub(crate) type Form = ([u64; 3], u64);

/// A kernel of two segments. The tables lie in the first, or in sections of
/// their own if there is no dynamic section.
#[derive(Clone, Debug)]
pub(crate) struct Pie {
    pub(crate) class: Class,
    pub(crate) shared: bool,
    pub(crate) dynamic: bool,
    /// Virtual minus physical address of the second segment.
    pub(crate) mapped: u64,
    /// Lowest address where it may lie.
    pub(crate) min: u32,
    /// Values and sections of the symbols behind the first.
    pub(crate) symbols: Vec<(u64, u16)>,
    pub(crate) tables: Vec<(Form, Vec<u64>)>,
    /// Numbers in memory, by their distance from the start.
    pub(crate) stored: Vec<(u32, u64)>,
    /// More of the dynamic section.
    pub(crate) tags: Vec<[u64; 2]>,
}

impl Pie {
    /// One with a dynamic section, moved up.
    pub(crate) fn new(class: Class) -> Self {
        Self {
            class,
            shared: true,
            dynamic: true,
            mapped: 0,
            min: BASE + 0x20_0000,
            symbols: Vec::new(),
            tables: Vec::new(),
            stored: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// An ordinary executable whose relocations the linker has kept.
    pub(crate) fn kept(class: Class) -> Self {
        Self {
            shared: false,
            dynamic: false,
            ..Self::new(class)
        }
    }

    pub(crate) fn word(&self) -> usize {
        if self.class == Class::Elf32 { 4 } else { 8 }
    }

    /// The second word of a relocation.
    pub(crate) fn info(&self, kind: u64, symbol: u64) -> u64 {
        kind | symbol << if self.class == Class::Elf32 { 8 } else { 32 }
    }

    /// Adds a table of relocations.
    pub(crate) fn table(mut self, form: Form, words: &[u64]) -> Self {
        self.tables.push((form, words.to_vec()));
        self
    }

    /// Adds a number in memory.
    pub(crate) fn stores(mut self, offset: u32, value: u64) -> Self {
        self.stored.push((offset, value));
        self
    }

    /// How far it is moved where its wish is met.
    pub(crate) fn slide(&self) -> u64 {
        u64::from(self.min).wrapping_sub(BASE.into())
    }

    fn words(&self, words: &[u64]) -> Vec<u8> {
        let of = |word: &u64| word.to_le_bytes()[..self.word()].to_vec();
        words.iter().flat_map(of).collect()
    }

    /// The symbols, each with its value and its section.
    fn symbol_table(&self) -> Vec<u8> {
        let (len, value, section) = match self.class {
            Class::Elf32 => (16, 4, 14),
            Class::Elf64 => (24, 8, 6),
        };
        let mut table = vec![0; len * (self.symbols.len() + 1)];
        for (index, &(number, place)) in self.symbols.iter().enumerate() {
            let at = (index + 1) * len;
            put_number(&mut table, at + value, number, self.word());
            put_number(&mut table, at + section, place.into(), 2);
        }
        table
    }

    /// The image in parts.
    pub(crate) fn image(&self) -> ImageBuilder {
        let header = HeaderBuilder::new().tag(relocatable(self.min, u32::MAX, 0x1000, 1));
        let (mut first, mut second) = parts(&header);
        let base = u64::from(BASE);
        let mut tags = vec![[6, base + SYMBOLS as u64], [20, 17]];
        let mut at = TABLES;
        for (([address, size, entry], words), contents) in &self.tables {
            let bytes = self.words(contents);
            if self.dynamic {
                put(&mut first, at, &bytes);
            }
            let len = words * self.word() as u64;
            tags.push([*address, base + at as u64]);
            tags.push([*size, bytes.len() as u64]);
            match entry {
                0 => tags.push([20, if *words == 3 { 7 } else { 17 }]),
                tag => tags.push([*tag, len]),
            }
            at += bytes.len();
        }
        tags.extend(&self.tags);
        tags.push([0, 0]);
        let dynamic = self.words(tags.as_flattened());
        if self.dynamic {
            assert!(at <= FIRST.0 && DYNAMIC + dynamic.len() <= SYMBOLS);
            put(&mut first, DYNAMIC, &dynamic);
            put(&mut first, SYMBOLS, &self.symbol_table());
        }
        for &(offset, value) in &self.stored {
            let (part, offset) = match offset.checked_sub(SECOND.0) {
                Some(offset) => (&mut second, offset),
                None => (&mut first, offset),
            };
            put_number(part, offset as usize, value, self.word());
        }
        let at = base + u64::from(SECOND.0);
        let mut image = ImageBuilder::new(self.class)
            .segment(Segment::load(base, first).mem_len(FIRST.1.into()))
            .segment(
                Segment::load(at, second)
                    .mem_len(SECOND.2.into())
                    .vaddr(at.wrapping_add(self.mapped)),
            );
        image.entry = base + u64::from(ENTRY);
        image.kind = if self.shared { ET_DYN } else { ET_EXEC };
        if self.dynamic {
            let mut segment = Segment::load(base + DYNAMIC as u64, Vec::new());
            segment.kind = PT_DYNAMIC;
            image.segments.push(segment.mem_len(dynamic.len() as u64));
        }
        let data = |name: &str, segment, at: u64, len| Section {
            flags: SHF_ALLOC,
            addr: at,
            contents: Contents::InSegment(segment, 0, len),
            ..Section::loose(name, Vec::new())
        };
        image = image.section(data(".data", 0, base, FIRST.0 as u64));
        image = image.section(data(".more", 1, at.wrapping_add(self.mapped), 0x800));
        if !self.dynamic {
            let table = Section::loose(".symtab", self.symbol_table());
            image = image.section(table.kind(SHT_SYMTAB).align(8));
            for ((_, words), contents) in &self.tables {
                let kind = if *words == 3 { SHT_RELA } else { SHT_REL };
                let table = Section::loose(".rel", self.words(contents));
                let len = words * self.word() as u64;
                image = image.section(table.kind(kind).align(8).table(3, 1, len));
            }
        }
        image
    }

    /// The file.
    pub(crate) fn file(&self) -> Vec<u8> {
        bytes(&self.image())
    }
}

/// Puts a copy of the section table before the segments, where no tail of the
/// file holds it.
pub(crate) fn with_table_first(mut image: ImageBuilder) -> ImageBuilder {
    const AT: u64 = 0x200;
    let built = image.build().expect("an image");
    let table = built.bytes[built.shdr_offset as usize..].to_vec();
    image.raw.push((AT, table));
    image.patch(Patch::Ehdr(Ehdr::ShOff, AT))
}
