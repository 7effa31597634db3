// SPDX-License-Identifier: GPL-3.0-or-later
//! From a memory map and a wish to an address.

use crate::error::{Failed, Kind, Outcome, Report};
use crate::params::{Firmware, Placement, Preference};
use crate::table::{Bytes, RECORD_LEN, Table};
use crate::units::{PAGE, PhysAddr, Span, align_down, align_up};
use crate::wire::{u32_at, u64_at};

/// Memory that may be used (GRUB, `GRUB_MEMORY_AVAILABLE`).
pub const AVAILABLE: u32 = 1;

/// Bytes of an entry of the memory map, in the layout of the boot
/// information: base and length of 8 bytes, type of 4, and 4 of padding
/// (Multiboot2, 3.6.8).
pub const MAP_ENTRY: usize = 24;

/// Where the 32-bit hand-over puts its code (GRUB,
/// grub-core/lib/i386/relocator.c).
const TRAMPOLINE: Span = Span {
    first: 0x1000,
    last: 0x9_9fff,
};

/// Bytes that the hand-over code is given there; GRUB's needs 208.
const TRAMPOLINE_LEN: u32 = 0x200;

/// On a BIOS, memory below this is the last choice.
pub const ONE_MIB: u32 = 1 << 20;

/// Something that needs memory, and where it may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many bytes, at least one.
    pub size: u32,
    /// Every byte lies in here.
    pub window: Span,
    /// Power of two that the address is a multiple of.
    pub align: u32,
    /// Which end of the window is better.
    pub preference: Preference,
}

/// Everything below 4 GiB but the page at address 0.
const ANYWHERE: Span = Span {
    first: PAGE,
    last: u32::MAX,
};

/// The same without the last page: no relocatable tag can name its end.
const PROPOSED: Span = Span {
    first: PAGE,
    last: u32::MAX - PAGE,
};

impl Request {
    /// Wish of a module, a section or the boot information: `size` bytes at
    /// the lowest address.
    #[must_use]
    pub fn lowest(size: u32, align: u32) -> Self {
        Self {
            size,
            window: ANYWHERE,
            align,
            preference: Preference::Low,
        }
    }

    /// Wish of a relocatable image of `size` bytes (Multiboot2, 3.1.13).
    ///
    /// # Errors
    ///
    /// [`Kind::PlacementRange`] when the tag's window has no byte.
    pub fn image(size: u32, placement: &Placement, report: &mut impl Report) -> Outcome<Self> {
        let first = placement.min.max(PAGE);
        // The tag bounds the image's end, so the byte there is outside.
        match placement.max.checked_sub(1) {
            Some(last) if first <= last => Ok(Self {
                size,
                window: Span { first, last },
                align: placement.align,
                preference: placement.preference,
            }),
            _ => Err(report.refuse(Kind::PlacementRange)),
        }
    }

    /// Wish of something that has no choice.
    #[must_use]
    pub fn fixed(at: PhysAddr, size: u32) -> Self {
        let last = at.0.saturating_add(size.saturating_sub(1));
        Self {
            size,
            window: Span { first: at.0, last },
            align: 1,
            preference: Preference::Low,
        }
    }

    /// Tells whether there is no choice.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.window.len() == self.size && self.align == 1
    }

    /// Tells whether `span` is what was wished for.
    #[must_use]
    pub fn allows(&self, span: &Span) -> bool {
        self.window.contains(span) && align_down(span.first, self.align) == span.first
    }

    /// Reports that the wish cannot be met.
    pub fn no_room(&self, report: &mut impl Report) -> Failed {
        let Span { first, last } = self.window;
        report.refuse3(Kind::NoRoom, self.size.into(), first.into(), last.into())
    }

    /// The lowest and the highest address in `free`, if one fits. Where addresses
    /// have 32 bits, nothing of 2 GiB does: neither GRUB's reads nor slices are so
    /// long.
    #[must_use]
    pub fn fits(&self, free: &Span) -> Option<Span> {
        isize::try_from(self.size).ok()?;
        let lowest = align_up(free.first.max(self.window.first), self.align)?;
        let last = free.last.min(self.window.last);
        let highest = last.checked_sub(self.size.checked_sub(1)?)?;
        let highest = align_down(highest, self.align);
        (lowest <= highest).then_some(Span {
            first: lowest,
            last: highest,
        })
    }
}

