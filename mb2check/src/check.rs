// SPDX-License-Identifier: GPL-3.0-or-later
//! One image on one machine: runs the loader and gathers all there is to say.

use mb2::params::Firmware;
use mb2::platform::{HandOver, Platform};
use mb2::wire::elf::{Section, entry};

use crate::elf::Elf;
use crate::host::{self, Chunk, Host, Loaded, Setup};
use crate::input::Input;
use crate::line::Fault;
use crate::report::{self, Information, Refusal, Report};
use crate::{explain, header, info, near, warn};

/// A module to load with the kernel.
pub struct Module {
    /// Its file.
    pub file: Input,
    /// It is not to be unpacked.
    pub stored: bool,
    /// Its command line.
    pub line: String,
}

/// What is loaded beside the image.
#[derive(Default)]
pub struct Commands {
    /// The kernel's command line.
    pub line: String,
    /// Modules have to lie behind the kernel.
    pub modules_after_kernel: bool,
    /// The modules, in order.
    pub modules: Vec<Module>,
}

/// What the loader made of it.
#[derive(Default)]
struct Ran {
    loaded: Option<(Loaded, report::Placement)>,
    information: Option<Information>,
    fault: Option<(String, String, Fault)>,
}

/// Checks an image.
#[must_use]
pub fn check(image: &Input, setup: &Setup, commands: &Commands) -> Report {
    let bytes = &image.bytes[..];
    let elf = Elf::read(bytes);
    let header = header::read(bytes);
    let Ran {
        loaded,
        information,
        fault,
    } = run(image, setup, commands);
    let flat = header
        .iter()
        .flat_map(|header| &header.tags)
        .any(|tag| tag.kind == 2);
    let found = match flat {
        true => flat_image(bytes.len(), loaded.as_ref()),
        false => elf.as_ref().map(|elf| elf_image(elf, loaded.as_ref())),
    };
    let facts = explain::Facts {
        bytes,
        elf: elf.as_ref().filter(|_| !flat),
        header: header.as_ref(),
        setup,
    };
    let refusal = fault.as_ref().map(|(command, name, fault)| {
        let (offset, expected) = explain::explain(fault, &facts);
        Refusal {
            command: command.clone(),
            line: format!("error: {}.", fault.line(name)),
            reason: match fault {
                Fault::Loader(error) => format!("{:?}", error.kind),
                Fault::Grub(_) => "Grub".to_owned(),
            },
            offset,
            expected,
        }
    });
    let mut warnings = Vec::new();
    if loaded.is_some() {
        warnings = warn::warnings(&facts, image.packing);
    }
    Report {
        file: image.name.clone(),
        size: bytes.len(),
        packing: image.packing,
        loads: refusal.is_none(),
        near_misses: match fault {
            Some((_, _, Fault::Loader(error))) => near::near_misses(&facts, &error),
            _ => Vec::new(),
        },
        refusal,
        machine: report::Machine {
            firmware: firmware_name(setup.firmware),
            memory: setup.map.ranges().to_vec(),
        },
        image: found,
        header,
        placement: loaded.map(|(_, placement)| placement),
        information,
        warnings,
    }
}

/// What firmware is called.
#[must_use]
pub fn firmware_name(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Efi32 => "efi32",
        Firmware::Efi64 => "efi64",
    }
}

/// Runs the commands until one fails.
fn run(image: &Input, setup: &Setup, commands: &Commands) -> Ran {
    let mut host = Host::new(setup, image);
    let mut ran = Ran::default();
    let mut loaded = match host.multiboot2(commands) {
        Ok(loaded) => loaded,
        Err(fault) => {
            ran.fault = Some(("multiboot2".to_owned(), image.name.clone(), fault));
            return ran;
        }
    };
    for module in &commands.modules {
        let how = (module.stored, module.line.as_str());
        if let Err(fault) = host.module2(&mut loaded, &module.file, how) {
            ran.fault = Some(("module2".to_owned(), module.file.name.clone(), fault));
            break;
        }
    }
    if ran.fault.is_none() {
        match host.boot(&mut loaded) {
            Ok((HandOver { info: at, .. }, bytes)) => {
                ran.information = Some(info::read(&bytes, at))
            }
            Err(fault) => ran.fault = Some(("boot".to_owned(), image.name.clone(), fault)),
        }
    }
    let placement = placement(&host, &loaded, Elf::read(&image.bytes));
    ran.loaded = Some((loaded, placement));
    ran
}

