// SPDX-License-Identifier: GPL-3.0-or-later
//! From a memory map and a wish to an address.

use crate::error::{Error, Kind, Result};
use crate::params::{Firmware, Placement, Preference};
use crate::table::{Bytes, Table};
use crate::units::{FOUR_GIB, PAGE, PhysAddr, Span, align_down, align_up};
use crate::wire::{u32_at, u64_at};

/// Memory that may be used (GRUB, `GRUB_MEMORY_AVAILABLE`).
pub const AVAILABLE: u32 = 1;

/// Bytes of an entry of the memory map, in the layout of the boot
/// information: base and length of 8 bytes, type of 4, and 4 of padding
/// (Multiboot2, 3.6.8).
pub const MAP_ENTRY: usize = 24;

/// Where the 32-bit hand-over puts its code, in bytes (GRUB,
/// grub-core/lib/i386/relocator.c).
const TRAMPOLINE: Span = Span {
    start: 0x1000,
    end: 0x9_a000,
};

/// Bytes that the hand-over code is given there; GRUB's needs 208.
const TRAMPOLINE_LEN: u64 = 0x200;

/// On a BIOS, memory below this is the last choice.
const ONE_MIB: u64 = 1 << 20;

/// Something that needs memory, and where it may lie. All numbers are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How much.
    pub size: u64,
    /// Lowest address.
    pub min: u64,
    /// The end must not pass this address.
    pub limit: u64,
    /// Power of two that the address is a multiple of.
    pub align: u64,
    /// Which end of the window is better.
    pub preference: Preference,
}

impl Request {
    /// Wish of a module, a section or the boot information: the lowest
    /// address below 4 GiB.
    #[must_use]
    pub fn lowest(size: u64, align: u64) -> Self {
        Self {
            size,
            min: PAGE,
            limit: FOUR_GIB,
            align,
            preference: Preference::Low,
        }
    }

    /// Wish of a relocatable image of `size` bytes (Multiboot2, 3.1.13).
    ///
    /// # Errors
    ///
    /// [`Kind::PlacementRange`] when the tag's window is smaller.
    pub fn image(size: u64, placement: &Placement) -> Result<Self> {
        let limit = u64::from(placement.max);
        let min = u64::from(placement.min);
        match limit.checked_sub(size) {
            Some(highest) if min <= highest => {}
            _ => return Err(Error::new(Kind::PlacementRange, &[])),
        }
        Ok(Self {
            size,
            min: min.max(PAGE),
            limit,
            align: placement.align.into(),
            preference: placement.preference,
        })
    }

    /// Wish of something that has no choice.
    #[must_use]
    pub fn fixed(span: &Span) -> Self {
        Self {
            size: span.len(),
            min: span.start,
            limit: span.end,
            align: 1,
            preference: Preference::Low,
        }
    }

    /// Tells whether `span` is what was wished for.
    #[must_use]
    pub fn allows(&self, span: &Span) -> bool {
        let window = Span {
            start: self.min,
            end: self.limit.min(FOUR_GIB),
        };
        window.contains(span) && align_down(span.start, self.align) == span.start
    }

    /// The error for a wish that cannot be met.
    #[must_use]
    pub fn no_room(&self) -> Error {
        Error::new(Kind::NoRoom, &[self.size, self.min, self.limit])
    }

    /// The address in `span` that suits best.
    fn fit(&self, span: &Span) -> Option<u64> {
        let limit = span.end.min(self.limit);
        let lowest = align_up(span.start.max(self.min), self.align);
        let highest = align_down(limit.checked_sub(self.size)?, self.align);
        if lowest > highest {
            return None;
        }
        Some(match self.preference {
            Preference::Low => lowest,
            Preference::High => highest,
        })
    }
}

/// The entries of a memory map as ranges and types.
pub fn entries(map: &[u8]) -> impl Iterator<Item = (Span, u32)> + '_ {
    map.chunks_exact(MAP_ENTRY).map(|entry| {
        let span = Span::new(PhysAddr(u64_at(entry, 0)), u64_at(entry, 8));
        (span, u32_at(entry, 16))
    })
}

/// Free usable memory below 4 GiB: what the firmware's map calls available
/// and nothing has been planned for.
pub struct FreeMemory<B>(Table<Span, B>);

impl<B: Bytes> FreeMemory<B> {
    /// Bytes of the buffer that [`FreeMemory::new`] takes: every entry of the
    /// map is a range or cuts one in two, and so does everything taken.
    #[must_use]
    pub fn bytes_for(map: &[u8], taken: usize) -> usize {
        let entries = map.len() / MAP_ENTRY;
        Table::<Span, B>::bytes_for(entries.saturating_add(taken))
    }

