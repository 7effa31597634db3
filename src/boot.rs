// SPDX-License-Identifier: GPL-3.0-or-later
//! The sequence of `boot`: information, end of firmware services, jump.

#[cfg(doc)]
use crate::error::Kind;
use crate::error::Outcome;
use crate::info::{self, EfiMapRoom, ElfSections, Facts, Writer};
use crate::load::loaded;
use crate::params::Firmware;
use crate::plan::placement::Request;
use crate::platform::{EfiMap, HandOver, MemoryMap, Platform, Relocator};
use crate::session::{Memory, Sections, Session};
use crate::units::short;
use crate::video::Video;

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
    let session = loaded(platform, session)?;
    let params = &session.params;
    let keep_services = params.keep_services;
    let ends_services = params.machine.firmware != Firmware::Bios && !keep_services;

    let network = network(platform)?;
    let video = Video::take_over(platform, params)?;
    let (vbe, framebuffer) = (video.vbe(), video.framebuffer());
    let map = if keep_services {
        None
    } else {
        Some(platform.memory_map(MemoryMap::Report)?)
    };
    let facts = Facts {
        load_base: session.loaded.load_base,
        command_line: &session.command_line,
        loader_name: platform.loader_name(),
        apm: platform.apm(),
        modules: session.modules.tags(),
        memory: map.as_deref().map(|map| (map, platform.memory_sizes())),
        sections: session
            .sections
            .as_ref()
            .map_or(ElfSections::default(), Sections::facts),
        network: network.as_deref().unwrap_or_default(),
        boot_device: session.boot_device,
        vbe: vbe.as_ref(),
        framebuffer: framebuffer.as_ref(),
        efi: platform.efi(),
        acpi: [platform.acpi(false), platform.acpi(true)],
        keep_services,
    };

    let memory = &mut session.memory;
    let info = if ends_services {
        leave_firmware(platform, memory, &facts)?
    } else {
        write_info(platform, memory, &facts)?
    };
    let started = memory.relocator.boot(&HandOver {
        entry: session.loaded.entry,
        info,
        keep_services,
    });
    if ends_services {
        platform.halt();
    }
    started
}

/// Writes the information and returns its physical address.
fn write_info<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    facts: &Facts<'_>,
) -> Outcome<u32> {
    let write = |out: &mut Writer<'_>| {
        facts.write(out);
        info::close(out);
    };
    let mut counter = Writer::new(&mut []);
    write(&mut counter);
    let request = Request::lowest(short(counter.len()), INFO_ALIGN);
    let chunk = memory.place_beside(platform, &request)?;
    write(&mut Writer::new(chunk.bytes));
    Ok(chunk.target.0)
}

/// Writes the information, and ends boot services as its last step, which
/// gives the last tag. Nothing behind it may fail.
fn leave_firmware<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    facts: &Facts<'_>,
) -> Outcome<u32> {
    memory.check_hand_over(platform)?;
    let mut attempt = 1usize;
    loop {
        // The map changes with every allocation.
        let slack = MAP_SLACK.saturating_mul(attempt);
        let room = platform.efi_map_len().saturating_add(slack);
        let mut counter = Writer::new(&mut []);
        facts.write(&mut counter);
        EfiMapRoom::reserve(&mut counter, room);
        info::close(&mut counter);

        let request = Request::lowest(short(counter.len()), INFO_ALIGN);
        let chunk = memory.place_beside(platform, &request)?;
        let mut out = Writer::new(chunk.bytes);
        facts.write(&mut out);
        let place = EfiMapRoom::reserve(&mut out, room);
        let free = place.memory(&mut out).get_mut(..room).unwrap_or_default();
        if let Some(EfiMap { len, descriptor }) = platform.end_services(free)? {
            place.settle(&mut out, len, descriptor);
            info::close(&mut out);
            return Ok(chunk.target.0);
        }
        if attempt == MAP_ATTEMPTS {
            return Err(platform.report(&request.no_room()));
        }
        attempt = attempt.saturating_add(1);
    }
}

/// The tags of all network interfaces that were configured by DHCP.
fn network<P: Platform>(platform: &mut P) -> Outcome<Option<P::Buffer>> {
    let write = |platform: &mut P, out: &mut Writer<'_>| {
        let mut index = 0u32;
        while let Some(acknowledgement) = platform.dhcp_acknowledgement(index) {
            if !acknowledgement.is_empty() {
                info::network(out, acknowledgement);
            }
            index = index.saturating_add(1);
        }
    };
    let mut counter = Writer::new(&mut []);
    write(platform, &mut counter);
    if counter.is_empty() {
        return Ok(None);
    }
    let mut tags = platform.alloc(counter.len())?;
    write(platform, &mut Writer::new(&mut tags));
    Ok(Some(tags))
}
