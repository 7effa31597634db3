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
use common::images::{self, BASE, CLASSES, ENTRY, LOW_BASE, relocatable, with_sections};
use common::information;
use common::pies::{Pie, RELA, with_table_first};
use common::world::{Fault, Finds};
use common::{Fake, New};
use mb2::error::Kind;
use mb2::params::Firmware;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, FlatBuilder, ImageBuilder, Patch, Section, Shdr};

/// Calls whose failure has another way: GRUB's choice of memory instead of
/// the planned one, the screen as it is, no tag about it.
const DISPENSABLE: [&str; 3] = ["chunk in a window", "video mode", "end of video"];

/// The same for one call. On UEFI GRUB is told the address of what has a choice,
/// too, and may choose if it fails.
fn is_dispensable(call: &str, fake: &Fake) -> bool {
    let told = call == "chunk" && fake.machine.firmware != Firmware::Bios;
    // With eight modules and more, small ones open pools, or do without.
    let opened = fake.events.iter().filter(|e| e.contains("open /module"));
    let pool = opened.count() > 8 && ["heap", "memory map"].contains(&call);
    told || pool || DISPENSABLE.contains(&call)
}

/// What is done on a machine.
type Work = fn(&mut Fake) -> Result<(), Fault>;

/// Does `work` after `spoil` has made something fail, and holds the machine to
/// it: an error, nothing left, and the next kernel starts.
fn survives(mut fake: Fake, spoil: impl Fn(&Fake), work: Work) {
    let level = fake.world.handed_out();
    let loaded = fake.loaded.is_some();
    spoil(&fake);
    let outcome = work(&mut fake);
    let failed = fake.world.failed.get().expect("the call comes again");
    match outcome {
        Ok(()) => assert!(is_dispensable(failed, &fake), "{failed} is ignored"),
        Err(Fault::Unexplained) => panic!("{failed}: nobody said why"),
        // Ours, where the loader went on and found another reason.
        Err(_) if loaded && fake.loaded.is_some() => {
            assert_eq!(fake.world.handed_out(), level, "{failed} leaks");
        }
        Err(_) => assert!(fake.empty(), "{failed} leaves something"),
    }
    // The machine is as good as before.
    fake.world.fail_at.set(None);
    fake.world.cut_at.set(None);
    fake.world.ended.set(false);
    fake.world.pending.take();
    fake.loaded = None;
    assert!(fake.empty(), "{failed} leaves something behind");
    fake.load(&images::good_for(&fake))
        .expect("the next kernel");
    fake.boot().expect("the next start");
    assert!(fake.balanced());
}

/// Fails each call of `work` in turn, and cuts each of its reads short, on a
/// machine of its own each time; returns how many calls there are.
fn fail_each(new: impl Fn() -> Fake, work: Work) -> usize {
    let mut good = new();
    let before = good.world.calls.get();
    let reads_before = good.world.reads.borrow().len();
    work(&mut good).expect("work without a failure");
    let calls = good.world.calls.get() - before;
    let reads = good.world.reads.borrow().len();
    drop(good);
    for n in 0..calls {
        survives(new(), |fake| fake.fail_at(n), work);
    }
    for n in reads_before..reads {
        survives(new(), |fake| fake.world.cut_at.set(Some(n)), work);
    }
    calls
}

fn booted(fake: &mut Fake) -> Result<(), Fault> {
    fake.boot().map(drop)
}

fn load(fake: &mut Fake) -> Result<(), Fault> {
    fake.multiboot2(&["/kernel", "a", "b"])
}

/// A kernel, modules of all kinds, and the start; nothing stays loaded when
/// any of it fails.
fn session(fake: &mut Fake) -> Result<(), Fault> {
    let all = |fake: &mut Fake| {
        load(fake)?;
        fake.module2(&["/module", "x y"])?;
        fake.module2(&["--nounzip", "/module"])?;
        fake.module2(&["/empty"])?;
        fake.boot().map(drop)
    };
    let outcome = all(fake);
    fake.loaded = None;
    outcome
}

fn kernel(class: Class) -> ImageBuilder {
    let header = HeaderBuilder::new()
        .tag(relocatable(0x10_0000, u32::MAX, 0x1000, 2))
        .tag(Tag::Framebuffer(0, 0, 0));
    with_sections(images::elf(class, &header))
}

fn fixed(class: Class) -> ImageBuilder {
    with_sections(images::elf(class, &HeaderBuilder::new()))
}

