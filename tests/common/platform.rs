// SPDX-License-Identifier: GPL-3.0-or-later
//! The fake behind the loader's `Platform`.

use super::facts::{NAME, SMBIOS_TABLE};
use super::images::{Args, quote};
use super::relocator::FakeRelocator;
use super::render::render;
use super::world::{Buffer, FREE, Fault, RESERVED, Read, SERVICES, World, count};
use super::{Fake, Stop, Stored, text};
use mb2::error::{Error, Failed, Kind, Numbers, Outcome, Report};
use mb2::info::{Apm, EfiTables};
use mb2::params::Machine;
use mb2::platform::{CommandLine, EfiMap, File, FileKind, MemoryMap, Platform, Screen};
use mb2::units::FileOffset;
use std::ffi::CStr;
use std::panic::resume_unwind;
use std::rc::Rc;

/// An open file.
pub(crate) struct FakeFile {
    name: String,
    stored: Stored,
    world: Rc<World>,
}

impl File for FakeFile {
    fn size(&self) -> Option<u64> {
        self.stored.sized.then_some(self.stored.bytes.len() as u64)
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        count(&self.world.files, -1);
    }
}

impl Report for Fake {
    fn name(&mut self, name: &CStr) {
        self.named = text(name);
    }

    fn report(&mut self, kind: Kind, numbers: &Numbers) -> Failed {
        assert!(!self.world.ended.get(), "{kind:?} with nobody to read it");
        let formats = text(kind.text()).matches("%ll").count();
        assert!(formats <= numbers.len(), "{kind:?} lacks numbers");
        let fault = Fault::Ours(Error::new(kind, numbers));
        let before = self.world.pending.replace(Some(fault));
        assert_eq!(before, None, "GRUB's error is overwritten by {fault:?}");
        Failed
    }
}

impl Platform for Fake {
    type Buffer = Buffer;
    type File = FakeFile;
    type Relocator = FakeRelocator;
    type Args = Args;

    fn machine(&self) -> Machine {
        self.machine
    }