    /// Reads the map into `buffer` and takes out what is `taken` and the page
    /// at address 0.
    pub fn new(map: &[u8], taken: &Table<Span, B>, buffer: B) -> Self {
        let mut free = Table::new(buffer);
        for (span, kind) in entries(map) {
            if kind == AVAILABLE {
                free.push(&Span {
                    start: span.start.max(PAGE),
                    end: span.end.min(FOUR_GIB),
                });
            }
        }
        free.sort_by_key(|span| span.start);
        free.merge();
        for (span, kind) in entries(map) {
            if kind != AVAILABLE {
                free.subtract(&span);
            }
        }
        for span in taken.iter() {
            free.subtract(&span);
        }
        free.sort_by_key(|span| span.start);
        Self(free)
    }

    /// Keeps the place clear where the hand-over code will look for memory:
    /// the start of the lowest free range (GRUB takes the lowest address of
    /// its window, grub-core/lib/relocator.c).
    pub fn spare_trampoline(&mut self) {
        if let Some((index, lowest)) = self.lowest()
            && lowest.start < TRAMPOLINE.end
        {
            let start = lowest.start.saturating_add(PAGE).min(lowest.end);
            self.0.set(index, &Span { start, ..lowest });
        }
    }

    fn lowest(&self) -> Option<(usize, Span)> {
        let mut spans = (0..self.0.len()).filter_map(|i| Some((i, self.0.get(i)?)));
        spans.find(|(_, span)| !span.is_empty())
    }

    /// Tells whether every byte of `span` is free.
    pub fn holds(&self, span: &Span) -> bool {
        self.0.contain(span)
    }

    /// The address that suits `request` best; on a BIOS, memory below 1 MiB
    /// only if nothing above fits, since GRUB's heap starts there.
    pub fn place(&self, request: &Request, firmware: Firmware) -> Option<PhysAddr> {
        let above = Request {
            min: request.min.max(ONE_MIB),
            ..*request
        };
        let first = if firmware == Firmware::Bios {
            &above
        } else {
            request
        };
        self.search(first)
            .or_else(|| self.search(request))
            .map(PhysAddr)
    }

    fn search(&self, request: &Request) -> Option<u64> {
        let mut fits = self.0.iter().filter_map(|span| request.fit(&span));
        match request.preference {
            Preference::Low => fits.next(),
            Preference::High => fits.next_back(),
        }
    }

    /// Checks memory that has no choice.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFree`] with the first byte that is not free and the type
    /// that `map` gives it.
    pub fn check_fixed(&self, wanted: &Span, map: &[u8]) -> Result {
        let Some(PhysAddr(at)) = self.0.first_missing(wanted) else {
            return Ok(());
        };
        let byte = Span::new(PhysAddr(at), 1);
        let kind = entries(map)
            .find(|(span, kind)| *kind != AVAILABLE && span.contains(&byte))
            .or_else(|| entries(map).find(|(span, _)| span.contains(&byte)));
        let kind = kind.map_or(0, |(_, kind)| kind);
        let last = wanted.end.saturating_sub(1);
        Err(Error::new(
            Kind::NotFree,
            &[wanted.start, last, at, kind.into()],
        ))
    }
}

