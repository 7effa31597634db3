// SPDX-License-Identifier: GPL-3.0-or-later
//! [`LoadParams`]: everything that the header and the command line ask for.

use crate::error::{Kind, Outcome, Report};
use crate::info::InfoType;
use crate::wire::header::{Header, Tag, TagType};
use bitflags::bitflags;
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
    }
}

/// Options as they are typed, before the name of the file.
const OPTIONS: [&CStr; 2] = [c"--no-elf-relocs", c"--modules-after-kernel"];

impl Options {
    /// The option with this name.
    #[must_use]
    pub fn named(name: &CStr) -> Option<Self> {
        let number = OPTIONS.iter().position(|option| *option == name)?;
        Some(Self::from_bits_retain(1 << number))
    }
}

/// One load's request: checked once when it is made, never written again.
/// What loading finds out comes back in other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadParams {
    /// Where the header is in the file.
    pub header_offset: u32,
    /// The image is flat and lies as these fields say.
    pub address: Option<Address>,
    /// The image may be moved.
    pub placement: Option<Placement>,
    /// Physical entry before a move, if a tag names it; otherwise the ELF
    /// header does.
    pub entry: Option<u32>,
    /// UEFI boot services stay alive, and the entry is the UEFI one.
    pub keep_services: bool,
    /// The kernel asked for the SMBIOS tables.
    pub smbios: bool,
    /// What the kernel takes for a console.
    pub console: Console,
    /// Video mode that the kernel wishes for.
    pub framebuffer: Framebuffer,
}

/// Highest type of boot information that a request may name (Multiboot2, 3.6).
const LAST_INFORMATION: u32 = 21;

/// Tags as they are met, before the decisions that need all of them.
struct Seen {
    /// The first fields of the last tag of each known type, by type.
    fields: [u32; KNOWN_TYPES * 4],
    /// One bit for each type that was met.
    met: u32,
    smbios: bool,
    console: Console,
}

/// Known types of tags, and the end tag.
const KNOWN_TYPES: usize = 11;

impl LoadParams {
    /// Reads the header's tags as `machine` takes them.
    ///
    /// # Errors
    ///
    /// Those of [`crate::wire::header::Tags::next`]; [`Kind::UnknownTag`] and
    /// [`Kind::UnknownRequest`] for what the kernel requires and this loader
    /// does not know; [`Kind::PlacementAlign`]; [`Kind::NoEntryTag`].
    pub fn new(header: &Header<'_>, machine: Machine, report: &mut impl Report) -> Outcome<Self> {
        let mut seen = Seen {
            fields: [0; KNOWN_TYPES * 4],
            met: 0,
            smbios: false,
            console: Console::EGA_TEXT,
        };
        let mut tags = header.tags();
        while let Some(tag) = tags.next(report)? {
            seen.take(&tag, report)?;
        }

        // Boot services stay only where an entry can live with them.
        let services = seen.get(TagType::EFI_BOOT_SERVICES);
        let kept = services.is_some() && machine.has_services();
        let efi_entry = match machine.firmware {
            Firmware::Efi32 => TagType::ENTRY_EFI32,
            Firmware::Bios | Firmware::Efi64 => TagType::ENTRY_EFI64,
        };
        let efi_entry = seen.get(efi_entry).filter(|_| kept);
        let entry = efi_entry.or(seen.get(TagType::ENTRY));
        let address = seen.get(TagType::ADDRESS);
        if address.is_some() && entry.is_none() {
            return Err(report.refuse(Kind::NoEntryTag));
        }
        let placement = match seen.get(TagType::RELOCATABLE) {
            Some(fields) => Some(placement(fields, report)?),
            None => None,
        };
        let framebuffer = seen.get(TagType::FRAMEBUFFER);
        let mut console = seen.console;
        console.set(Console::FRAMEBUFFER, framebuffer.is_some());
        let [width, height, depth, _] = framebuffer.copied().unwrap_or_default();
        Ok(Self {
            header_offset: header.offset,
            address: address.map(|&[header, load, load_end, bss_end]| Address {
                header,
                load,
                load_end,
                bss_end,
            }),
            placement,
            entry: entry.map(|&[entry, ..]| entry),
            keep_services: efi_entry.is_some(),
            smbios: seen.smbios,
            console,
            framebuffer: Framebuffer {
                width,
                height,
                depth,
            },
        })
    }
}

impl Seen {
    /// The first fields of the last tag of a type.
    fn get(&self, kind: TagType) -> Option<&[u32; 4]> {
        let met = self.met >> kind.0 & 1 != 0;
        let (fields, _) = self.fields.as_chunks();
        fields.get(usize::from(kind.0)).filter(|_| met)
    }

    fn take(&mut self, tag: &Tag<'_>, report: &mut impl Report) -> Outcome {
        let (all, _) = self.fields.as_chunks_mut::<4>();
        let Some(fields) = all.get_mut(usize::from(tag.kind.0)) else {
            return if tag.optional {
                Ok(())
            } else {
                Err(report.refuse1(Kind::UnknownTag, tag.kind.0.into()))
            };
        };
        for (index, field) in fields.iter_mut().enumerate() {
            *field = tag.field(index);
        }
        self.met |= 1 << tag.kind.0;
        match tag.kind {
            TagType::INFORMATION_REQUEST => {
                self.smbios |= takes_smbios(tag, report)?;
                Ok(())
            }
            TagType::CONSOLE_FLAGS => {
                let flags = Console::from_bits_truncate(tag.field(0));
                self.console |= flags & Console::REQUIRED;
                self.console &= flags | Console::REQUIRED;
                Ok(())
            }
            _ => Ok(()),
        }
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

fn placement(fields: &[u32; 4], report: &mut impl Report) -> Outcome<Placement> {
    let [min, max, align, preference] = *fields;
    let align = align.max(1);
    if !align.is_power_of_two() {
        return Err(report.refuse1(Kind::PlacementAlign, align));
    }
    Ok(Placement {
        min,
        max,
        align,
        preference: match preference {
            2 => Preference::High,
            _ => Preference::Low,
        },
    })
}
