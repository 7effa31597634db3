// SPDX-License-Identifier: GPL-3.0-or-later
//! What a command costs, and what it may cost.

use super::Fake;
use super::images;
use super::world::Fault;
use mb2::error::{Error, Kind};
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{Class, ImageBuilder};

/// Behind the contents of images with many headers.
pub(crate) const FAR: u64 = 0x10_0000;

/// Most chunks of an image.
pub(crate) const CHUNKS: usize = 256;

/// As many headers as 16 bits count without help, beside a few others.
pub(crate) const MANY: usize = 0xfef0;

/// What a command has cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Accesses to tables.
    pub(crate) touches: usize,
    /// Calls of GRUB, and bytes read.
    pub(crate) calls: usize,
    pub(crate) read: usize,
    /// Most bytes of heap at a time.
    pub(crate) heap: usize,
}

/// Loads a kernel.
pub(crate) fn load(mut fake: Fake, file: &[u8]) -> (Result<(), Kind>, Cost) {
    let outcome = fake.load(file).map_err(|fault| match fault {
        Fault::Ours(Error { kind, .. }) => kind,
        other => panic!("{other:?}"),
    });
    let world = &fake.world;
    let cost = Cost {
        touches: world.touches.get(),
        calls: world.calls.get(),
        read: world.reads.borrow().iter().map(|read| read.len).sum(),
        heap: world.heap_peak.get(),
    };
    assert!(outcome.is_ok() || fake.empty());
    assert!(fake.balanced());
    (outcome, cost)
}

impl Cost {
    /// The bound for a table of `count` headers of `len` bytes each. Heap: the
    /// table twice, and a record of 20 bytes for each header. Accesses: what it
    /// takes to sort the records twice, and some passes over them. Calls: two
    /// for each header. Bytes: the file twice.
    #[track_caller]
    pub(crate) fn assert_bounded(&self, (count, len): (usize, usize), file: &[u8]) {
        let levels = count.next_power_of_two().ilog2() as usize;
        let bounds = [
            (self.touches, 2000 + count * (10 * levels + 20)),
            (self.calls, 40 + 2 * count),
            (self.read, 2 * file.len()),
            (self.heap, 0x1_0000 + count * (2 * len + 20)),
        ];
        let inside = bounds.iter().all(|(cost, bound)| cost <= bound);
        assert!(inside, "{count}: {self:?}: {bounds:?}");
    }

    /// The bound for an image of as many chunks as there may be: what each
    /// costs hangs on the others and on the map, not on the file.
    #[track_caller]
    pub(crate) fn assert_few_chunks(&self) {
        assert!(self.calls <= 40 + 5 * CHUNKS, "{self:?}");
        let touches = CHUNKS * (600 + 60 * CHUNKS);
        assert!(self.touches <= touches, "{touches}: {self:?}");
    }
}

/// Loads a growing number of headers, up to what 16 bits count, and holds
/// each load against the bound.
#[track_caller]
pub(crate) fn grows(headers: fn(Class, usize) -> ImageBuilder, expected: Result<(), Kind>) {
    for (class, count) in [
        (Class::Elf32, CHUNKS + 1),
        (Class::Elf64, 4096),
        (Class::Elf32, MANY),
    ] {
        let file = images::bytes(&headers(class, count));
        let (outcome, cost) = load(Fake::bios(), &file);
        assert_eq!(outcome, expected, "{class:?} {count}");
        cost.assert_bounded((count, class.shdr_len()), &file);
    }
}

/// A small image whose program headers are out of the way.
pub(crate) fn small(class: Class) -> ImageBuilder {
    let mut image = images::elf(class, &HeaderBuilder::new());
    image.phdr_at = Some(FAR);
    image
}