fn beside() -> Vec<u8> {
    let header = images::keeping(HeaderBuilder::new());
    images::bytes(&with_sections(images::elf_at(
        Class::Elf64,
        LOW_BASE,
        &header,
    )))
}

/// Tables behind everything else, with counts in section header 0.
fn far() -> Vec<u8> {
    let mut image = kernel(Class::Elf64);
    image.phdr_at = Some(0x1_8000);
    image.numbering.names = true;
    images::bytes(&image)
}

/// Sections that may not stay where the file has them.
fn apart() -> Vec<u8> {
    let mut image = fixed(Class::Elf32).section(Section::loose(".last", noise(14, 99)));
    for index in [1, 5] {
        let align = Patch::Shdr(index, Shdr::AddrAlign, 0x1_0000);
        image.patches.push(align);
    }
    images::bytes(&image)
}

/// A kernel with relocations; its section table may lie before them.
fn relocated(mut pie: Pie, table_first: bool) -> Vec<u8> {
    let base = u64::from(images::BASE);
    pie.min = images::BASE + 0x4000;
    pie.symbols.push((base, 1));
    let entries = [base + 0x400, pie.info(1, 1), base + 4];
    let image = pie.table(RELA, &entries).image();
    let mut image = with_sections(image);
    if table_first {
        image = with_table_first(image);
    }
    images::bytes(&image)
}

fn flat(header: HeaderBuilder) -> FlatBuilder {
    let mut flat = images::flat(header);
    flat.file_len = Some(0x9000);
    flat.explicit_load_end = true;
    flat.mem_len = Some(0xa000);
    flat
}

/// A kernel, and the machine that it is for.
struct Kernel {
    new: New,
    file: Vec<u8>,
    finds: Finds,
    sized: bool,
}

impl Kernel {
    fn of(new: New, file: Vec<u8>) -> Self {
        Self {
            new,
            file,
            finds: Finds::Direct,
            sized: true,
        }
    }

    /// As packed files over a network are.
    fn of_unknown_size(self) -> Self {
        Self {
            sized: false,
            ..self
        }
    }

    /// The machine with files for a session, and a screen.
    fn machine(&self) -> Fake {
        let mut fake = (self.new)().file("/module", &noise(1, 5000));
        fake.store("/empty", &[]);
        fake.store("/kernel", &self.file).sized = self.sized;
        fake.world.finds.set(self.finds);
        fake.facts.screen = Some(SCREEN);
        fake.facts.vbe_mode = Some(0x118);
        fake
    }
}

/// Kernels of each kind.
fn kernels() -> Vec<Kernel> {
    let of = Kernel::of;
    let movable = || HeaderBuilder::new().tag(relocatable(0, u32::MAX, 0x1000, 1));
    let machines: [New; 3] = [Fake::bios, Fake::efi32, Fake::efi64];
    let mut all = Vec::new();
    for new in machines {
        for class in CLASSES {
            all.push(of(new, images::bytes(&kernel(class))));
            all.push(of(new, images::bytes(&fixed(class))));
        }
        all.push(of(new, flat(HeaderBuilder::new()).build()));
        all.push(of(new, flat(movable()).build()));
        all.push(of(new, apart()));
        for pie in [Pie::new(Class::Elf64), Pie::kept(Class::Elf32)] {
            all.push(of(new, relocated(pie, false)));
        }
        all.push(Kernel {
            finds: Finds::Moved,
            ..of(new, images::bytes(&fixed(Class::Elf64)))
        });
    }
    all.extend([
        of(Fake::bios, far()),
        of(Fake::bios, relocated(Pie::kept(Class::Elf64), true)),
        of(Fake::bios, relocated(Pie::kept(Class::Elf32), false)).of_unknown_size(),
        of(Fake::bios, images::bytes(&kernel(Class::Elf32))).of_unknown_size(),
        of(Fake::efi64, far()).of_unknown_size(),
        of(Fake::efi64, flat(movable()).build()).of_unknown_size(),
        of(|| Fake::in_place(Firmware::Efi64), beside()),
    ]);
    all
}

#[test]
fn each_call_of_a_load() {
    let check: Work = |fake| fake.multiboot2(&["--check", "/kernel"]);
    for kernel in kernels() {
        fail_each(|| kernel.machine(), check);
        assert!(fail_each(|| kernel.machine(), load) > 10);
    }
}

