// SPDX-License-Identifier: GPL-3.0-or-later
//! What all parts of the fake share: counters, GRUB's error, memory.

use super::low::Low;
use mb2::error::{Error, Failed, Outcome};
use mb2::platform::HandOver;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Why a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The loader said so.
    Ours(Error),
    /// GRUB said so, in this call.
    Grub(&'static str),
    /// Nobody said why.
    Unexplained,
    /// The machine was stopped.
    Halted,
}

/// Memory of one type; the end is not inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) kind: u32,
}

/// Free memory, reserved memory, ACPI's own, and a type of the fake's own for
/// boot services.
pub(crate) const FREE: u32 = 1;
pub(crate) const RESERVED: u32 = 2;
pub(crate) const NVS: u32 = 4;
pub(crate) const SERVICES: u32 = 0xb5;

const fn range(start: u64, end: u64, kind: u32) -> Range {
    Range { start, end, kind }
}

impl Range {
    pub(crate) const PC: &'static [Self] = &[
        range(0, 0x9_fc00, FREE),
        range(0x9_fc00, 0x10_0000, RESERVED),
        range(0x10_0000, 0x400_0000, FREE),
        range(0x400_0000, 0x410_0000, NVS),
        range(0xfffc_0000, 0x1_0000_0000, RESERVED),
    ];
    pub(crate) const EFI: &'static [Self] = &[
        range(0, 0xa_0000, FREE),
        range(0x10_0000, 0x200_0000, FREE),
        range(0x200_0000, 0x280_0000, SERVICES),
        range(0x280_0000, 0x2c0_0000, NVS),
        range(0x300_0000, 0x400_0000, FREE),
    ];
    pub(crate) const IN_PLACE: &'static [Self] = &[
        range(0x0, 0xa_0000, SERVICES),
        range(0x1000_0000, 0x1100_0000, FREE),
        range(0x1100_0000, 0x1180_0000, SERVICES),
        range(0x1200_0000, 0x1300_0000, FREE),
        range(0x1400_0000, 0x1500_0000, NVS),
    ];
}

/// How GRUB's relocator finds memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finds {
    /// Where the bytes can be at once, else as below.
    Direct,
    /// The bytes are elsewhere until the final move.
    Moved,
    /// As after a collision: at this address, whatever was asked for.
    Misplaced(u32),
}

/// What the kernel found when it started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) registers: HandOver,
    /// Contents of every chunk by its target; no other memory was written.
    pub(crate) chunks: BTreeMap<u32, Vec<u8>>,
}

impl Started {
    /// Memory from an address on, which lies in a chunk.
    pub(crate) fn memory(&self, at: u32, len: usize) -> &[u8] {
        let (&start, bytes) = self.chunks.range(..=at).next_back().expect("a chunk");
        let from = (at - start) as usize;
        bytes.get(from..from + len).expect("memory of the chunk")
    }

    /// The boot information, as long as it says.
    pub(crate) fn information(&self) -> &[u8] {
        let at = self.registers.info;
        let len = u32::from_le_bytes(self.memory(at, 4).try_into().unwrap());
        self.memory(at, len as usize)
    }
}

/// A read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// Everything that is shared.
pub(crate) struct World {
    pub(crate) calls: Cell<usize>,
    pub(crate) fail_at: Cell<Option<usize>>,
    /// Name of the call that failed on purpose.
    pub(crate) failed: Cell<Option<&'static str>>,
    pub(crate) pending: RefCell<Option<Fault>>,
    /// Number of the read that gives half of what it should, and behind which
    /// its file ends.
    pub(crate) cut_at: Cell<Option<usize>>,
    buffers: Cell<usize>,
    pub(crate) files: Cell<usize>,
    pub(crate) relocators: Cell<usize>,
    /// Bytes of heap now, and the most there ever were.
    pub(crate) heap: Cell<usize>,
    pub(crate) heap_peak: Cell<usize>,
    /// Bytes of all chunks there ever were.
    pub(crate) granted: Cell<u64>,
    /// How often the loader has taken heap memory in hand: once for each
    /// record of a table that it reads or writes.
    pub(crate) touches: Cell<usize>,
    /// Firmware services have ended: nothing may be asked any more.
    pub(crate) ended: Cell<bool>,
    pub(crate) reads: RefCell<Vec<Read>>,
    pub(crate) started: RefCell<Option<Started>>,
    pub(crate) ranges: RefCell<Vec<Range>>,
    /// Firmware takes another page for itself each time the map is read.
    pub(crate) map_grows: Cell<bool>,
    pub(crate) finds: Cell<Finds>,
    pub(crate) low: RefCell<Option<Low>>,
    /// Bytes that GRUB's relocator keeps for good: it finds room for them
    /// first, then no target, and forgets them.
    pub(crate) lost: Cell<u64>,
}

