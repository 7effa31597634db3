// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels and modules that GRUB's file layer unpacks.

use super::Variant;
use crate::bytes::noise;
use crate::compress::{gzip, lzop, xz};
use crate::error::Result;
use crate::image::{Class, Section};
use crate::kernel::KernelSpec;
use crate::payload::Payload;

type Packer = fn(&[u8]) -> Result<Vec<u8>>;

const PACKERS: [(&str, Packer); 3] = [("gz", gzip), ("xz", xz), ("lzo", |bytes| Ok(lzop(bytes)))];

const FILTERS: [&str; 3] = ["insmod gzio", "insmod xzio", "insmod lzopio"];

/// Bytes that shrink, and take more than one block of any container.
fn compressible(seed: u64) -> Vec<u8> {
    let mut bytes = noise(seed, 70_000);
    bytes.resize(400_000, 0x5a);
    bytes.extend(noise(seed + 1, 333));
    bytes
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for (name, pack) in PACKERS {
        let spec = KernelSpec::elf(Class::Elf64)
            .section(Section::loose(".debug_info", compressible(61)))
            .section(Section::loose(".debug_str", noise(63, 3000)).align(32));
        let mut kernel = spec.build(payload)?;
        kernel.bytes = pack(&kernel.bytes)?;
        list.push(Variant::boots(&format!("{name}-kernel"), kernel));

        let flat = KernelSpec::flat(crate::kernel::Flat::default());
        let mut kernel = flat.build(payload)?;
        kernel.bytes = pack(&kernel.bytes)?;
        list.push(Variant::boots(&format!("{name}-flat-kernel"), kernel));

        let plain = compressible(65);
        let packed = pack(&plain)?;
        let variant = Variant::of(
            &format!("{name}-modules"),
            &KernelSpec::elf(Class::Elf32),
            payload,
        )?;
        list.push(
            variant
                .packed_module(&["unpacked"], packed.clone(), &plain)
                .nounzip_module(&["stored"], packed),
        );
    }
    // GRUB's file layer unpacks with what is loaded.
    let loaded = |variant: Variant| FILTERS.iter().fold(variant, |v, line| v.before(line));
    Ok(list.into_iter().map(loaded).collect())
}
