// SPDX-License-Identifier: GPL-3.0-or-later
//! `multiboot2 --check`: what it prints, and that it does nothing else.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, BASE, CLASSES, LOW_BASE, keeping, relocatable, with_sections};
use common::pies::{Pie, REL, RELA};
use common::world::Fault;
use common::{Fake, New};
use mb2::error::{Error, Kind};
use mb2::params::Firmware;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, Segment};

/// What a check prints, in one text.
fn printed(fake: &mut Fake, kernel: &[u8]) -> String {
    fake.store("/kernel", kernel);
    fake.multiboot2(&["--check", "/kernel"]).unwrap();
    fake.printed.drain(..).map(|line| line + "\n").collect()
}

fn ours(kind: Kind) -> Fault {
    Fault::Ours(Error::new(kind, &[]))
}

#[test]
fn a_relocatable_kernel_and_its_sections() {
    let header = HeaderBuilder::new()
        .tag(Tag::InformationRequest(vec![6, 8]))
        .optional(Tag::Raw(0x1234, None, vec![1, 2, 3, 4]))
        .tag(Tag::Framebuffer(800, 600, 32))
        .tag(relocatable(0x20_0000, u32::MAX, 0x1000, 2));
    let image = with_sections(images::elf(Class::Elf64, &header));
    let text = "\
header at 0x1000
  information request: type 6
  information request: type 8
  tag 4660: ignored
  framebuffer: width 800, height 600, depth 32
  relocatable: min 0x200000, max 0xffffffff, align 0x1000, preference 2
relocatable: lies at 0x3ffa000, the highest free address
segment 0: file 0x1000+0x1808, memory 0x400000+0x4000, lies at 0x3ffa000
segment 1: file 0x3000+0x855, memory 0x404000+0x1003, lies at 0x3ffe000
entry at 0x3ffb010
sections: 6, names in 5
section 1: file 0x3858+0x2d0, lies at 0x100858
section 2: file 0x3b28+0x14d, lies at 0x100b28
section 4: file 0x3c80+0x1388, lies at 0x100c80
section 5: file 0x5008+0x29, lies at 0x102008
relocations: 0, from 0x400000 to 0x3ffa000
no fault found
";
    assert_eq!(printed(&mut Fake::bios(), &images::bytes(&image)), text);
}

#[test]
fn a_flat_kernel_that_stays() {
    let mut flat = images::flat(HeaderBuilder::new().tag(Tag::ModuleAlignment));
    flat.explicit_load_end = true;
    flat.mem_len = Some(0xa000);
    let text = "\
header at 0x0
  module alignment
  entry address: 0x401010
  address: header 0x400000 load 0x400000 load_end 0x402345 bss_end 0x40a000
not relocatable: stays at 0x400000
segment 0: file 0x0+0x2345, memory 0x400000+0xa000, lies at 0x400000
entry at 0x401010
EFI boot services: ended
WARNING: no console will be available to OS
no fault found
";
    assert_eq!(printed(&mut Fake::efi32(), &flat.build()), text);
}

#[test]
fn a_kernel_beside_boot_services() {
    let header = keeping(HeaderBuilder::new()).tag(Tag::Console(2));
    let image = images::elf_at(Class::Elf64, LOW_BASE, &header);
    let text = "\
header at 0x1000
  EFI boot services
  EFI i386 entry address: 0x10201028
  EFI amd64 entry address: 0x10201020
  console flags: 0x2
not relocatable: stays at 0x10200000
segment 0: file 0x1000+0x1808, memory 0x10200000+0x2400, lies at 0x10200000
segment 1: file 0x3000+0x855, memory 0x10204000+0x1003, lies at 0x10204000
entry at 0x10201020
EFI boot services: kept
WARNING: no console will be available to OS
no fault found
";
    let mut fake = Fake::in_place(Firmware::Efi64);
    assert_eq!(printed(&mut fake, &images::bytes(&image)), text);
}

