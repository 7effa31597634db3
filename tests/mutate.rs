// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels with a few wrong numbers in them, the same ones in every run: each
//! does on every machine what the reference says, or is refused without a
//! trace. The fuzzer's targets (`fuzz/`) judge with the same functions.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;
mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use common::images::{self, BASE, CLASSES, LOW_BASE, keeping, relocatable, with_sections};
use common::pies::{Pie, REL};
use mb2::params::Firmware;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::Numbering;
use mb2_testkit::random::{Random, mutate};
use oracle::machine::Plan;
use oracle::memory::Memory;
use oracle::moved::Moved;
use oracle::parts::{self, Apart, Flat};
use oracle::script::{Command, Reading, SCRIPT_LEN, Script, Step};
use oracle::told::Much;
use oracle::writer::{self, Call};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Good files of all sorts.
fn seeds(base: u32, add: fn(HeaderBuilder) -> HeaderBuilder) -> Vec<Vec<u8>> {
    let requests = Tag::InformationRequest(vec![1, 6, 9, 13, 21]);
    let plain = HeaderBuilder::new()
        .optional(requests)
        .tag(Tag::ModuleAlignment);
    let plain = add(plain.tag(Tag::Console(2)));
    let low = relocatable(0x10_0000, u32::MAX, 0x1000, 1);
    let high = relocatable(0, u32::MAX, 0x20_0000, 2);
    let headers = [
        plain.clone(),
        plain.clone().tag(low.clone()),
        plain.clone().tag(high).tag(Tag::Framebuffer(640, 480, 0)),
        plain.clone().tag(Tag::Entry(base + 0x20)),
    ];
    let mut seeds = Vec::new();
    for class in CLASSES {
        for pie in [Pie::new(class), Pie::kept(class)] {
            let at = u64::from(BASE);
            let entries = [at + 0x400, pie.info(8, 0), at + 0x408, pie.info(1, 1)];
            let mut pie = pie.table(REL, &entries).stores(0x400, at).stores(0x408, at);
            pie.symbols.push((at + 0x20, 1));
            seeds.extend(Some(pie.file()).filter(|_| base == BASE));
        }
    }
    for header in &headers {
        for class in CLASSES {
            let image = images::elf_at(class, base, header);
            seeds.push(images::bytes(&image));
            let mut image = with_sections(image);
            image.numbering = Numbering {
                names: true,
                ..Numbering::default()
            };
            seeds.push(images::bytes(&image));
        }
    }
    for (implied, tag) in [(false, None), (true, Some(low))] {
        let header = tag.into_iter().fold(plain.clone(), HeaderBuilder::tag);
        let mut flat = images::flat_at(base, header);
        flat.implied_load = implied;
        flat.header_offset = 0x40;
        flat.load_offset = if implied { 0 } else { 0x20 };
        flat.explicit_load_end = true;
        flat.mem_len = Some(0x4000);
        seeds.push(flat.build());
    }
    seeds
}

/// Ends the program when nothing has come for so long: an image hangs, and
/// the last number that came says which.
const PATIENCE: Duration = Duration::from_secs(120);

/// Watches over work that sends a number before each of its parts.
fn watch() -> Sender<u32> {
    let (alive, watched) = channel();
    std::thread::spawn(move || {
        let mut last = 0;
        loop {
            match watched.recv_timeout(PATIENCE) {
                Ok(number) => last = number,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("image {last} hangs");
                    std::process::abort();
                }
            }
        }
    });
    alive
}

