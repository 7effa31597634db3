// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about what was loaded: modules and ELF section headers.

use super::{InfoType, Writer};
use crate::units::Span;

/// Writes the tag of a module that lies at `memory`, or is empty;
/// `command_line` carries its NUL (Multiboot2, 3.6.6).
pub fn module(out: &mut Writer<'_>, memory: Option<&Span>, command_line: &[u8]) {
    // A module that ends at 4 GiB has the end 0, as in C.
    let place = memory.map_or([0, 0], |span| [span.first, span.last.wrapping_add(1)]);
    out.tag(InfoType::MODULE, &place, command_line);
}

/// Section headers of an ELF image, with the addresses where sections lie
/// now; a flat image has none (Multiboot2, 3.6.9).
#[derive(Clone, Copy, Debug, Default)]
pub struct ElfSections<'a> {
    /// Number of headers.
    pub count: u32,
    /// Bytes of one header.
    pub entry_size: u32,
    /// Index of the section that holds the names.
    pub name_index: u32,
    /// The headers.
    pub headers: &'a [u8],
}

impl ElfSections<'_> {
    /// Writes the tag.
    pub fn write(&self, out: &mut Writer<'_>) {
        let numbers = [self.count, self.entry_size, self.name_index];
        out.tag(InfoType::ELF_SECTIONS, &numbers, self.headers);
    }
}
