// SPDX-License-Identifier: GPL-3.0-or-later
//! The boot information: from facts to the bytes that the kernel receives
//! (Multiboot2, 3.6).
//!
//! The order of the tags is GRUB's (GRUB,
//! grub-core/loader/multiboot_mbi2.c), since kernels depend on it. Where the
//! specification's text and its header file disagree, the header file counts,
//! as every loader reads it.

mod firmware;
mod image;
mod memory;
mod video;
mod writer;

pub use firmware::{Apm, EfiTables, network};
pub use image::{ElfSections, module};
pub use memory::EfiMapRoom;
pub use video::{Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, VbeInfo};
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

/// Everything that the kernel is told, as values; a tag without fact is not
/// written. Strings carry their NUL.
pub struct Facts<'a> {
    /// Physical address of the image's first byte.
    pub load_base: u32,
    /// Command line.
    pub command_line: &'a [u8],
    /// Name and version of GRUB.
    pub loader_name: &'a [u8],
    /// Answer of the APM BIOS.
    pub apm: Option<Apm>,
    /// Tags of the modules, as [`module`] writes them.
    pub modules: &'a [u8],
    /// Memory map in entries of 24 bytes, and kibibytes below and above
    /// 1 MiB; absent while boot services are alive.
    pub memory: Option<(&'a [u8], [u32; 2])>,
    /// The ELF image's section headers.
    pub sections: ElfSections<'a>,
    /// Tags of the network interfaces, as [`network`] writes them.
    pub network: &'a [u8],
    /// BIOS drive, partition and sub-partition.
    pub boot_device: Option<[u32; 3]>,
    /// VBE information.
    pub vbe: Option<&'a VbeInfo<'a>>,
    /// Screen that the kernel inherits.
    pub framebuffer: Option<&'a Framebuffer<'a>>,
    /// UEFI's tables.
    pub efi: Option<EfiTables>,
    /// ACPI root pointers, old and new.
    pub acpi: [Option<&'a [u8]>; 2],
    /// Boot services stay alive.
    pub keep_services: bool,
}

impl Facts<'_> {
    /// Writes the head and every tag up to the place of the EFI memory map,
    /// which exists only after the last moment to write anything else.
    pub fn write(&self, out: &mut Writer<'_>) {
        out.u32(0); // total size: known at the end
        out.u32(0);
        out.tag(InfoType::LOAD_BASE, &[self.load_base], &[]);
        out.tag(InfoType::COMMAND_LINE, &[], self.command_line);
        out.tag(InfoType::LOADER_NAME, &[], self.loader_name);
        if let Some(apm) = &self.apm {
            apm.write(out);
        }
        out.bytes(self.modules);
        if let Some((map, _)) = self.memory {
            memory::map(out, map);
        }
        self.sections.write(out);
        if let Some((_, sizes)) = self.memory {
            out.tag(InfoType::BASIC_MEMORY, &sizes, &[]);
        }
        out.bytes(self.network);
        if let Some(device) = self.boot_device {
            out.tag(InfoType::BOOT_DEVICE, &device, &[]);
        }
        if let Some(vbe) = self.vbe {
            vbe.write(out);
        }
        if let Some(framebuffer) = self.framebuffer {
            framebuffer.write(out);
        }
        if let Some(efi) = &self.efi {
            efi.write_system_table(out);
        }
        for (kind, rsdp) in [InfoType::ACPI_OLD, InfoType::ACPI_NEW]
            .into_iter()
            .zip(self.acpi)
        {
            if let Some(rsdp) = rsdp {
                out.tag(kind, &[], rsdp);
            }
        }
        if let Some(efi) = &self.efi
            && self.keep_services
        {
            efi.write_alive(out);
        }
    }
}

/// Writes the end tag and the total size.
pub fn close(out: &mut Writer<'_>) {
    out.tag(InfoType::END, &[], &[]);
    out.patch_u32(0, out.len());
}
