// SPDX-License-Identifier: GPL-3.0-or-later
//! What lives between commands: the loaded kernel, its modules, its memory.

#[cfg(doc)]
use crate::error::Failed;
use crate::error::{Kind, MAX_VALUES, Outcome};
use crate::info::ElfSections;
use crate::params::{Firmware, LoadParams};
use crate::plan::image;
use crate::plan::placement::{self, FreeMemory, ONE_MIB, Request};
use crate::platform::{MemoryMap, Platform, Relocator, Whose};
use crate::table::{Bytes, RECORD_LEN, Table};
use crate::tags::Tags;
use crate::units::{PAGE, PhysAddr, Span, align_down};

/// A kernel that is ready to start, with its modules.
#[repr(C)] // order: the first 128 bytes are reached with the shortest instructions
pub struct Session<P: Platform> {
    /// Its memory.
    pub memory: Memory<P>,
    /// What the kernel is told.
    pub kernel: Kernel<P>,
}

/// A loaded kernel, without its memory.
#[repr(C)] // order: as above, what is long comes last
pub struct Kernel<P: Platform> {
    /// Where it lies.
    pub loaded: Loaded,
    /// Its command line with a NUL.
    pub command_line: P::Buffer,
    /// Its section headers; `None` for a flat image and for none.
    pub sections: Option<Sections<P::Buffer>>,
    /// The BIOS's numbers for the root device when the kernel was loaded.
    pub boot_device: Option<[u32; 3]>,
    /// The modules' tags in the order of the commands.
    pub modules: Tags<P>,
    /// What the kernel asked for.
    pub params: LoadParams,
}

/// What loading found out; physical addresses, 0 until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Lowest address that the image was linked for.
    pub link_base: u32,
    /// Where that byte lies now.
    pub load_base: u32,
    /// Where the kernel starts, after any move.
    pub entry: u32,
    /// Modules lie from here on.
    pub modules_from: u32,
}

/// Section headers of the kernel, kept for the boot information.
pub struct Sections<B> {
    /// Number of headers.
    pub count: u32,
    /// Bytes of one header.
    pub entry_size: u32,
    /// Index of the section that holds the names.
    pub name_index: u32,
    /// The headers.
    pub headers: B,
}

impl<B: Bytes> Sections<B> {
    /// The headers as the boot information takes them.
    pub fn facts(&self) -> ElfSections<'_> {
        ElfSections {
            count: self.count,
            entry_size: self.entry_size,
            name_index: self.name_index,
            headers: &self.headers,
        }
    }
}

/// Chunks of the relocator and what is known of their targets.
#[repr(C)] // order: what starts as zero is one piece
pub struct Memory<P: Platform> {
    /// GRUB's relocator.
    pub(crate) relocator: P::Relocator,
    taken: Table<Span, P::Buffer>,
    chunks: usize,
    /// Address of the pool, a chunk that small things share, and what is left
    /// of it; one byte at 0 is nothing.
    pool: u32,
    rest: Span,
    /// Address of what was reserved last, if that is a part of the pool that
    /// nobody keeps yet, else 0, and its size.
    part: u32,
    size: u32,
    /// Bytes that are kept, and bytes that earlier pools had left.
    kept: u32,
    lost: u32,
    /// The image as it is linked; one byte at 0 until that is known.
    pub(crate) image: Span,
    /// Why nothing was placed: the numbers of [`Kind::Elsewhere`].
    why: [u32; MAX_VALUES],
    /// The memory map, while memory without a choice is placed.
    pub(crate) map: Option<P::Buffer>,
    /// Boot services stay, which only UEFI has.
    pub(crate) keep_services: bool,
    /// A chunk lies where it must not: GRUB takes no single chunk back, and
    /// would move this one over what lies there.
    pub(crate) spoiled: bool,
    /// Addresses are chosen, and nothing is reserved.
    pub(crate) plans_only: bool,
}

/// A memory map and what of it is free.
type Free<P> = (<P as Platform>::Buffer, FreeMemory<<P as Platform>::Buffer>);

/// Bytes that the list of targets starts with.
pub(crate) const FIRST_TARGETS: usize = 32 * RECORD_LEN;

/// Most bytes of a pool, and the part of it that is small.
const POOL_LEN: u32 = 512 * 1024;
const SMALL_SHIFT: u32 = 3;

/// What pools may leave unused, in bytes, or as a part of what is kept.
const WASTE_LEN: u32 = 1024 * 1024;
const WASTE_SHIFT: u32 = 6;

/// Heap that GRUB's relocator needs for its last step, in bytes: for its
/// lists of free memory, and for each chunk (GRUB, grub-core/lib/relocator.c).
const HEAP_RESERVE: usize = 256 * 1024;
const HEAP_PER_CHUNK: usize = 512;

