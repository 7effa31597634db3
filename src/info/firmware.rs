// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about what lies below GRUB: APM and UEFI.

use super::{InfoType, Writer};
use crate::units::low32;

/// Answer of the APM BIOS, in the layout of the tag: version, 32-bit code
/// segment, entry point (4 bytes), 16-bit code segment, data segment, flags,
/// and the lengths of the three segments (Multiboot2, 3.6.10).
pub type Apm = [u8; 20];

/// Physical addresses that UEFI gave to GRUB (Multiboot2, 3.6.13 to 3.6.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EfiTables {
    /// The firmware is a 64-bit one.
    pub wide: bool,
    /// Address of the system table.
    pub system_table: u64,
    /// GRUB's image handle.
    pub image_handle: u64,
}

impl EfiTables {
    fn pointer(&self, out: &mut Writer<'_>, kinds: [InfoType; 2], value: u64) {
        let [kind32, kind64] = kinds;
        let number = value.to_le_bytes();
        if self.wide {
            out.tag(kind64, &[], &number);
        } else {
            out.tag(kind32, &[low32(value)], &[]);
        }
    }

    /// Writes the tag of the system table.
    pub fn write_system_table(&self, out: &mut Writer<'_>) {
        let kinds = [InfoType::EFI32, InfoType::EFI64];
        self.pointer(out, kinds, self.system_table);
    }

    /// Writes the tags that say that boot services are alive and who GRUB is.
    pub fn write_alive(&self, out: &mut Writer<'_>) {
        out.tag(InfoType::EFI_BOOT_SERVICES, &[], &[]);
        let kinds = [InfoType::EFI32_IMAGE, InfoType::EFI64_IMAGE];
        self.pointer(out, kinds, self.image_handle);
    }
}
