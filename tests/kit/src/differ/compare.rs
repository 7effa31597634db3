// SPDX-License-Identifier: GPL-3.0-or-later
//! Two starts of one kernel: memory by what it is for, and the boot information
//! without the addresses that loaders choose.

use super::{Case, Change, Firmware, Kernel, N, Start};
use crate::bytes::{put_number, u32_at};
use crate::dump::compare::{self, Deviation, Rules};
use crate::dump::{Dump, Entry, ImageReport, Tag, Tags, kind};

/// Names of the registers behind the entry.
const NARROW: [&str; 8] = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"];
const BESIDE_SERVICES: usize = 5;
const WIDE: [&str; BESIDE_SERVICES] = ["rax", "rbx", "rcx", "rdx", "rsi"];

/// Tags that depend on whether boot services stay.
const OF_SERVICES: [u32; 6] = [
    kind::BASIC_MEMORY,
    kind::MEMORY_MAP,
    kind::EFI_MAP,
    kind::EFI_BOOT_SERVICES,
    kind::EFI32_HANDLE,
    kind::EFI64_HANDLE,
];

/// Compares all that the kernel finds.
pub(super) fn compare(
    case: &Case<'_>,
    kernel: &Kernel,
    stock: &Start,
    ours: &Start,
) -> Result<(), String> {
    let find = |who: &str, start, link_base| {
        let view = View {
            case,
            kernel,
            start,
            link_base,
        };
        view.found().map_err(|text| format!("{who}: {text}"))
    };
    if stock.events != ours.events && !kernel.allows(Change::Mode) {
        let (a, b) = (&stock.events, &ours.events);
        return Err(format!("verifiers, console or screen see {b:?}, not {a:?}"));
    }
    let mut stock = find("reference", stock, kernel.stock_link_base)?;
    let ours = find("ours", ours, kernel.link_base)?;

    if stock.entry != ours.entry && !kernel.allows(Change::Entry) {
        let (a, b) = (stock.entry, ours.entry);
        return Err(format!("entered at {a:#x} and {b:#x} of the linked image"));
    }
    if stock.image != ours.image && !kernel.allows(Change::Image) {
        let at = stock
            .image
            .iter()
            .zip(&ours.image)
            .position(|(a, b)| a != b);
        return Err(format!("the image differs at {at:x?} of its parts"));
    }
    if kernel.allows(Change::Services) {
        stock.dump.entry = ours.dump.entry;
        stock.dump.boot_services_alive = ours.dump.boot_services_alive;
        stock.dump.registers.clone_from(&ours.dump.registers);
    }
    let mut deviations = Vec::new();
    if kernel.moves() || kernel.allows(Change::Base) {
        deviations.push(Deviation::Placement);
    }
    if !case.terrain.vbe_interface {
        deviations.push(Deviation::VbeInterface);
    }
    let rules = Rules {
        deviations: &deviations,
    };
    let list = compare::compare(&stock.dump, &ours.dump, &rules).map_err(|e| e.to_string())?;
    let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    match lines.is_empty() {
        true => Ok(()),
        false => Err(lines.join("\n")),
    }
}

/// What a kernel found, freed of what its loader chose.
struct Found {
    /// As if the image lay where it was linked.
    entry: N,
    /// The parts of the image, one after the other.
    image: Vec<u8>,
    /// Registers and boot information.
    dump: Dump,
}

/// A start, and how to read it.
struct View<'a> {
    case: &'a Case<'a>,
    kernel: &'a Kernel,
    start: &'a Start,
    link_base: N,
}

