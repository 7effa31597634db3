// SPDX-License-Identifier: GPL-3.0-or-later
//! What lives between commands: the loaded kernel, its modules, its memory.

use crate::error::Outcome;
#[cfg(doc)]
use crate::error::{Failed, Kind};
use crate::info::{self, ElfSections, Writer};
use crate::params::LoadParams;
use crate::plan::placement::{self, FreeMemory, Request};
use crate::platform::{Chunk, MemoryMap, OrReport, Platform, Relocator};
use crate::table::{Bytes, RECORD_LEN, Table, copy};
use crate::units::{PhysAddr, Span, index, wide};

/// A memory map and what of it is free.
type Free<P> = (<P as Platform>::Buffer, FreeMemory<<P as Platform>::Buffer>);

/// Chunks of the relocator and what is known of their targets.
pub struct Memory<P: Platform> {
    /// GRUB's relocator.
    pub(crate) relocator: P::Relocator,
    taken: Table<Span, P::Buffer>,
    chunks: usize,
    keep_services: bool,
}

/// Room that the list of targets starts with.
const FIRST_TARGETS: usize = 32;

/// Heap that GRUB's relocator needs for its last step, in bytes: for its
/// lists of free memory, and for each chunk (GRUB, grub-core/lib/relocator.c).
const HEAP_RESERVE: usize = 256 * 1024;
const HEAP_PER_CHUNK: usize = 512;

impl<P: Platform> Memory<P> {
    /// Starts without any chunk.
    ///
    /// # Errors
    ///
    /// [`Failed`] when GRUB's heap is full.
    pub fn new(platform: &mut P, params: &LoadParams) -> Outcome<Self> {
        let len = FIRST_TARGETS.saturating_mul(RECORD_LEN);
        Ok(Self {
            relocator: platform.new_relocator()?,
            taken: Table::new(platform.alloc(len)?),
            chunks: 0,
            keep_services: params.keep_services,
        })
    }

    /// The map for placing, and what of it is free.
    fn free(&mut self, platform: &mut P, which: MemoryMap) -> Outcome<Free<P>> {
        self.make_room(platform)?;
        let map = platform.memory_map(which)?;
        let len = FreeMemory::<P::Buffer>::bytes_for(&map, self.taken.len());
        let free = FreeMemory::new(&map, &self.taken, platform.alloc(len)?);
        Ok((map, free))
    }

    /// The map that the image itself is placed by.
    fn image_map(&self) -> MemoryMap {
        if self.keep_services {
            MemoryMap::BesideServices
        } else {
            MemoryMap::Usable
        }
    }

    /// Reserves memory for the image where `request` allows it.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRoom`] and what GRUB refuses.
    pub fn place_image(&mut self, platform: &mut P, request: &Request) -> Outcome<Chunk<'_>> {
        let chunk = self.try_place(platform, request, self.image_map())?;
        chunk.ok_or_else(|| platform.report(&request.no_room()))
    }

    /// Reserves memory for the image if there is any.
    ///
    /// # Errors
    ///
    /// What GRUB refuses.
    pub fn try_place_image(
        &mut self,
        platform: &mut P,
        request: &Request,
    ) -> Outcome<Option<Chunk<'_>>> {
        self.try_place(platform, request, self.image_map())
    }

    /// Reserves memory for something beside the image; it never takes
    /// boot-services memory.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRoom`] and what GRUB refuses.
    pub fn place_beside(&mut self, platform: &mut P, request: &Request) -> Outcome<Chunk<'_>> {
        let chunk = self.try_place(platform, request, MemoryMap::BesideServices)?;
        chunk.ok_or_else(|| platform.report(&request.no_room()))
    }

    fn try_place(
        &mut self,
        platform: &mut P,
        request: &Request,
        which: MemoryMap,
    ) -> Outcome<Option<Chunk<'_>>> {
        let (_, mut free) = self.free(platform, which)?;
        if self.keep_services {
            return self.claim_owned(request, &free);
        }
        free.spare_trampoline();
        match free.place(request, platform.machine().firmware) {
            Some(target) => self.claim(target, request.size),
            None => Ok(None),
        }
    }

    /// Reserves memory at an address that has no choice.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFree`], [`Kind::NoRoom`] and what GRUB refuses.
    pub fn place_fixed(&mut self, platform: &mut P, wanted: &Span) -> Outcome<Chunk<'_>> {
        let (map, free) = self.free(platform, self.image_map())?;
        free.check_fixed(wanted, &map).or_report(platform)?;
        let request = Request::fixed(wanted);
        let chunk = if self.keep_services {
            self.claim_owned(&request, &free)?
        } else {
            self.claim(PhysAddr(wanted.first), request.size)?
        };
        chunk.ok_or_else(|| platform.report(&request.no_room()))
    }

    /// Asks GRUB for exactly the planned address.
    fn claim(&mut self, target: PhysAddr, size: u32) -> Outcome<Option<Chunk<'_>>> {
        let chunk = self.relocator.alloc_at(target, index(size))?;
        if let Some(span) = Span::new(chunk.target, size) {
            take(&mut self.taken, &span);
        }
        Ok((chunk.target == target).then_some(chunk))
    }

    /// Lets GRUB choose, which alone knows what it can take from a firmware
    /// that stays alive. A chunk that would still have to move is no use: the
    /// firmware owns the memory in its way.
    fn claim_owned(
        &mut self,
        request: &Request,
        free: &FreeMemory<P::Buffer>,
    ) -> Outcome<Option<Chunk<'_>>> {
        let chunk = self.relocator.alloc_in(request)?;
        let Some(span) = Span::new(chunk.target, request.size) else {
            return Ok(None);
        };
        take(&mut self.taken, &span);
        let stays = chunk.current == wide(index(chunk.target.0));
        let suits = stays && request.allows(&span) && free.holds(&span);
        Ok(suits.then_some(chunk))
    }

    /// Makes room for one more target before memory is asked for.
    fn make_room(&mut self, platform: &mut P) -> Outcome {
        self.chunks = self.chunks.saturating_add(1);
        if self.taken.is_full() {
            let len = self.taken.len().saturating_mul(2 * RECORD_LEN);
            self.taken.move_to(platform.alloc(len)?);
        }
        Ok(())
    }

    /// Checks that the hand-over will find the memory it needs after boot
    /// services have ended: low memory for its code, heap for its lists.
    ///
    /// # Errors
    ///
    /// [`Kind::NoRoom`] and what GRUB refuses.
    pub fn check_hand_over(&self, platform: &mut P) -> Outcome {
        let map = platform.memory_map(MemoryMap::Usable)?;
        let none = Table::new(platform.alloc(0)?);
        let len = FreeMemory::<P::Buffer>::bytes_for(&map, 0);
        let usable = FreeMemory::new(&map, &none, platform.alloc(len)?);
        placement::check_trampoline(&usable, &self.taken).or_report(platform)?;
        let lists = self.chunks.saturating_mul(HEAP_PER_CHUNK);
        platform.alloc(lists.saturating_add(HEAP_RESERVE)).map(drop)
    }
}