impl World {
    pub(crate) fn new(ranges: &[Range]) -> Self {
        Self {
            calls: Cell::new(0),
            fail_at: Cell::new(None),
            failed: Cell::new(None),
            pending: RefCell::new(None),
            cut_at: Cell::new(None),
            buffers: Cell::new(0),
            files: Cell::new(0),
            relocators: Cell::new(0),
            heap: Cell::new(0),
            heap_peak: Cell::new(0),
            granted: Cell::new(0),
            touches: Cell::new(0),
            ended: Cell::new(false),
            reads: RefCell::new(Vec::new()),
            started: RefCell::new(None),
            ranges: RefCell::new(ranges.to_vec()),
            map_grows: Cell::new(false),
            finds: Cell::new(Finds::Direct),
            low: RefCell::new(None),
            lost: Cell::new(0),
        }
    }

    /// Counts a fallible call, and fails it if its number is up.
    pub(crate) fn call(&self, name: &'static str) -> Outcome {
        assert!(!self.ended.get(), "{name} without firmware");
        self.call_at_last(name)
    }

    /// The same for the one call that comes after the firmware's end.
    pub(crate) fn call_at_last(&self, name: &'static str) -> Outcome {
        let pending = self.pending.borrow();
        assert!(pending.is_none(), "{name} in spite of {pending:?}");
        drop(pending);
        let number = self.calls.replace(self.calls.get() + 1);
        if self.fail_at.get() == Some(number) {
            self.failed.set(Some(name));
            return Err(self.grub_error(name));
        }
        Ok(())
    }

    /// Firmware takes a page for itself, in the middle of the largest free
    /// range: far from all small kernels and their modules.
    pub(crate) fn take_page(&self) {
        let mut ranges = self.ranges.borrow_mut();
        let free = ranges.iter().enumerate().filter(|(_, r)| r.kind == FREE);
        let largest = free.max_by_key(|(_, r)| r.end - r.start);
        let (index, &Range { start, end, .. }) = largest.expect("free memory");
        let middle = (start + end) / 2;
        let middle = middle - middle % 0x1000;
        let split = [
            range(start, middle, FREE),
            range(middle, middle + 0x1000, RESERVED),
            range(middle + 0x1000, end, FREE),
        ];
        ranges.splice(index..=index, split);
    }

    /// Sets GRUB's error.
    pub(crate) fn grub_error(&self, name: &'static str) -> Failed {
        *self.pending.borrow_mut() = Some(Fault::Grub(name));
        Failed
    }

    /// Buffers, files and relocators that were not given back.
    pub(crate) fn handed_out(&self) -> (usize, usize, usize) {
        assert_eq!(self.heap.get() == 0, self.buffers.get() == 0);
        (self.buffers.get(), self.files.get(), self.relocators.get())
    }

    /// Memory of these types, first byte and end of each range; ranges are in
    /// order, and those that touch are one.
    pub(crate) fn merged(&self, kinds: &[u32]) -> Vec<(u64, u64)> {
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for range in self.ranges.borrow().iter() {
            match merged.last_mut() {
                _ if !kinds.contains(&range.kind) => {}
                Some(last) if last.1 == range.start => last.1 = range.end,
                _ => merged.push((range.start, range.end)),
            }
        }
        merged
    }

    /// Tells whether a kernel may have this memory.
    pub(crate) fn is_usable(&self, start: u64, len: u64) -> bool {
        let usable = self.merged(&[FREE, SERVICES]);
        let inside = |range: &(u64, u64)| range.0 <= start && start + len <= range.1;
        start >= 0x1000 && usable.iter().any(inside)
    }

    /// Front to back, and nothing twice, in every open file.
    pub(crate) fn reads_ascend(&self, name: &str) -> bool {
        let mut end = 0;
        self.reads
            .borrow()
            .iter()
            .filter(|r| r.name == name)
            .all(|read| {
                let ascends = read.offset >= end;
                end = read.offset + read.len as u64;
                ascends
            })
    }
}

/// Adds to a counter.
pub(crate) fn count(cell: &Cell<usize>, step: isize) {
    let new = cell.get().checked_add_signed(step);
    cell.set(new.expect("given back once"));
}

/// Heap memory; zeroes may stand in it although GRUB's heap has none.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    world: Rc<World>,
}

/// More heap than GRUB has.
const HEAP: usize = 64 << 20;

impl Buffer {
    pub(crate) fn new(world: &Rc<World>, len: usize) -> Outcome<Self> {
        world.call("heap")?;
        let heap = world.heap.get().saturating_add(len.max(1));
        if heap > HEAP {
            return Err(world.grub_error("full heap"));
        }
        world.heap.set(heap);
        world.heap_peak.set(world.heap_peak.get().max(heap));
        count(&world.buffers, 1);
        Ok(Self {
            bytes: vec![0; len],
            world: world.clone(),
        })
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        count(&self.world.touches, 1);
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        count(&self.world.touches, 1);
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        count(&self.world.buffers, -1);
        let len = self.bytes.len().max(1);
        self.world.heap.set(self.world.heap.get() - len);
    }
}
