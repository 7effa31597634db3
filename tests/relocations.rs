// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations of images that are moved: every form and type, and every way to
//! get them wrong.
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
use common::images::{self, BASE, CLASSES, SECOND};
use common::information::find;
use common::pies::{
    DYNAMIC, Form, JMPREL, JMPRELA, Pie, REL, RELA, RELR, SYMBOLS, base, start, with_table_first,
    word,
};
use common::world::{Fault, Started};
use mb2::error::{Error, Kind};
use mb2_testkit::bytes::{noise, u32_at};
use mb2_testkit::image::{Class, Section};

const B: u64 = BASE as u64;

/// Where relocations happen, counted from the start.
const PLACE: u32 = 0x400;

/// Moves up, down, and not at all.
const PLACES: [u32; 3] = [BASE + 0xc0_0000, 0x10_0000, BASE];

#[test]
fn relative_relocations_in_every_form() {
    for (class, min) in CLASSES.into_iter().flat_map(|c| PLACES.map(|min| (c, min))) {
        for form in [REL, RELA, RELR, JMPREL, JMPRELA] {
            let mut pie = Pie {
                min,
                ..Pie::new(class)
            };
            // With addends, memory may hold anything.
            let (target, stored) = (B + 0x4321, if form.1 == 3 { 77 } else { B + 0x4321 });
            let place = B + u64::from(PLACE);
            let entry = [place, pie.info(8, 0), target];
            pie = pie.table(form, &entry[..form.1 as usize]);
            pie = pie.stores(PLACE, stored).stores(PLACE + 8, stored);
            let started = start(&pie.file(), &[]);
            assert_eq!(base(&started), min);
            let now = target.wrapping_add(pie.slide());
            assert_eq!(
                word(&started, class, PLACE),
                now,
                "{class:?} {form:?} {min:#x}"
            );
            assert_eq!(word(&started, class, PLACE + 8), stored);
        }
    }
}

#[test]
fn an_executable_that_says_it_is_a_pie_is_one() {
    for (class, flags) in CLASSES.into_iter().flat_map(|c| [(c, 0x800_0001), (c, 1)]) {
        let pie = Pie {
            shared: false,
            tags: vec![[0x6fff_fffb, flags]],
            ..Pie::new(class)
        };
        let entry = [B + u64::from(PLACE), pie.info(8, 0)];
        let pie = pie.table(REL, &entry).stores(PLACE, B);
        let started = start(&pie.file(), &[]);
        let moved = if flags > 1 { pie.slide() } else { 0 };
        assert_eq!(word(&started, class, PLACE), B + moved);
    }
}

#[test]
fn the_option_leaves_all_to_the_kernel() {
    for pie in CLASSES
        .map(Pie::new)
        .into_iter()
        .chain(CLASSES.map(Pie::kept))
    {
        let class = pie.class;
        let place = B + u64::from(PLACE);
        let entry = [place, pie.info(8, 0)];
        let pie = pie.table(REL, &entry).stores(PLACE, B + 5);
        let file = pie.file();
        let (moved, left) = (start(&file, &[]), start(&file, &["--no-elf-relocs"]));
        assert_eq!(base(&left), pie.min);
        assert_eq!(word(&left, class, PLACE), B + 5);
        assert_eq!(word(&moved, class, PLACE), B + 5 + pie.slide());
        // Section headers carry load addresses where the loader relocates.
        let headers = |started: &Started| {
            let tag = find(started.information(), 9);
            let stride = u32_at(tag, 12).unwrap() as usize;
            let at = if class == Class::Elf32 { 12 } else { 16 };
            [1, 2].map(|i| u32_at(tag, 20 + i * stride + at).unwrap())
        };
        assert_eq!(headers(&left), [BASE, BASE + SECOND.0]);
        assert_eq!(headers(&moved), [pie.min, pie.min + SECOND.0]);
    }
}