/// The entries of a memory map below 4 GiB as ranges and types.
pub fn entries(map: &[u8]) -> impl Iterator<Item = (Span, u32)> + '_ {
    let (entries, _) = map.as_chunks::<MAP_ENTRY>();
    entries.iter().filter_map(|entry| {
        let span = Span::clip(u64_at(entry, 0), u64_at(entry, 8))?;
        Some((span, u32_at(entry, 16)))
    })
}

/// Free usable memory below 4 GiB: what the firmware's map calls available
/// and nothing has been planned for.
///
/// ```
/// use mb2::params::Firmware;
/// use mb2::plan::placement::{FreeMemory, Request};
/// use mb2::units::{PhysAddr, Span};
///
/// // Start and length in bytes, type 1, and a word that means nothing.
/// let entry = |start: u64, len: u64| [start, len, 1].map(u64::to_le_bytes).concat();
/// let map = [entry(0, 0x9_f000), entry(0x10_0000, 0x4000)].concat();
/// let room = || vec![0_u8; FreeMemory::<Vec<u8>>::bytes_for(&map, 0)];
/// let free = FreeMemory::new(&map, None, room());
///
/// // Not in low memory, as long as there is other.
/// let request = Request::lowest(0x3000, 0x1000);
/// assert_eq!(free.place(&request, Firmware::Bios), Some(PhysAddr(0x10_0000)));
/// let request = Request::lowest(0x5000, 0x1000);
/// assert_eq!(free.place(&request, Firmware::Bios), Some(PhysAddr(0x1000)));
/// assert!(free.holds(&Span { first: 0x1000, last: 0x9_efff }));
/// ```
pub struct FreeMemory<B>(Table<Span, B>);

impl<B: Bytes> FreeMemory<B> {
    /// Bytes of the buffer that [`FreeMemory::new`] takes: every entry of the
    /// map is a range or cuts one in two, and so does everything taken, the
    /// page at 0 and the one of the hand-over.
    #[must_use]
    pub fn bytes_for(map: &[u8], taken: usize) -> usize {
        let entries = map.len() / MAP_ENTRY;
        let ranges = entries.saturating_add(taken).saturating_add(4);
        ranges.saturating_mul(RECORD_LEN)
    }

    /// Reads the map into `buffer` and takes out what is `taken` and the page
    /// at address 0.
    pub fn new(map: &[u8], taken: Option<&Table<Span, B>>, buffer: B) -> Self {
        let mut list = Table::new(buffer);
        for round in 0..2u32 {
            for (span, kind) in entries(map) {
                if u32::from(kind != AVAILABLE) == round {
                    list.push(&span);
                }
            }
            if round == 0 {
                list.invert(); // what no entry calls available
            }
        }
        if let Some(taken) = taken {
            for span in taken.iter() {
                list.push(&span);
            }
        }
        let mut free = Self(list);
        free.without(&Span {
            first: 0,
            last: PAGE - 1,
        });
        free
    }

    /// Inverts once more, after a last range that is not free.
    fn without(&mut self, span: &Span) {
        self.0.push(span);
        self.0.invert();
    }

    /// Keeps the place clear where the hand-over code will look for memory:
    /// the start of the lowest free range (GRUB takes the lowest address of
    /// its window, grub-core/lib/relocator.c).
    pub fn spare_trampoline(&mut self) {
        if let Some(lowest) = self.0.get(0)
            && lowest.first <= TRAMPOLINE.last
        {
            self.0.invert();
            self.without(&Span {
                first: lowest.first,
                last: lowest.first | (PAGE - 1),
            });
        }
    }

    /// Tells whether every byte of `span` is free.
    pub fn holds(&self, span: &Span) -> bool {
        self.0.iter().any(|free| free.contains(span))
    }

    /// The address that suits `request` best; on a BIOS, memory below 1 MiB
    /// only if nothing above fits, since GRUB's heap starts there.
    pub fn place(&self, request: &Request, firmware: Firmware) -> Option<PhysAddr> {
        let mut best = None;
        for free in self.0.iter() {
            let Some(fits) = request.fits(&free) else {
                continue;
            };
            if request.preference == Preference::High {
                best = Some(fits.last);
                continue;
            }
            best = best.or(Some(fits.first));
            if firmware != Firmware::Bios || free.first >= ONE_MIB {
                return Some(PhysAddr(fits.first));
            }
        }
        best.map(PhysAddr)
    }

