// SPDX-License-Identifier: GPL-3.0-or-later
//! Settles in a linked module whatever does not depend on where GRUB will load it.
//!
//! A partial link keeps a relocation for every call and every address, and a name for every
//! function. Most of that is known once all parts are in one object: sections move, but what is
//! inside one section keeps its distances. GRUB's loader would come to the same result each time
//! the module is loaded, at the cost of one entry in the file for each place.
//!
//! This is not a linker: sections keep their bytes, order and flags, and nothing gets an address.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::build::Id;
use object::build::elf::{Builder, Relocation, Section, SectionData, SectionId, SymbolId};
use object::{Endianness, elf};

#[cfg(test)]
mod tests;

/// Sections that GRUB reads although they get no memory.
const READ_BY_NAME: &[&str] = &[".modname", ".moddeps", ".module_license"];

/// Functions that GRUB looks for by name.
const ENTRIES: &[&str] = &["grub_mod_init", "grub_mod_fini"];

/// Rewrites the module in a file.
///
/// # Errors
///
/// If the file cannot be read or written, or holds something unexpected.
pub(crate) fn file(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let resolved = resolve(&bytes).with_context(|| format!("cannot resolve {}", path.display()))?;
    fs::write(path, resolved).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the object without the relocations, symbols and sections that GRUB has no use for.
///
/// # Errors
///
/// If it is no object of a processor that we build for, has a relocation that GRUB's verifier
/// would not let pass, or a value does not fit into its place.
pub(crate) fn resolve(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object)?;
    let header = &builder.header;
    let known = matches!(
        (header.e_machine, builder.is_64),
        (elf::EM_386, false) | (elf::EM_X86_64, true)
    );
    let relocatable = header.e_type == elf::ET_REL && builder.endian == Endianness::Little;
    ensure!(known && relocatable, "not a relocatable object for x86");
    drop_sections(&mut builder);
    let mut needed = BTreeSet::new();
    let tables: Vec<SectionId> = builder
        .sections
        .iter()
        .filter(|section| matches!(section.data, SectionData::Relocation(_)))
        .map(Section::id)
        .collect();
    for table in tables {
        needed.extend(resolve_table(&mut builder, table)?);
    }
    drop_symbols(&mut builder, &needed);
    drop_empty_sections(&mut builder);
    let mut out = Vec::new();
    builder.write(&mut out)?;
    Ok(out)
}

/// Removes the sections that are neither loaded nor read, and the relocations of them.
fn drop_sections(builder: &mut Builder<'_>) {
    for section in &mut builder.sections {
        let name = String::from_utf8_lossy(&section.name);
        let unwinding = name.starts_with(".eh_frame") || name.starts_with(".note");
        let loaded = section.is_alloc() && !unwinding;
        let table = matches!(
            section.data,
            SectionData::Relocation(_)
                | SectionData::Symbol
                | SectionData::SymbolSectionIndex
                | SectionData::String
                | SectionData::SectionString
        );
        section.delete = !loaded && !table && !READ_BY_NAME.contains(&&*name);
        // A later link must not move single strings: relocations now lead to the section.
        if loaded && section.sh_flags.contains(elf::SHF_MERGE) {
            section.sh_flags.remove(elf::SHF_MERGE | elf::SHF_STRINGS);
            section.sh_entsize = 0;
        }
    }
    let orphans: Vec<SectionId> = builder
        .sections
        .iter()
        .filter(|section| matches!(section.data, SectionData::Relocation(_)))
        .filter(|section| {
            let patched = section.sh_info_section;
            patched.is_some_and(|id| builder.sections.get(id).delete)
        })
        .map(Section::id)
        .collect();
    for orphan in orphans {
        builder.sections.get_mut(orphan).delete = true;
    }
}

/// Removes loaded sections without a byte that no symbol stands in.
fn drop_empty_sections(builder: &mut Builder<'_>) {
    let used: BTreeSet<usize> = builder
        .symbols
        .iter()
        .filter_map(|symbol| Some(symbol.section?.index()))
        .collect();
    for section in &mut builder.sections {
        let empty = match &section.data {
            SectionData::Data(bytes) => bytes.is_empty(),
            SectionData::UninitializedData(len) => *len == 0,
            _ => false,
        };
        if empty && section.is_alloc() && !used.contains(&section.id().index()) {
            section.delete = true;
        }
    }
}

/// Removes all symbols but the needed ones and the entries.
fn drop_symbols(builder: &mut Builder<'_>, needed: &BTreeSet<usize>) {
    for symbol in &mut builder.symbols {
        let entry = ENTRIES.iter().any(|name| *symbol.name == *name.as_bytes());
        symbol.delete = !entry && !needed.contains(&symbol.id().index());
    }
}

