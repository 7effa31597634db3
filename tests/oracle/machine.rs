// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines in a few bytes, and what the reference has to know about them.

use crate::common::Fake;
use crate::common::low;
use crate::common::reference::N;
use crate::common::world::{FREE, Finds, NVS, RESERVED, Range, SERVICES};
use arbitrary::{Arbitrary, Unstructured};
use mb2::params::Firmware;

/// Where GRUB's heap starts on a BIOS.
pub(crate) const ONE_MIB: u64 = 0x10_0000;

/// Memory that does not lie low starts here on most machines, and so that
/// kernels fit that are linked at 64 MiB.
const STARTS: [u64; 2] = [ONE_MIB, 0x3e0_0000];

/// A machine. All zero is a PC with 8 MiB of memory behind the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) firmware: Firmware,
    /// Chunks are where they will be, so that boot services can stay.
    pub(crate) in_place: bool,
    /// Kernels are linked at 64 MiB.
    pub(crate) far: bool,
    /// The last bytes below 4 GiB are memory too.
    pub(crate) top: bool,
    /// GRUB moves every chunk at the end.
    pub(crate) moved: bool,
    /// Sorts and lengths of pieces of memory.
    pub(crate) pieces: [u8; 4],
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let [firmware, flags, pieces @ ..]: [u8; 6] = input.arbitrary()?;
        let bit = |n: u8| flags >> n & 1 != 0;
        let firmware = match firmware & 3 {
            0 => Firmware::Bios,
            1 => Firmware::Efi32,
            _ => Firmware::Efi64,
        };
        let in_place = firmware != Firmware::Bios && bit(0);
        Ok(Self {
            firmware,
            in_place,
            far: bit(1) && !in_place,
            top: bit(2) && !in_place,
            moved: bit(3) && !in_place,
            pieces,
        })
    }
}

impl Plan {
    /// A machine without peculiarities.
    pub(crate) fn plain(firmware: Firmware) -> Self {
        Self {
            firmware,
            in_place: false,
            far: false,
            top: false,
            moved: false,
            pieces: [0; 4],
        }
    }

    /// Makes the machine.
    pub(crate) fn make(&self) -> Fake {
        let fake = match self.firmware {
            _ if self.in_place => Fake::in_place(self.firmware),
            Firmware::Bios => Fake::bios(),
            Firmware::Efi32 => Fake::efi32(),
            Firmware::Efi64 => Fake::efi64(),
        };
        *fake.world.ranges.borrow_mut() = self.ranges();
        if self.moved {
            fake.world.finds.set(Finds::Moved);
        }
        fake
    }

    fn ranges(&self) -> Vec<Range> {
        let range = |start, end, kind| Range { start, end, kind };
        let mut ranges = match self.firmware {
            Firmware::Bios => vec![range(0, 0x9_fc00, FREE), range(0x9_fc00, ONE_MIB, RESERVED)],
            // The fake has no memory of its own there.
            _ if self.in_place => vec![range(0, 0xa_0000, SERVICES)],
            _ => vec![range(0, 0xa_0000, FREE)],
        };
        let mut start = match self.in_place {
            true => low::START as u64,
            false => STARTS[usize::from(self.far)],
        };
        for piece in self.pieces {
            let pages = u64::from(piece >> 2) * 8;
            let end = start
                + if pages == 0 {
                    0x20_0000
                } else {
                    pages * 0x1000
                };
            match (piece & 3, self.firmware) {
                (0, _) => ranges.push(range(start, end, FREE)),
                (1, Firmware::Bios) => ranges.push(range(start, end, RESERVED)),
                (1, _) => ranges.push(range(start, end, SERVICES)),
                (2, _) => ranges.push(range(start, end, NVS)),
                _ => {}
            }
            start = end;
        }
        if self.top {
            ranges.push(range(0xffff_0000, 0x1_0000_0000, FREE));
        }
        ranges
    }
}

/// Bits of the UEFI, 0 for a BIOS.
pub(crate) fn uefi(fake: &Fake) -> N {
    match fake.machine.firmware {
        Firmware::Bios => 0,
        Firmware::Efi32 => 32,
        Firmware::Efi64 => 64,
    }
}

/// The memory that kernels may have: when boot services have ended, beside
/// them; what is liked best first.
pub(crate) fn free(fake: &Fake) -> [Vec<[N; 2]>; 2] {
    [&[FREE, SERVICES][..], &[FREE]].map(|kinds| {
        let ranges = fake.world.merged(kinds).into_iter();
        let ranges = ranges.map(|(start, end)| [start.max(0x1000), end].map(N::from));
        let mut free: Vec<_> = ranges.collect();
        if fake.machine.firmware == Firmware::Bios {
            free.sort_by_key(|range| range[0] < ONE_MIB.into());
        }
        free
    })
}