    fn loader_name(&self) -> &'static [u8] {
        NAME
    }

    fn alloc(&mut self, len: usize) -> Outcome<Buffer> {
        Buffer::new(&self.world, len)
    }

    fn say(&mut self, line: Kind, numbers: &Numbers) {
        let (line, _) = render(&text(line.text()), "", numbers);
        self.printed.push(line);
    }

    fn print_error(&mut self) {
        let error = self.world.pending.take();
        self.printed.push(format!("{:?}", error.expect("an error")));
    }

    fn forget_error(&mut self) {
        self.world.pending.take();
    }

    fn unset_loader(&mut self) {
        self.events.push("unset".to_owned());
        self.loaded = None;
    }

    fn open(&mut self, path: &CStr, kind: FileKind) -> Outcome<FakeFile> {
        self.world.call("open")?;
        let name = text(path);
        self.events.push(format!("open {name} {kind:?}"));
        let stored = self.files.get(&name).cloned();
        let stored = stored.ok_or_else(|| self.world.grub_error("no such file"))?;
        count(&self.world.files, 1);
        Ok(FakeFile {
            name,
            stored,
            world: self.world.clone(),
        })
    }

    fn read(&mut self, file: &mut FakeFile, offset: FileOffset, into: &mut [u8]) -> Outcome<usize> {
        self.world.call("read")?;
        let read = Read {
            name: file.name.clone(),
            offset: offset.0.into(),
            len: into.len(),
        };
        self.events.push(format!("read {}", file.name));
        let mut reads = self.world.reads.borrow_mut();
        if self.world.cut_at.get() == Some(reads.len()) {
            self.world.failed.set(Some("short read"));
            file.stored.readable = offset.0 as usize + into.len() / 2;
        }
        reads.push(read);
        let Stored {
            bytes, readable, ..
        } = &file.stored;
        let bytes = bytes.get(..*readable).unwrap_or(bytes);
        let from = offset.0 as usize;
        let rest = bytes.get(from..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn command_line(&mut self, args: &Args, first: usize, kind: CommandLine) -> Outcome<Buffer> {
        let line = quote(args, first);
        let mut buffer = Buffer::new(&self.world, line.len())?;
        buffer.copy_from_slice(&line);
        self.world.call("verifier")?;
        self.events.push(format!("verify {kind:?}"));
        Ok(buffer)
    }

    fn new_relocator(&mut self) -> Outcome<FakeRelocator> {
        FakeRelocator::new(&self.world)
    }

    fn memory_map(&mut self, which: MemoryMap) -> Outcome<Buffer> {
        if self.world.map_grows.get() {
            self.world.take_page();
        }
        let bytes = self.world.map(which);
        let mut buffer = Buffer::new(&self.world, bytes.len())?;
        buffer.copy_from_slice(&bytes);
        Ok(buffer)
    }

    fn set_payload_modes(&mut self, format: &'static CStr, numbers: &[u32; 5]) -> Outcome {
        self.world.call("variable")?;
        let mut value = String::new();
        let mut numbers = numbers.iter();
        let format = text(format);
        for (index, part) in format.split("%u").enumerate() {
            if index > 0 {
                value += &numbers.next().expect("a number").to_string();
            }
            value += part;
        }
        self.payload_modes = Some(value);
        Ok(())
    }

    fn boot_device(&mut self) -> Outcome<Option<[u32; 3]>> {
        self.world.call("boot device")?;
        Ok(self.facts.boot_device)
    }

    fn set_video_mode(&mut self, with: &'static CStr, without: &'static CStr) -> Outcome {
        let modes = match self.payload_modes.as_deref() {
            None | Some("") => text(without),
            Some(value) => text(with).replace("%s", value),
        };
        self.modes.push(modes);
        self.world.call("video mode")
    }

    fn has_video_driver(&self) -> bool {
        assert!(!self.world.ended.get(), "video without firmware");
        self.facts.screen.is_some()
    }

    fn palette(&mut self, into: &mut [u8]) {
        for (index, byte) in into.iter_mut().enumerate() {
            *byte = index as u8;
        }
    }

    fn finish_video(&mut self) -> Outcome<Screen> {
        self.world.call("end of video")?;
        Ok(self.facts.screen.expect("a screen"))
    }

    fn vbe_mode(&mut self) -> Option<u32> {
        self.facts.vbe_mode
    }

    fn vbe_controller(&mut self, into: &mut [u8]) -> bool {
        assert_eq!(into.len(), 512);
        into.fill(0xc0);
        self.facts.vbe
    }

    fn vbe_mode_info(&mut self, mode: u32, into: &mut [u8]) -> bool {
        assert_ne!(mode, 3, "VBE has nothing to say about text");
        into.copy_from_slice(&self.facts.vbe_mode_info);
        self.facts.vbe
    }

    fn vbe_interface(&mut self) -> [u16; 3] {
        [0xf000, 0x1234, 0x40]
    }

    fn apm(&mut self) -> Option<Apm> {
        self.facts.apm
    }

    fn memory_sizes(&mut self) -> [u32; 2] {
        assert!(!self.world.ended.get(), "memory map without firmware");
        [639, 64512]
    }

    fn dhcp_acknowledgement(&mut self, index: u32) -> Option<&'static [u8]> {
        self.facts.acknowledgements.get(index as usize).copied()
    }

    fn acpi(&mut self, new: bool) -> Option<&'static [u8]> {
        self.facts.acpi[usize::from(new)]
    }

    fn smbios(&mut self, new: bool) -> &'static [u8] {
        self.facts.smbios[usize::from(new)]
    }

    fn firmware_memory(&mut self, address: u64, len: u32) -> &'static [u8] {
        let table = self.facts.smbios_table;
        match address {
            SMBIOS_TABLE => &table[..table.len().min(len as usize)],
            _ => &[],
        }
    }

    fn efi(&mut self) -> Option<EfiTables> {
        self.facts.efi
    }

    fn efi_map_len(&mut self) -> usize {
        assert!(!self.world.ended.get(), "map without firmware");
        self.facts.efi_map.len()
    }

    fn end_services(&mut self, into: &mut [u8]) -> Outcome<Option<EfiMap>> {
        self.world.call("end of services")?;
        if let Some(left) = self.facts.services_stay.checked_sub(1) {
            self.facts.services_stay = left;
            return Err(self.world.grub_error("services stay"));
        }
        if let Some(grown) = self.facts.efi_map_grows.pop() {
            self.facts.efi_map.resize(grown, 0x77);
        }
        let map = &self.facts.efi_map;
        let Some(room) = into.get_mut(..map.len()) else {
            return Ok(None);
        };
        room.copy_from_slice(map);
        // Firmware scribbles into all the room it is given.
        into[map.len()..].fill(0xee);
        self.world.ended.set(true);
        Ok(Some(EfiMap {
            len: map.len(),
            descriptor: [48, 1],
        }))
    }

    fn halt(&mut self) -> ! {
        resume_unwind(Box::new(Stop::Halted))
    }
}

impl World {
    /// A memory map as GRUB gives it.
    pub(crate) fn map(&self, which: MemoryMap) -> Vec<u8> {
        let mut map = Vec::new();
        for range in self.ranges.borrow().iter() {
            let kind = match (range.kind, which) {
                (SERVICES, MemoryMap::BesideServices) => RESERVED,
                (SERVICES, _) => FREE,
                (kind, _) => kind,
            };
            map.extend(range.start.to_le_bytes());
            map.extend((range.end - range.start).to_le_bytes());
            map.extend(kind.to_le_bytes());
            map.extend([0; 4]);
        }
        map
    }
}