impl View<'_> {
    fn found(&self) -> Result<Found, String> {
        let [entry, registers @ ..] = &self.start.registers[..] else {
            return Err("no registers".to_owned());
        };
        let info = *registers
            .get(1)
            .ok_or("no address of the boot information")?;
        let len = self.memory(info.into(), 4)?;
        let mbi = self.memory(info.into(), u32_at(len, 0).unwrap_or(0) as usize)?;
        let base = Tags::new(mbi)
            .map_err(|error| error.to_string())?
            .flatten()
            .find(|tag| tag.kind == kind::LOAD_BASE);
        let base = base.and_then(|tag| tag.u32(8)).ok_or("no load base")?;
        let place = |linked: N| {
            linked
                .wrapping_sub(self.link_base)
                .wrapping_add(base.into())
        };
        let mut image = Vec::new();
        for part in &self.kernel.parts {
            image.extend(self.memory(place(part.at), part.size as usize)?);
        }
        let alive = registers.len() == BESIDE_SERVICES;
        let (entry_state, names): (_, &[&str]) = match self.case.terrain.firmware {
            Firmware::Efi64 if alive => (Entry::Efi64, &WIDE),
            _ if alive => (Entry::Efi32, &NARROW),
            _ => (Entry::Plain32, &NARROW),
        };
        let names = names.iter().map(|name| (*name).to_owned());
        Ok(Found {
            entry: N::from(*entry)
                .wrapping_sub(base.into())
                .wrapping_add(self.link_base)
                & 0xffff_ffff,
            image,
            dump: Dump {
                entry: entry_state,
                registers: names.zip(registers.iter().copied()).collect(),
                image: ImageReport::default(),
                ranges: Vec::new(),
                boot_services_alive: alive,
                mbi_address: info as u32,
                mbi: self.information(mbi)?,
                modules: Vec::new(),
                sections: Vec::new(),
            },
        })
    }

    /// Memory of the kernel.
    fn memory(&self, at: N, len: usize) -> Result<&[u8], String> {
        let mut chunks = self.start.chunks.iter();
        let found = chunks.find_map(|chunk| {
            let from = usize::try_from(at.checked_sub(chunk.target.into())?).ok()?;
            chunk.bytes.get(from..from.checked_add(len)?)
        });
        found.ok_or_else(|| format!("nothing at {at:#x}, size {len:#x}"))
    }

    /// The boot information with numbers in place of chosen addresses, whose
    /// memory is compared with the files that it comes from.
    fn information(&self, mbi: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = vec![0; 8];
        let mut modules = self.case.modules.iter().enumerate();
        for tag in Tags::new(mbi).map_err(|error| error.to_string())? {
            let tag = tag.map_err(|error| error.to_string())?;
            let mut bytes = tag.bytes.to_vec();
            match tag.kind {
                kind::MODULE => {
                    let (index, module) = modules.next().ok_or("one module too many")?;
                    self.module(&tag, module)?;
                    put_number(&mut bytes, 8, index as u64, 8);
                }
                kind::SECTIONS if self.kernel.allows(Change::Sections) => continue,
                kind::SECTIONS => self.sections(&mut bytes)?,
                one if OF_SERVICES.contains(&one) && self.kernel.allows(Change::Services) => {
                    continue;
                }
                kind::SMBIOS if self.kernel.allows(Change::Smbios) => continue,
                _ => {}
            }
            out.extend(bytes);
            out.extend(tag.padding);
        }
        if modules.next().is_some() {
            return Err("a module is missing".to_owned());
        }
        let len = out.len() as u64;
        put_number(&mut out, 0, len, 4);
        Ok(out)
    }

    fn module(&self, tag: &Tag<'_>, module: &[u8]) -> Result<(), String> {
        let (start, end) = (tag.u32(8).unwrap_or(0), tag.u32(12).unwrap_or(0));
        if end.wrapping_sub(start) as usize != module.len() || (start == 0) != module.is_empty() {
            return Err(format!(
                "a module of {:#x} bytes is {start:#x}-{end:#x}",
                module.len()
            ));
        }
        match module.is_empty() || self.memory(start.into(), module.len())? == module {
            true => Ok(()),
            false => Err("a module has wrong bytes".to_owned()),
        }
    }

    fn sections(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        if self.kernel.allows(Change::Names) {
            put_number(bytes, 16, 0, 4);
        }
        let (field, width) = if self.kernel.wide { (16, 8) } else { (12, 4) };
        for section in &self.kernel.loose {
            let at = 20 + section.index * self.kernel.stride + field;
            let address = super::number(bytes, at as N, width as N);
            let contents = &self.case.file[section.offset..section.offset + section.size];
            if self.memory(address, section.size)? != contents {
                return Err(format!("section {} has wrong bytes", section.index));
            }
            put_number(bytes, at, section.index as u64, width);
        }
        Ok(())
    }
}