impl<P: Platform> Memory<P> {
    /// Starts without any chunk; `targets` has room for the list of them.
    pub fn new(relocator: P::Relocator, targets: P::Buffer) -> Self {
        Self {
            relocator,
            taken: Table::new(targets),
            chunks: 0,
            pool: 0,
            rest: Span { first: 0, last: 0 },
            part: 0,
            size: 0,
            map: None,
            kept: 0,
            lost: 0,
            image: Span { first: 0, last: 0 },
            why: [0; MAX_VALUES],
            keep_services: false,
            spoiled: false,
            plans_only: false,
        }
    }

    /// Tells whether memory is shared with a firmware that stays alive.
    pub(crate) fn beside_services(&self, platform: &P) -> bool {
        platform.machine().has_services() && self.keep_services
    }

    /// The map for placing, and what of it is free. Memory without a choice is
    /// a part of the image, which was compared with the other parts before.
    #[inline(never)] // two callers, none of them hurried
    fn free(&mut self, platform: &mut P, whose: Whose, fixed: bool) -> Outcome<Free<P>> {
        self.chunks = self.chunks.saturating_add(1);
        if self.taken.is_full() {
            let len = self.taken.len().saturating_mul(2 * RECORD_LEN);
            self.taken.move_to(platform.alloc(len)?);
        }
        let usable = whose == Whose::Image && !self.beside_services(platform);
        let which = match usable {
            true => MemoryMap::Usable,
            false => MemoryMap::BesideServices,
        };
        let map = match self.map.take().filter(|_| fixed) {
            Some(map) => map,
            None => platform.memory_map(which)?,
        };
        let len = FreeMemory::<P::Buffer>::bytes_for(&map, self.taken.len());
        let taken = Some(&self.taken).filter(|_| !fixed);
        let free = FreeMemory::new(&map, taken, platform.alloc(len)?);
        Ok((map, free))
    }