/// Adds a target and keeps the list sorted and short.
fn take<B: Bytes>(taken: &mut Table<Span, B>, span: &Span) {
    taken.push(span);
    taken.tidy();
}

/// Section headers of the kernel, kept for the boot information.
pub struct Sections<B> {
    /// Number of headers.
    pub count: u32,
    /// Bytes of one header.
    pub entry_size: u16,
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
            entry_size: self.entry_size.into(),
            name_index: self.name_index,
            headers: &self.headers,
        }
    }
}

/// What loading found out; physical addresses after any move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Lowest address that the image was linked for.
    pub link_base: u32,
    /// Where that byte lies now.
    pub load_base: u32,
    /// Where the kernel starts.
    pub entry: u32,
}

/// A kernel that is ready to start, with its modules.
pub struct Session<P: Platform> {
    /// What the kernel asked for.
    pub params: LoadParams,
    /// Where it lies.
    pub loaded: Loaded,
    /// Its memory.
    pub memory: Memory<P>,
    /// Its command line with a NUL.
    pub command_line: P::Buffer,
    /// Its section headers; `None` for a flat image and for none.
    pub sections: Option<Sections<P::Buffer>>,
    /// The BIOS's numbers for the root device when the kernel was loaded.
    pub boot_device: Option<[u32; 3]>,
    /// The modules.
    pub modules: Modules<P>,
}

/// The modules, as the tags that the kernel will receive.
pub struct Modules<P: Platform> {
    tags: Option<P::Buffer>,
    len: usize,
}

impl<P: Platform> Default for Modules<P> {
    fn default() -> Self {
        Self { tags: None, len: 0 }
    }
}

impl<P: Platform> Modules<P> {
    /// The tags in the order of the commands.
    pub fn tags(&self) -> &[u8] {
        let tags: &[u8] = self.tags.as_deref().unwrap_or_default();
        tags.get(..self.len).unwrap_or_default()
    }

    /// Lists a module; when that fails the list is as it was.
    ///
    /// # Errors
    ///
    /// [`Failed`] when GRUB's heap is full.
    pub fn add(&mut self, platform: &mut P, memory: Option<&Span>, command_line: &[u8]) -> Outcome {
        let mut counter = Writer::new(&mut []);
        info::module(&mut counter, memory, command_line);
        let len = self.len.saturating_add(counter.len());
        if self.tags.as_ref().is_none_or(|tags| tags.len() < len) {
            let mut larger = platform.alloc(len.saturating_mul(2))?;
            copy(&mut larger, self.tags());
            self.tags = Some(larger);
        }
        if let Some(tags) = &mut self.tags {
            let free = tags.get_mut(self.len..).unwrap_or_default();
            info::module(&mut Writer::new(free), memory, command_line);
        }
        self.len = len;
        Ok(())
    }
}
