// SPDX-License-Identifier: GPL-3.0-or-later
//! Free memory and the choice of a place, beside a list of small units that
//! are free or not.

use arbitrary::Arbitrary;
use mb2::params::{Firmware, Preference};
use mb2::plan::placement::{AVAILABLE, FreeMemory, Request};
use mb2::table::{RECORD_LEN, Table};
use mb2::units::{PhysAddr, Span};

/// Bytes of a unit; all addresses and sizes here are multiples.
const UNIT: u64 = 0x40;

/// Units of the memory that is looked at: 2 MiB.
const UNITS: usize = 0x8000;

/// Types of memory in a map; half of them are available.
const KINDS: [u32; 4] = [AVAILABLE, AVAILABLE, 2, 3];

fn kind(number: u8) -> u32 {
    KINDS[usize::from(number) % KINDS.len()]
}

/// A memory map, what is taken of it, and something that needs memory.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Memory {
    /// It ends at 4 GiB and does not start at 0.
    top: bool,
    uefi: bool,
    /// Unit, units and type of each entry, in any order.
    map: Vec<(u16, u16, u8)>,
    taken: Vec<(u16, u16)>,
    size: u16,
    window: (u16, u16),
    align: u8,
    high: bool,
    /// Ranges to be asked about.
    asked: Vec<(u16, u16)>,
}

impl Memory {
    fn address(&self, unit: usize) -> u64 {
        let start = if self.top {
            (1 << 32) - UNITS as u64 * UNIT
        } else {
            0
        };
        start + unit as u64 * UNIT
    }

    /// Units from the first one on, as many as there are.
    fn units(start: u16, len: u16) -> std::ops::Range<usize> {
        let start = usize::from(start) % UNITS;
        start..(start + usize::from(len)).min(UNITS)
    }

    fn span(&self, units: &std::ops::Range<usize>) -> Option<Span> {
        Span::clip(self.address(units.start), units.len() as u64 * UNIT)
    }

    /// Free units: of an available entry, of no other one, not taken, and not
    /// in the page at address 0.
    fn free(&self) -> Vec<bool> {
        let mut free = vec![false; UNITS];
        let entries = |available| {
            let sort = move |entry: &&(u16, u16, u8)| (kind(entry.2) == AVAILABLE) == available;
            self.map
                .iter()
                .filter(sort)
                .map(|&(at, len, _)| Self::units(at, len))
        };
        entries(true).for_each(|units| free[units].fill(true));
        let taken = self.taken.iter().map(|&(at, len)| Self::units(at, len));
        entries(false)
            .chain(taken)
            .for_each(|units| free[units].fill(false));
        if !self.top {
            free[..0x1000 / UNIT as usize].fill(false);
        }
        free
    }

    /// The places that would do, tried one after another, and where the free
    /// memory around each starts.
    fn fits(&self, free: &[bool], request: &Request) -> Vec<(u64, u64)> {
        let size = u64::from(request.size);
        let window = u64::from(request.window.first)..=u64::from(request.window.last);
        let (mut fits, mut start) = (Vec::new(), 0);
        for (unit, free) in free.iter().enumerate() {
            // Free units without a gap up to here, and where they started.
            start = if *free { start } else { unit + 1 };
            let end = self.address(unit) + UNIT;
            let Some(at) = end
                .checked_sub(size)
                .filter(|&at| at >= self.address(start))
            else {
                continue;
            };
            let inside = window.contains(&at) && window.contains(&(end - 1));
            if inside && at.is_multiple_of(request.align.into()) {
                fits.push((at, self.address(start)));
            }
        }
        fits
    }

    /// The place that suits best.
    fn place(&self, free: &[bool], request: &Request) -> Option<u64> {
        let fits = self.fits(free, request);
        // Low memory of a BIOS is the last choice.
        let better = fits.iter().find(|fit| self.uefi || fit.1 >= 0x10_0000);
        match self.high {
            true => fits.last().map(|fit| fit.0),
            false => better.or(fits.first()).map(|fit| fit.0),
        }
    }

    /// Compares; tells whether there was a place.
    pub(crate) fn check(&self) -> bool {
        let mut map = Vec::new();
        for &(at, len, number) in &self.map {
            let units = Self::units(at, len);
            map.extend(self.address(units.start).to_le_bytes());
            map.extend((units.len() as u64 * UNIT).to_le_bytes());
            map.extend(kind(number).to_le_bytes());
            map.extend([0; 4]);
        }
        let mut taken = Table::new(vec![0; self.taken.len() * RECORD_LEN]);
        for &(at, len) in &self.taken {
            if let Some(span) = self.span(&Self::units(at, len)) {
                taken.join(&span);
            }
        }
        let len = FreeMemory::<Vec<u8>>::bytes_for(&map, taken.len());
        let mut found = FreeMemory::new(&map, Some(&taken), vec![0; len]);
        let mut free = self.free();
        if self.uefi {
            // The start of the lowest range is for the hand-over.
            found.spare_trampoline();
            let lowest = free.iter().position(|free| *free);
            if let Some(lowest) = lowest.filter(|&unit| self.address(unit) < 0x9_a000) {
                let page = (0x1000 / UNIT) as usize;
                free[lowest..(lowest + 1).next_multiple_of(page)].fill(false);
            }
        }
        for units in self.asked.iter().map(|&(at, len)| Self::units(at, len)) {
            let Some(span) = self.span(&units) else {
                continue;
            };
            let first = units.clone().find(|&unit| !free[unit]);
            assert_eq!(found.holds(&span), first.is_none(), "{span:x?}");
            // Where all is free, it is its first byte.
            let [at, kind] = found.obstacle(&span, &map);
            let first = first.unwrap_or(units.start);
            assert_eq!(u64::from(at), self.address(first));
            assert_eq!(kind, self.kind_of(first));
        }
        let firmware = if self.uefi {
            Firmware::Efi64
        } else {
            Firmware::Bios
        };
        let request = self.request();
        let place = found
            .place(&request, firmware)
            .map(|PhysAddr(at)| u64::from(at));
        assert_eq!(place, self.place(&free, &request), "{request:x?}");
        // The nearest place of all memory but the last page.
        let anywhere = Request {
            window: Span {
                first: 0,
                last: u32::MAX - 0x1000,
            },
            ..request
        };
        let wanted = u64::from(request.window.first) / u64::from(request.align);
        let wanted = wanted * u64::from(request.align);
        let all = self.fits(&free, &anywhere).into_iter().map(|fit| fit.0);
        let nearest = all.min_by_key(|at| at.abs_diff(wanted));
        let found = u64::from(found.nearest(&request));
        assert_eq!(found, nearest.unwrap_or(0), "{request:x?}");
        place.is_some()
    }

    /// The type of a unit: that of the first entry that does not call it
    /// available.
    fn kind_of(&self, unit: usize) -> u32 {
        let here = |entry: &&(u16, u16, u8)| Self::units(entry.0, entry.1).contains(&unit);
        let kinds = self.map.iter().filter(here).map(|entry| kind(entry.2));
        let mut kinds: Vec<u32> = kinds.collect();
        kinds.sort_by_key(|&kind| kind == AVAILABLE);
        kinds.first().copied().unwrap_or(0)
    }

    fn request(&self) -> Request {
        let units = Self::units(self.window.0, self.window.1.max(1));
        Request {
            size: (u32::from(self.size) % 0x1000 + 1) * UNIT as u32,
            window: self.span(&units).expect("a unit at least"),
            align: UNIT as u32 >> 6 << (self.align % 20),
            preference: match self.high {
                true => Preference::High,
                false => Preference::Low,
            },
        }
    }
}
