// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about what was loaded: modules and ELF section headers.

use super::{InfoType, Writer};
use crate::units::Span;
use crate::units::low32;

/// Writes the tag of a module that lies at `memory`, physical and below
/// 4 GiB; `command_line` carries its NUL (Multiboot2, 3.6.6).
pub fn module(out: &mut Writer<'_>, memory: &Span, command_line: &[u8]) {
    out.tag(InfoType::MODULE, |out| {
        out.words(&[low32(memory.start), low32(memory.end)]);
        out.bytes(command_line);
    });
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
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.tag(InfoType::ELF_SECTIONS, |out| {
            out.words(&[self.count, self.entry_size, self.name_index]);
            out.bytes(self.headers);
        });
    }
}