/// A kernel with a table of relocations of which one is read by its symbol.
fn relocated(mut pie: Pie, kind: u64) -> Pie {
    pie.symbols.push((u64::from(BASE) + 0x20, 1));
    let place = u64::from(BASE) + 0x400;
    let entries = [place, pie.info(kind, 1), place + 8, pie.info(1, 1)];
    pie.table(REL, &entries)
}

#[test]
fn relocations_are_tried_and_counted() {
    for class in CLASSES {
        for (pie, kept) in [(Pie::new(class), false), (Pie::kept(class), true)] {
            let mut fake = Fake::bios();
            let text = printed(&mut fake, &relocated(pie.clone(), 1).file());
            let line = "relocations: 2, from 0x400000 to 0x";
            assert!(text.contains(line), "{kept}: {text}");
            // One that nobody knows.
            fake.store("/bad", &relocated(pie, 99).file());
            let refused = fake.multiboot2(&["/bad"]);
            assert_eq!(fake.multiboot2(&["--check", "/bad"]), refused);
            assert!(matches!(refused, Err(Fault::Ours(e)) if e.kind == Kind::RelocationType));
            // Nobody looks at them.
            for options in [
                ["--check", "--no-elf-relocs"],
                ["--no-elf-relocs", "--check"],
            ] {
                fake.printed.clear();
                fake.multiboot2(&[&options[..], &["/bad"]].concat())
                    .unwrap();
                let said = fake.printed.concat();
                assert!(!said.contains("relocations: "), "{said}");
            }
            assert!(fake.empty());
        }
    }
}

/// A machine with a loaded kernel and its module, and two other files.
fn ready(new: New) -> Fake {
    let mut fake = new()
        .file("/module", &noise(1, 5000))
        .file("/bad", &noise(2, 0x9000));
    let header = HeaderBuilder::new().tag(relocatable(0, u32::MAX, 0x1000, 2));
    let other = with_sections(images::elf(Class::Elf32, &header));
    fake.store("/other", &images::bytes(&other));
    let good = images::good_for(&fake);
    fake.load(&good).unwrap();
    fake.module2(&["/module", "m"]).unwrap();
    fake
}

#[test]
fn a_loaded_kernel_is_left_alone_and_starts() {
    let machines: [New; 4] = [Fake::bios, Fake::efi32, Fake::efi64, || {
        Fake::in_place(Firmware::Efi64)
    }];
    for new in machines {
        let undisturbed = ready(new).boot().unwrap();
        let mut fake = ready(new);
        let modes = fake.payload_modes.replace("mine".to_owned());
        fake.events.clear();
        let world = fake.world.clone();
        let level = (world.handed_out(), world.heap.get(), world.granted.get());
        let commands: [(&[&str], bool); 6] = [
            (&["/kernel", "a", "--check"], true),
            (&["/other"], true),
            (&["/bad"], false),
            (&["/missing"], false),
            (&["--bogus", "/kernel"], false),
            (&[], false),
        ];
        for (words, good) in commands {
            let words = [&["--check"], words].concat();
            assert_eq!(fake.multiboot2(&words).is_ok(), good, "{words:?}");
            let now = (world.handed_out(), world.heap.get(), world.granted.get());
            assert_eq!(now, level, "{words:?}");
        }
        assert!(!fake.events.contains(&"unset".to_owned()));
        assert_eq!(fake.payload_modes.as_deref(), Some("mine"));
        fake.payload_modes = modes;
        let started = fake.boot().unwrap();
        assert_eq!(started.registers, undisturbed.registers);
        assert!(started.chunks == undisturbed.chunks);
    }
}

#[test]
fn a_check_that_fails_anywhere_leaves_the_kernel_loaded() {
    for new in [Fake::bios, Fake::efi64] {
        for n in 0.. {
            let mut fake = ready(new);
            let level = fake.world.handed_out();
            fake.fail_at(n);
            let outcome = fake.multiboot2(&["--check", "/other"]);
            fake.world.fail_at.set(None);
            assert_eq!(outcome.is_err(), fake.world.failed.get().is_some());
            assert_eq!(fake.world.handed_out(), level);
            fake.boot().unwrap();
            if outcome.is_ok() {
                break; // no call is left to fail
            }
        }
    }
}

