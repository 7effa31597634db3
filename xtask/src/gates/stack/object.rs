// SPDX-License-Identifier: GPL-3.0-or-later
//! The code of an object, as far as calls are concerned: where functions start, and where its
//! relocations lead.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context, Result};
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags,
    SectionIndex, SectionKind, SymbolKind, elf,
};

/// An offset in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the section.
    pub(super) section: usize,
    pub(super) offset: u64,
}

/// Where a relocation leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Referent {
    /// In this object.
    Inside(Place),
    /// To a symbol that is somewhere else.
    Outside(String),
}

/// An object and what was found out about its code.
pub(super) struct Code<'a> {
    file: &'a object::File<'a>,
    /// Where relocations of any section stand, and where they lead.
    references: BTreeMap<Place, Referent>,
    /// Where functions start.
    starts: BTreeSet<Place>,
    names: BTreeMap<Place, String>,
    /// Places in code that data refers to: functions, or what jump tables lead to.
    pub(super) in_tables: BTreeSet<Place>,
}

impl<'a> Code<'a> {
    /// Reads an object.
    pub(super) fn read(file: &'a object::File<'a>) -> Result<Self> {
        let mut code = Self {
            file,
            references: BTreeMap::new(),
            starts: BTreeSet::new(),
            names: BTreeMap::new(),
            in_tables: BTreeSet::new(),
        };
        for section in file.sections().filter(is_loaded) {
            code.read_relocations(&section)?;
        }
        for symbol in file.symbols() {
            let Some(section) = symbol.section_index().filter(|_| is_function(&symbol)) else {
                continue;
            };
            let place = Place {
                section: section.0,
                offset: symbol.address(),
            };
            code.starts.insert(place);
            code.names.insert(place, symbol.name()?.to_owned());
        }
        Ok(code)
    }

    fn read_relocations(&mut self, section: &object::Section<'_, '_>) -> Result<()> {
        let runs = section.kind() == SectionKind::Text;
        let data = section.data()?;
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let symbol = self.file.symbol_by_index(index)?;
            let mut addend = relocation.addend();
            if relocation.has_implicit_addend() {
                let at = usize::try_from(offset)?;
                let bytes = data.get(at..at + 4).context("a relocation lies outside")?;
                addend = i32::from_le_bytes(bytes.try_into()?).into();
            }
            // A distance counts from the end of its place.
            let relative = match (self.is_64(), r_type) {
                (false, elf::R_386_PC32 | elf::R_386_PLT32)
                | (true, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) => 4,
                (true, elf::R_X86_64_PC64) => 8,
                _ => 0,
            };
            let referent = match symbol.section_index() {
                None => Referent::Outside(symbol.name()?.to_owned()),
                Some(section) => Referent::Inside(Place {
                    section: section.0,
                    offset: symbol.address().wrapping_add_signed(addend + relative),
                }),
            };
            if let Referent::Inside(place) = &referent
                && self.is_code(*place)
            {
                let list = if runs {
                    &mut self.starts
                } else {
                    &mut self.in_tables
                };
                list.insert(*place);
            }
            let section = section.index().0;
            self.references.insert(Place { section, offset }, referent);
        }
        Ok(())
    }

    /// Says whether the object is for the 64-bit processors.
    pub(super) fn is_64(&self) -> bool {
        self.file.is_64()
    }

    /// Says whether a place can be run.
    pub(super) fn is_code(&self, place: Place) -> bool {
        let section = self.file.section_by_index(SectionIndex(place.section));
        section.is_ok_and(|section| section.kind() == SectionKind::Text)
    }

    /// Takes note of a function that only a call has shown.
    pub(super) fn note(&mut self, start: Place) -> bool {
        self.starts.insert(start)
    }

    /// Where functions start.
    pub(super) fn starts(&self) -> Vec<Place> {
        self.starts.iter().copied().collect()
    }

    /// The bytes from a function's start to the next function's.
    pub(super) fn bytes(&self, start: Place) -> Result<&'a [u8]> {
        let data = self
            .file
            .section_by_index(SectionIndex(start.section))?
            .data()?;
        let next = Place {
            offset: start.offset + 1,
            ..start
        };
        let end = self
            .starts
            .range(next..)
            .find(|p| p.section == start.section);
        let end = end.map_or(data.len() as u64, |end| end.offset);
        let range = usize::try_from(start.offset)?..usize::try_from(end)?;
        data.get(range)
            .context("a function lies outside its section")
    }

    /// The first relocation in a part of a section.
    pub(super) fn reference(&self, section: usize, at: Range<u64>) -> Option<&Referent> {
        let place = |offset| Place { section, offset };
        let mut found = self.references.range(place(at.start)..place(at.end));
        found.next().map(|(_, referent)| referent)
    }

    /// The name of a function, as its source has it.
    pub(super) fn name(&self, start: Place) -> String {
        match self.names.get(&start) {
            Some(name) => {
                let path = format!("{:#}", rustc_demangle::demangle(name));
                path.replace("mb2::", "")
            }
            None => format!("code at {:#x}", start.offset),
        }
    }

    /// The function with a name.
    pub(super) fn named(&self, name: &str) -> Option<Place> {
        let mut all = self.names.iter();
        let (place, _) = all.find(|(_, other)| *other == name)?;
        Some(*place)
    }
}

fn is_loaded(section: &object::Section<'_, '_>) -> bool {
    let flags = section.flags();
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_ALLOC))
        && !section
            .name()
            .is_ok_and(|name| name.starts_with(".eh_frame"))
}

fn is_function(symbol: &object::Symbol<'_, '_>) -> bool {
    symbol.kind() == SymbolKind::Text && !symbol.is_undefined()
}
