// SPDX-License-Identifier: GPL-3.0-or-later
//! Every call that can fail does, one after another: each time an error and
//! nothing left, or the command does without.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::facts::SCREEN;
use common::images::{self, CLASSES, LOW_BASE, relocatable, with_sections};
use common::world::{Fault, Finds};
use common::{Fake, New};
use mb2::params::Firmware;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, ImageBuilder};

/// Calls whose failure has another way: GRUB's choice of memory instead of
/// the planned one, the screen as it is, no tag about it.
const DISPENSABLE: [&str; 3] = ["chunk in a window", "video mode", "end of video"];

/// Fails each call of `work` in turn, on a machine of its own each time;
/// returns how many there are.
fn fail_each(new: impl Fn() -> Fake, work: impl Fn(&mut Fake) -> Result<(), Fault>) -> usize {
    let mut good = new();
    let before = good.world.calls.get();
    work(&mut good).expect("work without a failure");
    let calls = good.world.calls.get() - before;
    drop(good);
    for n in 0..calls {
        let mut fake = new();
        let level = fake.world.handed_out();
        let loaded = fake.loaded.is_some();
        fake.fail_at(n);
        let outcome = work(&mut fake);
        let failed = fake.world.failed.get().expect("the call comes again");
        match outcome {
            Ok(()) => assert!(DISPENSABLE.contains(&failed), "{failed} is ignored"),
            Err(Fault::Unexplained) => panic!("{failed}: nobody said why"),
            // Ours, where the loader went on and found another reason.
            Err(_) if loaded && fake.loaded.is_some() => {
                assert_eq!(fake.world.handed_out(), level, "{failed} leaks");
            }
            Err(_) => assert!(fake.empty(), "{failed} leaves something"),
        }
        // The machine is as good as before.
        fake.world.fail_at.set(None);
        fake.world.ended.set(false);
        fake.world.pending.take();
        fake.loaded = None;
        assert!(fake.empty(), "{failed} leaves something behind");
        fake.load(&images::good_for(&fake))
            .expect("the next kernel");
        fake.boot().expect("the next start");
        assert!(fake.balanced());
    }
    calls
}

fn booted(fake: &mut Fake) -> Result<(), Fault> {
    fake.boot().map(drop)
}

fn load(fake: &mut Fake) -> Result<(), Fault> {
    fake.multiboot2(&["/kernel", "a", "b"])
}

fn kernel(class: Class) -> ImageBuilder {
    let header = HeaderBuilder::new()
        .tag(relocatable(0x10_0000, u32::MAX, 0x1000, 2))
        .tag(Tag::Framebuffer(0, 0, 0));
    with_sections(images::elf(class, &header))
}

#[test]
fn a_relocatable_kernel_with_symbols() {
    for class in CLASSES {
        let file = images::bytes(&kernel(class));
        for new in [Fake::bios, Fake::efi32, Fake::efi64] {
            let calls = fail_each(|| new().file("/kernel", &file), load);
            assert!(calls > 10, "{calls}");
        }
    }
}

#[test]
fn a_fixed_kernel_and_sections_that_move() {
    for class in CLASSES {
        let image = with_sections(images::elf(class, &HeaderBuilder::new()));
        let file = images::bytes(&image);
        let new = || {
            let fake = Fake::bios().file("/kernel", &file);
            fake.world.finds.set(Finds::Moved);
            fake
        };
        fail_each(new, load);
    }
}

#[test]
fn a_kernel_whose_tables_lie_far_behind() {
    let mut image = kernel(Class::Elf64);
    image.phdr_at = Some(0x1_8000);
    image.numbering.sections = false;
    image.numbering.names = true;
    let file = images::bytes(&image);
    fail_each(|| Fake::bios().file("/kernel", &file), load);
}

#[test]
fn a_flat_kernel() {
    let mut flat = images::flat(HeaderBuilder::new());
    flat.file_len = Some(0x9000);
    let file = flat.build();
    for new in [Fake::bios, Fake::efi64] {
        fail_each(|| new().file("/kernel", &file), load);
    }
}

fn beside() -> Vec<u8> {
    let header = images::keeping(HeaderBuilder::new());
    images::bytes(&with_sections(images::elf_at(
        Class::Elf64,
        LOW_BASE,
        &header,
    )))
}

#[test]
fn a_kernel_beside_boot_services() {
    let file = beside();
    let new = || Fake::in_place(Firmware::Efi64).file("/kernel", &file);
    fail_each(new, load);
    let loaded = || {
        let mut fake = new().file("/module", &noise(1, 5000));
        load(&mut fake).expect("a kernel");
        fake
    };
    fail_each(loaded, |fake| fake.module2(&["/module"]));
    fail_each(loaded, booted);
}

/// A machine with a kernel, a module and a screen.
fn ready(new: New) -> Fake {
    let file = images::bytes(&kernel(Class::Elf32));
    let mut fake = new()
        .file("/kernel", &file)
        .file("/module", &noise(1, 5000));
    fake.facts.screen = Some(SCREEN);
    fake.facts.vbe_mode = Some(0x118);
    load(&mut fake).expect("a kernel");
    fake.module2(&["/module"]).expect("a module");
    fake
}

#[test]
fn modules() {
    for new in [Fake::bios, Fake::efi64] {
        let new = || ready(new);
        fail_each(new, |fake| fake.module2(&["/module", "x"]));
        // So many that the lists have to grow.
        fail_each(new, |fake| {
            for _ in 0..40 {
                fake.module2(&["/module", "x"])?;
            }
            Ok(())
        });
    }
}

#[test]
fn boot() {
    for new in [Fake::bios, Fake::efi32, Fake::efi64] {
        fail_each(|| ready(new), booted);
        fail_each(
            || {
                let mut fake = ready(new);
                fake.facts.screen = None;
                fake
            },
            booted,
        );
    }
}

#[test]
fn a_second_kernel() {
    fail_each(|| ready(Fake::bios), load);
}

#[test]
fn reading_that_stops_early_anywhere() {
    for class in CLASSES {
        let file = images::bytes(&kernel(class));
        for readable in (0..file.len()).step_by(97) {
            let mut fake = Fake::bios();
            fake.store("/kernel", &file).readable = readable;
            // What stands behind the section table is padding, and not read.
            assert!(load(&mut fake).is_err(), "{readable:#x}");
            assert!(fake.empty());
        }
    }
}
