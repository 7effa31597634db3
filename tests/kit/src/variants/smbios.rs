// SPDX-License-Identifier: GPL-3.0-or-later
//! SMBIOS tables, which a kernel gets when it asks for them.

use super::{Machine, Variant};
use crate::dump::compare::Deviation;
use crate::dump::kind;
use crate::error::Result;
use crate::header::Tag;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let elf = || KernelSpec::elf(Class::Elf32);
    let required = elf().tag(Tag::InformationRequest(vec![kind::SMBIOS]));
    let optional = elf().optional(Tag::InformationRequest(vec![4711, kind::SMBIOS]));
    let kept = KernelSpec {
        boot_services: true,
        entry_efi32: true,
        entry_efi64: true,
        ..optional.clone()
    };
    // The reference looks for the names of types that it does not know.
    let required = Variant::of("smbios-required", &required, payload)?
        .shows(kind::SMBIOS)
        .ours_only(Deviation::ReferenceFails);
    let optional = Variant::of("smbios-optional", &optional, payload)?
        .shows(kind::SMBIOS)
        .deviates(Deviation::Smbios);
    let beside = Variant::of("smbios-beside-services", &kept, payload)?
        .shows(kind::SMBIOS)
        .ours_only(Deviation::Smbios)
        .on(&super::Platform::EFI);
    let with = |name: &str, kind: &str| Variant {
        name: name.to_owned(),
        machine: Machine {
            qemu_args: ["-machine", kind].map(str::to_owned).to_vec(),
            ..Machine::default()
        },
        ..required.clone()
    };
    let second = with("smbios-2", "smbios-entry-point-type=32");
    let third = with("smbios-3", "smbios-entry-point-type=64");
    Ok(vec![required, optional, beside, second, third])
}
