// SPDX-License-Identifier: GPL-3.0-or-later
//! A relocator that behaves like GRUB's, where that matters to the loader.

use super::Stop;
use super::low;
use super::world::{FREE, Finds, SERVICES, Started, World, count};
use mb2::error::Outcome;
use mb2::params::Preference;
use mb2::plan::placement::Request;
use mb2::platform::{HandOver, Relocator, Whose};
use mb2::units::PhysAddr;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::rc::Rc;

/// What stands in memory that nobody has written.
pub(crate) const STALE: u8 = 0xa5;

enum Bytes {
    Elsewhere(Vec<u8>),
    AtTarget(NonNull<[u8]>),
}

impl Bytes {
    fn get(&mut self) -> &mut [u8] {
        match self {
            Self::Elsewhere(bytes) => bytes,
            Self::AtTarget(memory) => low::bytes(memory),
        }
    }
}

struct Chunk {
    target: u64,
    len: u64,
    bytes: Bytes,
}

pub(crate) struct FakeRelocator {
    world: Rc<World>,
    chunks: Vec<Chunk>,
    /// Numbers of chunks; of the newest also which part.
    pool: usize,
    newest: (usize, Range<usize>),
}

impl FakeRelocator {
    pub(crate) fn new(world: &Rc<World>) -> Outcome<Self> {
        world.call("relocator")?;
        count(&world.relocators, 1);
        Ok(Self {
            world: world.clone(),
            chunks: Vec::new(),
            pool: 0,
            newest: (0, 0..0),
        })
    }

    /// The address that suits a request in memory of these types before `bound`,
    /// none of it in a chunk. Like GRUB it looks at one range at a time;
    /// ranges of one type that touch are one, as firmware tells them.
    fn find(&self, request: &Request, kinds: &[u32], bound: u64) -> Option<u64> {
        let (size, align) = (u64::from(request.size), u64::from(request.align));
        let high = request.preference == Preference::High;
        let mut chunks: Vec<_> = self.chunks.iter().map(|c| (c.target, c.len)).collect();
        chunks.sort_unstable();
        let mut found: Option<u64> = None;
        let ranges = kinds.iter().flat_map(|&kind| self.world.merged(&[kind]));
        for (start, end) in ranges {
            let mut first = start.max(request.window.first.into());
            let end = end.min(bound);
            // Up to each chunk, and behind the last.
            for &(target, len) in chunks.iter().chain([&(end, 0)]) {
                let lowest = first.next_multiple_of(align);
                let highest = end.min(target).checked_sub(size);
                let highest = highest.map(|highest| highest - highest % align);
                if let Some(highest) = highest.filter(|&highest| lowest <= highest) {
                    let start = if high { highest } else { lowest };
                    let better = found.is_none_or(|old| (start > old) == high);
                    found = if better { Some(start) } else { found };
                }
                first = first.max(target + len);
            }
        }
        found
    }

    fn is_free(&self, start: u64, len: u64) -> bool {
        let overlaps = |c: &Chunk| start < c.target + c.len && c.target < start + len;
        !self.chunks.iter().any(overlaps)
    }

    fn take(&mut self, target: u64, len: u32, stays: bool) -> Outcome<PhysAddr> {
        let granted = &self.world.granted;
        granted.set(granted.get() + u64::from(len));
        let mut low = self.world.low.borrow_mut();
        let mut bytes = match low.as_mut().filter(|_| stays) {
            Some(low) => Bytes::AtTarget(low.memory(target as u32, len as usize)),
            None => Bytes::Elsewhere(vec![STALE; len as usize]),
        };
        bytes.get().fill(STALE);
        self.newest = (self.chunks.len(), 0..len as usize);
        self.chunks.push(Chunk {
            target,
            len: len.into(),
            bytes,
        });
        Ok(PhysAddr(target as u32))
    }
}

impl Relocator for FakeRelocator {
    fn alloc_at(&mut self, target: PhysAddr, len: u32) -> Outcome<PhysAddr> {
        self.world.call("chunk")?;
        let target = u64::from(target.0);
        if !self.is_free(target, len.into()) {
            return Err(self.world.grub_error("chunk overlaps"));
        }
        self.take(target, len, false)
    }

    fn alloc_in(&mut self, request: &Request, whose: Whose) -> Outcome<PhysAddr> {
        self.world.call("chunk in a window")?;
        let finds = self.world.finds.get();
        if let Finds::Misplaced(target) = finds {
            return self.take(target.into(), request.size, false);
        }
        let bound = u64::from(request.window.last) + 1;
        if finds == Finds::Direct
            && let Some(target) = self.find(request, &[FREE], bound)
        {
            return self.take(target, request.size, true);
        }
        let kinds: &[u32] = match whose {
            Whose::Image => &[FREE, SERVICES],
            Whose::Other => &[FREE],
        };
        // GRUB's search for memory to move to takes the end of the window for
        // the highest start.
        match self.find(request, kinds, bound + u64::from(request.size)) {
            Some(target) => self.take(target, request.size, false),
            None => {
                let lost = self.world.lost.get() + u64::from(request.size);
                self.world.lost.set(lost);
                Err(self.world.grub_error("no chunk"))
            }
        }
    }

    fn newest(&mut self) -> &mut [u8] {
        let (chunk, part) = self.newest.clone();
        match self.chunks.get_mut(chunk) {
            Some(chunk) => &mut chunk.bytes.get()[part],
            None => &mut [], // a check reserves none
        }
    }

    fn open_pool(&mut self) {
        self.pool = self.newest.0;
    }

    fn share(&mut self, start: u32, len: u32) {
        let start = start as usize;
        self.newest = (self.pool, start..start + len as usize);
    }

    fn first_and_newest(&mut self) -> (&mut [u8], &mut [u8]) {
        let Some((first, rest)) = self.chunks.split_first_mut() else {
            return (&mut [], &mut []);
        };
        let newest = rest.last_mut().map(|chunk| chunk.bytes.get());
        (first.bytes.get(), newest.unwrap_or_default())
    }

    fn boot(&mut self, registers: &HandOver) -> Outcome {
        self.world.call_at_last("jump")?;
        let mut chunks = BTreeMap::new();
        for chunk in &mut self.chunks {
            let moves = matches!(chunk.bytes, Bytes::Elsewhere(_));
            assert!(!(moves && registers.keep_services), "moves over firmware");
            let free = self.world.is_usable(chunk.target, chunk.len);
            assert!(free, "{:#x} is not free", chunk.target);
            chunks.insert(chunk.target as u32, chunk.bytes.get().to_vec());
        }
        let registers = *registers;
        *self.world.started.borrow_mut() = Some(Started { registers, chunks });
        resume_unwind(Box::new(Stop::Started))
    }
}

impl Drop for FakeRelocator {
    fn drop(&mut self) {
        count(&self.world.relocators, -1);
    }
}
