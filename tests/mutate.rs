// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels with a few wrong numbers in them, the same ones in every run: each
//! is loaded as the reference says, or refused without a trace.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::images::{self, BASE, CLASSES, relocatable, with_sections};
use common::information::find;
use common::reference::{self, Meaning};
use common::world::Fault;
use mb2::error::Kind;
use mb2_testkit::bytes::{put, put_number, u32_at};
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::Numbering;

/// Images per run.
const RUNS: u64 = 6000;

/// Free memory that a kernel may leave too little of for the rest: sections,
/// boot information.
const LARGE: u128 = 0xc0_0000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A good file, and where its numbers are: positions and widths.
struct Seed {
    file: Vec<u8>,
    numbers: Vec<(usize, usize)>,
}

fn numbers(start: usize, len: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (start..start + len)
        .step_by(width)
        .map(move |at| (at, width))
}

fn seeds() -> Vec<Seed> {
    let requests = Tag::InformationRequest(vec![1, 6, 9, 21]);
    let plain = HeaderBuilder::new()
        .optional(requests)
        .tag(Tag::Console(3))
        .tag(Tag::ModuleAlignment);
    let mut seeds = Vec::new();
    for header in [
        plain.clone(),
        plain
            .clone()
            .tag(relocatable(0x10_0000, 0x300_0000, 0x1000, 1)),
        plain
            .clone()
            .tag(relocatable(0, u32::MAX, 0x20_0000, 2))
            .tag(Tag::Framebuffer(640, 480, 0)),
        plain.clone().tag(Tag::Entry(BASE + 0x20)),
    ] {
        for class in CLASSES {
            for more in [false, true] {
                let mut image = images::elf(class, &header);
                if more {
                    image = with_sections(image);
                    image.numbering = Numbering {
                        names: true,
                        ..Numbering::default()
                    };
                }
                let built = image.build().unwrap();
                let (ehdr, phdr) = (class.ehdr_len(), class.phdr_len());
                let mut all: Vec<_> = numbers(16, ehdr - 16, 2).collect();
                all.extend(numbers(ehdr, 2 * phdr, 4));
                all.extend(numbers(
                    built.segment_offsets[0] as usize,
                    header.build().len(),
                    4,
                ));
                if more {
                    let count = built.section_offsets.len();
                    all.extend(numbers(
                        built.shdr_offset as usize,
                        count * class.shdr_len(),
                        4,
                    ));
                }
                seeds.push(Seed {
                    file: built.bytes,
                    numbers: all,
                });
            }
        }
    }
    for (implied, tag) in [
        (false, None),
        (true, Some(relocatable(0, 0x200_0000, 16, 1))),
    ] {
        let header = tag.into_iter().fold(plain.clone(), HeaderBuilder::tag);
        let mut flat = images::flat(header);
        flat.implied_load = implied;
        flat.header_offset = 0x40;
        flat.load_offset = if implied { 0 } else { 0x20 };
        flat.explicit_load_end = true;
        flat.mem_len = Some(0x4000);
        let numbers = numbers(0x40, 0xa0, 4).collect();
        seeds.push(Seed {
            file: flat.build(),
            numbers,
        });
    }
    seeds
}

fn mutate(seed: &Seed, random: &mut Random) -> Vec<u8> {
    let mut file = seed.file.clone();
    for _ in 0..=random.below(3) {
        let (at, width) = random.pick(&seed.numbers);
        if at + width > file.len() {
            continue;
        }
        let width = random.pick(&[width, width, width, 1, 8]);
        let old = u64::from(u32_at(&file, at).unwrap_or(0));
        let some = random.next();
        let value = match random.below(10) {
            0 => random.pick(&[0, 1, 2, 3, 7, 8, 9, 16, 24, 31, 32, 56, 63, 64]),
            1 => random.pick(&[0xff, 0xfffe, 0xffff, 0x7fff, 0x8000, 0x1_0000]),
            2 => random.pick(&[0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff, u64::MAX]),
            3 => file.len() as u64 - some % 9 + 4,
            4 => u64::from(BASE) + some % 0x6000,
            5 => old ^ 1 << (some % 32),
            6 => old.wrapping_add(some % 17).wrapping_sub(8),
            7 => 1 << (some % 32),
            8 => some % 0x8000,
            _ => some,
        };
        put_number(&mut file, at, value, width);
    }
    match random.below(30) {
        0 => file.truncate(random.below(seed.file.len())),
        1 => file.extend(vec![7; random.below(0x9000)]),
        2 => {
            let at = random.below(0x200) * 8;
            put(
                &mut file,
                at,
                &HeaderBuilder::new().tag(Tag::Console(2)).build(),
            );
        }
        _ => {}
    }
    // Most checksums are put right, or nothing behind them would be seen.
    let header = (0..file.len().saturating_sub(16)).step_by(8);
    let header = header
        .into_iter()
        .find(|&at| file[at..].starts_with(&[0xd6, 0x50, 0x52, 0xe8]));
    if let Some(at) = header.filter(|_| random.below(20) > 0) {
        let word = |i| u32_at(&file, at + i).unwrap_or(0);
        let sum = word(0).wrapping_add(word(4)).wrapping_add(word(8));
        put_number(&mut file, at + 12, sum.wrapping_neg().into(), 4);
    }
    file
}