/// Applies one relocation, of the place in the first segment, with a symbol in
/// the second one.
fn one(pie: &Pie, form: Form, [kind, symbol]: [u64; 2], numbers: [u64; 2]) -> Result<u64, Kind> {
    let [stored, addend] = numbers;
    let entry = [B + u64::from(PLACE), pie.info(kind, symbol), addend];
    let pie = pie
        .clone()
        .table(form, &entry[..form.1 as usize])
        .stores(PLACE + 8, 0x1111_1111_2222_2222)
        .stores(PLACE, stored);
    let mut fake = Fake::bios();
    match fake.load(&pie.file()) {
        Ok(()) => {
            let started = fake.boot().unwrap();
            assert_eq!(
                u32_at(started.memory(pie.min + PLACE + 8, 4), 0),
                Some(0x2222_2222)
            );
            Ok(word(&started, pie.class, PLACE))
        }
        Err(Fault::Ours(Error { kind, values })) => {
            assert!(fake.empty());
            if kind != Kind::RelocationTable {
                let table = if pie.dynamic { form.0[0] } else { 4 };
                assert_eq!(
                    values[..4],
                    [table, 0, entry[1] & 0xff, entry[0]],
                    "{kind:?}"
                );
            }
            Err(kind)
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Kernels of both sorts with both forms.
fn sorts(class: Class) -> Vec<(Pie, Form)> {
    let pies = [Pie::new, Pie::kept].into_iter();
    pies.flat_map(|pie| [REL, RELA].map(|form| (pie(class), form)))
        .collect()
}

#[test]
fn types_of_32_bit_files() {
    for (pie, form) in sorts(Class::Elf32) {
        let target = B + u64::from(SECOND.0) + 8;
        let pie = Pie {
            symbols: vec![(target, 1), (0x1234, 0xfff1), (0, 0)],
            ..pie
        };
        let d = pie.slide();
        let rela = form == RELA;
        let cut = |n: u64| n % (1 << 32);
        let apply = |kind, symbol, numbers| one(&pie, form, [kind, symbol], numbers);
        // What memory holds where the addend is in the table: a sum, or anything.
        let stored = |sum: u64| if rela { 99 } else { sum };
        assert_eq!(apply(0, 9, [5, 6]), Ok(5));
        assert_eq!(apply(1, 1, [stored(target + 6), 6]), Ok(target + 6 + d));
        assert_eq!(apply(1, 0, [stored(target), target]), Ok(target + d));
        assert_eq!(apply(1, 2, [stored(0x1240), 0xc]), Ok(0x1240));
        assert_eq!(apply(1, 3, [stored(7), 7]), Ok(7));
        assert_eq!(apply(8, 0, [stored(target), target]), Ok(target + d));
        // The symbol of a relative one does not count.
        assert_eq!(apply(8, 2, [stored(target), target]), Ok(target + d));
        let near = cut(target.wrapping_sub(B + u64::from(PLACE)));
        for kind in [2, 4] {
            assert_eq!(apply(kind, 1, [near, 0]), Ok(near));
            // Absolute ends stay where they are, and the place moves.
            assert_eq!(apply(kind, 2, [50, 0]), Ok(cut(50u64.wrapping_sub(d))));
        }
        for kind in [3, 5, 6, 7, 9, 10, 11, 20, 23, 24, 42, 255] {
            assert_eq!(apply(kind, 1, [5, 6]), Err(Kind::RelocationType), "{kind}");
        }
        if !pie.dynamic {
            assert_eq!(apply(1, 4, [5, 6]), Err(Kind::RelocationOutside));
        }
        assert_eq!(apply(1, 0xff_ffff, [5, 6]), Err(Kind::RelocationOutside));
    }
}

#[test]
fn types_of_64_bit_files() {
    for (pie, form) in sorts(Class::Elf64) {
        let target = B + u64::from(SECOND.0) + 8;
        let pie = Pie {
            symbols: vec![
                (target, 1),
                (0x1234, 0xfff1),
                (0, 0),
                (u64::MAX - 9, 0xfff1),
            ],
            ..pie
        };
        let d = pie.slide();
        let rela = form == RELA;
        let apply = |kind, symbol, numbers| one(&pie, form, [kind, symbol], numbers);
        let high = 0xabcd_0000_0000_0000;
        let stored = |sum: u64| if rela { high } else { sum };
        let half = |sum: u64| if rela { high } else { (sum % (1 << 32)) | high };
        assert_eq!(apply(0, 9, [5, 6]), Ok(5));
        for (kind, symbol) in [(1, 1), (8, 0), (8, 1)] {
            let addend = if kind == 1 { 6 } else { target + 6 };
            assert_eq!(
                apply(kind, symbol, [stored(target + 6), addend]),
                Ok(target + 6 + d)
            );
        }
        assert_eq!(apply(1, 2, [stored(0x1240), 0xc]), Ok(0x1240));
        assert_eq!(apply(1, 3, [stored(7), 7]), Ok(7));
        // Four bytes change, and the next four do not.
        for kind in [10, 11] {
            assert_eq!(
                apply(kind, 1, [half(target + 6), 6]),
                Ok(high | (target + 6 + d))
            );
            assert_eq!(
                apply(kind, 0, [half(target), target]),
                Ok(high | (target + d))
            );
        }
        let near = target.wrapping_sub(B + u64::from(PLACE));
        for kind in [2, 4] {
            assert_eq!(apply(kind, 1, [high | near, 0]), Ok(high | near));
            let now = 0x1000_0000u64.wrapping_sub(d);
            assert_eq!(apply(kind, 2, [high | 0x1000_0000, 0]), Ok(high | now));
            // Below the lowest number of 32 bits with a sign.
            assert_eq!(
                apply(kind, 2, [high | 0x8000_0000, 0]),
                Err(Kind::RelocationFit)
            );
        }
        assert_eq!(apply(24, 1, [near, 0]), Ok(near));
        assert_eq!(apply(24, 2, [50, 0]), Ok(50u64.wrapping_sub(d)));
        // A sign or no sign.
        if rela {
            assert_eq!(apply(10, 2, [high, 0xffff_edcb]), Ok(high | 0xffff_ffff));
            assert_eq!(apply(10, 2, [high, 0xffff_edcc]), Err(Kind::RelocationFit));
            assert_eq!(apply(10, 4, [high, 0]), Err(Kind::RelocationFit));
            assert_eq!(apply(11, 2, [high, 0x7fff_edcb]), Ok(high | 0x7fff_ffff));
            assert_eq!(apply(11, 2, [high, 0x7fff_edcc]), Err(Kind::RelocationFit));
            assert_eq!(apply(11, 4, [high, 0]), Ok(high | 0xffff_fff6));
        } else {
            assert_eq!(
                apply(11, 4, [high | 0x8000_0000, 0]),
                Ok(high | 0x8000_0000)
            );
        }
        for kind in [3, 5, 6, 7, 9, 12, 23, 25, 37, 41, 42, 0xff] {
            assert_eq!(apply(kind, 1, [5, 6]), Err(Kind::RelocationType), "{kind}");
        }
        if !pie.dynamic {
            assert_eq!(apply(1, 5, [5, 6]), Err(Kind::RelocationOutside));
        }
        assert_eq!(apply(1, 0xffff_ffff, [5, 6]), Err(Kind::RelocationOutside));
    }
}

#[test]
fn relr_tells_places_by_address_and_by_bits() {
    for class in CLASSES {
        let pie = Pie::new(class);
        let (len, bits) = (pie.word() as u64, 8 * pie.word() as u32 - 1);
        let at = |n: u64| B + u64::from(PLACE) + n * len;
        let all = u64::MAX >> (64 - bits - 1);
        // The first, all behind it, and of those behind them only the last.
        let entries = [at(0), all, 1 << bits | 1];
        let mut pie = pie.table(RELR, &entries);
        let bits = u64::from(bits);
        for n in 0..=2 * bits {
            pie = pie.stores(PLACE + (n * len) as u32, B + n);
        }
        assert!(at(2 * bits) < B + DYNAMIC as u64);
        let started = start(&pie.file(), &[]);
        for n in 0..=2 * bits {
            let moved = if n <= bits || n == 2 * bits {
                pie.slide()
            } else {
                0
            };
            let found = word(&started, class, PLACE + (n * len) as u32);
            assert_eq!(found, B + n + moved, "{class:?} {n}");
        }
    }
}

/// A kernel whose second segment is seen in the upper half.
fn mapped(pie: Pie) -> (Pie, u64, u64) {
    let mapped = if pie.class == Class::Elf32 {
        0xc000_0000
    } else {
        0xffff_ffff_8000_0000
    };
    let seen = (B + u64::from(SECOND.0)).wrapping_add(mapped);
    let pie = Pie {
        mapped,
        symbols: vec![(B + 4, 1), (seen + 4, 2)],
        ..pie
    };
    (pie, B + 4, seen + 4)
}

#[test]
fn a_reference_to_a_mapped_segment_stays() {
    for class in CLASSES {
        for (pie, form) in [(Pie::new(class), REL), (Pie::kept(class), RELA)] {
            let (pie, low, high) = mapped(pie);
            let stored = |n| if form == RELA { 3 } else { n };
            let apply = |symbol, n| one(&pie, form, [1, symbol], [stored(n), 0]);
            assert_eq!(apply(1, low), Ok(low + pie.slide()));
            assert_eq!(apply(2, high), Ok(high));
            // In no segment at all, and segments do not agree.
            let wild = [if form == RELA { 3 } else { 0x100 }, 0x100];
            assert_eq!(one(&pie, form, [1, 0], wild), Err(Kind::RelocationOutside));
            // A distance to the other segment is wrong as soon as one end moves.
            if (class, form) == (Class::Elf32, REL) {
                // Without a symbol, the place and the distance name the target.
                let distance = (high - B - u64::from(PLACE)) % (1 << 32);
                let now = one(&pie, form, [2, 0], [distance, 0]);
                assert_eq!(now, Ok(distance - pie.slide()));
            }
            let far = one(&pie, form, [2, 2], [0x1000_0000, 0]).unwrap();
            assert_eq!(far, 0x1000_0000 - pie.slide());
        }
    }
}

#[test]
fn a_place_in_a_mapped_segment_is_found_by_its_virtual_address() {
    for class in CLASSES {
        let (pie, low, high) = mapped(Pie::new(class));
        let entries = [high, pie.info(8, 0), high + 8, pie.info(8, 0)];
        let at = SECOND.0 + 4;
        let pie = pie
            .table(REL, &entries)
            .stores(at, low)
            .stores(at + 8, high);
        let started = start(&pie.file(), &[]);
        assert_eq!(word(&started, class, at), low + pie.slide());
        assert_eq!(word(&started, class, at + 8), high);
        // Only sections that are seen where they lie are told to have moved.
        let tag = find(started.information(), 9);
        let stride = u32_at(tag, 12).unwrap() as usize;
        let addr = |i| {
            u32_at(
                tag,
                20 + i * stride + if class == Class::Elf32 { 12 } else { 16 },
            )
        };
        assert_eq!(addr(1), Some(pie.min));
        assert_eq!(addr(2), Some((high - 4) as u32));
    }
}

#[test]
fn kept_relocations_are_read_where_the_tail_has_them() {
    for class in CLASSES {
        let pie = Pie::kept(class);
        let entries = [B + u64::from(PLACE), pie.info(1, 1)];
        let mut pie = pie.table(REL, &entries).stores(PLACE, B + 5);
        pie.symbols.push((B, 1));
        let image = pie
            .image()
            .section(Section::loose(".debug", noise(2, 0x1_2345)));
        let mut fake = Fake::bios();
        fake.load(&images::bytes(&image)).unwrap();
        assert!(fake.world.reads_ascend("/kernel"), "{class:?}");
        let started = fake.boot().unwrap();
        assert_eq!(word(&started, class, PLACE), B + 5 + pie.slide());
    }
}

#[test]
fn kept_relocations_are_found_anywhere_in_the_file() {
    for class in CLASSES {
        let pie = Pie::kept(class);
        let entries = [B + u64::from(PLACE), pie.info(1, 1)];
        let mut pie = pie.table(REL, &entries).stores(PLACE, B + 5);
        pie.symbols.push((B, 1));
        // The table of sections lies before the segments, so there is no tail.
        let image = with_table_first(pie.image());
        let started = start(&images::bytes(&image), &[]);
        assert_eq!(word(&started, class, PLACE), B + 5 + pie.slide());
    }
}

#[test]
fn symbols_of_the_dynamic_section_lie_in_the_image() {
    for class in CLASSES {
        let mut pie = Pie::new(class);
        pie.symbols.push((B + 8, 1));
        let entries = [B + 0x400, pie.info(1, 1), 4];
        let pie = pie.table(RELA, &entries);
        let started = start(&pie.file(), &[]);
        assert_eq!(word(&started, class, 0x400), B + 12 + pie.slide());
        let moved = Pie {
            tags: vec![[6, 0x10]],
            ..pie
        };
        Fake::bios().refuses(&moved.file(), Kind::RelocationOutside);
        assert_ne!(SYMBOLS, 0x10);
    }
}
