// SPDX-License-Identifier: GPL-3.0-or-later
//! [`LoadParams`]: everything that the header and the command line ask for.

use crate::error::{Kind, Outcome, Report};
use crate::wire::header::{Header, Tag, TagType};
use bitflags::bitflags;

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

/// One load's request: checked once when it is made, never written again.
/// What loading finds out comes back in other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadParams {
    /// The machine that the request was read for.
    pub machine: Machine,
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
    /// What the kernel takes for a console.
    pub console: Console,
    /// Video mode that the kernel wishes for.
    pub framebuffer: Framebuffer,
}

/// Highest type of boot information that a request may name (Multiboot2, 3.6).
const LAST_INFORMATION: u32 = 21;

/// Tags as they are met, before the decisions that need all of them.
struct Seen {
    address: Option<Address>,
    placement: Option<Placement>,
    entry: Option<u32>,
    efi_entry: Option<u32>,
    services: bool,
    console: Console,
    framebuffer: Framebuffer,
}

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
            address: None,
            placement: None,
            entry: None,
            efi_entry: None,
            services: false,
            console: Console::EGA_TEXT,
            framebuffer: Framebuffer::default(),
        };
        let mut tags = header.tags();
        while let Some(tag) = tags.next(report)? {
            seen.take(&tag, machine.firmware, report)?;
        }
        // Boot services stay only where an entry can live with them.
        let efi_entry = seen.efi_entry.filter(|_| seen.services);
        let entry = efi_entry.or(seen.entry);
        if seen.address.is_some() && entry.is_none() {
            return Err(report.refuse(Kind::NoEntryTag));
        }
        Ok(Self {
            machine,
            header_offset: header.offset,
            address: seen.address,
            placement: seen.placement,
            entry,
            keep_services: efi_entry.is_some(),
            console: seen.console,
            framebuffer: seen.framebuffer,
        })
    }
}

impl Seen {
    fn take(&mut self, tag: &Tag<'_>, firmware: Firmware, report: &mut impl Report) -> Outcome {
        let entry = Some(tag.field(0));
        match tag.kind {
            TagType::INFORMATION_REQUEST => return check_request(tag, report),
            TagType::ADDRESS => {
                self.address = Some(Address {
                    header: tag.field(0),
                    load: tag.field(1),
                    load_end: tag.field(2),
                    bss_end: tag.field(3),
                });
            }
            TagType::ENTRY => self.entry = entry,
            TagType::ENTRY_EFI64 if firmware == Firmware::Efi64 => self.efi_entry = entry,
            TagType::ENTRY_EFI32 | TagType::ENTRY_EFI64 | TagType::MODULE_ALIGN => {}
            TagType::EFI_BOOT_SERVICES => self.services = firmware != Firmware::Bios,
            TagType::CONSOLE_FLAGS => {
                let flags = Console::from_bits_truncate(tag.field(0));
                self.console |= flags & Console::REQUIRED;
                if !flags.contains(Console::EGA_TEXT) {
                    self.console.remove(Console::EGA_TEXT);
                }
            }
            TagType::FRAMEBUFFER => {
                self.console |= Console::FRAMEBUFFER;
                self.framebuffer = Framebuffer {
                    width: tag.field(0),
                    height: tag.field(1),
                    depth: tag.field(2),
                };
            }
            TagType::RELOCATABLE => self.placement = Some(placement(tag, report)?),
            _ if tag.optional => {}
            unknown => return Err(report.refuse2(Kind::UnknownTag, unknown.0.into(), 0)),
        }
        Ok(())
    }
}

/// Refuses a required request for what this loader has never heard of; what
/// the machine merely lacks is no reason (Multiboot2, 3.1.4).
fn check_request(tag: &Tag<'_>, report: &mut impl Report) -> Outcome {
    let mut requests = (0..tag.field_count()).map(|index| tag.field(index));
    match requests.find(|&request| request > LAST_INFORMATION) {
        Some(unknown) if !tag.optional => {
            Err(report.refuse2(Kind::UnknownRequest, unknown.into(), 0))
        }
        _ => Ok(()),
    }
}

fn placement(tag: &Tag<'_>, report: &mut impl Report) -> Outcome<Placement> {
    let align = tag.field(2).max(1);
    if !align.is_power_of_two() {
        return Err(report.refuse2(Kind::PlacementAlign, align.into(), 0));
    }
    Ok(Placement {
        min: tag.field(0),
        max: tag.field(1),
        align,
        preference: match tag.field(3) {
            2 => Preference::High,
            _ => Preference::Low,
        },
    })
}