/// Handles the relocations of one section; returns the indices of the symbols that it needs.
fn resolve_table(builder: &mut Builder<'_>, table: SectionId) -> Result<BTreeSet<usize>> {
    let section = builder.sections.get(table);
    let SectionData::Relocation(relocations) = &section.data else {
        bail!("{} holds no relocations", section.name);
    };
    let relocations = relocations.clone();
    let implicit = section.sh_type == elf::SHT_REL;
    let patched = section
        .sh_info_section
        .with_context(|| format!("{} does not say what it patches", section.name))?;
    ensure!(
        implicit != builder.is_64,
        "{} has the other processor's form of relocations",
        section.name
    );
    let target = builder.sections.get(patched);
    let SectionData::Data(bytes) = &target.data else {
        bail!(
            "{} patches {}, which has no bytes",
            section.name,
            target.name
        );
    };
    let mut place = Places {
        section: patched,
        bytes: bytes.to_vec(),
        implicit,
    };
    let mut kept = Vec::new();
    for relocation in relocations {
        let outcome = place.resolve(builder, relocation);
        let left = outcome.with_context(|| describe(builder, patched, &relocation))?;
        kept.extend(left);
    }
    let needed = kept.iter().filter_map(|r| Some(r.symbol?.index()));
    let needed = needed.collect();
    builder.sections.get_mut(patched).data = SectionData::Data(place.bytes.into());
    let section = builder.sections.get_mut(table);
    section.delete = kept.is_empty();
    section.data = SectionData::Relocation(kept);
    Ok(needed)
}

/// Names the place of a relocation and what it is against.
fn describe(builder: &Builder<'_>, patched: SectionId, relocation: &Relocation) -> String {
    let symbol = relocation.symbol.map(|id| builder.symbols.get(id));
    let mut name = symbol.map_or_else(|| "nothing".to_owned(), |s| s.name.to_string());
    if name.is_empty() {
        let section = symbol.and_then(|s| s.section);
        name = section.map_or_else(String::new, |id| builder.sections.get(id).name.to_string());
    }
    format!(
        "relocation type {:#x} at {}+{:#x} against {name}",
        relocation.r_type.0,
        builder.sections.get(patched).name,
        relocation.r_offset
    )
}

/// What a relocation does to its place.
#[derive(Clone, Copy)]
struct Kind {
    /// Length of the place, in bytes.
    len: usize,
    /// The place gets a distance from itself, not an address.
    relative: bool,
}

impl Kind {
    /// Looks up a type; only those have a kind that GRUB's verifier lets pass.
    fn of(machine: elf::Machine, r_type: elf::RelocationType) -> Option<Self> {
        let (len, relative) = match (machine, r_type) {
            (elf::EM_386, elf::R_386_32) => (4, false),
            (elf::EM_386, elf::R_386_PC32) => (4, true),
            (elf::EM_X86_64, elf::R_X86_64_64) => (8, false),
            (elf::EM_X86_64, elf::R_X86_64_PC64) => (8, true),
            (elf::EM_X86_64, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) => (4, true),
            _ => return None,
        };
        Some(Self { len, relative })
    }
}

/// The bytes of a section that has relocations.
struct Places {
    section: SectionId,
    bytes: Vec<u8>,
    /// Addends are in the places, not in the entries.
    implicit: bool,
}

impl Places {
    /// Handles one relocation; returns what is left of it for GRUB to do.
    fn resolve(
        &mut self,
        builder: &mut Builder<'_>,
        mut relocation: Relocation,
    ) -> Result<Option<Relocation>> {
        let kind = Kind::of(builder.header.e_machine, relocation.r_type)
            .context("GRUB does not know the type")?;
        let begin = usize::try_from(relocation.r_offset)?;
        let end = begin.checked_add(kind.len);
        let place = end
            .and_then(|end| self.bytes.get_mut(begin..end))
            .context("the place is outside of its section")?;
        let addend = if self.implicit {
            read(place)
        } else {
            relocation.r_addend
        };
        let symbol = builder
            .symbols
            .get(relocation.symbol.context("it has no symbol")?);
        let Some(home) = symbol.section else {
            let elsewhere = [elf::SHN_UNDEF, elf::SHN_COMMON].contains(&symbol.st_shndx);
            ensure!(elsewhere, "the symbol is in no section");
            return Ok(Some(relocation));
        };
        let section = builder.sections.get(home);
        ensure!(!section.delete, "{} is not loaded", section.name);
        let value = i64::try_from(symbol.st_value)?
            .checked_add(addend)
            .context("the addend is too large")?;
        if kind.relative && home == self.section {
            let distance = value.checked_sub(i64::try_from(relocation.r_offset)?);
            distance
                .and_then(|distance| write(place, distance))
                .context("the distance does not fit")?;
            return Ok(None);
        }
        relocation.symbol = Some(section_symbol(builder, home));
        if self.implicit {
            write(place, value).context("the addend does not fit")?;
        } else {
            relocation.r_addend = value;
        }
        Ok(Some(relocation))
    }
}

/// Reads the signed number in a place.
fn read(place: &[u8]) -> i64 {
    if let Ok(long) = place.try_into() {
        return i64::from_le_bytes(long);
    }
    place.try_into().map_or(0, i32::from_le_bytes).into()
}

/// Puts a signed number into a place if it fits there.
fn write(place: &mut [u8], value: i64) -> Option<()> {
    if place.len() == size_of::<i64>() {
        place.copy_from_slice(&value.to_le_bytes());
    } else {
        place.copy_from_slice(&i32::try_from(value).ok()?.to_le_bytes());
    }
    Some(())
}

/// Finds the symbol that stands for a section, or adds it.
fn section_symbol(builder: &mut Builder<'_>, section: SectionId) -> SymbolId {
    let found = builder.symbols.iter().find(|symbol| {
        symbol.st_type() == elf::STT_SECTION
            && symbol.section == Some(section)
            && symbol.st_value == 0
    });
    if let Some(symbol) = found {
        return symbol.id();
    }
    let symbol = builder.symbols.add();
    symbol.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
    symbol.section = Some(section);
    symbol.id()
}