/// Checks that GRUB's hand-over will find memory for its code after firmware
/// services have ended, when failing is too late.
///
/// GRUB takes the start of the lowest available range and moves behind each
/// chunk that lies there (GRUB, grub-core/lib/relocator.c); `usable` is that
/// memory with nothing taken out, `taken` is sorted and merged.
///
/// # Errors
///
/// [`Kind::NoRoom`].
pub fn check_trampoline<B: Bytes>(usable: &FreeMemory<B>, taken: &Table<Span, B>) -> Result {
    let mut at = usable.lowest().map_or(0, |(_, span)| span.start);
    for span in taken.iter() {
        if span.start < at.saturating_add(TRAMPOLINE_LEN) && at < span.end {
            at = span.end;
        }
    }
    let code = Span::new(PhysAddr(at), TRAMPOLINE_LEN);
    if TRAMPOLINE.contains(&code) && usable.holds(&code) {
        return Ok(());
    }
    Err(Error::new(
        Kind::NoRoom,
        &[TRAMPOLINE_LEN, TRAMPOLINE.start, TRAMPOLINE.end],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of (start, end, type).
    fn map(list: &[(u64, u64, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(start, end, kind) in list {
            bytes.extend(start.to_le_bytes());
            bytes.extend((end - start).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn free(map: &[u8], taken: &[(u64, u64)]) -> FreeMemory<Vec<u8>> {
        let mut table = Table::new(vec![0; 1024]);
        for &(start, end) in taken {
            table.push(&Span { start, end });
        }
        let len = FreeMemory::<Vec<u8>>::bytes_for(map, taken.len());
        FreeMemory::new(map, &table, vec![0; len])
    }

    const PC: [(u64, u64, u32); 4] = [
        (0, 0x9_fc00, 1),
        (0x9_fc00, 0x10_0000, 2),
        (0x10_0000, 0x4000_0000, 1),
        (0xfffc_0000, 0x1_0000_0000, 2),
    ];

    fn window(min: u64, limit: u64, preference: Preference) -> Request {
        Request {
            size: 0x80_0000,
            min,
            limit,
            align: 0x20_0000,
            preference,
        }
    }

    #[test]
    fn high_is_the_highest_aligned_address_that_fits() {
        let free = free(&map(&PC), &[]);
        // The window of protocol.md's example: C gives 0x2000000.
        let request = window(0x100_0000, 0x300_0000, Preference::High);
        assert_eq!(
            free.place(&request, Firmware::Bios),
            Some(PhysAddr(0x280_0000))
        );
        let request = window(0x20_0000, 0xffff_ffff, Preference::High);
        assert_eq!(
            free.place(&request, Firmware::Bios),
            Some(PhysAddr(0x3f80_0000))
        );
    }

    #[test]
    fn low_avoids_the_first_mib_only_on_a_bios() {
        let free = free(&map(&PC), &[]);
        let request = Request::lowest(0x1000, PAGE);
        assert_eq!(
            free.place(&request, Firmware::Bios),
            Some(PhysAddr(0x10_0000))
        );
        assert_eq!(
            free.place(&request, Firmware::Efi64),
            Some(PhysAddr(0x1000))
        );
        let below = Request {
            limit: 0x8_0000,
            ..request
        };
        assert_eq!(free.place(&below, Firmware::Bios), Some(PhysAddr(0x1000)));
    }

    #[test]
    fn planned_memory_is_not_planned_again() {
        let free = free(
            &map(&PC),
            &[(0x10_0000, 0x20_0000), (0x20_1000, 0x4000_0000)],
        );
        let page = Request::lowest(0x1000, PAGE);
        assert_eq!(free.place(&page, Firmware::Bios), Some(PhysAddr(0x20_0000)));
        let more = Request::lowest(0x10_0000, PAGE);
        assert_eq!(free.place(&more, Firmware::Bios), None);
    }

    #[test]
    fn memory_that_is_also_something_else_is_not_free() {
        let list = [(0x10_0000, 0x80_0000, 1), (0x20_0000, 0x20_1000, 4)];
        let free = free(&map(&list), &[]);
        let wanted = Span {
            start: 0x1f_0000,
            end: 0x21_0000,
        };
        let error = Error::new(Kind::NotFree, &[0x1f_0000, 0x20_ffff, 0x20_0000, 4]);
        assert_eq!(free.check_fixed(&wanted, &map(&list)), Err(error));
    }

    #[test]
    fn touching_entries_are_one_range() {
        let list = [(0x20_0000, 0x30_0000, 1), (0x10_0000, 0x20_0000, 1)];
        let free = free(&map(&list), &[]);
        let wanted = Span {
            start: 0x10_0000,
            end: 0x30_0000,
        };
        assert_eq!(free.check_fixed(&wanted, &map(&list)), Ok(()));
        let one_more = Span {
            end: 0x30_0001,
            ..wanted
        };
        let error = free.check_fixed(&one_more, &map(&list));
        assert!(matches!(
            error,
            Err(Error {
                kind: Kind::NotFree,
                values: [_, _, 0x30_0000, 0, ..]
            })
        ));
    }

    #[test]
    fn memory_above_four_gib_never_counts() {
        let list = [(0xffff_0000, 0x2_0000_0000, 1)];
        let free = free(&map(&list), &[]);
        let fits = Request::lowest(0x1_0000, PAGE);
        assert_eq!(
            free.place(&fits, Firmware::Efi64),
            Some(PhysAddr(0xffff_0000))
        );
        let over = Request::lowest(0x1_0001, PAGE);
        assert_eq!(free.place(&over, Firmware::Efi64), None);
    }

    #[test]
    fn a_window_smaller_than_the_image_is_refused() {
        let tag = |min, max| Placement {
            min,
            max,
            align: 1,
            preference: Preference::Low,
        };
        assert!(Request::image(0x1000, &tag(0x1000, 0x2000)).is_ok());
        for (min, max) in [(0x1001, 0x2000), (0, 0xfff), (u32::MAX, 0)] {
            let range = Request::image(0x1000, &tag(min, max));
            assert_eq!(range, Err(Error::new(Kind::PlacementRange, &[])));
        }
    }

    #[test]
    fn the_trampoline_keeps_its_page() {
        let map = map(&PC);
        let mut low = free(&map, &[]);
        low.spare_trampoline();
        let page = Request {
            limit: 0x8_0000,
            ..Request::lowest(0x1000, PAGE)
        };
        assert_eq!(low.place(&page, Firmware::Efi64), Some(PhysAddr(0x2000)));
    }

    #[test]
    fn a_covered_low_window_is_found_before_it_is_too_late() {
        let map = map(&PC);
        let usable = free(&map, &[]);
        let mut taken = Table::new(vec![0; 64]);
        assert!(check_trampoline(&usable, &taken).is_ok());
        taken.push(&Span {
            start: 0x1000,
            end: 0x5000,
        });
        assert!(check_trampoline(&usable, &taken).is_ok());
        taken.push(&Span {
            start: 0x5000,
            end: 0x9_f000,
        });
        assert!(check_trampoline(&usable, &taken).is_err());
    }
}