    /// What is in the way of a request: the first byte of its window that is not
    /// free, else the first one, and the type that `map` gives it.
    #[must_use]
    pub fn obstacle(&self, window: &Span, map: &[u8]) -> [u32; 2] {
        let mut at = window.first;
        for free in self.0.iter() {
            if free.first <= at && at <= free.last {
                at = free.last.wrapping_add(1); // the last one may end at 4 GiB
            }
        }
        if at < window.first || at > window.last {
            at = window.first; // only the alignment is in the way
        }
        let mut kind = 0;
        for (span, found) in entries(map) {
            if span.first <= at && at <= span.last && kind <= AVAILABLE {
                kind = found;
            }
        }
        [at, kind]
    }

    /// The free place nearest to the start of the window of `request`, which has
    /// none; 0 when nothing fits anywhere.
    #[must_use]
    pub fn nearest(&self, request: &Request) -> u32 {
        let wanted = align_down(request.window.first, request.align);
        let anywhere = Request {
            window: PROPOSED,
            ..*request
        };
        let mut nearest = 0;
        for free in self.0.iter() {
            if let Some(fits) = anywhere.fits(&free) {
                let at = wanted.max(fits.first).min(fits.last);
                if nearest == 0 || at.abs_diff(wanted) < wanted.abs_diff(nearest) {
                    nearest = at;
                }
            }
        }
        nearest
    }
}