    /// The bytes of the memory that was reserved last, where they are until the
    /// kernel starts.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.relocator.newest()
    }

    /// Keeps the memory that was reserved last. What is a part of the pool is
    /// else given to the next one who asks.
    pub fn keep(&mut self) {
        // All this is memory below 4 GiB, so no sum passes that.
        self.kept = self.kept.wrapping_add(self.size);
        if self.part != 0 {
            let skipped = self.part.wrapping_sub(self.rest.first);
            self.lost = self.lost.wrapping_add(skipped);
            match self.part.checked_add(self.size) {
                Some(first) => self.rest.first = first,
                None => self.rest.last = 0,
            }
            self.part = 0;
        }
    }

    /// Takes a part of the pool for something small and returns its address, or
    /// 0. An image is placed before anything is kept, so it never has one. A
    /// pool has as many bytes as are kept: a few things waste nothing.
    #[inline(never)] // keeps the caller's stack frame small
    fn share(&mut self, platform: &mut P, request: &Request) -> u32 {
        if self.part != 0 {
            // Nobody kept it, and nobody may know what was in it.
            let start = self.part.wrapping_sub(self.pool);
            self.relocator.share(start, self.size);
            self.relocator.newest().fill(0);
        }
        let mut fits = request.fits(&self.rest);
        let size = align_down(self.kept.min(POOL_LEN), PAGE);
        let lost = self.lost.wrapping_add(self.rest.len());
        let most = WASTE_LEN.max(self.kept >> WASTE_SHIFT);
        let small = request.size.max(PAGE) <= size >> SMALL_SHIFT;
        if fits.is_none() && small && lost.wrapping_add(size) <= most {
            let pool = Request { size, ..*request };
            let placed = self.place_once(platform, &pool, Whose::Other);
            if placed.is_err() {
                platform.forget_error(); // a chunk of its own may do
            }
            if let Ok(Some(PhysAddr(start))) = placed {
                let last = start.wrapping_add(size.wrapping_sub(1));
                self.rest = Span { first: start, last };
                (self.pool, self.lost) = (start, lost);
                self.relocator.newest().fill(0); // nothing of before
                self.relocator.open_pool();
                fits = Some(self.rest);
            }
        }
        let Some(Span { first, .. }) = fits else {
            return 0;
        };
        self.relocator
            .share(first.wrapping_sub(self.pool), request.size);
        first
    }

    /// Reserves memory where `request` allows it, and returns its address when
    /// the kernel starts.
    ///
    /// # Errors
    ///
    /// [`Kind::Elsewhere`], [`Kind::NoRoom`] when nothing would do, for memory
    /// without a choice [`Kind::NotFree`]; [`Kind::Scattered`], and what GRUB
    /// refuses.
    pub fn place(
        &mut self,
        platform: &mut P,
        request: &Request,
        whose: Whose,
    ) -> Outcome<PhysAddr> {
        if let Some(target) = self.try_place(platform, request, whose)? {
            return Ok(target);
        }
        let kind = match self.why[5] {
            _ if self.spoiled => Kind::NoRoom,
            0 if request.is_fixed() => Kind::NotFree,
            0 => Kind::NoRoom,
            _ => Kind::Elsewhere,
        };
        if kind == Kind::NoRoom {
            return Err(request.no_room(platform));
        }
        Err(platform.report(kind, &self.why.map(u64::from)))
    }

    /// Reserves memory where `request` allows it, if there is any.
    ///
    /// # Errors
    ///
    /// [`Kind::Scattered`], and what GRUB refuses.
    pub fn try_place(
        &mut self,
        platform: &mut P,
        request: &Request,
        whose: Whose,
    ) -> Outcome<Option<PhysAddr>> {
        self.part = self.share(platform, request);
        self.size = request.size;
        if self.part != 0 {
            return Ok(Some(PhysAddr(self.part)));
        }
        if self.spoiled {
            return Ok(None);
        }
        if whose == Whose::Image && self.chunks >= image::MAX_CHUNKS {
            return Err(platform.refuse(Kind::Scattered));
        }
        // Memory of boot services last: the firmware's page tables lie in it,
        // are still in use when GRUB moves the chunks, and often read-only.
        let ends_services = platform.machine().has_services() && !self.keep_services;
        if ends_services && whose == Whose::Image && !request.is_fixed() {
            let target = self.place_once(platform, request, Whose::Other)?;
            if target.is_some() || self.spoiled {
                return Ok(target);
            }
        }
        self.place_once(platform, request, whose)
    }

    /// The same in memory of one kind.
    #[inline(never)] // as above
    fn place_once(
        &mut self,
        platform: &mut P,
        request: &Request,
        whose: Whose,
    ) -> Outcome<Option<PhysAddr>> {
        let beside_services = self.beside_services(platform);
        let firmware = platform.machine().firmware;
        let fixed = request.is_fixed();
        let (map, mut free) = self.free(platform, whose, fixed)?;
        let ends_services = platform.machine().has_services() && !beside_services;
        if ends_services && !fixed {
            free.spare_trampoline();
        }
        let Some(planned) = free.place(request, firmware) else {
            let [at, kind] = free.obstacle(&request.window, &map);
            let mut whole = *request;
            if fixed {
                // Its author may link it to another page.
                let window = self.image;
                let size = window.len();
                whole = Request {
                    size,
                    window,
                    align: PAGE,
                    ..whole
                };
                if ends_services {
                    free.spare_trampoline();
                }
            }
            let Span { first, last } = request.window;
            self.why = [first, last, at, kind, whole.size, free.nearest(&whole)];
            return Ok(None);
        };
        let target = if self.plans_only {
            Ok(planned)
        } else if beside_services {
            // Only GRUB knows what it can take from a firmware that stays.
            self.relocator.alloc_in(request, Whose::Other)
        } else if fixed {
            self.relocator.alloc_at(planned, request.size)
        } else {
            // The planned address if GRUB can do it, else what GRUB finds
            // itself: a large chunk may fit only where it need not move.
            let exactly = Request::fixed(planned, request.size);
            // UEFI's map has entries that touch. What crosses from one into
            // the next GRUB would put somewhere else, and for a place that it
            // does not find it keeps the memory that it took for the bytes. So
            // it is told the address; below 1 MiB it would take bytes from the
            // top of memory for that.
            let told = firmware != Firmware::Bios && planned.0 >= ONE_MIB;
            let target = match told {
                true => self.relocator.alloc_at(planned, request.size),
                false => self.relocator.alloc_in(&exactly, whose),
            };
            target.or_else(|_| {
                platform.forget_error();
                self.relocator.alloc_in(request, whose)
            })
        };
        let Some(span) = Span::new(target?, request.size) else {
            return Ok(None);
        };
        self.taken.join(&span);
        // A chunk that would still have to move is no use beside a firmware
        // that stays: it owns the memory in the way.
        let stays =
            self.plans_only || !beside_services || self.relocator.stays(PhysAddr(span.first));
        if stays && request.allows(&span) && free.holds(&span) {
            self.map = Some(map).filter(|_| fixed);
            return Ok(Some(PhysAddr(span.first)));
        }
        self.spoiled = true;
        Ok(None)
    }

    /// Checks that the hand-over will find the memory it needs after boot
    /// services have ended: low memory for its code, heap for its lists.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRoom`] and what GRUB refuses.
    pub fn check_hand_over(&mut self, platform: &mut P) -> Outcome {
        let (_, free) = self.free(platform, Whose::Image, false)?;
        placement::check_trampoline(&free, &self.taken, platform)?;
        let lists = self.chunks.saturating_mul(HEAP_PER_CHUNK);
        platform.alloc(lists.saturating_add(HEAP_RESERVE)).map(drop)
    }
}
