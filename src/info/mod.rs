// SPDX-License-Identifier: GPL-3.0-or-later
//! The boot information: from facts to the bytes that the kernel receives
//! (Multiboot2, 3.6).
//!
//! [`crate::boot`] knows their order. Where the specification's text and its header
//! file disagree, the header file counts, as every loader reads it.

mod firmware;
mod image;
mod memory;
mod smbios;
mod video;
mod writer;

pub use firmware::{Apm, EfiTables};
pub use image::{ElfSections, module};
pub use memory::{EfiMapRoom, memory_map};
pub use smbios::EntryPoint;
pub use video::{Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, begin_vbe};
pub use writer::Writer;

use crate::wire::open_enum;

open_enum! {
    /// Type of a tag of the boot information (Multiboot2, 3.6.2).
    pub struct InfoType(u32) {
        /// Ends the list (Multiboot2, 3.6.2).
        END = 0,
        /// Command line (Multiboot2, 3.6.5).
        COMMAND_LINE = 1,
        /// Name of the loader (Multiboot2, 3.6.7).
        LOADER_NAME = 2,
        /// A module (Multiboot2, 3.6.6).
        MODULE = 3,
        /// Memory below and above 1 MiB (Multiboot2, 3.6.3).
        BASIC_MEMORY = 4,
        /// BIOS boot device (Multiboot2, 3.6.4).
        BOOT_DEVICE = 5,
        /// Memory map (Multiboot2, 3.6.8).
        MEMORY_MAP = 6,
        /// VBE information (Multiboot2, 3.6.11).
        VBE = 7,
        /// Framebuffer (Multiboot2, 3.6.12).
        FRAMEBUFFER = 8,
        /// ELF section headers (Multiboot2, 3.6.9).
        ELF_SECTIONS = 9,
        /// APM table (Multiboot2, 3.6.10).
        APM = 10,
        /// EFI 32-bit system table (Multiboot2, 3.6.13).
        EFI32 = 11,
        /// EFI 64-bit system table (Multiboot2, 3.6.14).
        EFI64 = 12,
        /// SMBIOS tables (Multiboot2, 3.6.15).
        SMBIOS = 13,
        /// ACPI root pointer, old (Multiboot2, 3.6.16).
        ACPI_OLD = 14,
        /// ACPI root pointer, new (Multiboot2, 3.6.17).
        ACPI_NEW = 15,
        /// DHCP acknowledgement (Multiboot2, 3.6.18).
        NETWORK = 16,
        /// EFI memory map (Multiboot2, 3.6.19).
        EFI_MEMORY_MAP = 17,
        /// Boot services are alive (Multiboot2, 3.6.20).
        EFI_BOOT_SERVICES = 18,
        /// EFI 32-bit image handle (Multiboot2, 3.6.21).
        EFI32_IMAGE = 19,
        /// EFI 64-bit image handle (Multiboot2, 3.6.22).
        EFI64_IMAGE = 20,
        /// Where a relocatable image lies (Multiboot2, 3.6.23).
        LOAD_BASE = 21,
    }
}

/// Writes the end tag and the total size.
pub fn close(out: &mut Writer<'_>) {
    out.tag(InfoType::END, &[], &[]);
    out.patch_u32(0, out.len());
}