fn placement(host: &Host, loaded: &Loaded, elf: Option<Elf<'_>>) -> report::Placement {
    let params = &loaded.kernel.params;
    let place = loaded.kernel.loaded;
    let whole = params.placement().is_some() || params.address().is_some();
    let mut chunks = host.chunks();
    for chunk in chunks.iter_mut().filter(|chunk| chunk.what == host::IMAGE) {
        let is_at = |paddr: u64| paddr == chunk.first.into();
        let segment = elf.iter().flat_map(Elf::loadable);
        let segment = segment
            .filter(|(_, program)| is_at(program.paddr()))
            .map(|(index, _)| index)
            .next();
        chunk.what = match segment {
            _ if whole && chunk.first == place.load_base => continue,
            Some(index) if !whole => format!("segment {index}"),
            _ => "sections".to_owned(),
        };
    }
    report::Placement {
        link_base: place.link_base,
        load_base: place.load_base,
        entry: place.entry,
        entered: match (params.keep_services, host.machine().firmware) {
            (true, Firmware::Efi64) => "64-bit mode, as UEFI left it",
            (true, _) => "32-bit mode, as UEFI left it",
            (false, _) => "32-bit mode without paging",
        },
        keeps_services: params.keep_services,
        chunks,
        gfxpayload: host.payload().map(str::to_owned),
        printed: host.printed().to_vec(),
    }
}

/// The one part of a flat file.
fn flat_image(size: usize, loaded: Option<&(Loaded, report::Placement)>) -> Option<report::Image> {
    let mut segments = Vec::new();
    if let Some((loaded, placement)) = loaded
        && let Some(address) = loaded.kernel.params.address()
        && let Some(Chunk { first, last, .. }) = placement.chunks.first()
    {
        let before = address.header.saturating_sub(placement.link_base);
        let offset = u64::from(loaded.kernel.params.header_offset.saturating_sub(before));
        let end = match address.load_end {
            0 => None,
            end => Some(u64::from(end - placement.link_base)),
        };
        let memory_size = u64::from(last - first) + 1;
        segments.push(report::Segment {
            index: 0,
            offset,
            file_size: end.unwrap_or((size as u64).saturating_sub(offset)),
            vaddr: placement.link_base.into(),
            paddr: placement.link_base.into(),
            memory_size,
            lies_at: Some((*first).into()),
        });
    }
    Some(report::Image {
        format: "flat",
        entry: None,
        segments,
        sections: Vec::new(),
    })
}

fn elf_image(elf: &Elf<'_>, loaded: Option<&(Loaded, report::Placement)>) -> report::Image {
    let slide = loaded.map(|(_, place)| i64::from(place.load_base) - i64::from(place.link_base));
    let segments = elf.loadable().map(|(index, program)| report::Segment {
        index,
        offset: program.offset(),
        file_size: program.file_size(),
        vaddr: program.vaddr(),
        paddr: program.paddr(),
        memory_size: program.memory_size(),
        lies_at: slide.and_then(|slide| program.paddr().checked_add_signed(slide)),
    });
    let headers = loaded.and_then(|(loaded, _)| loaded.kernel.sections.as_ref());
    let sections = (0..).zip(&elf.sections).skip(1).map(|(index, section)| {
        let now = headers.map(|sections| {
            let bytes = entry(&elf.header.sections, &sections.headers, index);
            Section::parse(elf.header.class, bytes).addr()
        });
        report::Section {
            index,
            name: elf.name(index),
            kind: section.kind().into(),
            addr: section.addr(),
            offset: section.offset(),
            size: section.size(),
            loaded_at: now.filter(|&now| now != section.addr()),
        }
    });
    report::Image {
        format: elf.format(),
        entry: Some(elf.header.entry),
        segments: segments.collect(),
        sections: sections.collect(),
    }
}
