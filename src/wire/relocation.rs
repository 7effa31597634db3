// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations, symbols and the dynamic section of ELF files (ELF, 1-16 to
//! 2-19).
//!
//! All of them are records of words: of 4 bytes in 32-bit files, of 8 bytes in
//! 64-bit files.

use super::elf::{Class, read};
use crate::table::join;
use crate::units::{index as place, low32};
use bitflags::bitflags;

/// Segment that tells what a dynamic linker needs (ELF, `PT_DYNAMIC`).
pub const PT_DYNAMIC: u32 = 2;

/// Section of symbols (ELF, `SHT_SYMTAB`).
pub const SHT_SYMTAB: u32 = 2;

/// Section of relocations with addends (ELF, `SHT_RELA`).
pub const SHT_RELA: u32 = 4;

/// Section of relocations without addends (ELF, `SHT_REL`).
pub const SHT_REL: u32 = 9;

/// Section that is part of the image (ELF, `SHF_ALLOC`).
pub const SHF_ALLOC: u32 = 2;

/// Section index of symbols that do not move (ELF, `SHN_ABS`).
const SHN_ABS: u64 = 0xfff1;

/// Type that adds the load address, whatever the processor (ELF,
/// `R_386_RELATIVE` and `R_X86_64_RELATIVE`).
const RELATIVE: u32 = 8;

/// How a table tells its relocations (ELF, 1-21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Places alone, most of them as bits.
    Relr,
    /// Place and type; the addend is in the place.
    Rel,
    /// Place, type and addend.
    Rela,
}

impl Form {
    /// Bytes of an entry.
    #[must_use]
    pub fn entry_len(self, class: Class) -> u32 {
        let words: u32 = match self {
            Self::Relr => 1,
            Self::Rel => 2,
            Self::Rela => 3,
        };
        words.saturating_mul(class.word_len())
    }
}

/// Reads the words of a relocation, or the first of another record (ELF,
/// 1-21).
#[must_use]
pub fn words(class: Class, bytes: &[u8]) -> [u64; 3] {
    read(
        class,
        bytes,
        &[[(0, 4), (0, 8)], [(4, 4), (8, 8)], [(8, 4), (16, 8)]],
    )
}

/// Type and symbol of a relocation, from its second word (ELF, 1-22).
#[must_use]
pub fn type_and_symbol(class: Class, form: Form, info: u64) -> (u32, u32) {
    match class {
        _ if form == Form::Relr => (RELATIVE, 0),
        Class::Elf32 => (low32(info) & 0xff, low32(info) >> 8),
        Class::Elf64 => (low32(info), low32(info >> 32)),
    }
}

bitflags! {
    /// What a type of relocation does (ELF, 1-22 and the supplements for the
    /// two processors).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Action: u8 {
        /// Four bytes change, or a word.
        const SHORT = 1;
        /// Eight bytes change, or a word.
        const LONG = 2;
        /// A number with a sign changes.
        const SIGNED = 4;
        /// A distance from the place itself changes.
        const DISTANCE = 8;
        /// The symbol counts.
        const SYMBOL = 16;
        /// The type is known.
        const KNOWN = 32;
    }
}

/// The actions by type.
const ACTIONS: [u8; 25] = {
    const WORD: u8 = 1 | 2 | 32;
    const NEAR: u8 = 1 | 4 | 8 | 16 | 32;
    let mut actions = [0; 25];
    actions[0] = 32; // R_386_NONE, R_X86_64_NONE
    actions[1] = WORD | 16; // R_386_32, R_X86_64_64
    actions[2] = NEAR; // R_386_PC32, R_X86_64_PC32
    actions[4] = NEAR; // R_386_PLT32, R_X86_64_PLT32
    actions[8] = WORD; // R_386_RELATIVE, R_X86_64_RELATIVE
    actions[10] = 1 | 16 | 32; // R_X86_64_32
    actions[11] = 1 | 4 | 16 | 32; // R_X86_64_32S
    actions[24] = 2 | 8 | 16 | 32; // R_X86_64_PC64
    actions
};

impl Action {
    /// The action of a type that a loader can apply.
    #[must_use]
    pub fn of(class: Class, kind: u32) -> Option<Self> {
        let last = class.pick([RELATIVE, 24]);
        let bits = *ACTIONS.get(place(kind))?;
        (bits != 0 && kind <= last).then_some(Self::from_bits_retain(bits))
    }

    /// Bytes that change.
    #[must_use]
    pub fn len(self, class: Class) -> u32 {
        match self.bits() & 3 {
            0 => 0,
            1 => 4,
            2 => 8,
            _ => class.word_len(),
        }
    }

    /// Makes a number of 64 bits of one of 32.
    #[must_use]
    pub fn widen(self, value: u64) -> u64 {
        let low = low32(value);
        let sign = self.contains(Self::SIGNED) && low.cast_signed() < 0;
        join(if sign { u32::MAX } else { 0 }, low)
    }
}

/// A symbol as far as relocations ask (ELF, 1-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its value, mostly a virtual address.
    pub value: u64,
    /// It does not move with the image: absolute, or a weak one that nobody
    /// defines.
    pub fixed: bool,
}

impl Symbol {
    /// Reads the symbol number `index` of a table, if the table has it.
    #[must_use]
    pub fn parse(class: Class, table: &[u8], index: u32) -> Option<Self> {
        let len = class.pick([16, 24]);
        let bytes = table.get(place(index).saturating_mul(len)..)?;
        bytes.get(..len)?;
        let [value, section] = read(class, bytes, &[[(4, 4), (8, 8)], [(14, 2), (6, 2)]]);
        Some(Self {
            value,
            fixed: section == SHN_ABS || (section | value) == 0,
        })
    }
}

/// The last entry of a dynamic section with a tag, 0 if there is none (ELF,
/// 2-11).
#[must_use]
pub fn dynamic_entry(class: Class, mut bytes: &[u8], tag: u32) -> u64 {
    let mut found = 0;
    let len = place(Form::Rel.entry_len(class));
    while let Some((entry, rest)) = bytes.split_at_checked(len) {
        let [this, value, _] = words(class, entry);
        if this == 0 {
            break;
        }
        if this == tag.into() {
            found = value;
        }
        bytes = rest;
    }
    found
}
