// SPDX-License-Identifier: GPL-3.0-or-later
//! One command after another: what each leaves for the next.
#![expect(
    clippy::large_stack_arrays,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, BASE, CLASSES, ENTRY, LOW_BASE, with_sections};
use common::information::{find, kinds};
use common::world::Fault;
use common::{Fake, New};
use mb2::error::{Error, Kind};
use mb2::params::Firmware;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::Class;

fn ours(kind: Kind) -> Fault {
    Fault::Ours(Error::new(kind, &[]))
}

/// An ELF kernel with sections, a flat one, and one that is no kernel.
fn kernels() -> [Vec<u8>; 3] {
    let image = with_sections(images::elf(Class::Elf64, &HeaderBuilder::new()));
    let flat = images::flat(HeaderBuilder::new()).build();
    [images::bytes(&image), flat, noise(3, 0x9000)]
}

#[test]
fn a_kernel_is_opened_verified_and_only_then_read() {
    let mut fake = Fake::bios().file("/kernel", &images::good());
    fake.multiboot2(&["/kernel", "a"]).unwrap();
    let order = [
        "unset",
        "open /kernel Kernel",
        "verify Kernel",
        "read /kernel",
    ];
    assert_eq!(fake.events[..4], order);
    assert!(fake.balanced());
}

#[test]
fn the_kernel_before_is_gone_whatever_happens() {
    let [elf, _, bad] = kernels();
    let mut fake = Fake::bios().file("/elf", &elf).file("/bad", &bad);
    let failing: [&[&str]; 3] = [&[], &["/missing"], &["/bad"]];
    for args in failing {
        fake.multiboot2(&["/elf"]).unwrap();
        fake.multiboot2(args).unwrap_err();
        assert!(fake.empty(), "{args:?}");
        assert_eq!(fake.boot().unwrap_err(), ours(Kind::NoKernel));
        assert_eq!(fake.module2(&["/bad"]), Err(ours(Kind::NoKernel)));
    }
    assert_eq!(fake.multiboot2(&[]), Err(ours(Kind::NoFileName)));
}

#[test]
fn nothing_of_one_kernel_reaches_the_next() {
    let [elf, flat, _] = kernels();
    let mut fake = Fake::bios()
        .file("/elf", &elf)
        .file("/flat", &flat)
        .file("/module", &noise(1, 10));
    fake.multiboot2(&["/elf", "first"]).unwrap();
    fake.module2(&["/module", "of the first"]).unwrap();
    fake.multiboot2(&["/flat", "second"]).unwrap();
    let again = fake.boot().unwrap();
    let mut fresh = Fake::bios().file("/flat", &flat);
    fresh.multiboot2(&["/flat", "second"]).unwrap();
    let fresh = fresh.boot().unwrap();
    assert_eq!(again.information(), fresh.information());
    assert_eq!(again.registers, fresh.registers);
    assert!(again.chunks == fresh.chunks);
    assert_eq!(find(again.information(), 9).len(), 20);
    assert!(!kinds(again.information()).contains(&3));
    assert!(fake.balanced());
}

#[test]
fn bad_and_good_kernels_alternate_without_a_trace() {
    let [elf, flat, bad] = kernels();
    let mut fake = Fake::efi64();
    let mut level = None;
    for _ in 0..20 {
        fake.load(&elf).unwrap();
        let now = (fake.world.handed_out(), fake.world.heap.get());
        assert_eq!(*level.get_or_insert(now), now);
        fake.load(&bad).unwrap_err();
        assert!(fake.empty());
        fake.load(&flat).unwrap();
        fake.load(&bad).unwrap_err();
    }
    assert!(fake.empty());
    fake.load(&elf).unwrap();
    assert!(fake.balanced());
}

#[test]
fn a_kernel_keeps_no_file_open() {
    for class in CLASSES {
        let mut fake = Fake::bios().file("/module", &noise(1, 5000));
        let image = with_sections(images::elf(class, &HeaderBuilder::new()));
        fake.load(&images::bytes(&image)).unwrap();
        fake.module2(&["/module"]).unwrap();
        assert_eq!(fake.world.handed_out().1, 0);
        assert!(fake.balanced());
    }
}