/// The kernel started as the reference says.
fn check(fake: &mut Fake, meaning: &Meaning, file: &[u8]) {
    let loaded = fake.loaded.as_ref().unwrap().kernel.loaded;
    assert_eq!(u128::from(loaded.load_base), meaning.base);
    let started = fake.boot().unwrap();
    let slide = |link: u128| (link - meaning.link_base + meaning.base) as u32;
    assert_eq!(started.registers.entry, slide(meaning.entry.unwrap()));
    let mut others = started.chunks.len();
    if meaning.moves {
        let mut image = vec![0; meaning.size as usize];
        for (at, bytes) in &meaning.parts {
            put(&mut image, (at - meaning.link_base) as usize, bytes);
        }
        assert!(started.chunks[&slide(meaning.link_base)] == image);
        others -= 1;
    } else {
        for (at, bytes) in &meaning.parts {
            assert!(started.chunks[&slide(*at)] == *bytes);
        }
        others -= meaning.parts.len();
    }
    let tag = find(started.information(), 9);
    let stride = u32_at(tag, 12).unwrap() as usize;
    for (number, bytes, align) in &meaning.sections {
        let field = if file[4] == 1 { 12 } else { 16 };
        let address = u32_at(tag, 20 + *number as usize * stride + field).unwrap();
        assert_eq!(u128::from(address) % align, 0);
        assert!(started.memory(address, bytes.len()) == bytes);
    }
    // Nothing else was reserved but sections and the information.
    assert!(others <= meaning.sections.len() + 2, "{others} chunks");
    let mut end = 0;
    for (&start, bytes) in &started.chunks {
        assert!(u64::from(start) >= end, "chunks overlap at {start:#x}");
        end = u64::from(start) + bytes.len() as u64;
    }
}

/// One file on a fresh machine; tells whether it was loaded.
fn run(file: &[u8]) -> bool {
    let meaning = reference::read(file);
    let mut fake = Fake::bios();
    fake.world.ranges.borrow_mut()[2].end = reference::HIGH.1 as u64;
    let outcome = fake.load(file);
    let peak = fake.world.heap_peak.get();
    assert!(peak < 4 * file.len() + 0x2_0000, "{peak:#x} bytes of heap");
    let read: usize = fake.world.reads.borrow().iter().map(|r| r.len).sum();
    assert!(read < 0x200_0000, "{read:#x} bytes read");
    let large = |m: &Meaning| m.size > LARGE || m.sections.iter().any(|s| s.2 > 0x10_0000);
    match (outcome, &meaning) {
        (Ok(()), Some(meaning)) => {
            check(&mut fake, meaning, file);
            assert!(fake.balanced());
            return true;
        }
        (Ok(()), None) => panic!("loaded in spite of the reference"),
        (Err(Fault::Ours(error)), Some(meaning)) => {
            let room = error.kind == Kind::NoRoom && large(meaning);
            assert!(room, "refused in spite of the reference: {error:?}");
        }
        (Err(Fault::Ours(_)), None) => {}
        (Err(other), _) => panic!("{other:?}"),
    }
    assert!(fake.empty());
    false
}

#[test]
fn mutated_kernels_are_loaded_as_the_reference_says_or_refused() {
    let seeds = seeds();
    assert!(seeds.iter().all(|seed| run(&seed.file)));
    let mut random = Random(0x6d62_3200_7465_7374);
    let mut loaded = 0;
    for number in 0..RUNS {
        let seed = random.below(seeds.len());
        let file = mutate(&seeds[seed], &mut random);
        let file = std::panic::AssertUnwindSafe(&file);
        let outcome = std::panic::catch_unwind(|| run(&file));
        match outcome {
            Ok(good) => loaded += u64::from(good),
            Err(panic) => {
                eprintln!("image {number} of seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Both ways are trodden.
    assert!(
        loaded > RUNS / 5 && loaded < RUNS * 4 / 5,
        "{loaded} loaded"
    );
}