/// Calls `judge` with changed seeds, and says which one surprised it; how many
/// of them it took for good ones.
fn run(seeds: &[Vec<u8>], runs: u32, judge: impl Fn(&[u8], &mut Random) -> bool) -> u32 {
    let mut random = Random::of(0x6d62_3200_7465_7374);
    for seed in seeds {
        assert!(judge(seed, &mut random));
    }
    let mut good = 0;
    let alive = watch();
    for number in 0..runs {
        alive.send(number).unwrap();
        let seed = random.index(seeds.len());
        let mut file = seeds[seed].clone();
        mutate(&mut file, &mut random, BASE);
        let judged = std::panic::AssertUnwindSafe(|| judge(&file, &mut random));
        match std::panic::catch_unwind(judged) {
            Ok(loaded) => good += u32::from(loaded),
            Err(panic) => {
                eprintln!("image {number}, of seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Both ways are trodden.
    assert!(good > runs / 8 && good < runs * 7 / 8, "{good} of {runs}");
    good
}

/// Loads and starts changed seeds.
fn load(plan: Plan, seeds: &[Vec<u8>], runs: u32) {
    run(seeds, runs, |file, _| Script::of(plan).run(file));
}

#[test]
fn kernels_on_a_bios() {
    load(Plan::plain(Firmware::Bios), &seeds(BASE, |h| h), 3000);
}

#[test]
fn kernels_that_end_boot_services() {
    for firmware in [Firmware::Efi32, Firmware::Efi64] {
        let pieces = [0, 1, 2 | 1 << 2, 0];
        let plan = Plan {
            pieces,
            ..Plan::plain(firmware)
        };
        load(plan, &seeds(BASE, |h| h.tag(Tag::EfiBootServices)), 1500);
    }
}

#[test]
fn kernels_beside_boot_services() {
    for firmware in [Firmware::Efi32, Firmware::Efi64] {
        let plan = Plan {
            in_place: true,
            ..Plan::plain(firmware)
        };
        load(plan, &seeds(LOW_BASE, keeping), 1000);
    }
}

#[test]
fn sessions_of_several_commands_that_fail_anywhere() {
    let seeds = [seeds(BASE, |h| h), seeds(LOW_BASE, keeping)].concat();
    let mut random = Random::of(0x7365_7373_696f_6e73);
    for number in 0..4000 {
        let mut file = seeds[random.index(seeds.len())].clone();
        if number % 2 == 0 {
            mutate(&mut file, &mut random, BASE);
        }
        file.extend(random.bytes(SCRIPT_LEN));
        let (file, script) = Script::split(&file);
        script.run(file);
    }
}

#[test]
fn modules_behind_kernels_of_all_sorts() {
    let how = |line| Reading {
        unsized_file: false,
        cut: None,
        line,
    };
    let commands = [
        Command::Load(how(8)),
        Command::Module(5000, how(0)),
        Command::Module(0, how(0)),
        Command::Module(1, how(0)),
        Command::Boot,
    ];
    let steps = commands.map(|command| Step {
        command,
        fail: None,
    });
    for firmware in [Firmware::Bios, Firmware::Efi64] {
        let script = Script {
            steps: steps.to_vec(),
            ..Script::of(Plan::plain(firmware))
        };
        run(&seeds(BASE, |h| h), 800, |file, _| script.run(file));
    }
}

#[test]
fn headers_elf_files_and_address_tags_by_themselves() {
    let seeds = seeds(BASE, |h| h);
    run(&seeds, 4000, |file, _| parts::header(file));
    let (flat, elf): (Vec<_>, Vec<_>) = seeds.into_iter().partition(|file| file[0] != 0x7f);
    assert_eq!(flat.len(), 2);
    run(&elf, 4000, |file, random| {
        let moves = random.next() & 1 != 0;
        parts::elf(file, Apart { moves, entry: None })
    });
}

/// Makes values of random bytes.
fn values<T: for<'a> Arbitrary<'a>>(count: u32, len: usize) -> impl Iterator<Item = T> {
    let mut random = Random::of(0x7661_6c75_6573_0000);
    (0..count).map(move |_| {
        let bytes = random.bytes(len);
        T::arbitrary(&mut Unstructured::new(&bytes)).unwrap()
    })
}

#[test]
fn address_tags_of_all_numbers() {
    let mut good = 0;
    for mut flat in values::<Flat>(20_000, 40) {
        // Numbers that have something to do with each other.
        let [header, load, load_end, bss_end] = &mut flat.address;
        for number in [&mut *load_end, bss_end, &mut flat.entry] {
            *number = load.wrapping_add(*number % 0x8000);
        }
        *header = load.wrapping_add(*header % 0x4000);
        flat.header_offset %= 0x8000;
        good += u32::from(parts::flat(&flat));
    }
    assert!(good > 2000, "{good}");
}

#[test]
fn relocations_of_all_sorts() {
    let good = values::<Moved>(6000, 400).filter(Moved::check).count();
    assert!(good > 1000 && good < 5000, "{good}");
}

#[test]
fn memory_maps_of_all_sorts() {
    let good = values::<Memory>(1500, 250).filter(Memory::check).count();
    assert!(good > 100, "{good}");
}

#[test]
fn machines_that_have_much_to_tell() {
    for much in values::<Much>(400, 600) {
        much.check();
    }
}

#[test]
fn the_writer_keeps_to_its_memory() {
    for (len, calls) in values::<(u16, Vec<Call>)>(3000, 300) {
        writer::check(len % 0x200, &calls);
    }
}
