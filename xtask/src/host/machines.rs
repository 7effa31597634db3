// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines that modules run on.

use mb2_testkit::random::{Ground, Random};

use super::job::{DIRECT, FREE, Machine, NVS, RESERVED, SERVICES, fact};
use crate::platform::Platform;

/// Everything that any machine can have.
const FACTS: [u32; 12] = [
    fact::ACPI_OLD,
    fact::ACPI_NEW,
    fact::NETWORK,
    fact::APM,
    fact::DISK,
    fact::PARTITION,
    fact::NESTED_PARTITION,
    fact::SCREEN,
    fact::PALETTE,
    fact::VBE,
    fact::VBE_MODE,
    fact::VBE_INTERFACE,
];

impl Machine {
    /// A plain machine: 15 MiB of free memory, and low memory.
    pub(crate) fn plain(platform: Platform) -> Self {
        let low = match platform {
            Platform::I386Pc => (0, 0x9_fc00, FREE),
            // The firmware keeps the page at address 0 for itself.
            Platform::X86_64Efi | Platform::I386Efi => (0x1000, 0xa_0000, FREE),
        };
        Self {
            ranges: vec![
                low,
                (0xf_0000, 0x10_0000, RESERVED),
                (0x10_0000, 0x80_0000, FREE),
                (0x80_0000, 0xa0_0000, SERVICES),
                (0xa0_0000, 0xb0_0000, NVS),
                (0xb0_0000, 0x120_0000, FREE),
                (0xfffc_0000, 0x1_0000_0000, RESERVED),
            ],
            facts: FACTS[..5].iter().sum(),
            ..Self::default()
        }
        .without_services(platform)
    }

    /// A machine whose free memory can be used where it is, as a kernel needs that runs beside
    /// boot services.
    pub(crate) fn direct(platform: Platform) -> Self {
        let (start, end) = DIRECT;
        let hole = start + 0x80_0000;
        Self {
            ranges: vec![
                (0x1000, 0xa_0000, SERVICES),
                (start, hole, FREE),
                (hole, hole + 0x10_0000, NVS),
                (hole + 0x10_0000, end, FREE),
                (end, end + 0x40_0000, SERVICES),
            ],
            facts: FACTS[..5].iter().sum::<u32>() | fact::DIRECT,
            ..Self::default()
        }
        .without_services(platform)
    }

    /// A machine with facts that numbers choose, and where kernels for it are linked.
    pub(crate) fn random(random: &mut Random, platform: Platform) -> (Self, Ground) {
        let mut machine = match random.one_in(3) {
            true => Self::direct(platform),
            false => Self::plain(platform),
        };
        let base = match machine.is_direct() {
            true => 0x1010_0000,
            false => random.pick(&[0x20_0000, 0x20_0000, 0x20_0000, 0x7e_0000, 0x1_0000]),
        };
        for one in FACTS {
            machine.facts &= !one;
            machine.facts |= one * random.below(2);
        }
        // A screen with a palette is for the rare case: C reserves too little for it.
        if !random.one_in(8) {
            machine.facts &= !fact::PALETTE;
        }
        let ground = Ground {
            base,
            efi64: platform == Platform::X86_64Efi && machine.is_direct(),
        };
        (machine, ground)
    }

    /// Whether free memory can be used where it is.
    pub(crate) fn is_direct(&self) -> bool {
        self.has(fact::DIRECT)
    }

    /// Whether it has a fact.
    pub(crate) fn has(&self, fact: u32) -> bool {
        self.facts & fact != 0
    }

    /// A BIOS has no boot services, and so no memory of theirs; there GRUB joins what touches.
    fn without_services(mut self, platform: Platform) -> Self {
        if platform.is_efi() {
            return self;
        }
        let mut joined: Vec<(u64, u64, u32)> = Vec::new();
        for (start, end, kind) in self.ranges {
            let kind = if kind == SERVICES { FREE } else { kind };
            match joined.last_mut() {
                Some(last) if last.1 == start && last.2 == kind => last.1 = end,
                _ => joined.push((start, end, kind)),
            }
        }
        self.ranges = joined;
        self
    }
}
