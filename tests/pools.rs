// SPDX-License-Identifier: GPL-3.0-or-later
//! Chunks that small things share: what they save, what they may waste, and
//! that nobody notices.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, LOW_BASE};
use common::world::{FREE, Fault, Range, Started};
use common::{Fake, New};
use mb2::error::Kind;
use mb2::params::Firmware;
use mb2_testkit::bytes::{noise, u32_at};
use mb2_testkit::dump::Tags;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{Class, Patch, Section, Shdr};

const PAGE: usize = 0x1000;

/// Most bytes that may be wasted.
const WASTE: usize = 0x10_0000;

/// A machine with a kernel.
fn loaded(new: New) -> Fake {
    let mut fake = new();
    fake.load(&images::good_for(&fake)).unwrap();
    fake
}

const MACHINES: [New; 4] = [Fake::bios, Fake::efi32, Fake::efi64, || {
    Fake::in_place(Firmware::Efi64)
}];

/// Loads a module of `len` bytes that nobody else has.
fn load(fake: &mut Fake, seed: usize, len: usize) -> Result<(), Fault> {
    fake.store("/module", &noise(seed as u64, len));
    fake.module2(&["/module"])
}

/// Start and length of every module, whose pages are apart.
fn places(started: &Started) -> Vec<(usize, usize)> {
    let tags = Tags::new(started.information()).unwrap().flatten();
    let number = |bytes: &[u8], at| u32_at(bytes, at).unwrap() as usize;
    let list: Vec<(usize, usize)> = tags
        .filter(|tag| tag.kind == 3)
        .map(|tag| (number(tag.bytes, 8), number(tag.bytes, 12)))
        .map(|(start, end)| (start, end - start))
        .collect();
    let mut sorted = list.clone();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        let end = (pair[0].0 + pair[0].1).next_multiple_of(PAGE);
        assert!(end <= pair[1].0 && pair[1].0.is_multiple_of(PAGE));
    }
    list
}

/// Every module has its bytes, and zeroes up to the end of its page.
fn check(started: &Started, seeds: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let list = places(started);
    for (&(start, len), seed) in list.iter().zip(seeds) {
        let mut bytes = noise(seed as u64, len);
        bytes.resize(len.next_multiple_of(PAGE), 0);
        let found = started.memory(start as u32, bytes.len());
        assert!(found == bytes, "module {seed} at {start:#x}");
    }
    list
}

/// Bytes of chunks that are reserved.
fn reserved(started: &Started) -> usize {
    started.chunks.values().map(Vec::len).sum()
}

#[test]
fn small_modules_share_chunks_and_lie_where_they_would_have() {
    for new in MACHINES {
        let mut fake = loaded(new);
        for seed in 0..1000 {
            load(&mut fake, seed, PAGE - seed % 7).unwrap();
        }
        let started = fake.boot().unwrap();
        let list = check(&started, 0..1000);
        assert_eq!(list.len(), 1000);
        assert!(started.chunks.len() < 32, "{}", started.chunks.len());
        // One behind the other, except across the kernel and holes.
        let next = list.windows(2).filter(|pair| pair[0].0 + PAGE == pair[1].0);
        assert!(next.count() > 990);
        assert!(reserved(&started) < 1000 * PAGE + WASTE);
        assert!(fake.balanced());
    }
}

#[test]
fn while_there_is_room_nobody_asks_for_the_memory_map() {
    for new in MACHINES {
        let mut fake = loaded(new);
        let mut calls = Vec::new();
        for seed in 0..200 {
            let before = (fake.world.calls.get(), fake.world.granted.get());
            load(&mut fake, seed, PAGE).unwrap();
            if fake.world.granted.get() == before.1 {
                calls.push(fake.world.calls.get() - before.0);
            }
        }
        assert!(calls.len() > 180, "{}", calls.len());
        // Opening, reading, the line and its verification, and sometimes room for the tag.
        assert!(calls.iter().all(|&calls| calls <= 5), "{calls:?}");
        fake.boot().unwrap();
    }
}

