// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Grub`]: the real GRUB behind the loader's [`Platform`].

use super::args::Args;
use super::buffer::Buffer;
use super::file::File;
use super::relocator::Relocator;
use super::report::{check, pending_error};
use super::{global, sys};
use crate::error::{Failed, Kind, Numbers, Outcome, Report};
use crate::info::{Apm, EfiTables, VBE_CONTROLLER_LEN, VBE_MODE_LEN};
use crate::params::{Firmware, Machine};
use crate::plan::placement::{AVAILABLE, MAP_ENTRY};
use crate::platform::{CommandLine, EfiMap, FileKind, MemoryMap, Platform, Screen};
use crate::units::{FileOffset, index, low32, narrow, short, wide};
use crate::video::TEXT_MODE;
use crate::wire::{header, u32_at};
use core::ffi::{CStr, c_int};
use core::{ptr, slice};
use static_assertions::const_assert_eq;

// If one of these fires, GRUB's multiboot2.h or memory.h changed: edit the
// module that the constant comes from.
const_assert_eq!(header::MAGIC, sys::MULTIBOOT2_HEADER_MAGIC);
const_assert_eq!(header::ARCHITECTURE_I386, sys::MULTIBOOT2_ARCHITECTURE_I386);
const_assert_eq!(header::SEARCH_LEN as u64, sys::MULTIBOOT_SEARCH as u64);
// The kernel's map is GRUB's answer as it is.
const_assert_eq!(size_of::<sys::mb2_range>(), MAP_ENTRY);
const_assert_eq!(
    AVAILABLE.cast_signed(),
    sys::grub_memory_type::GRUB_MEMORY_AVAILABLE.0
);

/// The machine that the tree is configured for.
const MACHINE: Machine = Machine {
    firmware: match (sys::MB2_HAS_EFI, size_of::<usize>()) {
        (0, _) => Firmware::Bios,
        (_, 4) => Firmware::Efi32,
        _ => Firmware::Efi64,
    },
    vga_text: sys::MB2_HAS_VGA_TEXT != 0,
};

/// There is a BIOS to ask.
const BIOS: bool = sys::MB2_HAS_BIOS != 0;

/// There is UEFI to ask.
pub(super) const EFI: bool = sys::MB2_HAS_EFI != 0;

/// GRUB, as the loader sees it.
pub(super) struct Grub;

impl Platform for Grub {
    type Buffer = Buffer;
    type File = File;
    type Relocator = Relocator;
    type Args = Args;

    fn machine(&self) -> Machine {
        MACHINE
    }

