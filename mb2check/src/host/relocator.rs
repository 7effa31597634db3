// SPDX-License-Identifier: GPL-3.0-or-later
//! A relocator with all the memory of the map.

use std::cell::RefCell;
use std::rc::Rc;

use mb2::error::{Failed, Outcome};
use mb2::params::Firmware;
use mb2::plan::placement::{FreeMemory, Request};
use mb2::platform::{HandOver, MemoryMap, Relocator, Whose};
use mb2::table::{RECORD_LEN, Table};
use mb2::units::{PhysAddr, Span};

use super::{Chunk, Events, Setup};
use crate::line::Fault;

/// Grants chunks as GRUB's does.
pub struct HostRelocator {
    setup: Setup,
    events: Rc<RefCell<Events>>,
    taken: Vec<Span>,
    /// The bytes of the first chunk once there is another, and of the last one;
    /// nobody asks for others again.
    first: Vec<u8>,
    newest: Vec<u8>,
    /// First address of the pool.
    pool: u32,
}

impl HostRelocator {
    pub(super) fn new(setup: &Setup, events: &Rc<RefCell<Events>>) -> Self {
        Self {
            setup: setup.clone(),
            events: events.clone(),
            taken: Vec::new(),
            first: Vec::new(),
            newest: Vec::new(),
            pool: 0,
        }
    }

    fn refuse(&self) -> Failed {
        self.events.borrow_mut().pending = Some(Fault::Grub("out of memory"));
        Failed
    }

    fn take(&mut self, span: Span, len: u32) -> Outcome<PhysAddr> {
        let last = std::mem::take(&mut self.newest);
        if self.first.is_empty() {
            self.first = last;
        }
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(len as usize).is_err() {
            return Err(self.refuse());
        }
        bytes.resize(len as usize, 0);
        self.newest = bytes;
        self.taken.push(span);
        self.show(&span);
        Ok(PhysAddr(span.first))
    }

    /// Takes note of who lies there.
    fn show(&self, span: &Span) {
        let mut events = self.events.borrow_mut();
        let what = events.loading.clone();
        events.chunks.push(Chunk {
            what,
            first: span.first,
            last: span.last,
        });
    }

    /// Where a request fits that the loader leaves to GRUB.
    fn find(&self, request: &Request, whose: Whose) -> Option<PhysAddr> {
        let map = self.setup.map.bytes(match whose {
            Whose::Image => MemoryMap::Usable,
            Whose::Other => MemoryMap::BesideServices,
        });
        let count = self.taken.len();
        let mut taken = Table::new(vec![0; count.saturating_mul(RECORD_LEN)]);
        for span in &self.taken {
            taken.push(span);
        }
        let buffer = vec![0; FreeMemory::<Vec<u8>>::bytes_for(&map, count)];
        FreeMemory::new(&map, Some(&taken), buffer).place(request, self.setup.firmware)
    }
}

impl Relocator for HostRelocator {
    fn alloc_at(&mut self, target: PhysAddr, len: u32) -> Outcome<PhysAddr> {
        match Span::new(target, len) {
            Some(span) if !self.taken.iter().any(|taken| taken.overlaps(&span)) => {
                self.take(span, len)
            }
            _ => Err(self.refuse()),
        }
    }

    fn alloc_in(&mut self, request: &Request, whose: Whose) -> Outcome<PhysAddr> {
        let target = self.find(request, whose);
        match target.and_then(|target| Span::new(target, request.size)) {
            Some(span) => self.take(span, request.size),
            None => Err(self.refuse()),
        }
    }

    fn newest(&mut self) -> &mut [u8] {
        &mut self.newest
    }

    fn open_pool(&mut self) {
        // Its parts are shown instead.
        if let Some(chunk) = self.events.borrow_mut().chunks.pop() {
            self.pool = chunk.first;
        }
    }

    fn share(&mut self, start: u32, len: u32) {
        self.newest = vec![0; len as usize];
        if let Some(span) = Span::new(PhysAddr(self.pool.wrapping_add(start)), len) {
            self.show(&span);
        }
    }

    fn first_and_newest(&mut self) -> (&mut [u8], &mut [u8]) {
        match self.first.is_empty() {
            true => (&mut self.newest, &mut []),
            false => (&mut self.first, &mut self.newest),
        }
    }

    fn stays(&mut self, _at: PhysAddr) -> bool {
        // Only free memory is granted, so nothing has to be moved there later.
        self.setup.firmware != Firmware::Bios
    }

    fn boot(&mut self, _registers: &HandOver) -> Outcome {
        Err(Failed) // a host prepares, and never jumps
    }
}
