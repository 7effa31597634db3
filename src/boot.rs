// SPDX-License-Identifier: GPL-3.0-or-later
//! The sequence of `boot`: information, end of firmware services, jump.
//!
//! The order of the tags is GRUB's (GRUB,
//! grub-core/loader/multiboot_mbi2.c), since kernels depend on it.

#[cfg(doc)]
use crate::error::Kind;
use crate::error::Outcome;
use crate::info::{self, EfiMapRoom, ElfSections, EntryPoint, InfoType, Writer};
use crate::load::loaded;
use crate::plan::placement::Request;
use crate::platform::{EfiMap, HandOver, MemoryMap, Platform, Relocator, Whose};
use crate::session::{Kernel, Memory, Sections, Session};
use crate::tags::Tags;
use crate::units::short;
use crate::video;

/// The boot information starts on a multiple of this (Multiboot2, 3.6.1).
const INFO_ALIGN: u32 = 8;

/// Room that UEFI's memory map may grow into, in bytes: many entries.
const MAP_SLACK: usize = 8192;

/// How often UEFI's memory map may outgrow its room before `boot` gives up.
const MAP_ATTEMPTS: usize = 4;

/// Starts the loaded kernel.
///
/// # Errors
///
/// [`Kind::NoKernel`], [`Kind::NoRoom`] and what GRUB refuses. The kernel stays
/// loaded.
pub fn boot<P: Platform>(platform: &mut P, session: Option<&mut Session<P>>) -> Outcome {
    let session = session.filter(|session| !session.memory.spoiled);
    let session = loaded(platform, session)?;
    prepare(
        platform,
        session,
        |platform, relocator, registers, ends_services| {
            let started = relocator.boot(registers);
            if ends_services {
                platform.halt();
            }
            started
        },
    )
}

/// Does all that comes before the jump, the end of boot services included, and
/// lets `start` do the rest: it gets what the kernel finds in its registers, and
/// whether boot services have ended. Hosts end here instead.
///
/// # Errors
///
/// [`Kind::NoRoom`] and what GRUB refuses; those of `start`.
#[inline(always)] // one function with its only caller in the module
pub fn prepare<P: Platform, T>(
    platform: &mut P,
    session: &mut Session<P>,
    start: impl FnOnce(&mut P, &mut P::Relocator, &HandOver, bool) -> Outcome<T>,
) -> Outcome<T> {
    let Session { kernel, memory } = session;
    let keep_services = memory.beside_services(platform);
    let ends_services = platform.machine().has_services() && !keep_services;
    let info = Information {
        video: video::take_over(platform, &kernel.params)?,
        map: if keep_services {
            None
        } else {
            let map = platform.memory_map(MemoryMap::Report)?;
            Some((map, platform.memory_sizes()))
        },
        acpi_old: platform.acpi(false),
        acpi_new: platform.acpi(true),
        smbios: match kernel.params.smbios {
            true => smbios(platform),
            false => None,
        },
        kernel,
    };
    let address = if ends_services {
        leave_firmware(platform, memory, &info)?
    } else {
        write(platform, memory, &info)?
    };
    let registers = HandOver {
        entry: info.kernel.loaded.entry,
        info: address,
        keep_services,
    };
    start(platform, &mut memory.relocator, &registers, ends_services)
}

/// What the information is made of, beside what the platform can be asked
/// twice. The tables of ACPI and SMBIOS it may have to search for in all of the
/// BIOS's memory.
struct Information<'a, P: Platform> {
    kernel: &'a Kernel<P>,
    video: Tags<P>,
    /// The memory map, and kibibytes below and above 1 MiB.
    map: Option<(P::Buffer, [u32; 2])>,
    acpi_old: Option<&'static [u8]>,
    acpi_new: Option<&'static [u8]>,
    smbios: Option<Smbios>,
}

/// An entry point and its table.
type Smbios = (EntryPoint<'static>, &'static [u8]);

