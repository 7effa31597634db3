// SPDX-License-Identifier: GPL-3.0-or-later
//! Files that hold a kernel: ELF in both classes, and flat ones.
//!
//! The builders make a consistent file first and apply [`Patch`]es to raw
//! fields afterwards, so that every malformed image is a good one plus the
//! named damage.

mod elf;
mod fields;
mod flat;
mod layout;
mod shortened;
#[cfg(test)]
mod tests;

pub use elf::{Contents, Image, ImageBuilder, Numbering, Section, Segment};
pub use fields::{Class, Ehdr, Phdr, Shdr};
pub use flat::FlatBuilder;
pub use shortened::shortened;

/// Executable file, `e_type`.
pub const ET_EXEC: u16 = 2;
/// Shared object or position-independent executable, `e_type`.
pub const ET_DYN: u16 = 3;
/// Loadable segment.
pub const PT_LOAD: u32 = 1;
/// Dynamic section.
pub const PT_DYNAMIC: u32 = 2;
/// Notes.
pub const PT_NOTE: u32 = 4;
/// Section with contents of the program's own.
pub const SHT_PROGBITS: u32 = 1;
/// Symbol table.
pub const SHT_SYMTAB: u32 = 2;
/// Strings.
pub const SHT_STRTAB: u32 = 3;
/// Relocations with addends.
pub const SHT_RELA: u32 = 4;
/// Notes.
pub const SHT_NOTE: u32 = 7;
/// Section without contents in the file.
pub const SHT_NOBITS: u32 = 8;
/// Relocations without addends.
pub const SHT_REL: u32 = 9;
/// Section that occupies memory at run time.
pub const SHF_ALLOC: u64 = 2;

/// Damage done to a finished file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Patch {
    /// A field of the file header.
    Ehdr(Ehdr, u64),
    /// A field of one program header.
    Phdr(usize, Phdr, u64),
    /// A field of one section header (0 is the null section).
    Shdr(usize, Shdr, u64),
    /// Bytes at a file offset; the file grows if needed.
    Bytes(usize, Vec<u8>),
    /// The file is cut to this length.
    Truncate(usize),
}