#[test]
fn a_few_modules_and_large_ones_have_chunks_of_their_own() {
    let mut fake = loaded(Fake::bios);
    let sizes = [0x1000, 0x3000, 0x20_0000, 0x1000, 0x14_0000, 0x8_0000];
    for (seed, len) in sizes.into_iter().enumerate() {
        load(&mut fake, seed, len).unwrap();
    }
    let started = fake.boot().unwrap();
    for (start, len) in check(&started, 0..) {
        if len > 0x1000 {
            assert_eq!(started.chunks[&(start as u32)].len(), len);
        }
    }
}

#[test]
fn a_failing_module_gives_its_part_back() {
    for new in MACHINES {
        let mut fake = loaded(new);
        for seed in 0..20 {
            load(&mut fake, seed, PAGE).unwrap();
        }
        let granted = fake.world.granted.get();
        for _ in 0..2000 {
            fake.store("/short", &noise(0xbad, PAGE)).readable = PAGE / 2;
            let fault = fake.module2(&["/short"]).unwrap_err();
            assert!(matches!(fault, Fault::Ours(e) if e.kind == Kind::FileEnd));
        }
        assert!(fake.world.granted.get() <= granted + 20 * PAGE as u64);
        for seed in 20..30 {
            load(&mut fake, seed, PAGE).unwrap();
        }
        let started = fake.boot().unwrap();
        assert_eq!(check(&started, 0..30).len(), 30);
    }
}

#[test]
fn a_failing_module_leaves_nothing_of_itself() {
    // What is shared stays small beside what failed in it.
    for new in MACHINES {
        let mut fake = loaded(new);
        for seed in 0..20 {
            load(&mut fake, seed, PAGE).unwrap();
        }
        let noise = noise(0xbad, 2 * PAGE);
        fake.store("/short", &noise).readable = 2 * PAGE - 1;
        fake.module2(&["/short"]).unwrap_err();
        let started = fake.boot().unwrap();
        assert_eq!(check(&started, 0..20).len(), 20);
        for bytes in started.chunks.values() {
            let stale = bytes
                .windows(64)
                .any(|part| part == &noise[PAGE..PAGE + 64]);
            assert!(!stale, "a part of what failed");
        }
    }
}

#[test]
fn empty_modules_lie_nowhere_and_take_no_part() {
    for new in MACHINES {
        let [all, some] = [true, false].map(|all| {
            let mut fake = loaded(new);
            for seed in 0..120 {
                let len = if seed % 3 == 1 { 0 } else { PAGE - seed };
                if all || len > 0 {
                    load(&mut fake, seed, len).unwrap();
                }
            }
            let places = places(&fake.boot().unwrap());
            fake.world.ended.set(false);
            assert!(fake.balanced());
            places
        });
        assert_eq!(all.len(), 120);
        let (full, empty): (Vec<_>, Vec<_>) = all.into_iter().partition(|place| place.1 > 0);
        assert_eq!(full, some);
        assert_eq!(empty, vec![(0, 0); 40]);
    }
}

#[test]
fn what_modules_share_has_no_stale_byte() {
    // All memory is stale when it is handed out.
    for new in MACHINES {
        let mut fake = loaded(new);
        for seed in 0..100 {
            load(&mut fake, seed, 1 + seed * 37).unwrap();
        }
        let started = fake.boot().unwrap();
        let list = check(&started, 0..100);
        for (&at, bytes) in &started.chunks {
            let mut bytes = bytes.clone();
            if !list.iter().any(|&(start, _)| start == at as usize) {
                continue; // the kernel
            }
            for &(start, len) in &list {
                if let Some(start) = start.checked_sub(at as usize) {
                    let end = bytes.len().min(start + len);
                    bytes.get_mut(start..end).unwrap_or_default().fill(0);
                }
            }
            let info = started.registers.info;
            if let Some(start) = info.checked_sub(at) {
                let end = bytes
                    .len()
                    .min(start as usize + started.information().len());
                let told = bytes.get_mut(start as usize..end);
                told.unwrap_or_default().fill(0);
            }
            let stale = bytes.iter().position(|byte| *byte != 0);
            assert_eq!(stale, None, "in the chunk at {at:#x}");
        }
    }
}

