// SPDX-License-Identifier: GPL-3.0-or-later
//! `multiboot2 --modules-after-kernel`: modules behind the kernel.
#![expect(clippy::unwrap_used, reason = "test code stops where it is surprised")]

mod common;

use common::images::{self, BASE, SPAN};
use common::information::{find, modules};
use common::world::{FREE, Fault};
use common::{Fake, New};
use mb2::error::{Error, Kind};
use mb2_testkit::bytes::noise;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::Class;

fn with_files(fake: Fake) -> Fake {
    fake.file("/one", &noise(1, 0x1234))
        .file("/two", &noise(2, 0x3000))
        .file("/none", b"")
}

fn ours(kind: Kind, numbers: &[u64]) -> Fault {
    Fault::Ours(Error::new(kind, numbers))
}

/// Where modules lie that have to lie behind this kernel, and the rest of its
/// words.
fn behind(fake: &mut Fake, kernel: &[u8], words: &[&str]) -> Vec<(u32, u32, Vec<u8>)> {
    fake.store("/kernel", kernel);
    let words = [&["--modules-after-kernel"], words].concat();
    fake.multiboot2(&words).unwrap();
    for file in ["/one", "/none", "/two"] {
        fake.module2(&[file]).unwrap();
    }
    let list = modules(&fake.boot().unwrap());
    assert!(fake.balanced());
    list
}

#[test]
fn modules_lie_one_mib_behind_the_kernel_if_told_so() {
    let movable = |preference| {
        let tag = images::relocatable(0x20_0000, 0x300_0000, 0x1000, preference);
        HeaderBuilder::new().tag(tag)
    };
    let plain = HeaderBuilder::new();
    let flat = images::flat(plain.clone()).build();
    let flat_end = BASE + u32::try_from(flat.len()).unwrap();
    let high = |end: u32| ((end - SPAN) & !0xfff) + SPAN;
    let ends_at = |mem_len| {
        let mut image = images::elf(Class::Elf64, &plain);
        image.segments[1].mem_len = mem_len;
        images::bytes(&image)
    };
    // Each with where the image ends on a PC, and on a UEFI machine.
    let kernels = [
        (images::with_header(&plain), [BASE + SPAN; 2]),
        (images::with_header(&movable(1)), [0x20_0000 + SPAN; 2]),
        // Boot services have memory from 32 MiB on.
        (
            images::with_header(&movable(2)),
            [high(0x300_0000), high(0x200_0000)],
        ),
        (flat, [flat_end; 2]),
        (ends_at(0x1000), [BASE + 0x5000; 2]),
        (ends_at(0x1001), [BASE + 0x5001; 2]),
    ];
    for (file, ends) in kernels {
        let machines: [(New, u32); 3] = [
            (Fake::bios, ends[0]),
            (Fake::efi32, ends[1]),
            (Fake::efi64, ends[1]),
        ];
        for (new, end) in machines {
            let list = behind(&mut with_files(new()), &file, &["/kernel"]);
            let at = match end + 0x10_0000 {
                // The next memory that is free.
                0x200_0000..0x300_0000 => 0x300_0000,
                from => from.next_multiple_of(0x1000),
            };
            let starts: Vec<u32> = list.iter().map(|(start, ..)| *start).collect();
            assert_eq!(starts, [at, 0, at + 0x2000]);
        }
    }
}

#[test]
fn options_stand_before_the_file_in_any_order_and_leave_no_trace() {
    let file = images::with_header(&HeaderBuilder::new());
    for words in [
        &["--no-elf-relocs", "/kernel", "--modules-after-kernel"][..],
        &[
            "--modules-after-kernel",
            "/kernel",
            "--modules-after-kernel",
        ],
    ] {
        let mut fake = with_files(Fake::bios());
        behind(&mut fake, &file, words);
        fake.multiboot2(words).unwrap();
        let started = fake.boot().unwrap();
        assert_eq!(
            find(started.information(), 1)[8..],
            *b"--modules-after-kernel\0"
        );
    }
    // The next kernel is loaded as if there were no option.
    let mut fake = with_files(Fake::bios());
    behind(&mut fake, &file, &["/kernel"]);
    fake.load(&file).unwrap();
    fake.module2(&["/one"]).unwrap();
    assert_eq!(modules(&fake.boot().unwrap())[0].0, 0x10_0000);
    for words in [&["--modules-after-kernel"][..], &["--no-elf-relocs"]] {
        assert_eq!(fake.multiboot2(words), Err(ours(Kind::NoFileName, &[])));
        assert!(fake.empty());
    }
    for word in [
        "--",
        "--modules-after",
        "--modules-after-kernel2",
        "--no-elf-reloc",
    ] {
        let fault = fake.multiboot2(&[word, "/kernel"]);
        assert_eq!(fault, Err(ours(Kind::UnknownOption, &[])));
        assert_eq!(fake.named, word);
    }
}

#[test]
fn no_room_behind_the_kernel_is_an_error_that_names_room_elsewhere() {
    let header = HeaderBuilder::new().tag(images::relocatable(0, u32::MAX, 1, 2));
    let kernel = images::with_header(&header);
    let mut fake = with_files(Fake::bios()).file("/kernel", &kernel);
    fake.multiboot2(&["--modules-after-kernel", "/kernel"])
        .unwrap();
    let from = 0x400_0000 + 0x10_0000;
    let nearest = (0x400_0000 - SPAN - 0x2000) & !0xfff;
    let numbers = [from, u32::MAX, from, 0, 0x2000, nearest].map(u64::from);
    for _ in 0..2 {
        let fault = fake.module2(&["/one"]);
        assert_eq!(fault, Err(ours(Kind::Elsewhere, &numbers)));
    }
    fake.module2(&["/none"]).unwrap();
    assert_eq!(modules(&fake.boot().unwrap()).len(), 1);
    assert!(fake.balanced());
    // A kernel that ends at 4 GiB has nothing behind it.
    let base = 0u32.wrapping_sub(SPAN.next_multiple_of(0x1000));
    let image = images::elf_at(Class::Elf32, base, &HeaderBuilder::new());
    let mut fake = with_files(Fake::bios());
    let top = fake.world.ranges.borrow().len() - 1;
    fake.world.ranges.borrow_mut()[top].kind = FREE;
    fake.store("/kernel", &images::bytes(&image));
    fake.multiboot2(&["--modules-after-kernel", "/kernel"])
        .unwrap();
    let fault = fake.module2(&["/one"]).unwrap_err();
    assert!(
        matches!(fault, Fault::Ours(e) if e.kind == Kind::Elsewhere),
        "{fault:?}"
    );
    assert!(fake.balanced());
}