    fn loader_name(&self) -> &'static [u8] {
        sys::PACKAGE_STRING.to_bytes_with_nul()
    }

    fn alloc(&mut self, len: usize) -> Outcome<Buffer> {
        Buffer::new(len)
    }

    #[doc(alias = "grub_puts_")]
    fn say(&mut self, line: Kind, numbers: &Numbers) {
        self.report(line, numbers); // an error of none
        // SAFETY: the call takes nothing.
        unsafe { sys::mb2_grub_say() };
    }

    #[doc(alias = "grub_print_error")]
    fn print_error(&mut self) {
        // SAFETY: the call takes nothing.
        unsafe { sys::mb2_grub_print_error() };
    }

    fn forget_error(&mut self) {
        // SAFETY: the call takes nothing.
        unsafe { sys::mb2_grub_forget_error() };
    }

    #[doc(alias = "grub_loader_unset")]
    fn unset_loader(&mut self) {
        // SAFETY: nobody holds the session, which the call may drop.
        unsafe { sys::mb2_grub_loader_unset() };
    }

    fn open(&mut self, path: &CStr, kind: FileKind) -> Outcome<File> {
        global::set_name(path.as_ptr());
        File::open(path, kind)
    }

    fn read(&mut self, file: &mut File, offset: FileOffset, into: &mut [u8]) -> Outcome<usize> {
        let len = file.read(offset, into)?;
        // GRUB may have read a part and then failed.
        check(pending_error()).map(|()| len)
    }

    #[doc(alias = "grub_create_loader_cmdline")]
    fn command_line(&mut self, args: &Args, first: usize, kind: CommandLine) -> Outcome<Buffer> {
        use sys::grub_verify_string_type as v;
        let kind = match kind {
            CommandLine::Kernel => v::GRUB_VERIFY_KERNEL_CMDLINE,
            CommandLine::Module => v::GRUB_VERIFY_MODULE_CMDLINE,
        };
        let rest = args.pointers().get(first..).unwrap_or_default();
        let argc = c_int::try_from(rest.len()).unwrap_or_default();
        let argv = rest.as_ptr().cast_mut();
        // SAFETY: by the invariant of `args`, `argc` strings at `argv`.
        let size = unsafe { sys::mb2_grub_cmdline_size(argc, argv) };
        let mut text = Buffer::new(narrow(size.into()))?;
        let out = text.as_mut_ptr().cast();
        // SAFETY: as above, and `out` has the room that GRUB asked for.
        let error = unsafe { sys::mb2_grub_cmdline_create(argc, argv, out, size, kind.0) };
        check(error)?;
        Ok(text)
    }

    fn new_relocator(&mut self) -> Outcome<Relocator> {
        Relocator::new()
    }

    #[doc(alias = "grub_mmap_iterate")]
    #[doc(alias = "grub_efi_mmap_iterate")]
    fn memory_map(&mut self, which: MemoryMap) -> Outcome<Buffer> {
        let which = match which {
            MemoryMap::Report => sys::MB2_MAP_REPORT,
            MemoryMap::Usable => sys::MB2_MAP_USABLE,
            MemoryMap::BesideServices => sys::MB2_MAP_KEEP_SERVICES,
        };
        // Each walk costs, on UEFI heap for good, so one has to do.
        let mut capacity = match EFI {
            true => short(self.efi_map_len()) / EFI_DESCRIPTOR_LEN,
            false => BIOS_RANGES,
        };
        loop {
            let mut map = Buffer::new(index(capacity).saturating_mul(MAP_ENTRY))?;
            let ranges = map.as_mut_ptr().cast();
            // SAFETY: `ranges` has room for `capacity` entries of 24 bytes.
            let count = unsafe { sys::mb2_grub_memory_map(which, ranges, capacity) };
            if count <= capacity {
                map.truncate(index(count).saturating_mul(MAP_ENTRY));
                return Ok(map);
            }
            // The buffer itself may have changed the map: ask again.
            capacity = count;
        }
    }

    #[doc(alias = "grub_env_set")]
    fn set_payload_modes(&mut self, format: &'static CStr, numbers: &[u32; 5]) -> Outcome {
        // SAFETY: the format has a NUL and takes no more than the five numbers.
        check(unsafe { sys::mb2_grub_payload_modes(format.as_ptr(), numbers.as_ptr()) })
    }

    #[doc(alias = "grub_get_root_biosnumber")]
    fn boot_device(&mut self) -> Outcome<Option<[u32; 3]>> {
        if !BIOS {
            return Ok(None);
        }
        let mut device = sys::mb2_boot_device {
            drive: 0,
            partitions: 0,
            numbers: [0; 2],
        };
        // SAFETY: `device` is writable.
        let known = unsafe { sys::mb2_grub_boot_device(&raw mut device) } != 0;
        // A device that does not open is an error without a result of its own.
        check(pending_error())?;
        if !known {
            return Ok(None);
        }
        let [inner, outer] = device.numbers;
        Ok(Some(match device.partitions {
            0 => [device.drive, u32::MAX, u32::MAX],
            1 => [device.drive, inner, u32::MAX],
            _ => [device.drive, outer, inner],
        }))
    }

    #[doc(alias = "grub_video_set_mode")]
    fn set_video_mode(&mut self, with: &'static CStr, without: &'static CStr) -> Outcome {
        // SAFETY: both have a NUL, and the first takes no more than a string.
        check(unsafe { sys::mb2_grub_video_set_mode(with.as_ptr(), without.as_ptr()) })
    }

    #[doc(alias = "grub_video_get_driver_id")]
    fn has_video_driver(&self) -> bool {
        // SAFETY: the call takes nothing.
        unsafe { sys::mb2_grub_video_driver() != 0 }
    }

    #[doc(alias = "grub_video_get_palette")]
    fn palette(&mut self, into: &mut [u8]) {
        let count = u32::try_from(into.len() / 3).unwrap_or_default();
        // SAFETY: room for `count` colours of three bytes.
        unsafe { sys::mb2_grub_video_palette(into.as_mut_ptr(), count) };
    }

    #[doc(alias = "grub_video_get_info_and_fini")]
    fn finish_video(&mut self) -> Outcome<Screen> {
        let mut video = sys::mb2_video::default();
        // SAFETY: `video` is writable.
        check(unsafe { sys::mb2_grub_video_finish(&raw mut video) })?;
        Ok(Screen {
            address: video.address,
            pitch_width_height: [video.pitch, video.width, video.height],
            bpp: u8::try_from(video.bpp & 0xff).unwrap_or_default(),
            colors: (video.indexed != 0).then_some(narrow(video.colors.into())),
            masks: video.masks,
        })
    }

    #[doc(alias = "grub_vbe_bios_get_mode")]
    fn vbe_mode(&mut self) -> Option<u32> {
        if !BIOS {
            return Some(TEXT_MODE);
        }
        let mut mode = 0;
        // SAFETY: `mode` is writable.
        (unsafe { sys::mb2_grub_vbe_mode(&raw mut mode) } != 0).then_some(mode)
    }

    #[doc(alias = "grub_vbe_bios_get_controller_info")]
    fn vbe_controller(&mut self, into: &mut [u8]) -> bool {
        let into = into.first_chunk_mut::<VBE_CONTROLLER_LEN>();
        let Some(into) = into.filter(|_| BIOS) else {
            return false;
        };
        // SAFETY: room for VBE's 512 bytes.
        unsafe { sys::mb2_grub_vbe_controller(into.as_mut_ptr().cast()) != 0 }
    }

    #[doc(alias = "grub_vbe_bios_get_mode_info")]
    fn vbe_mode_info(&mut self, mode: u32, into: &mut [u8]) -> bool {
        let into = into.first_chunk_mut::<VBE_MODE_LEN>();
        let Some(into) = into.filter(|_| BIOS) else {
            return false;
        };
        // SAFETY: room for VBE's 256 bytes.
        unsafe { sys::mb2_grub_vbe_mode_info(mode, into.as_mut_ptr().cast()) != 0 }
    }

    #[doc(alias = "grub_vbe_bios_get_pm_interface")]
    fn vbe_interface(&mut self) -> [u16; 3] {
        let mut interface = [0; 3];
        if BIOS {
            // SAFETY: room for three numbers.
            unsafe { sys::mb2_grub_vbe_interface(interface.as_mut_ptr()) };
        }
        interface
    }

    #[doc(alias = "grub_apm_get_info")]
    fn apm(&mut self) -> Option<Apm> {
        if !BIOS {
            return None;
        }
        let mut apm = [0; 20];
        // SAFETY: room for the structure, which may lie anywhere.
        (unsafe { sys::mb2_grub_apm(apm.as_mut_ptr().cast()) } != 0).then_some(apm)
    }

    #[doc(alias = "grub_mmap_get_lower")]
    #[doc(alias = "grub_mmap_get_upper")]
    fn memory_sizes(&mut self) -> [u32; 2] {
        // SAFETY: the call takes nothing.
        let lower = unsafe { sys::mb2_grub_memory_lower() };
        // SAFETY: the call takes nothing.
        let upper = unsafe { sys::mb2_grub_memory_upper() };
        [low32(lower / 1024), low32(upper / 1024)]
    }

    #[doc(alias = "grub_net_network_level_interface")]
    fn dhcp_acknowledgement(&mut self, index: u32) -> Option<&'static [u8]> {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: both are writable.
        if unsafe { sys::mb2_grub_dhcp_ack(index, &raw mut data, &raw mut len) } == 0 {
            return None;
        }
        // SAFETY: GRUB keeps `len` bytes of an acknowledgement until `boot`.
        Some(unsafe { firmware_bytes(data.cast(), len) })
    }

    #[doc(alias = "grub_acpi_get_rsdpv1")]
    #[doc(alias = "grub_acpi_get_rsdpv2")]
    fn acpi(&mut self, new: bool) -> Option<&'static [u8]> {
        if sys::MB2_HAS_ACPI == 0 {
            return None;
        }
        /// Bytes of the old structure, and of the new one's head.
        const LENS: [usize; 2] = [20, 24];
        let revision = if new { 2 } else { 1 };
        // SAFETY: the call takes a number.
        let rsdp = unsafe { sys::mb2_grub_acpi_rsdp(revision) };
        let [old, head] = LENS;
        let len = if new { head } else { old };
        // SAFETY: a root pointer has at least these bytes.
        let bytes = unsafe { firmware_bytes(rsdp.cast(), len) };
        match (bytes.is_empty(), new) {
            (true, _) => None,
            (false, false) => Some(bytes),
            (false, true) => {
                let len = narrow(u32_at(bytes, old).into());
                // SAFETY: GRUB has checked the sum over this length.
                Some(unsafe { firmware_bytes(rsdp.cast(), len) })
            }
        }
    }

    fn smbios(&mut self, new: bool) -> &'static [u8] {
        /// Bytes of the longer entry point.
        const ENTRY_LEN: usize = 31;
        if BIOS {
            return self.firmware_memory(BIOS_START, BIOS_LEN);
        } else if !EFI {
            return &[];
        }
        // SAFETY: the call takes a number.
        let entry = unsafe { sys::mb2_grub_efi_smbios(new.into()) };
        // SAFETY: UEFI's tables keep an entry point until the kernel starts, and
        // lie in whole pages.
        unsafe { firmware_bytes(entry.cast(), ENTRY_LEN) }
    }

    fn firmware_memory(&mut self, address: u64, len: u32) -> &'static [u8] {
        let len = index(len);
        let start = usize::try_from(address).ok();
        let start = start.filter(|start| start.checked_add(len).is_some());
        // SAFETY: the firmware says that these bytes are its own, and memory is
        // mapped where it is.
        unsafe { firmware_bytes(ptr::with_exposed_provenance(start.unwrap_or_default()), len) }
    }

    #[doc(alias = "grub_efi_system_table")]
    #[doc(alias = "grub_efi_image_handle")]
    fn efi(&mut self) -> Option<EfiTables> {
        if !EFI {
            return None;
        }
        let mut efi = sys::mb2_efi::default();
        // SAFETY: `efi` is writable.
        unsafe { sys::mb2_grub_efi(&raw mut efi) };
        Some(EfiTables {
            wide: MACHINE.firmware == Firmware::Efi64,
            system_table: efi.system_table,
            image_handle: efi.image_handle,
        })
    }

    #[doc(alias = "grub_efi_find_mmap_size")]
    fn efi_map_len(&mut self) -> usize {
        if !EFI {
            return 0;
        }
        // SAFETY: the call takes nothing.
        narrow(unsafe { sys::mb2_grub_efi_map_size() })
    }

    #[doc(alias = "grub_efi_finish_boot_services")]
    fn end_services(&mut self, into: &mut [u8]) -> Outcome<Option<EfiMap>> {
        // GRUB compares the map's size with the room before its own last
        // allocation, which may make the map grow: keep that much back.
        let room = into.len().saturating_sub(MAP_GROWTH);
        if !EFI || self.efi_map_len() > room {
            return Ok(None);
        }
        let mut map = sys::mb2_efi_map {
            size: wide(room),
            descriptor_size: 0,
            descriptor_version: 0,
        };
        // SAFETY: `into` has more room than `map` says, and `map` is writable.
        check(unsafe { sys::mb2_grub_efi_exit(into.as_mut_ptr().cast(), &raw mut map) })?;
        Ok(Some(EfiMap {
            len: narrow(map.size),
            descriptor: [map.descriptor_size, map.descriptor_version],
        }))
    }

    fn halt(&mut self) -> ! {
        loop {
            // SAFETY: the call takes nothing and does not come back.
            unsafe { sys::mb2_grub_halt() };
        }
    }
}

/// Where a BIOS keeps what others shall find (SMBIOS, 5.2.1).
const BIOS_START: u64 = 0xf_0000;
const BIOS_LEN: u32 = 0x1_0000;

/// Bytes of a descriptor in UEFI's map, at least.
const EFI_DESCRIPTOR_LEN: u32 = 40;

/// Ranges of a BIOS's map, with some to spare.
const BIOS_RANGES: u32 = 32;

/// Bytes that UEFI's map may grow by while boot services end.
const MAP_GROWTH: usize = 2048;

/// Memory that GRUB or the firmware keeps for good; empty for NULL.
///
/// # Safety
///
/// `start` is NULL or has `len` bytes that nobody changes until `boot`.
unsafe fn firmware_bytes(start: *const u8, len: usize) -> &'static [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by this function's contract.
    unsafe { slice::from_raw_parts(start, len) }
}
