// SPDX-License-Identifier: GPL-3.0-or-later
//! What the fake machine answers when it is asked about itself.

use mb2::info::{Apm, EfiTables};
use mb2::params::Firmware;
use mb2::platform::Screen;

/// GRUB's name.
pub(crate) const NAME: &[u8] = b"GRUB 2.06-fake\0";

/// Answers.
pub(crate) struct Facts {
    pub(crate) screen: Option<Screen>,
    pub(crate) vbe: bool,
    pub(crate) vbe_mode: Option<u32>,
    pub(crate) vbe_mode_info: [u8; 256],
    pub(crate) apm: Option<Apm>,
    pub(crate) acpi: [Option<&'static [u8]>; 2],
    /// Memory where the old and the new entry point may be.
    pub(crate) smbios: [&'static [u8]; 2],
    /// What lies at [`SMBIOS_TABLE`].
    pub(crate) smbios_table: &'static [u8],
    pub(crate) acknowledgements: Vec<&'static [u8]>,
    pub(crate) boot_device: Option<[u32; 3]>,
    pub(crate) efi: Option<EfiTables>,
    pub(crate) efi_map: Vec<u8>,
    /// Lengths that the map has grown to when it is asked for, last first.
    pub(crate) efi_map_grows: Vec<usize>,
    /// How often boot services still refuse to end.
    pub(crate) services_stay: usize,
}

/// ACPI's root pointers, with their checksums.
pub(crate) const RSDP_OLD: &[u8] = b"RSD PTR kFAKE  \x00\x00\x10\x0f\x00";
pub(crate) const RSDP_NEW: &[u8] = b"RSD PTR iFAKE  \x02\x00\x10\x0f\x00\
    $\x00\x00\x00\x00 \x0f\x00\x00\x00\x00\x00\xad\x00\x00\x00";

/// SMBIOS entry points with their checksums, and their table.
pub(crate) const SMBIOS_OLD: &[u8] = b"_SM_\x69\x1f\x02\x08\x10\0\0\0\0\0\0\0\
    _DMI_\xfe\x11\0\0\x20\x0f\0\x02\0\x28";
pub(crate) const SMBIOS_NEW: &[u8] = b"_SM3_\x00\x18\x03\x04\0\x01\0\x20\0\0\0\
    \0\x20\x0f\0\0\0\0\0";
pub(crate) const SMBIOS_TABLE: u64 = 0xf_2000;
pub(crate) const SMBIOS_STRUCTURES: &[u8] = b"\x01\x05\x00\x01\x01fake\0\0\x7f\x04\xff\xfe\0\0\
    behind";

/// A network interface without an acknowledgement, and one with it.
pub(crate) const ACKNOWLEDGEMENT: &[u8] = &[2, 1, 6, 0, 0x39, 3, 0xf3, 0x26, 0xff];

/// APM's answer in the layout of its tag: version 1.2, code segment, offset,
/// 16-bit code segment, data segment, flags, lengths.
#[rustfmt::skip]
pub(crate) const APM: Apm = [
    0x02, 0x01, 0x00, 0xf0, 0x78, 0x56, 0x00, 0x00,
    0x01, 0xf0, 0x40, 0x00, 0x03, 0x00,
    0xf0, 0xff, 0xf1, 0xff, 0xf2, 0xff,
];

pub(crate) const SYSTEM_TABLE: u64 = 0x3f_ee01_8000;
pub(crate) const IMAGE_HANDLE: u64 = 0x3f_de4f_7118;

/// A screen of 1024 x 768.
pub(crate) const SCREEN: Screen = Screen {
    address: 0xfd00_0000,
    pitch_width_height: [4096, 1024, 768],
    bpp: 32,
    colors: None,
    masks: [16, 8, 8, 8, 0, 8],
};

impl Facts {
    pub(crate) fn of(firmware: Firmware) -> Self {
        let bios = firmware == Firmware::Bios;
        let wide = firmware == Firmware::Efi64;
        Self {
            screen: None,
            vbe: bios,
            vbe_mode: Some(3),
            vbe_mode_info: [0xb0; 256],
            apm: bios.then_some(APM),
            acpi: [Some(RSDP_OLD), Some(RSDP_NEW)],
            smbios: [SMBIOS_OLD, SMBIOS_NEW],
            smbios_table: SMBIOS_STRUCTURES,
            acknowledgements: vec![&[], ACKNOWLEDGEMENT],
            boot_device: bios.then_some([0x80, 1, u32::MAX]),
            efi: (!bios).then_some(EfiTables {
                wide,
                system_table: SYSTEM_TABLE,
                image_handle: IMAGE_HANDLE,
            }),
            efi_map: (0..6 * 48).map(|i| i as u8 | 1).collect(),
            efi_map_grows: Vec::new(),
            services_stay: 0,
        }
    }
}
