// SPDX-License-Identifier: GPL-3.0-or-later
//! A second reader: the crate `multiboot2`.

use super::{Tags, kind};
use crate::error::{Error, Result};
use multiboot2::BootInformation;

/// Has the crate `multiboot2` parse a boot information block, and every tag in
/// it by its typed accessor.
///
/// # Errors
///
/// [`Error::Mbi`] naming what that crate does not accept or sees differently.
pub fn parse_with_multiboot2_crate(mbi: &[u8]) -> Result {
    // The reader wants eight-byte alignment, which words have.
    let (chunks, rest) = mbi.as_chunks();
    if !rest.is_empty() || chunks.len() < 2 {
        return Err(Error::Mbi("length is not that of whole words".to_owned()));
    }
    let words: Vec<u64> = chunks.iter().map(|c| u64::from_ne_bytes(*c)).collect();
    // Checks the length field against the block, which `load` relies on.
    let own: Vec<_> = Tags::new(mbi)?.collect::<Result<_>>()?;
    let info = load(&words)?;

    let count = info.tags().count();
    if count != own.len() {
        return Err(Error::Mbi(format!("{count} tags, not {}", own.len())));
    }
    for tag in &own {
        let seen = sees(&info, tag.kind)
            .map_err(|error| Error::Mbi(format!("tag {}: {error}", tag.kind)))?;
        if !seen {
            return Err(Error::Mbi(format!("tag {} is not seen", tag.kind)));
        }
    }
    let modules = own.iter().filter(|tag| tag.kind == kind::MODULE);
    for (module, tag) in info.module_tags().zip(modules) {
        if Some(module.start_address()) != tag.u32(8) || Some(module.end_address()) != tag.u32(12) {
            return Err(Error::Mbi("module addresses differ".to_owned()));
        }
        module.cmdline().map_err(text)?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the independent reader takes a raw pointer")]
fn load(words: &[u64]) -> Result<BootInformation<'_>> {
    // SAFETY: the words are 8-aligned, hold as many bytes as the length field
    // says (checked by the caller) and are borrowed for the result's lifetime.
    unsafe { BootInformation::load(words.as_ptr().cast()) }
        .map_err(|error| Error::Mbi(format!("not accepted: {error:?}")))
}

fn text(error: impl core::fmt::Debug) -> Error {
    Error::Mbi(format!("{error:?}"))
}

/// Whether the typed accessor for a tag type finds it and can read it.
fn sees(info: &BootInformation<'_>, kind: u32) -> Result<bool> {
    Ok(match kind {
        kind::CMDLINE => match info.command_line_tag() {
            Some(tag) => tag.cmdline().map_err(text).map(|_| true)?,
            None => false,
        },
        kind::LOADER => match info.boot_loader_name_tag() {
            Some(tag) => tag.name().map_err(text).map(|_| true)?,
            None => false,
        },
        kind::MODULE => info.module_tags().next().is_some(),
        kind::BASIC_MEMORY => info.basic_memory_info_tag().is_some(),
        kind::BOOT_DEVICE => info.bootdev_tag().is_some(),
        kind::MEMORY_MAP => info
            .memory_map_tag()
            .is_some_and(|tag| !tag.memory_areas().is_empty()),
        kind::VBE => info.vbe_info_tag().is_some(),
        kind::FRAMEBUFFER => match info.framebuffer_tag() {
            Some(Ok(tag)) => tag.buffer_type().map_err(text).map(|_| true)?,
            Some(Err(error)) => return Err(text(error)),
            None => false,
        },
        kind::SECTIONS => info.elf_sections_tag().is_some(),
        kind::APM => info.apm_tag().is_some(),
        kind::EFI32 => info.efi_sdt32_tag().is_some(),
        kind::EFI64 => info.efi_sdt64_tag().is_some(),
        kind::SMBIOS => info.smbios_tags().next().is_some(),
        kind::ACPI_OLD => info
            .rsdp_v1_tag()
            .is_some_and(|tag| tag.checksum_is_valid()),
        kind::ACPI_NEW => info
            .rsdp_v2_tag()
            .is_some_and(|tag| tag.checksum_is_valid()),
        kind::NETWORK => info.network_tags().next().is_some(),
        // With boot services alive the crate hides the map on purpose.
        kind::EFI_MAP => info
            .efi_memory_map_tag()
            .is_some_and(|tag| tag.memory_areas().len() > 0),
        kind::EFI_BOOT_SERVICES => info.efi_bs_not_exited_tag().is_some(),
        kind::EFI32_HANDLE => info.efi_ih32_tag().is_some(),
        kind::EFI64_HANDLE => info.efi_ih64_tag().is_some(),
        kind::LOAD_BASE => info.load_base_addr_tag().is_some(),
        kind::END => true,
        _ => return Err(Error::Mbi("unknown type".to_owned())),
    })
}
