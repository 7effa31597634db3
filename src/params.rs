// SPDX-License-Identifier: GPL-3.0-or-later
//! [`LoadParams`]: everything that the header and the command line ask for.

use crate::error::{Kind, Outcome, Report};
use crate::info::InfoType;
use crate::wire::header::{Header, Tag, TagType};
use bitflags::bitflags;
use core::array;
use core::ffi::CStr;

/// Firmware below GRUB, as far as it decides between tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A PC BIOS, or no firmware at all.
    Bios,
    /// 32-bit UEFI.
    Efi32,
    /// 64-bit UEFI.
    Efi64,
}

/// The machine as far as the loader's decisions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Firmware below GRUB.
    pub firmware: Firmware,
    /// EGA text exists (GRUB, `GRUB_MACHINE_HAS_VGA_TEXT`).
    pub vga_text: bool,
}

impl Machine {
    /// There are boot services, which can stay alive.
    #[must_use]
    pub fn has_services(&self) -> bool {
        self.firmware != Firmware::Bios
    }
}

/// Where a relocatable image prefers to lie (Multiboot2, 3.1.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Lowest address that fits; also for "no preference" and unknown values.
    Low,
    /// Highest address that fits.
    High,
}

/// What the relocatable tag allows (Multiboot2, 3.1.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Lowest physical address of the image's first byte.
    pub min: u32,
    /// Physical address that the image's end must not pass.
    pub max: u32,
    /// Power of two that the first address is a multiple of.
    pub align: u32,
    /// Which end of the range is better.
    pub preference: Preference,
}

/// Fields of the address tag, physical addresses (Multiboot2, 3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where the header itself has to lie.
    pub header: u32,
    /// First address to load, or all ones for the start of the file.
    pub load: u32,
    /// First address behind what is loaded, 0 for the whole file.
    pub load_end: u32,
    /// First address behind the image, 0 for no extra memory.
    pub bss_end: u32,
}

/// Video mode that the kernel wishes for (Multiboot2, 3.1.10); 0 is no wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framebuffer {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bits of a pixel.
    pub depth: u32,
}

bitflags! {
    /// What the console tags say (Multiboot2, 3.1.9 and 3.1.10).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Console: u32 {
        /// The kernel does not start without a console.
        const REQUIRED = 1;
        /// The kernel can use EGA text.
        const EGA_TEXT = 2;
        /// The kernel can use a framebuffer.
        const FRAMEBUFFER = 4;
    }
}

bitflags! {
    /// Options of `multiboot2`: the n-th of [`OPTIONS`] has bit n.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Options: u32 {
        /// A moved image relocates itself.
        const NO_ELF_RELOCS = 1;
        /// Modules lie behind the kernel.
        const MODULES_AFTER_KERNEL = 2;
        /// Nothing is loaded, only planned and told.
        const CHECK = 4;
    }
}

/// Options as they are typed, before the name of the file.
const OPTIONS: [&CStr; 3] = [c"--no-elf-relocs", c"--modules-after-kernel", c"--check"];

impl Options {
    /// The option with this name.
    #[must_use]
    pub fn named(name: &CStr) -> Option<Self> {
        let number = OPTIONS.iter().position(|option| *option == name)?;
        Some(Self::from_bits_retain(1 << number))
    }
}

/// Known types of tags, and the end tag.
const KNOWN_TYPES: usize = 11;

/// One load's request: read and checked once, where it stays, and never written
/// again. What loading finds out comes back in other values.
#[derive(Clone, Copy, Debug)]
pub struct LoadParams {
    /// Where the header is in the file.
    pub header_offset: u32,
    /// What the kernel takes for a console.
    pub console: Console,
    /// One bit for each type that was met.
    met: u32,
    /// The first fields of the last tag of each known type, by type.
    fields: [u32; KNOWN_TYPES * 4],
    /// UEFI boot services stay alive, and the entry is the UEFI one.
    pub keep_services: bool,
    /// The kernel asked for the SMBIOS tables.
    pub smbios: bool,
}

/// Highest type of boot information that a request may name (Multiboot2, 3.6).
const LAST_INFORMATION: u32 = 21;

impl Default for LoadParams {
    /// A header without tags.
    fn default() -> Self {
        Self {
            fields: [0; KNOWN_TYPES * 4],
            met: 0,
            header_offset: 0,
            keep_services: false,
            smbios: false,
            console: Console::empty(),
        }
    }
}

