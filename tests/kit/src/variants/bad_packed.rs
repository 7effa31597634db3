// SPDX-License-Identifier: GPL-3.0-or-later
//! Compressed kernels that cannot be unpacked.
//!
//! A gzip file that was cut or damaged is not among them: GRUB 2.06 checks
//! nothing of it but the size, and hands on whatever comes out.

use super::Variant;
use super::bad::{Bad, Cost, session};
use crate::compress::{gzip, lzop, xz};
use crate::error::Result;
use crate::image::Class;
use crate::kernel::{Flat, KernelSpec};
use crate::payload::Payload;

/// GRUB's own words. A cut file of these kinds is no compressed file.
const NO_HEADER: &str = "no multiboot header found";
const XZ: &str = "xz file corrupted or unsupported block options";
const CUT: &str = "premature end of file /";
const LZOP: &str = "lzop file corrupted";

/// Changes one byte in the middle.
pub(super) fn damaged(mut file: Vec<u8>) -> Vec<u8> {
    let middle = file.len() / 2;
    if let Some(byte) = file.get_mut(middle) {
        *byte ^= 0x55;
    }
    file
}

/// Leaves the second half out.
pub(super) fn cut(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() / 2);
    file
}

/// Another size of what is packed in the last bytes of a gzip file, which is
/// all that GRUB knows of it.
pub(super) fn sized(mut file: Vec<u8>, size: u32) -> Vec<u8> {
    let at = file.len() - 4;
    file[at..].copy_from_slice(&size.to_le_bytes());
    file
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let elf = KernelSpec::bare(Class::Elf64).build(payload)?.bytes;
    let flat = KernelSpec::flat(Flat {
        load_end: true,
        ..Flat::default()
    });
    let flat = flat.build(payload)?.bytes;
    let mut list: Vec<Bad> = Vec::new();
    let mut add = |name: &str, error, file| list.push((name.to_owned(), error, file));
    for (name, kernel) in [("elf", &elf), ("flat", &flat)] {
        add(&format!("{name}-xz-cut"), NO_HEADER, cut(xz(kernel)?));
        add(&format!("{name}-xz-damaged"), XZ, damaged(xz(kernel)?));
        add(&format!("{name}-lzo-cut"), NO_HEADER, cut(lzop(kernel)));
        add(&format!("{name}-lzo-damaged"), LZOP, damaged(lzop(kernel)));
        let half = kernel.len() as u32 / 2;
        add(&format!("{name}-gz-half"), CUT, sized(gzip(kernel)?, half));
    }
    // Without an end in its tag, all of the file is loaded.
    let flat = KernelSpec::flat(Flat::default()).build(payload)?.bytes;
    let large = sized(gzip(&flat)?, u32::MAX);
    add("flat-gz-large", "image end 0x", large);
    let variant = session("refused-packed", list, Cost::Memory, payload)?;
    let filters = ["insmod gzio", "insmod xzio", "insmod lzopio"];
    Ok(vec![filters.iter().fold(variant, |v, line| v.before(line))])
}
