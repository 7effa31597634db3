// SPDX-License-Identifier: GPL-3.0-or-later
//! What was found out about an image: plain values, which [`crate::show`] shows and
//! `--json` prints as they are. Addresses are physical and in bytes.

use serde::Serialize;

use crate::host::Chunk;
use crate::input::Packing;
use crate::memory::Range;

/// All about one image on one machine.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file's name.
    pub file: String,
    /// Its size in bytes, unpacked.
    pub size: usize,
    /// How it is packed.
    pub packing: Option<Packing>,
    /// The loader takes it, and every module, on this machine.
    pub loads: bool,
    /// Why it does not.
    pub refusal: Option<Refusal>,
    /// The machine.
    pub machine: Machine,
    /// Its Multiboot2 header.
    pub header: Option<Header>,
    /// What the file holds for memory.
    pub image: Option<Image>,
    /// Where all that lies.
    pub placement: Option<Placement>,
    /// What the kernel is told.
    pub information: Option<Information>,
    /// What is nearly right.
    pub near_misses: Vec<Note>,
    /// What other loaders take amiss.
    pub warnings: Vec<Note>,
}

/// Why a command fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The command.
    pub command: String,
    /// What GRUB prints.
    pub line: String,
    /// The loader's name for the reason.
    pub reason: String,
    /// The byte of the file that is to blame.
    pub offset: Option<u64>,
    /// What was expected there, and what else helps.
    pub expected: Option<String>,
}

/// A remark about the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The byte of the file that it is about.
    pub offset: Option<u64>,
    /// The remark.
    pub text: String,
}

impl Note {
    /// A remark about a place.
    #[must_use]
    pub fn at(offset: u64, text: impl Into<String>) -> Self {
        Self {
            offset: Some(offset),
            text: text.into(),
        }
    }

    /// A remark about the whole file.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            offset: None,
            text: text.into(),
        }
    }
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// `bios`, `efi32` or `efi64`.
    pub firmware: &'static str,
    /// Its memory map.
    pub memory: Vec<Range>,
}

/// A Multiboot2 header.
#[derive(Clone, Debug, Serialize)]
pub struct Header {
    /// Its offset in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
    /// Its checksum.
    pub checksum: u32,
    /// The tags up to the end tag or to the first that is wrong.
    pub tags: Vec<Tag>,
    /// The end tag was reached.
    pub complete: bool,
}

/// A tag of the header.
#[derive(Clone, Debug, Serialize)]
pub struct Tag {
    /// Its offset in the file.
    pub offset: u64,
    /// Its type.
    pub kind: u16,
    /// What the type is called.
    pub name: &'static str,
    /// Whether a loader may skip it.
    pub optional: bool,
    /// Its size in bytes.
    pub size: u32,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field of a tag.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: u32,
    /// What the value means, where it is no plain number.
    pub meaning: Option<String>,
}

/// What a file holds for memory.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    /// `ELF32`, `ELF64` or `flat`.
    pub format: &'static str,
    /// The entry of the ELF header, a virtual address.
    pub entry: Option<u64>,
    /// Its loadable segments, or the one part of a flat image.
    pub segments: Vec<Segment>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A loadable segment.
#[derive(Clone, Debug, Serialize)]
pub struct Segment {
    /// The number of its program header.
    pub index: u32,
    /// Offset of its contents in the file.
    pub offset: u64,
    /// Bytes of contents.
    pub file_size: u64,
    /// Virtual address.
    pub vaddr: u64,
    /// Physical address as linked.
    pub paddr: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Physical address where it lies in the end.
    pub lies_at: Option<u64>,
}

/// A section.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: u64,
    /// Its address as linked.
    pub addr: u64,
    /// Offset of its contents in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Where the loader has put it, if no segment holds it.
    pub loaded_at: Option<u64>,
}

/// Where everything lies when the kernel starts.
#[derive(Clone, Debug, Serialize)]
pub struct Placement {
    /// Lowest address that the image is linked for.
    pub link_base: u32,
    /// Where that byte lies.
    pub load_base: u32,
    /// The kernel's first instruction.
    pub entry: u32,
    /// The state of the machine there.
    pub entered: &'static str,
    /// UEFI boot services are alive then.
    pub keeps_services: bool,
    /// All memory that was granted.
    pub chunks: Vec<Chunk>,
    /// What GRUB's variable `gfxpayload` becomes.
    pub gfxpayload: Option<String>,
    /// What the loader prints.
    pub printed: Vec<String>,
}

/// The boot information.
#[derive(Clone, Debug, Serialize)]
pub struct Information {
    /// Its address.
    pub address: u32,
    /// Its size in bytes.
    pub size: usize,
    /// Its tags in order.
    pub tags: Vec<InfoTag>,
}

/// A tag of the boot information.
#[derive(Clone, Debug, Serialize)]
pub struct InfoTag {
    /// Offset from the start of the information.
    pub offset: usize,
    /// Its type.
    pub kind: u32,
    /// What the type is called.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: u32,
    /// What stands in it.
    pub text: Option<String>,
}
