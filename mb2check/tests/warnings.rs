// SPDX-License-Identifier: GPL-3.0-or-later
//! Warnings about other loaders. The test kit finds by itself what is odd about a kernel;
//! its findings were compared with GRUB's C loader over thousands of kernels.

use std::collections::BTreeMap;

use mb2::params::Firmware;
use mb2_testkit::differ::{self, Case, Oddity, Terrain, oddities};
use mb2_testkit::header::{HeaderBuilder, Relocatable, Tag};
use mb2_testkit::image::{Class, ImageBuilder, Segment};
use mb2_testkit::random::{Ground, Random, kernel, mutate};
use mb2check::check::{Commands, check};
use mb2check::host::Setup;
use mb2check::input::{Input, Packing};
use mb2check::memory::{Map, Range, Sort};
use mb2check::report::Report;

const BASE: u32 = 0x40_0000;

/// Free memory.
const USABLE: [(u64, u64); 3] = [
    (0x1000, 0xa_0000),
    (0x10_0000, 0x200_0000),
    (0xffff_f000, 1 << 32),
];

/// What a warning says, and the oddities that it is for.
const WARNINGS: [(&str, &[Oddity]); 14] = [
    ("does not know tag 8", &[Oddity::Efi32Entry]),
    ("SMBIOS", &[Oddity::SmbiosRequest]),
    (
        "keeps boot services",
        &[Oddity::NoServicesEntry, Oddity::BesideEfi32],
    ),
    ("computes a wrong size", &[Oddity::FlatImplied]),
    ("in the first 32 KiB", &[Oddity::FarPrograms]),
    (
        "does not look up the counts",
        &[
            Oddity::ManyPrograms,
            Oddity::ManySections,
            Oddity::NameIndex,
        ],
    ),
    ("which ends at 4 GiB", &[Oddity::SegmentTop]),
    ("counts the empty segment", &[Oddity::EmptySegment]),
    ("files with relocations", &[Oddity::Relocations]),
    ("for the section table", &[Oddity::SectionsNowhere]),
    ("whoever has the entry", &[Oddity::EntryByTag]),
    (
        "from a header that is not loaded",
        &[Oddity::EntryElsewhere],
    ),
    ("reads section", &[Oddity::EmptySection]),
    ("of alignment 0", &[Oddity::SectionAlign0]),
];

fn report(bytes: &[u8], firmware: Firmware, packing: Option<Packing>) -> Report {
    // With the highest page below 4 GiB, so that an image can end there.
    let range = |start, end| Range {
        start,
        end,
        sort: Sort::Available,
    };
    let map = Map::new(USABLE.map(|(start, end)| range(start, end)).to_vec());
    let input = Input {
        name: "k".to_owned(),
        bytes: bytes.into(),
        packing,
    };
    check(&input, &Setup { firmware, map }, &Commands::default())
}

fn odd(bytes: &[u8], firmware: Firmware) -> Vec<Oddity> {
    let usable = USABLE.to_vec();
    let terrain = Terrain {
        firmware: match firmware {
            Firmware::Bios => differ::Firmware::Bios,
            Firmware::Efi32 => differ::Firmware::Efi32,
            Firmware::Efi64 => differ::Firmware::Efi64,
        },
        lasting: usable.clone(),
        usable,
        direct: Some((0, 1 << 32)),
        palette: false,
        vbe_interface: true,
    };
    let case = Case {
        file: bytes,
        sized: true,
        modules: &[],
        terrain: &terrain,
    };
    oddities(&case).into_iter().collect()
}

#[test]
fn warnings_are_for_what_is_odd_and_nothing_else() {
    let mut random = Random::of(0x7761_726e);
    let mut seen = BTreeMap::new();
    for number in 0..6000 {
        let ground = Ground {
            base: BASE,
            efi64: number % 2 == 0,
        };
        let mut file = kernel(&mut random, &ground).unwrap();
        if number % 3 == 0 {
            mutate(&mut file, &mut random, BASE);
        }
        let firmware = random.pick(&[Firmware::Bios, Firmware::Efi32, Firmware::Efi64]);
        let report = report(&file, firmware, None);
        if !report.loads {
            continue;
        }
        let odd = odd(&file, firmware);
        for (text, reasons) in WARNINGS {
            let warned = report.warnings.iter().any(|note| note.text.contains(text));
            let is = reasons.iter().any(|reason| odd.contains(reason));
            assert_eq!(warned, is, "kernel {number}: {text}: {:?}", report.warnings);
            *seen.entry(text).or_insert(0) += u32::from(warned);
        }
    }
    let unseen: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
    // Rare in random kernels; `bounds` has them.
    let rare = ["in the first 32 KiB", "which ends at 4 GiB"];
    assert!(
        unseen.iter().all(|(text, _)| rare.contains(text)),
        "{unseen:?}"
    );
}

/// A kernel without sections.
fn image(base: u64, header: &HeaderBuilder) -> ImageBuilder {
    let mut data = header.build();
    data.resize(0x1000, 0x90);
    let mut image = ImageBuilder::new(Class::Elf64).segment(Segment::load(base, data));
    image.entry = base + 0x800;
    image
}

fn texts(bytes: &[u8]) -> Vec<(Option<u64>, String)> {
    let report = report(bytes, Firmware::Bios, None);
    assert!(report.loads, "{:?}", report.refusal);
    let notes = report.warnings.into_iter();
    notes.map(|note| (note.offset, note.text)).collect()
}

#[test]
fn bounds() {
    let plain = HeaderBuilder::new();
    let has = |bytes: &[u8], offset, text: &str| {
        let all = texts(bytes);
        let is = |(at, found): &(Option<u64>, String)| *at == Some(offset) && found.contains(text);
        assert!(all.iter().any(is), "{all:?}");
    };
    let base = u64::from(BASE);
    let mut far = image(base, &plain);
    far.phdr_at = Some(0x9000);
    has(&far.build().unwrap().bytes, 32, "they end at 0x9038");
    let top = image((1 << 32) - 0x1000, &plain).build().unwrap();
    has(&top.bytes, top.phdr_offset + 24, "which ends at 4 GiB");
    has(
        &image(base, &plain).build().unwrap().bytes,
        40,
        "without a section table",
    );
    let high = Tag::Relocatable(Relocatable {
        min: 0,
        max: u32::MAX,
        align: 0x1000,
        preference: 2,
    });
    let high = image(base, &plain.clone().tag(high)).build().unwrap();
    let tag = high.segment_offsets[0] + 16;
    has(&high.bytes, tag + 20, "lower than the highest");
    let zstd = report(&high.bytes, Firmware::Bios, Some(Packing::Zstd));
    assert!(zstd.warnings[0].text.contains("since 2.14"));
}
