// SPDX-License-Identifier: GPL-3.0-or-later
//! The verdict is the loader's: over its own test machine and over this program's the
//! same kernels are taken, to the same places, and refused with the same line.

#[path = "../../tests/common/mod.rs"]
mod common;

use common::world::{FREE, Fault, NVS, SERVICES};
use common::{Fake, images};
use mb2::params::Firmware;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::random::{Ground, Random, kernel, mutate};
use mb2check::check::{Commands, Module, check};
use mb2check::header;
use mb2check::host::Setup;
use mb2check::input::Input;
use mb2check::line;
use mb2check::memory::{Map, Range, Sort};
use mb2check::report::Report;
use mb2check::show;

/// The same machine for both.
fn setup(fake: &Fake) -> Setup {
    let ranges = fake.world.ranges.borrow();
    let ranges = ranges.iter().map(|range| Range {
        start: range.start,
        end: range.end,
        sort: match range.kind {
            FREE => Sort::Available,
            NVS => Sort::Nvs,
            SERVICES => Sort::BootServices,
            _ => Sort::Reserved,
        },
    });
    Setup {
        firmware: fake.machine.firmware,
        map: Map::new(ranges.collect()),
    }
}

fn input(name: &str, bytes: &[u8]) -> Input {
    Input {
        name: name.to_owned(),
        bytes: bytes.into(),
        packing: None,
    }
}

/// Compares one kernel, alone and with a module; true if it is taken.
fn agree(new: fn() -> Fake, kernel: &[u8]) -> bool {
    let module = &kernel[..kernel.len().min(0x1234)];
    let mut fake = new();
    fake.store("/module", module);
    let commands = Commands {
        modules: vec![Module {
            file: input("/module", module),
            stored: false,
            line: "x=y".to_owned(),
        }],
        ..Commands::default()
    };
    let report = check(&input("/kernel", kernel), &setup(&fake), &commands);
    show(&report);
    let outcome = fake
        .load(kernel)
        .map_err(|fault| ("/kernel", fault))
        .and_then(|()| {
            compare(&fake, &report);
            let done = fake.module2(&["/module", "x=y"]);
            done.map_err(|fault| ("/module", fault))
        })
        .and_then(|()| fake.boot().map_err(|fault| ("/kernel", fault)));
    match (outcome, &report.refusal) {
        (Ok(started), None) => {
            let placement = report.placement.as_ref().unwrap();
            assert_eq!(started.registers.entry, placement.entry);
            assert_eq!(started.registers.keep_services, placement.keeps_services);
            // The boot information tells of another machine, so its size differs.
            let targets = placement.chunks.iter().map(|chunk| chunk.first);
            let targets: Vec<_> = targets.take(placement.chunks.len() - 1).collect();
            let reserved = |at: &u32| {
                let chunk = started.chunks.range(..=at).next_back();
                chunk.is_some_and(|(start, bytes)| ((at - start) as usize) < bytes.len())
            };
            assert!(targets.iter().all(reserved));
            true
        }
        (Err((name, Fault::Ours(error))), Some(refusal)) => {
            let line = line::Fault::Loader(error).line(name);
            assert_eq!(refusal.line, format!("error: {line}."));
            assert_eq!(refusal.reason, format!("{:?}", error.kind));
            false
        }
        (Err((_, Fault::Grub(_))), Some(refusal)) if refusal.reason == "Grub" => false,
        (outcome, refusal) => panic!("{:?} but {refusal:?}", outcome.map(drop)),
    }
}

/// Shows a report in all ways, whatever stands in it.
fn show(report: &Report) {
    let mut text = Vec::new();
    show::text::write(report, &mut text).unwrap();
    assert!(String::from_utf8(text).unwrap().contains(&report.file));
    assert!(show::svg::render(report).ends_with("</svg>\n"));
    assert!(serde_json::to_string(report).unwrap().starts_with('{'));
}

