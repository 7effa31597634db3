// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about memory: GRUB's map and UEFI's.

use super::{InfoType, Writer};
use crate::plan::placement::MAP_ENTRY;
use crate::units::short;

/// Writes the memory map; `map` has entries of 24 bytes as the kernel takes
/// them (Multiboot2, 3.6.8).
pub fn memory_map(out: &mut Writer<'_>, map: &[u8]) {
    out.tag(InfoType::MEMORY_MAP, &[short(MAP_ENTRY), 0], map);
}

/// The place of the EFI memory map, which UEFI fills at the moment when boot
/// services end (Multiboot2, 3.6.19).
pub struct EfiMapRoom {
    start: usize,
}

/// Bytes of the tag before the map itself.
const HEAD: usize = 16;

impl EfiMapRoom {
    /// Reserves `len` bytes for the map and ends the information as if the
    /// map took all of it.
    pub fn reserve(out: &mut Writer<'_>, len: usize) -> Self {
        let start = out.begin(InfoType::EFI_MEMORY_MAP);
        out.words(&[0, 0]);
        out.zeroes(len);
        out.end(start);
        Self { start }
    }

    /// The memory that UEFI fills.
    pub fn memory<'w>(&self, out: &'w mut Writer<'_>) -> &'w mut [u8] {
        out.behind(self.start.saturating_add(HEAD))
    }

    /// Cuts the tag to the `len` bytes that UEFI wrote, and says of what size
    /// and version its descriptors are.
    pub fn settle(&self, out: &mut Writer<'_>, len: usize, descriptor: [u32; 2]) {
        out.truncate(self.start);
        let start = out.begin(InfoType::EFI_MEMORY_MAP);
        out.words(&descriptor);
        out.skip(len);
        out.end(start);
    }
}
