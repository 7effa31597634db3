// SPDX-License-Identifier: GPL-3.0-or-later
//! What the loader may ask of the machine. Facts that only a real one has stand for
//! those of an ordinary PC, so that the boot information has its usual shape.

use std::ffi::CStr;
use std::rc::Rc;

use mb2::error::{Error, Failed, Kind, Numbers, Outcome, Report};
use mb2::info::{Apm, EfiTables};
use mb2::params::{Firmware, Machine};
use mb2::platform::{CommandLine, EfiMap, File, FileKind, MemoryMap, Platform, Screen};
use mb2::units::FileOffset;

use super::relocator::HostRelocator;
use super::{Host, Line};
use crate::line::Fault;

/// An open file.
pub struct HostFile(Rc<[u8]>);

impl File for HostFile {
    fn size(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

/// Bytes of a descriptor of UEFI's memory map, and their version.
const DESCRIPTOR: [u32; 2] = [48, 1];

/// VBE's number of the text mode of 80 x 25.
const TEXT_MODE: u32 = 3;

/// Where a PC usually has its framebuffer.
const FRAMEBUFFER: u64 = 0xfd00_0000;

/// No partition.
const NONE: u32 = u32::MAX;

impl Report for Host {
    fn report(&mut self, kind: Kind, numbers: &Numbers) -> Failed {
        let fault = Fault::Loader(Error::new(kind, numbers));
        self.events.borrow_mut().pending = Some(fault);
        Failed
    }
}

impl Host {
    fn is_bios(&self) -> bool {
        self.setup.firmware == Firmware::Bios
    }
}

/// An SMBIOS entry point, and a table with nothing but its end.
const SMBIOS: &[u8] =
    b"_SM_\x73\x1f\x02\x08\x06\0\0\0\0\0\0\0_DMI_\x0a\x06\0\0\x20\x0f\0\x01\0\x28";
const STRUCTURES: &[u8] = b"\x7f\x04\xff\xfe\0\0";

impl Platform for Host {
    type Buffer = Vec<u8>;
    type File = HostFile;
    type Relocator = HostRelocator;
    type Args = Line;

    fn machine(&self) -> Machine {
        Self::machine_of(self.setup.firmware)
    }

    fn loader_name(&self) -> &'static [u8] {
        b"GRUB 2.06\0"
    }

    fn alloc(&mut self, len: usize) -> Outcome<Vec<u8>> {
        Ok(vec![0; len])
    }

    fn say(&mut self, line: Kind, numbers: &Numbers) {
        let line = Fault::Loader(Error::new(line, numbers)).line("");
        self.printed.push(line);
    }

    fn print_error(&mut self) {
        let line = self.fault().line(&self.file.name);
        self.printed.push(format!("error: {line}."));
    }

    fn forget_error(&mut self) {
        self.events.borrow_mut().pending = None;
    }

    fn unset_loader(&mut self) {}

    fn open(&mut self, _path: &CStr, _kind: FileKind) -> Outcome<HostFile> {
        Ok(HostFile(self.file.bytes.clone()))
    }

    fn read(&mut self, file: &mut HostFile, offset: FileOffset, into: &mut [u8]) -> Outcome<usize> {
        let rest = file.0.get(offset.0 as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn command_line(&mut self, args: &Line, first: usize, _: CommandLine) -> Outcome<Vec<u8>> {
        use mb2::platform::Arguments;
        let line = args.get(first).unwrap_or_default();
        Ok(line.to_bytes_with_nul().to_vec())
    }

    fn new_relocator(&mut self) -> Outcome<HostRelocator> {
        Ok(HostRelocator::new(&self.setup, &self.events))
    }

    fn memory_map(&mut self, which: MemoryMap) -> Outcome<Vec<u8>> {
        Ok(self.setup.map.bytes(which))
    }

    fn set_payload_modes(&mut self, format: &'static CStr, numbers: &[u32; 5]) -> Outcome {
        let format = format.to_string_lossy();
        let mut parts = format.split("%u");
        let mut value = parts.next().unwrap_or_default().to_owned();
        for (part, number) in parts.zip(numbers) {
            value += &format!("{number}{part}");
        }
        self.payload = Some(value);
        Ok(())
    }

    fn boot_device(&mut self) -> Outcome<Option<[u32; 3]>> {
        Ok(self.is_bios().then_some([0x80, 0, NONE]))
    }

    fn set_video_mode(&mut self, _: &'static CStr, _: &'static CStr) -> Outcome {
        Ok(())
    }

    fn has_video_driver(&self) -> bool {
        !self.is_bios() || self.payload.as_deref().is_some_and(|modes| modes != "text")
    }

    fn palette(&mut self, _into: &mut [u8]) {}

    fn finish_video(&mut self) -> Outcome<Screen> {
        Ok(Screen {
            address: FRAMEBUFFER,
            pitch_width_height: [4096, 1024, 768],
            bpp: 32,
            colors: None,
            masks: [16, 8, 8, 8, 0, 8],
        })
    }

    fn vbe_mode(&mut self) -> Option<u32> {
        self.is_bios().then_some(match self.has_video_driver() {
            true => TEXT_MODE + 0x115,
            false => TEXT_MODE,
        })
    }

    fn vbe_controller(&mut self, _into: &mut [u8]) -> bool {
        self.is_bios()
    }

    fn vbe_mode_info(&mut self, _mode: u32, _into: &mut [u8]) -> bool {
        self.is_bios()
    }

    fn vbe_interface(&mut self) -> [u16; 3] {
        [0; 3]
    }

    fn apm(&mut self) -> Option<Apm> {
        None
    }

    fn memory_sizes(&mut self) -> [u32; 2] {
        self.setup.map.sizes()
    }

    fn dhcp_acknowledgement(&mut self, _index: u32) -> Option<&'static [u8]> {
        None
    }

    fn acpi(&mut self, new: bool) -> Option<&'static [u8]> {
        Some(if new { &[0; 36] } else { &[0; 20] })
    }

    fn smbios(&mut self, new: bool) -> &'static [u8] {
        if new { &[] } else { SMBIOS }
    }

    fn firmware_memory(&mut self, _address: u64, _len: u32) -> &'static [u8] {
        STRUCTURES
    }

    fn efi(&mut self) -> Option<EfiTables> {
        (!self.is_bios()).then_some(EfiTables {
            wide: self.setup.firmware == Firmware::Efi64,
            system_table: 0,
            image_handle: 0,
        })
    }

    fn efi_map_len(&mut self) -> usize {
        self.setup.map.ranges().len() * DESCRIPTOR[0] as usize
    }

    fn end_services(&mut self, into: &mut [u8]) -> Outcome<Option<EfiMap>> {
        let len = self.efi_map_len();
        Ok((len <= into.len()).then_some(EfiMap {
            len,
            descriptor: DESCRIPTOR,
        }))
    }

    fn halt(&mut self) -> ! {
        unreachable!("a host prepares a boot and never jumps")
    }
}
