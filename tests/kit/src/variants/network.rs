// SPDX-License-Identifier: GPL-3.0-or-later
//! A configured network, whose acknowledgement becomes a boot information tag.
//!
//! UEFI only: on BIOS GRUB gives the network card back before it makes the
//! boot information, and no interface is left.

use super::{Machine, Platform, Variant};
use crate::dump::kind;
use crate::error::Result;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut variant = Variant::of("network", &KernelSpec::elf(Class::Elf64), payload)?;
    variant.machine = Machine {
        qemu_args: ["-nic", "user,model=virtio-net-pci"]
            .map(str::to_owned)
            .to_vec(),
        ..Machine::default()
    };
    let variant = variant.before("net_bootp").before("insmod efinet");
    Ok(vec![variant.on(&Platform::EFI).shows(kind::NETWORK)])
}