impl<P: Platform> Information<'_, P> {
    /// Writes the head and every tag but the EFI memory map, which exists only
    /// after the last moment to write anything else, and the end.
    #[inline(never)] // run over a counter and over memory
    fn write(&self, platform: &mut P, out: &mut Writer<'_>) {
        let kernel = self.kernel;
        out.words(&[0, 0]); // total size: known at the end
        out.tag(InfoType::LOAD_BASE, &[kernel.loaded.load_base], &[]);
        out.tag(InfoType::COMMAND_LINE, &[], &kernel.command_line);
        out.tag(InfoType::LOADER_NAME, &[], platform.loader_name());
        if let Some(apm) = platform.apm() {
            out.tag(InfoType::APM, &[], &apm);
        }
        out.bytes(kernel.modules.bytes());
        if let Some((map, _)) = &self.map {
            info::memory_map(out, map);
        }
        let sections = kernel.sections.as_ref();
        sections
            .map_or(ElfSections::default(), Sections::facts)
            .write(out);
        if let Some((_, sizes)) = &self.map {
            out.tag(InfoType::BASIC_MEMORY, sizes, &[]);
        }
        network(platform, out);
        if let Some(device) = &kernel.boot_device {
            out.tag(InfoType::BOOT_DEVICE, device, &[]);
        }
        out.bytes(self.video.bytes());
        let efi = platform.efi();
        if let Some(efi) = &efi {
            efi.write_system_table(out);
        }
        if let Some((entry, table)) = &self.smbios {
            entry.write(out, table);
        }
        if let Some(rsdp) = self.acpi_old {
            out.tag(InfoType::ACPI_OLD, &[], rsdp);
        }
        if let Some(rsdp) = self.acpi_new {
            out.tag(InfoType::ACPI_NEW, &[], rsdp);
        }
        if let Some(efi) = &efi
            && self.map.is_none()
        {
            efi.write_alive(out);
        }
    }
}

/// Writes the tags of all network interfaces that were configured by DHCP.
fn network<P: Platform>(platform: &mut P, out: &mut Writer<'_>) {
    let mut index = 0u32;
    while let Some(acknowledgement) = platform.dhcp_acknowledgement(index) {
        if !acknowledgement.is_empty() {
            out.tag(InfoType::NETWORK, &[], acknowledgement);
        }
        index = index.wrapping_add(1); // GRUB has no such number
    }
}

/// Finds the SMBIOS tables; the newer kind where the firmware has both.
#[inline(never)] // keeps the caller's stack frame small
fn smbios<P: Platform>(platform: &mut P) -> Option<Smbios> {
    let mut new = true;
    let entry = loop {
        let entry = EntryPoint::find(platform.smbios(new), new);
        if entry.is_some() || !new {
            break entry?;
        }
        new = false;
    };
    let (address, len) = entry.table();
    let table = entry.extent(platform.firmware_memory(address, len))?;
    Some((entry, table))
}

/// Writes the information and returns its physical address.
fn write<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    info: &Information<'_, P>,
) -> Outcome<u32> {
    let mut counter = Writer::new(&mut []);
    info.write(platform, &mut counter);
    info::close(&mut counter);
    let request = Request::lowest(short(counter.len()), INFO_ALIGN);
    let target = memory.place(platform, &request, Whose::Other)?;
    let mut out = Writer::new(memory.bytes());
    info.write(platform, &mut out);
    info::close(&mut out);
    Ok(target.0)
}

/// Writes the information, and ends boot services as its last step, which
/// gives the last tag. Nothing behind it may fail.
#[inline(never)] // keeps the caller's stack frame small
fn leave_firmware<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    info: &Information<'_, P>,
) -> Outcome<u32> {
    memory.check_hand_over(platform)?;
    let mut attempt = 1usize;
    loop {
        // The map changes with every allocation.
        let slack = MAP_SLACK.saturating_mul(attempt);
        let room = platform.efi_map_len().saturating_add(slack);
        let mut counter = Writer::new(&mut []);
        info.write(platform, &mut counter);
        EfiMapRoom::reserve(&mut counter, room);
        info::close(&mut counter);

        let request = Request::lowest(short(counter.len()), INFO_ALIGN);
        let target = memory.place(platform, &request, Whose::Other)?;
        let mut out = Writer::new(memory.bytes());
        info.write(platform, &mut out);
        let place = EfiMapRoom::reserve(&mut out, room);
        let free = place.memory(&mut out).get_mut(..room).unwrap_or_default();
        if let Some(EfiMap { len, descriptor }) = platform.end_services(free)? {
            place.settle(&mut out, len, descriptor);
            info::close(&mut out);
            let end = out.len();
            out.behind(end).fill(0); // what UEFI scribbled
            return Ok(target.0);
        }
        if attempt == MAP_ATTEMPTS {
            return Err(request.no_room(platform));
        }
        attempt = attempt.saturating_add(1);
    }
}
