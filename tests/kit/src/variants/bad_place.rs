// SPDX-License-Identifier: GPL-3.0-or-later
//! Images for which there is no place in memory.

use super::bad::{Bad, Cost, session};
use super::session::Session;
use super::{Platform, Variant};
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

const RANGE: &str = "invalid min/max address and/or load size";
/// The line ends with a place that would do.
const NO_ROOM: &str = "no room in 0x";

/// Memory of both UEFI machines that is ACPI's own, and memory of the 64-bit
/// one's boot services (OVMF places them at these addresses).
const NVS: u32 = 0x81_0000;
const SERVICES: u32 = 0x90_0000;

fn window(min: u32, max: u32) -> Relocatable {
    Relocatable {
        min,
        max,
        align: 1,
        preference: 1,
    }
}

fn movable(window: Relocatable) -> KernelSpec {
    KernelSpec {
        relocatable: Some(window),
        ..KernelSpec::elf(Class::Elf64)
    }
}

fn fixed(base: u32) -> KernelSpec {
    KernelSpec {
        base,
        ..KernelSpec::elf(Class::Elf64)
    }
}

/// The same beside boot services.
fn beside(spec: KernelSpec) -> KernelSpec {
    KernelSpec {
        boot_services: true,
        entry_efi32: true,
        entry_efi64: true,
        ..spec
    }
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let list = |list: &[(&str, &'static str, KernelSpec)]| -> Result<Vec<Bad>> {
        let built = list.iter().map(|(name, error, spec)| {
            let bytes = spec.build(payload)?.bytes;
            Ok(((*name).to_owned(), *error, bytes))
        });
        built.collect()
    };
    let everywhere = list(&[
        (
            "window-small",
            "0x100000 has type 1; 0x",
            movable(window(0x10_0000, 0x10_1000)),
        ),
        (
            "window-inverted",
            RANGE,
            movable(window(0x20_0000, 0x10_0000)),
        ),
        ("window-zero", RANGE, movable(window(0, 0))),
        (
            "window-not-ram",
            NO_ROOM,
            movable(window(0xf000_0000, u32::MAX)),
        ),
        ("not-ram", "0xf0000000 has type 0; 0x", fixed(0xf000_0000)),
        (
            "beyond-ram",
            "0x60000000 has type 0; 0x",
            fixed(0x6000_0000),
        ),
        ("over-the-end-of-ram", NO_ROOM, fixed(0x1fff_f000)),
        ("at-0", NO_ROOM, fixed(0)),
        ("video-memory", "0xa0000 has type ", fixed(0xa_0000)),
    ])?;
    let efi = list(&[
        ("acpi-nvs", "0x810000 has type 4", fixed(NVS)),
        ("into-acpi-nvs", "0x810000 has type 4", fixed(NVS - 0x1000)),
        (
            "window-acpi-nvs",
            NO_ROOM,
            movable(window(NVS, NVS + 0x8_0000)),
        ),
    ])?;
    let services = window(SERVICES, SERVICES + 0x20_0000);
    let beside_services = list(&[
        ("services", "0x900000 has type ", beside(fixed(SERVICES))),
        ("window-services", NO_ROOM, beside(movable(services))),
        ("beside-not-ram", NO_ROOM, beside(fixed(0xf000_0000))),
    ])?;
    // What is proposed for an image linked to memory of cards would do.
    let relinked = Variant::of("session-nearest-place", &fixed(0x10_0000), payload)?;
    let relinked = Session::of(relinked).refuses(
        "linked-to-cards",
        "bytes fit at 0x100000",
        fixed(0xd_0000).build(payload)?.bytes,
    );
    Ok(vec![
        relinked.finish(),
        session("refused-places", everywhere, Cost::Searches(7), payload)?,
        session("refused-places-efi", efi, Cost::Searches(3), payload)?.on(&Platform::EFI),
        session(
            "refused-places-beside-services",
            beside_services,
            Cost::Memory,
            payload,
        )?
        .on(&Platform::EFI),
    ])
}