#[test]
fn modules_of_all_sizes_waste_little() {
    let mut fake = loaded(Fake::efi64);
    let sizes = noise(5, 600);
    let len = |seed: usize| usize::from(sizes[seed]) * 300 + 1;
    let mut count = 0;
    // Until memory is full.
    while count < 600 && load(&mut fake, count, len(count)).is_ok() {
        count += 1;
    }
    assert!(count > 400, "{count}");
    fake.world.pending.take();
    let started = fake.boot().unwrap();
    let list = check(&started, 0..count);
    let pages: usize = list
        .iter()
        .map(|place| place.1.next_multiple_of(PAGE))
        .sum();
    let image = 0x1_0000;
    let room = reserved(&started) - pages;
    assert!(room < WASTE + image, "{room:#x}");
    assert!(started.chunks.len() < count / 2);
}

#[test]
fn where_no_pool_fits_single_chunks_do() {
    for new in [Fake::bios as New, Fake::efi64] {
        let mut fake = loaded(new);
        let hole = |number: u64| Range {
            start: 0x100_0000 + number * 0x1_0000,
            end: 0x100_0000 + number * 0x1_0000 + 0x3000,
            kind: FREE,
        };
        let mut ranges = vec![Range {
            start: 0x1000,
            end: 0x9_0000,
            kind: FREE,
        }];
        ranges.extend((0..100).map(hole));
        // The kernel's own memory, which has a few free pages beside it.
        let base = u64::from(images::BASE);
        ranges.extend([0x10_0000, base].map(|start| Range {
            start,
            end: start + 0x1_0000,
            kind: FREE,
        }));
        // Less than any pool, for the boot information.
        let start = 0x300_0000;
        ranges.push(Range {
            start,
            end: start + 0x7000,
            kind: FREE,
        });
        fake.world.ranges.replace(ranges);
        let count = 300;
        for seed in 0..count {
            load(&mut fake, seed, PAGE).unwrap();
        }
        assert_eq!(check(&fake.boot().unwrap(), 0..count).len(), count);
    }
}

#[test]
fn small_sections_share_chunks() {
    let mut image = images::elf_at(Class::Elf32, images::BASE, &HeaderBuilder::new());
    for seed in 0..100 {
        image = image.section(Section::loose(".s", noise(seed, 0x1100)));
        // The first byte behind a page: it may not stay where the file has it.
        image = image.patch(Patch::Shdr(seed as usize + 1, Shdr::AddrAlign, 0x1000));
    }
    let mut fake = Fake::bios();
    fake.load(&images::bytes(&image)).unwrap();
    let started = fake.boot().unwrap();
    assert!(started.chunks.len() < 40, "{}", started.chunks.len());
}

#[test]
fn the_boot_information_is_placed_again_after_a_start_that_failed() {
    let mut fake = Fake::in_place(Firmware::Efi64);
    let header = images::keeping(HeaderBuilder::new());
    let kernel = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header));
    fake.load(&kernel).unwrap();
    for seed in 0..40 {
        load(&mut fake, seed, PAGE).unwrap();
    }
    // The last call of all.
    let calls = fake.world.calls.get();
    let granted = fake.world.granted.get();
    for round in 0..64 {
        fake.fail_at(round);
        match fake.boot() {
            Ok(started) => {
                assert_eq!(check(&started, 0..40).len(), 40);
                break;
            }
            Err(_) => fake.world.fail_at.set(None),
        }
    }
    assert!(fake.world.calls.get() > calls);
    assert!(fake.world.granted.get() <= granted + 0x8_0000);
}

#[test]
fn a_pool_that_cannot_be_opened_is_done_without() {
    for new in [Fake::bios as New, Fake::efi64] {
        let (mut opened, mut single) = (0, 0);
        for call in 0..12 {
            let mut fake = loaded(new);
            for seed in 0..8 {
                load(&mut fake, seed, PAGE).unwrap();
            }
            // The next one opens the first pool.
            let granted = fake.world.granted.get();
            fake.fail_at(call);
            let outcome = load(&mut fake, 8, PAGE);
            let failed = fake.world.failed.get();
            fake.world.fail_at.set(None);
            match fake.world.granted.get() - granted {
                0 => assert!(outcome.is_err()),
                0x1000 => single += usize::from(outcome.is_ok()),
                _ => opened += 1,
            }
            let count = 8 + usize::from(outcome.is_ok());
            assert!(failed.is_some() || outcome.is_ok());
            let started = fake.boot().unwrap();
            assert_eq!(check(&started, 0..count).len(), count);
        }
        assert!(opened > 2 && single > 1, "{opened}, {single}");
    }
}