/// Compares where a kernel lies.
fn compare(fake: &Fake, report: &Report) {
    let loaded = fake.loaded.as_ref().unwrap().kernel.loaded;
    let placement = report.placement.as_ref().unwrap();
    let place = (placement.link_base, placement.load_base, placement.entry);
    assert_eq!(place, (loaded.link_base, loaded.load_base, loaded.entry));
    assert_eq!(placement.gfxpayload, fake.payload_modes);
    assert_eq!(placement.printed, fake.printed);
    let segments = report.image.iter().flat_map(|image| &image.segments);
    let first = segments.filter_map(|segment| segment.lies_at).min();
    assert_eq!(first, Some(loaded.load_base.into()));
}

/// Compares kernels from numbers; both verdicts have to occur.
fn run(new: fn() -> Fake, kernels: u32, mut make: impl FnMut(&mut Random) -> Vec<u8>) {
    let mut random = Random::of(0x6d62_3263_6865_636b);
    let mut taken = 0;
    for number in 0..kernels {
        let file = make(&mut random);
        let judged = std::panic::AssertUnwindSafe(|| agree(new, &file));
        match std::panic::catch_unwind(judged) {
            Ok(good) => taken += u32::from(good),
            Err(panic) => {
                eprintln!("kernel {number}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(
        taken > kernels / 8 && taken < kernels,
        "{taken} of {kernels}"
    );
}

/// A machine whose low memory boot services have, and nearly all other.
fn full_of_services() -> Fake {
    let fake = Fake::efi32();
    let range = |start, end, kind| common::world::Range { start, end, kind };
    *fake.world.ranges.borrow_mut() = vec![
        range(0, 0xa_0000, SERVICES),
        range(0x10_0000, 0x300_0000, SERVICES),
        range(0x300_0000, 0x301_0000, FREE),
    ];
    fake
}

/// A kernel of any sort, every other one damaged.
fn any(random: &mut Random) -> Vec<u8> {
    let ground = Ground {
        base: images::BASE,
        efi64: false,
    };
    let mut file = kernel(random, &ground).unwrap();
    if random.one_in(2) {
        mutate(&mut file, random, images::BASE);
    }
    file
}

/// The same without one of two tags: beside boot services the test machine needs
/// memory in its place.
fn without(random: &mut Random, kinds: [u16; 2]) -> Vec<u8> {
    loop {
        let file = any(random);
        let header = header::read(&file);
        let has = |kind| header.iter().flat_map(|h| &h.tags).any(|t| t.kind == kind);
        if !kinds.into_iter().all(has) {
            return file;
        }
    }
}

#[test]
fn on_a_bios() {
    run(Fake::bios, 3000, any);
}

#[test]
fn on_uefi_that_ends() {
    run(Fake::efi32, 1500, |random| without(random, [7, 8]));
    run(full_of_services, 500, |random| {
        let low = images::relocatable(0, u32::MAX, 8 << random.below(12), 1);
        let class = random.pick(&images::CLASSES);
        let mut file = images::bytes(&images::elf(class, &HeaderBuilder::new().tag(low)));
        if random.one_in(2) {
            mutate(&mut file, random, images::BASE);
        }
        file
    });
    run(Fake::efi64, 1500, |random| without(random, [7, 9]));
}

#[test]
fn beside_boot_services() {
    let machines: [fn() -> Fake; 2] = [
        || Fake::in_place(Firmware::Efi32),
        || Fake::in_place(Firmware::Efi64),
    ];
    for new in machines {
        run(new, 1000, |random| {
            let mut header = images::keeping(HeaderBuilder::new());
            if random.one_in(2) {
                // To the place that sections would like as well.
                header = header.tag(images::relocatable(0, u32::MAX, 0x1000, 1));
            }
            let class = random.pick(&images::CLASSES);
            let image = images::elf_at(class, images::LOW_BASE, &header);
            let mut file = images::bytes(&images::with_sections(image));
            if !random.one_in(4) {
                mutate(&mut file, random, images::LOW_BASE);
            }
            file
        });
    }
}