#[test]
fn boot_may_be_tried_again_after_a_failure() {
    let mut fake = Fake::bios().file("/module", &noise(1, 5000));
    fake.load(&images::good()).unwrap();
    fake.module2(&["/module", "m"]).unwrap();
    for n in 0..100 {
        fake.fail_at(n);
        match fake.boot() {
            Ok(started) => {
                assert!(kinds(started.information()).contains(&3));
                if fake.world.failed.get().is_none() {
                    break; // no call is left to fail
                }
            }
            Err(fault) => assert!(
                matches!(fault, Fault::Grub(_) | Fault::Ours(_)),
                "{fault:?}"
            ),
        }
        assert!(fake.loaded.is_some());
    }
    assert_eq!(fake.world.failed.get(), None);
    let started = fake.boot().unwrap();
    assert_eq!(started.registers.entry, BASE + ENTRY);
    assert!(fake.balanced());
}

#[test]
fn gfxpayload_follows_the_kernel() {
    let console = |flags| HeaderBuilder::new().tag(Tag::Console(flags));
    let mode = |w, h, d| HeaderBuilder::new().tag(Tag::Framebuffer(w, h, d));
    let cases = [
        (HeaderBuilder::new(), "text", "text"),
        (console(3), "text", "text"),
        (
            mode(800, 600, 32),
            "800x600x32,800x600,auto",
            "800x600x32,800x600,auto;text",
        ),
        (mode(800, 600, 0), "800x600,auto", "800x600,auto;text"),
        (mode(0, 0, 0), "auto", "auto;text"),
        (mode(640, 0, 8), "auto", "auto;text"),
    ];
    for (header, value, modes) in cases {
        let mut fake = Fake::bios();
        fake.payload_modes = Some("old".to_owned());
        let image = images::elf(Class::Elf32, &header);
        fake.load(&images::bytes(&image)).unwrap();
        assert_eq!(fake.payload_modes.as_deref(), Some(value));
        fake.boot().unwrap();
        assert_eq!(fake.modes, [modes]);
    }
}

#[test]
fn what_the_user_sets_afterwards_wins() {
    let graphics = HeaderBuilder::new().tag(Tag::Framebuffer(0, 0, 0));
    let text = HeaderBuilder::new();
    let cases: [(New, _, _, _); 6] = [
        (Fake::bios, &graphics, Some("1024x768"), "1024x768;text"),
        (Fake::bios, &graphics, Some(""), "text"),
        (Fake::bios, &graphics, None, "text"),
        (Fake::efi64, &graphics, Some("keep"), "keep;auto"),
        (Fake::efi64, &graphics, None, "auto"),
        // A kernel that takes only text gets it.
        (Fake::bios, &text, Some("keep"), "text"),
    ];
    for (new, header, value, modes) in cases {
        let mut fake = new();
        let image = images::elf(Class::Elf32, header);
        fake.load(&images::bytes(&image)).unwrap();
        fake.payload_modes = value.map(str::to_owned);
        fake.boot().unwrap();
        assert_eq!(fake.modes, [modes]);
    }
}

#[test]
fn a_kernel_without_a_console_is_warned_about_or_refused() {
    let none = HeaderBuilder::new().tag(Tag::Console(0));
    let required = HeaderBuilder::new().tag(Tag::Console(1));
    let on_text = HeaderBuilder::new().tag(Tag::Console(3));
    let file = |header| images::bytes(&images::elf(Class::Elf32, header));
    for new in [Fake::bios, Fake::efi64, Fake::efi32] {
        let mut fake = new();
        fake.payload_modes = Some("old".to_owned());
        fake.load(&file(&none)).unwrap();
        assert_eq!(
            fake.printed,
            ["WARNING: no console will be available to OS"]
        );
        assert_eq!(fake.payload_modes.as_deref(), Some("old"));
        fake.refuses(&file(&required), Kind::NoConsole);
    }
    // Text exists only below a BIOS.
    Fake::bios().load(&file(&on_text)).unwrap();
    Fake::efi64().refuses(&file(&on_text), Kind::NoConsole);
}

#[test]
fn kernels_beside_boot_services_take_turns_with_others() {
    let header = images::keeping(HeaderBuilder::new());
    let beside = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header));
    let plain = HeaderBuilder::new();
    let ending = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &plain));
    let mut fake = Fake::in_place(Firmware::Efi64);
    for _ in 0..3 {
        fake.load(&ending).unwrap();
        fake.load(&beside).unwrap();
        assert!(fake.boot().unwrap().registers.keep_services);
    }
    fake.load(&ending).unwrap();
    assert!(!fake.boot().unwrap().registers.keep_services);
    assert!(fake.balanced());
}