#[test]
fn each_call_of_a_session() {
    for kernel in kernels() {
        fail_each(|| kernel.machine(), session);
    }
}

#[test]
fn modules_behind_the_kernel() {
    let plain = images::bytes(&fixed(Class::Elf32));
    let kernels: [(New, _); 3] = [
        (Fake::bios, plain.clone()),
        (Fake::efi64, plain),
        (|| Fake::in_place(Firmware::Efi64), beside()),
    ];
    for (new, file) in kernels {
        fail_each(
            || Kernel::of(new, file.clone()).machine(),
            |fake| {
                let loaded = fake.multiboot2(&["--modules-after-kernel", "/kernel"]);
                let mut modules = (0..12).map(|_| fake.module2(&["/module"]));
                let outcome = loaded.and_then(|()| modules.try_for_each(|module| module));
                let outcome = outcome.and_then(|()| booted(fake));
                fake.loaded = None;
                outcome
            },
        );
    }
}

/// A machine with a kernel, a module and a screen.
fn ready(new: New) -> Fake {
    let mut fake = Kernel::of(new, images::bytes(&kernel(Class::Elf32))).machine();
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
fn a_module_beside_boot_services() {
    let loaded = || {
        let new: New = || Fake::in_place(Firmware::Efi64);
        let mut fake = Kernel::of(new, beside()).machine();
        load(&mut fake).expect("a kernel");
        fake
    };
    fail_each(loaded, |fake| fake.module2(&["/module"]));
    fail_each(loaded, booted);
}

#[test]
fn boot() {
    for new in [Fake::bios, Fake::efi32, Fake::efi64] {
        fail_each(|| ready(new), booted);
        // Text, and a screen with a palette.
        for colors in [None, Some(256)] {
            let new = || {
                let mut fake = ready(new);
                let screen = colors.map(|_| mb2::platform::Screen { colors, ..SCREEN });
                fake.facts.screen = screen;
                fake
            };
            fail_each(new, booted);
        }
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

#[test]
fn a_module_that_fails_changes_nothing_for_the_kernel() {
    let tags = |fake: &mut Fake| {
        let started = fake.boot().expect("a start");
        information::kinds(started.information())
    };
    for new in [Fake::bios, Fake::efi64] {
        let undisturbed = tags(&mut ready(new));
        for n in 0.. {
            let mut fake = ready(new);
            fake.fail_at(n);
            let outcome = fake.module2(&["/module", "x"]);
            fake.world.fail_at.set(None);
            match outcome {
                Err(_) => assert_eq!(tags(&mut fake), undisturbed, "{n}"),
                Ok(()) if fake.world.failed.get().is_none() => break,
                Ok(()) => {}
            }
        }
    }
}

#[test]
fn firmware_that_takes_memory_meanwhile() {
    for kernel in kernels() {
        let mut fake = kernel.machine();
        fake.world.map_grows.set(true);
        session(&mut fake).expect("a start");
        fake.world.ended.set(false);
        assert!(fake.balanced());
    }
    // It has taken what the image was linked to.
    let mut fake = Fake::efi64();
    for range in fake.world.ranges.borrow_mut().iter_mut() {
        if range.start == 0x10_0000 {
            range.end = u64::from(BASE) + u64::from(ENTRY);
        }
    }
    let outcome = fake.load(&images::bytes(&fixed(Class::Elf32)));
    assert!(matches!(outcome, Err(Fault::Ours(e)) if e.kind == Kind::Elsewhere));
    assert!(fake.empty());
}

#[test]
fn boot_services_that_do_not_end_at_once() {
    for new in [Fake::efi32, Fake::efi64] {
        for times in [1, 2, 20] {
            let mut fake = ready(new);
            fake.facts.services_stay = times;
            let level = fake.world.handed_out();
            for _ in 0..times {
                assert_eq!(booted(&mut fake), Err(Fault::Grub("services stay")));
                assert!(fake.loaded.is_some() && !fake.world.ended.get());
                assert_eq!(fake.world.handed_out(), level);
            }
            // What is loaded can still be added to and started.
            fake.module2(&["/module"]).expect("another module");
            let started = fake.boot().expect("a start");
            let kinds = information::kinds(started.information());
            assert_eq!(kinds.iter().filter(|kind| **kind == 3).count(), 2);
            fake.world.ended.set(false);
            assert!(fake.balanced());
        }
    }
}
