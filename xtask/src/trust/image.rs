// SPDX-License-Identifier: GPL-3.0-or-later
//! Signed programs for UEFI: shim, GRUB, and one that is a kernel.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use object::pe;
use object::write::pe::{NtHeaders, Writer};

use crate::cmd::{run, system};
use crate::grub::Place;
use crate::iso::{self, Flavour};

/// Debian's key for tests of its firmware, and what belongs to it.
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// Shim as it is before anybody has signed it.
pub(super) const SHIM: &str = "/usr/lib/shim/shimx64.efi";

/// What shim wants to find in a program that it starts: a name and a generation for each part.
const SBAT: &str = "sbat,1,format,-,1,-\ngrub.test,1,GRUB for a test,-,1,-\n";

/// Modules in GRUB's image.
const INSIDE: [&str; 10] = [
    "all_video",
    "boot",
    "configfile",
    "echo",
    "fat",
    "multiboot2",
    "part_msdos",
    "search_fs_file",
    "serial",
    "terminal",
];

/// Makes GRUB's image, with the module and all others that it needs.
///
/// # Errors
///
/// If grub-mkimage fails.
pub(super) fn grub(place: &Place, flavour: Flavour, alone: bool, work: &Path) -> Result<Vec<u8>> {
    let (first, sbat, to) = (work.join("first"), work.join("sbat"), work.join("grub"));
    fs::write(
        &first,
        "search --file /run.cfg --set root\nsource /run.cfg\n",
    )?;
    fs::write(&sbat, SBAT)?;
    let mut image = system("grub-mkimage");
    image
        .args(["-O", place.platform.name(), "-p", "/", "-d"])
        .arg(iso::folder_of(place, flavour))
        .arg("-c")
        .arg(&first)
        .arg("--sbat")
        .arg(&sbat)
        .arg("-o")
        .arg(&to)
        .args(alone.then_some("--disable-shim-lock"))
        .args(INSIDE);
    run(&mut image, &work.join("grub-mkimage.log"))?;
    Ok(fs::read(to)?)
}

/// Puts a flat image of a kernel into a program for UEFI, as its code. It is never run as one.
///
/// # Errors
///
/// If the kernel is larger than such a program can be.
pub(super) fn program(kernel: &[u8]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut writer = Writer::new(true, 0x1000, 0x200, &mut file);
    writer.reserve_dos_header();
    writer.reserve_nt_headers(16);
    writer.reserve_section_headers(1);
    let code = writer.reserve_text_section(u32::try_from(kernel.len())?);
    writer.write_empty_dos_header()?;
    writer.write_nt_headers(NtHeaders {
        machine: pe::IMAGE_FILE_MACHINE_AMD64,
        time_date_stamp: 0,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE,
        major_linker_version: 0,
        minor_linker_version: 0,
        address_of_entry_point: code.virtual_address,
        image_base: 0,
        major_operating_system_version: 0,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 0,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_EFI_APPLICATION,
        dll_characteristics: pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
        size_of_stack_reserve: 0,
        size_of_stack_commit: 0,
        size_of_heap_reserve: 0,
        size_of_heap_commit: 0,
    });
    writer.write_section_headers();
    writer.write_section(code.file_offset, kernel);
    writer.write_file_align();
    Ok(file)
}

/// The key that the firmware trusts.
pub(super) struct Signer {
    key: PathBuf,
    work: PathBuf,
}

impl Signer {
    /// Takes it out of its password.
    ///
    /// # Errors
    ///
    /// If openssl fails.
    pub(super) fn new(work: &Path) -> Result<Self> {
        let key = work.join("key");
        let mut openssl = system("openssl");
        openssl.args(["pkey", "-passin", "pass:snakeoil", "-in", KEY, "-out"]);
        run(openssl.arg(&key), &work.join("openssl.log"))?;
        let work = work.to_owned();
        Ok(Self { key, work })
    }

    /// Returns a program with its signature.
    ///
    /// # Errors
    ///
    /// If sbsign fails.
    pub(super) fn sign(&self, name: &str, program: &[u8]) -> Result<Vec<u8>> {
        let (from, to) = (
            self.work.join(name),
            self.work.join(format!("{name}.signed")),
        );
        fs::write(&from, program)?;
        let mut sbsign = system("sbsign");
        sbsign
            .arg("--key")
            .arg(&self.key)
            .args(["--cert", CERTIFICATE]);
        sbsign.arg("--output").arg(&to).arg(&from);
        run(&mut sbsign, &to.with_extension("log"))?;
        Ok(fs::read(to)?)
    }
}