#[test]
fn an_option_behind_the_file_is_an_argument() {
    let mut fake = Fake::bios();
    fake.store("/kernel", &images::good());
    fake.multiboot2(&["/kernel", "--check"]).unwrap();
    assert!(fake.loaded.is_some());
    assert_eq!(fake.multiboot2(&["--check"]), Err(ours(Kind::NoFileName)));
    assert!(fake.loaded.is_some());
    // Without the option in front, an unknown one costs the loaded kernel.
    let unknown = fake.multiboot2(&["--bogus", "--check", "/kernel"]);
    assert_eq!(unknown, Err(ours(Kind::UnknownOption)));
    assert!(fake.empty());
}

#[test]
fn large_kernels_take_little_of_the_heap() {
    // 40 MiB in the file, and a heap of 64 MiB with other things in it.
    let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
    image
        .segments
        .push(Segment::load(0x80_0000, noise(4, 40 << 20)));
    let mut fake = Fake::bios();
    fake.world.ranges.borrow_mut()[2].end = 0x1000_0000;
    fake.world.ranges.borrow_mut().remove(3);
    printed(&mut fake, &images::bytes(&image));
    let peak = fake.world.heap_peak.get();
    assert!(peak < 0x1_8000, "{peak:#x}");
    assert!(fake.world.reads_ascend("/kernel"));

    // Only one that is relocated is held there, and refused for want of room.
    let header = HeaderBuilder::new().tag(relocatable(0, u32::MAX, 0x1000, 2));
    let mut image = images::elf(Class::Elf64, &header);
    let bss = Segment::load(0x80_0000, vec![1]).mem_len(80 << 20);
    image.segments.push(bss);
    fake.store("/kernel", &images::bytes(&image));
    let refused = fake.multiboot2(&["--check", "/kernel"]);
    assert_eq!(refused, Err(Fault::Grub("full heap")));
    fake.multiboot2(&["--no-elf-relocs", "--check", "/kernel"])
        .unwrap();
    fake.multiboot2(&["/kernel"]).unwrap();
}

#[test]
fn addresses_are_those_of_the_load() {
    let low = relocatable(0x10_0000, u32::MAX, 0x1000, 1);
    let headers = [
        HeaderBuilder::new(),
        HeaderBuilder::new().tag(low),
        HeaderBuilder::new().tag(relocatable(0, u32::MAX, 0x20_0000, 2)),
    ];
    let machines: [New; 3] = [Fake::bios, Fake::efi32, Fake::efi64];
    for new in machines {
        for header in &headers {
            for class in CLASSES {
                let mut files = vec![
                    images::bytes(&with_sections(images::elf(class, header))),
                    images::flat(header.clone()).build(),
                ];
                let pie = relocated(Pie::new(class), 1).table(RELA, &[]);
                files.push(pie.file());
                for file in files {
                    let mut fake = new();
                    let text = printed(&mut fake, &file);
                    fake.load(&file).unwrap();
                    let entry = fake.loaded.as_ref().unwrap().kernel.loaded.entry;
                    assert!(text.contains(&format!("entry at {entry:#x}\n")), "{text}");
                }
            }
        }
    }
}

#[test]
fn the_fault_that_is_named_is_the_one_of_a_load() {
    // The request is refused before anybody sees that there is no end tag.
    let header = HeaderBuilder::new().tag(Tag::InformationRequest(vec![4711]));
    let mut fake = Fake::bios();
    fake.store("/kernel", &images::with_header(&header.length(32)));
    let checked = fake.multiboot2(&["--check", "/kernel"]);
    let loaded = fake.multiboot2(&["/kernel"]);
    assert_eq!(checked, loaded);
    let Err(Fault::Ours(error)) = loaded else {
        panic!("{loaded:?}");
    };
    assert_eq!(error.kind, Kind::UnknownRequest);
}
