// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations, symbols and the dynamic section of ELF files (ELF, 1-16 to
//! 2-19).
//!
//! All of them are records of words: of 4 bytes in 32-bit files, of 8 bytes in
//! 64-bit files.

use super::elf::{Class, Field};
use super::u8_at;
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
pub const SHN_ABS: u64 = 0xfff1;

/// Type that adds the load address, whatever the processor (ELF,
/// `R_386_RELATIVE` and `R_X86_64_RELATIVE`).
pub const RELATIVE: u64 = 8;

/// Table of symbols (ELF, `DT_SYMTAB`).
pub const DT_SYMTAB: u32 = 6;

/// Table of relocations with addends (ELF, `DT_RELA`).
pub const DT_RELA: u64 = 7;

/// Kind of the relocations for procedures (ELF, `DT_PLTREL`).
pub const DT_PLTREL: u32 = 20;

/// Relocations for procedures (ELF, `DT_JMPREL`).
pub const DT_JMPREL: u32 = 23;

/// Flags of the program (GNU, `DT_FLAGS_1`).
pub const DT_FLAGS_1: u32 = 0x6fff_fffb;

/// Tags of a table's address, its size and an entry's size, and words of an
/// entry: `DT_REL`, `DT_RELA`, `DT_JMPREL`, `DT_RELR` (ELF, 2-11).
pub const TABLES: [[u8; 4]; 4] = [
    [17, 18, 19, 2],
    [7, 8, 9, 3],
    [23, 2, 0, 2],
    [36, 35, 37, 1],
];

/// Flag of a program that is linked to lie anywhere (GNU, `DF_1_PIE`).
pub const PIE: u64 = 0x0800_0000;

/// A record of words, such as a relocation: place, type and symbol, addend
/// (ELF, 1-21).
pub const WORDS: [Field; 3] = [[(0, 4), (0, 8)], [(4, 4), (8, 8)], [(8, 4), (16, 8)]];

/// Of a symbol, its value and its section (ELF, 1-16).
pub const SYMBOL: [Field; 3] = [[(4, 4), (8, 8)], [(14, 2), (6, 2)], [(0, 4), (0, 4)]];

/// Type and symbol of a relocation, from its second word (ELF, 1-22).
#[must_use]
pub fn type_and_symbol(class: Class, info: u64) -> (u32, u32) {
    match class {
        Class::Elf32 => (low32(info) & 0xff, low32(info) >> 8),
        Class::Elf64 => (low32(info), low32(info >> 32)),
    }
}

bitflags! {
    /// What a type of relocation does (ELF, 1-22 and the supplements for the
    /// two processors).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Action: u8 {
        /// The type is known.
        const KNOWN = 1;
        /// The result must be a number of 32 bits without a sign.
        const SHORT_UNSIGNED = 2;
        /// Four bytes change.
        const SHORT = 4;
        /// Eight bytes change.
        const LONG = 8;
        /// A number of 32 bits with a sign changes.
        const SIGNED = 16;
        /// A distance from the place itself changes.
        const DISTANCE = 32;
        /// The symbol counts.
        const SYMBOL = 64;
    }
}

/// The actions by type in 32-bit files.
const ACTIONS_32: [u8; 9] = {
    let mut actions = [0; 9];
    actions[0] = 1; // R_386_NONE
    actions[1] = 1 | 4 | 64; // R_386_32
    actions[2] = 1 | 4 | 32 | 64; // R_386_PC32
    actions[4] = actions[2]; // R_386_PLT32
    actions[8] = 1 | 4; // R_386_RELATIVE
    actions
};

/// The actions by type in 64-bit files.
const ACTIONS_64: [u8; 25] = {
    let mut actions = [0; 25];
    actions[0] = 1; // R_X86_64_NONE
    actions[1] = 1 | 8 | 64; // R_X86_64_64
    actions[2] = 1 | 4 | 16 | 32 | 64; // R_X86_64_PC32
    actions[4] = actions[2]; // R_X86_64_PLT32
    actions[8] = 1 | 8; // R_X86_64_RELATIVE
    actions[10] = 1 | 2 | 4 | 64; // R_X86_64_32
    actions[11] = 1 | 4 | 16 | 64; // R_X86_64_32S
    actions[24] = 1 | 8 | 32 | 64; // R_X86_64_PC64
    actions
};

impl Action {
    /// The action of a type, none for one that a loader cannot apply.
    #[must_use]
    pub fn of(class: Class, kind: u32) -> Self {
        let actions: &[u8] = class.pick([&ACTIONS_32, &ACTIONS_64]);
        Self::from_bits_retain(u8_at(actions, place(kind)))
    }

    /// Bytes that change.
    #[must_use]
    pub fn width(self) -> u32 {
        (self & (Self::SHORT | Self::LONG)).bits().into()
    }

    /// Extends the sign of a number of 32 bits if it has one.
    #[must_use]
    pub fn widen(self, value: u64) -> u64 {
        if self.contains(Self::SIGNED) {
            i64::from(low32(value).cast_signed()).cast_unsigned()
        } else {
            value
        }
    }

    /// Tells whether the bytes that change can hold a number.
    #[must_use]
    pub fn fits(self, value: u64) -> bool {
        self.widen(value) == value && !(self.contains(Self::SHORT_UNSIGNED) && value >> 32 != 0)
    }
}