/// Checks that GRUB's hand-over will find memory for its code after firmware
/// services have ended, when failing is too late.
///
/// GRUB takes the start of the lowest available range and moves behind each
/// chunk that lies there (GRUB, grub-core/lib/relocator.c): that is the lowest
/// free address, unless memory that is not available lies between the chunks
/// below it, or behind them.
///
/// # Errors
///
/// [`Kind::NoRoom`].
pub fn check_trampoline<B: Bytes>(
    free: &FreeMemory<B>,
    taken: &Table<Span, B>,
    report: &mut impl Report,
) -> Outcome {
    let request = Request {
        size: TRAMPOLINE_LEN,
        window: TRAMPOLINE,
        align: 16,
        preference: Preference::Low,
    };
    if let Some(lowest) = free.0.get(0)
        && request.fits(&lowest).is_some()
    {
        let (mut start, mut len) = (lowest.first, 0u32);
        for chunk in taken.iter().filter(|chunk| chunk.last < lowest.first) {
            start = start.min(chunk.first);
            len = len.saturating_add(chunk.len());
        }
        if lowest.first.saturating_sub(start) == len {
            return Ok(());
        }
    }
    Err(request.no_room(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kept;

    /// A map of (start, end, type).
    fn map(list: &[(u64, u64, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(start, end, kind) in list {
            bytes.extend(start.to_le_bytes());
            bytes.extend(end.saturating_sub(start).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn free(map: &[u8], taken: &[(u32, u32)]) -> FreeMemory<Vec<u8>> {
        let mut table = Table::new(vec![0; 1024]);
        for &(first, end) in taken {
            let last = end.saturating_sub(1);
            table.push(&Span { first, last });
        }
        let len = FreeMemory::<Vec<u8>>::bytes_for(map, taken.len());
        FreeMemory::new(map, Some(&table), vec![0; len])
    }

    const PC: [(u64, u64, u32); 4] = [
        (0, 0x9_fc00, 1),
        (0x9_fc00, 0x10_0000, 2),
        (0x10_0000, 0x4000_0000, 1),
        (0xfffc_0000, 0x1_0000_0000, 2),
    ];

    fn window(first: u32, limit: u32, preference: Preference) -> Request {
        let last = limit.saturating_sub(1);
        Request {
            size: 0x80_0000,
            window: Span { first, last },
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
            window: Span {
                first: PAGE,
                last: 0x7_ffff,
            },
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
            first: 0x1f_0000,
            last: 0x20ffff,
        };
        assert!(!free.holds(&wanted));
        assert_eq!(free.obstacle(&wanted, &map(&list)), [0x20_0000, 4]);
    }

    #[test]
    fn touching_entries_are_one_range() {
        let list = [(0x20_0000, 0x30_0000, 1), (0x10_0000, 0x20_0000, 1)];
        let free = free(&map(&list), &[]);
        let wanted = Span {
            first: 0x10_0000,
            last: 0x2fffff,
        };
        assert!(free.holds(&wanted));
        assert_eq!(free.obstacle(&wanted, &map(&list)), [0x10_0000, 1]);
        let one_more = Span {
            last: 0x30_0000,
            ..wanted
        };
        assert_eq!(free.obstacle(&one_more, &map(&list)), [0x30_0000, 0]);
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
    fn something_huge_takes_all_that_is_free_in_one_piece() {
        let list = [(0x10_0000, 0xc000_0000, 1), (1 << 32, 2 << 32, 1)];
        let free = free(&map(&list), &[]);
        let huge = Request::lowest(0xbff0_0000, PAGE);
        let place = free.place(&huge, Firmware::Efi64);
        assert_eq!(place, Some(PhysAddr(0x10_0000)));
        let larger = Request::lowest(0xbff0_1000, PAGE);
        assert_eq!(free.place(&larger, Firmware::Efi64), None);
    }

    #[test]
    fn a_window_without_a_byte_is_refused() {
        let tag = |min, max| Placement {
            min,
            max,
            align: 1,
            preference: Preference::Low,
        };
        let mut kept = Kept::default();
        assert!(Request::image(0x1000, &tag(0x1fff, 0x2000), &mut kept).is_ok());
        for (min, max) in [(0x2000, 0x2000), (0, 0x1000), (u32::MAX, 0)] {
            assert!(Request::image(0x1000, &tag(min, max), &mut kept).is_err());
            assert_eq!(kept.0.take().unwrap().kind, Kind::PlacementRange);
        }
    }

    #[test]
    fn the_nearest_place_lies_on_either_side() {
        let list = [
            (0, 0x9_0000, 1),
            (0x100_0000, 0x120_0000, 1),
            (0x200_0000, 0x300_0000, 1),
            (0x300_0000, 0x310_0000, 4),
        ];
        let free = free(&map(&list), &[]);
        let near = |first, size, align| {
            free.nearest(&Request {
                size,
                window: Span {
                    first,
                    last: first + 0xff_ffff,
                },
                align,
                preference: Preference::High,
            })
        };
        assert_eq!(near(0x300_0000, 0x1000, 0x1000), 0x2ff_f000);
        assert_eq!(near(0x300_0000, 0x1001, 0x20_0000), 0x2e0_0000);
        assert_eq!(near(0x17f_0000, 0x1000, 0x1000), 0x11f_f000);
        assert_eq!(near(0x190_0000, 0x1000, 0x1000), 0x200_0000);
        assert_eq!(near(0, 0x1000, 0x1000), 0x1000);
        assert_eq!(near(0x130_0000, 0x20_0001, 1), 0x200_0000);
        assert_eq!(near(0x130_0000, 0x100_0001, 1), 0);
        assert_eq!(near(0x130_0000, 0x1000, 0x1000_0000), 0);
    }

    #[test]
    fn the_trampoline_keeps_its_page() {
        let map = map(&PC);
        let mut low = free(&map, &[]);
        low.spare_trampoline();
        let below = Span {
            first: PAGE,
            last: 0x7_ffff,
        };
        let page = Request {
            window: below,
            ..Request::lowest(0x1000, PAGE)
        };
        assert_eq!(low.place(&page, Firmware::Efi64), Some(PhysAddr(0x2000)));
    }

    #[test]
    fn a_covered_low_window_is_found_before_it_is_too_late() {
        // Memory, a hole that GRUB would run into, and memory behind it.
        let list = [
            (0, 0x8_0000, 1),
            (0x8_0000, 0x8_1000, 4),
            (0x8_1000, 0x9_f000, 1),
        ];
        let map = map(&list);
        let check = |chunks: &[(u32, u32)]| {
            let mut taken = Table::new(vec![0; 1024]);
            for &(first, end) in chunks {
                let last = end.saturating_sub(1);
                taken.push(&Span { first, last });
            }
            check_trampoline(&free(&map, chunks), &taken, &mut Kept::default())
        };
        assert!(check(&[]).is_ok());
        assert!(check(&[(0x1000, 0x5000)]).is_ok());
        assert!(check(&[(0x4000, 0x8_0000)]).is_ok());
        assert!(check(&[(0x1000, 0x8_0000)]).is_err());
        assert!(check(&[(0x1000, 0x7_ff00)]).is_err());
        assert!(check(&[(0x1000, 0x8_0000), (0x8_1000, 0x9_f000)]).is_err());
    }
}