impl LoadParams {
    /// Reads the header's tags as `machine` takes them.
    ///
    /// # Errors
    ///
    /// Those of [`crate::wire::header::Tags::next`]; [`Kind::UnknownTag`] and
    /// [`Kind::UnknownRequest`] for what the kernel requires and this loader
    /// does not know; [`Kind::PlacementAlign`]; [`Kind::NoEntryTag`].
    pub fn read(
        &mut self,
        header: &Header<'_>,
        machine: Machine,
        report: &mut impl Report,
    ) -> Outcome {
        self.header_offset = header.offset;
        self.console = Console::EGA_TEXT;
        let mut tags = header.tags();
        while let Some(tag) = tags.next(report)? {
            self.take(&tag, report)?;
        }

        // Boot services stay only where an entry can live with them.
        let kept = self.has(TagType::EFI_BOOT_SERVICES) && machine.has_services();
        let efi_entry = match machine.firmware {
            Firmware::Efi32 => TagType::ENTRY_EFI32,
            Firmware::Bios | Firmware::Efi64 => TagType::ENTRY_EFI64,
        };
        if let Some(&entry) = self.get(efi_entry).filter(|_| kept) {
            self.keep_services = true;
            self.set(TagType::ENTRY, entry);
        }
        if self.has(TagType::ADDRESS) && !self.has(TagType::ENTRY) {
            return Err(report.refuse(Kind::NoEntryTag));
        }
        if let Some(&[_, _, align, _]) = self.get(TagType::RELOCATABLE)
            && align & align.wrapping_sub(1) != 0
        {
            return Err(report.refuse1(Kind::PlacementAlign, align));
        }
        let framebuffer = self.has(TagType::FRAMEBUFFER);
        self.console.set(Console::FRAMEBUFFER, framebuffer);
        Ok(())
    }

    /// Physical entry before a move, if a tag names it; otherwise the ELF
    /// header does.
    #[must_use]
    pub fn entry(&self) -> Option<u32> {
        self.get(TagType::ENTRY).map(|&[entry, ..]| entry)
    }

    /// The fields of the address tag, if the image is flat and lies as they say.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        let fields = self.get(TagType::ADDRESS)?;
        let [header, load, load_end, bss_end] = *fields;
        Some(Address {
            header,
            load,
            load_end,
            bss_end,
        })
    }

    /// Where the image may lie if it may be moved.
    #[must_use]
    pub fn placement(&self) -> Option<Placement> {
        let [min, max, align, preference] = *self.get(TagType::RELOCATABLE)?;
        Some(Placement {
            min,
            max,
            align: align.max(1),
            preference: match preference {
                2 => Preference::High,
                _ => Preference::Low,
            },
        })
    }

    /// Video mode that the kernel wishes for.
    #[must_use]
    pub fn framebuffer(&self) -> Framebuffer {
        let fields = self.get(TagType::FRAMEBUFFER);
        let [width, height, depth, _] = fields.copied().unwrap_or_default();
        Framebuffer {
            width,
            height,
            depth,
        }
    }

    /// Sets the fields of a type of tag; answers `false` for one that is not known.
    pub fn set(&mut self, kind: TagType, fields: [u32; 4]) -> bool {
        let (all, _) = self.fields.as_chunks_mut();
        let Some(place) = all.get_mut(usize::from(kind.0)) else {
            return false;
        };
        *place = fields;
        self.met |= 1 << kind.0;
        true
    }

    /// Tells whether there was a tag of a type.
    fn has(&self, kind: TagType) -> bool {
        self.met >> kind.0 & 1 != 0
    }

    /// The first fields of the last tag of a type.
    fn get(&self, kind: TagType) -> Option<&[u32; 4]> {
        let (all, _) = self.fields.as_chunks();
        all.get(usize::from(kind.0)).filter(|_| self.has(kind))
    }

    fn take(&mut self, tag: &Tag<'_>, report: &mut impl Report) -> Outcome {
        let fields = array::from_fn(|index| tag.field(index));
        if !self.set(tag.kind, fields) && !tag.optional {
            return Err(report.refuse1(Kind::UnknownTag, tag.kind.0.into()));
        }
        if tag.kind == TagType::INFORMATION_REQUEST {
            self.smbios |= takes_smbios(tag, report)?;
        } else if tag.kind == TagType::CONSOLE_FLAGS {
            let flags = Console::from_bits_truncate(tag.field(0));
            self.console |= flags & Console::REQUIRED;
            self.console &= flags | Console::REQUIRED;
        }
        Ok(())
    }
}

/// Tells whether a request names the SMBIOS tables; the other types are given
/// anyway. Refuses a required one for what this loader has never heard of; what
/// the machine merely lacks is no reason (Multiboot2, 3.1.4).
fn takes_smbios(tag: &Tag<'_>, report: &mut impl Report) -> Outcome<bool> {
    let mut named = false;
    for index in 0..tag.field_count() {
        let request = tag.field(index);
        if request > LAST_INFORMATION && !tag.optional {
            return Err(report.refuse1(Kind::UnknownRequest, request));
        }
        named |= request == InfoType::SMBIOS.0;
    }
    Ok(named)
}
