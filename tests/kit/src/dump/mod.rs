// SPDX-License-Identifier: GPL-3.0-or-later
//! What the test kernel printed: parsing, checking, comparing.
//!
//! [`Dump::parse`] turns a serial transcript into values, [`check`] holds one
//! dump against what the image promises, [`compare`] holds the dump of one
//! loader against that of another.

pub mod check;
pub mod compare;
mod crosscheck;
mod memory;
mod parse;
mod smbios;
mod tags;
#[cfg(test)]
mod tests;

pub use crosscheck::parse_with_multiboot2_crate;
pub use memory::Available;
pub use tags::{Tag, Tags};

use std::collections::BTreeMap;

/// Boot information tag types (Multiboot2, 3.6).
pub mod kind {
    /// End of the list.
    pub const END: u32 = 0;
    /// Command line.
    pub const CMDLINE: u32 = 1;
    /// Loader name.
    pub const LOADER: u32 = 2;
    /// Module.
    pub const MODULE: u32 = 3;
    /// Basic memory.
    pub const BASIC_MEMORY: u32 = 4;
    /// Boot device.
    pub const BOOT_DEVICE: u32 = 5;
    /// Memory map.
    pub const MEMORY_MAP: u32 = 6;
    /// VBE.
    pub const VBE: u32 = 7;
    /// Framebuffer.
    pub const FRAMEBUFFER: u32 = 8;
    /// ELF sections.
    pub const SECTIONS: u32 = 9;
    /// APM.
    pub const APM: u32 = 10;
    /// 32-bit UEFI system table.
    pub const EFI32: u32 = 11;
    /// 64-bit UEFI system table.
    pub const EFI64: u32 = 12;
    /// SMBIOS.
    pub const SMBIOS: u32 = 13;
    /// ACPI, old.
    pub const ACPI_OLD: u32 = 14;
    /// ACPI, new.
    pub const ACPI_NEW: u32 = 15;
    /// Network.
    pub const NETWORK: u32 = 16;
    /// UEFI memory map.
    pub const EFI_MAP: u32 = 17;
    /// Boot services are alive.
    pub const EFI_BOOT_SERVICES: u32 = 18;
    /// 32-bit image handle.
    pub const EFI32_HANDLE: u32 = 19;
    /// 64-bit image handle.
    pub const EFI64_HANDLE: u32 = 20;
    /// Load base.
    pub const LOAD_BASE: u32 = 21;
}

/// State in which the kernel was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 32-bit protected mode without firmware.
    Plain32,
    /// 32-bit UEFI with boot services.
    Efi32,
    /// 64-bit UEFI with boot services.
    Efi64,
}

/// The blob's account of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageReport {
    /// Where the blob lies.
    pub base: u32,
    /// Where it was linked to lie.
    pub link: u32,
    /// Bytes from the file.
    pub file_len: u32,
    /// Bytes in memory.
    pub mem_len: u32,
    /// Checksum of the file bytes before the blob relocated itself.
    pub fnv: u64,
    /// Words in its relocation table.
    pub relocs: u32,
    /// How many of them had their final value already.
    pub already: u32,
}

/// Another part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeReport {
    /// Whether it is a gap between segments.
    pub gap: bool,
    /// Where it lies.
    pub at: u32,
    /// Bytes from the file.
    pub file_len: u32,
    /// Bytes in memory.
    pub mem_len: u32,
    /// Checksum of the file bytes.
    pub fnv: u64,
    /// First byte behind them that is not zero, or 0.
    pub dirty: u32,
}

/// A module as the kernel found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleReport {
    /// Start.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Checksum of the contents.
    pub fnv: u64,
    /// Bytes from the end to the next page.
    pub tail_len: u32,
    /// Checksum of those.
    pub tail: u64,
}

/// A section that has an address and contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionReport {
    /// Index in the table.
    pub index: u32,
    /// Flags word.
    pub flags: u64,
    /// Address.
    pub addr: u32,
    /// Size.
    pub size: u32,
    /// Checksum of what lies at the address.
    pub fnv: u64,
}

/// A complete report of the test kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Entry state.
    pub entry: Entry,
    /// Registers by name.
    pub registers: BTreeMap<String, u64>,
    /// The running blob.
    pub image: ImageReport,
    /// The rest of the image.
    pub ranges: Vec<RangeReport>,
    /// Whether a boot service was called with success.
    pub boot_services_alive: bool,
    /// Where the boot information lies.
    pub mbi_address: u32,
    /// The boot information.
    pub mbi: Vec<u8>,
    /// Modules in the order of their tags.
    pub modules: Vec<ModuleReport>,
    /// Sections in the order of the table.
    pub sections: Vec<SectionReport>,
}

impl Dump {
    /// The tags of the boot information; the end tag is the last.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Mbi`] if they cannot be walked.
    pub fn tags(&self) -> crate::error::Result<Vec<Tag<'_>>> {
        Tags::new(&self.mbi)?.collect()
    }

    /// Has the crate `multiboot2` parse every tag.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Mbi`] naming the tag that it does not accept.
    pub fn check_with_multiboot2_crate(&self) -> crate::error::Result {
        parse_with_multiboot2_crate(&self.mbi)
    }
}
