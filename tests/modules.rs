// SPDX-License-Identifier: GPL-3.0-or-later
//! Modules: where they lie, how they are listed, what a failing one leaves.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, LOW_BASE};
use common::information::{kinds, modules};
use common::world::{FREE, Fault, Finds, RESERVED, Range};
use common::{Fake, New};
use mb2::error::{Error, Kind};
use mb2::params::Firmware;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::Class;

/// A machine with a kernel and some files.
fn fake() -> Fake {
    with_files(Fake::bios())
}

fn with_files(fake: Fake) -> Fake {
    let mut fake = fake
        .file("/one", &noise(1, 0x1234))
        .file("/two", &noise(2, 0x3000))
        .file("/none", b"");
    fake.load(&images::good()).unwrap();
    fake
}

fn ours(kind: Kind, numbers: &[u64]) -> Fault {
    Fault::Ours(Error::new(kind, numbers))
}

#[test]
fn modules_are_listed_in_the_order_of_the_commands() {
    for mut fake in [Fake::bios, Fake::efi32, Fake::efi64].map(|new| with_files(new())) {
        fake.module2(&["/two", "second", "first"]).unwrap();
        fake.module2(&["/one"]).unwrap();
        fake.module2(&["/two", "again"]).unwrap();
        assert!(fake.world.reads_ascend("/one"));
        let started = fake.boot().unwrap();
        let list = modules(&started);
        let texts: Vec<&[u8]> = list.iter().map(|(.., text)| text.as_slice()).collect();
        assert_eq!(texts, [b"second first\0".as_slice(), b"\0", b"again\0"]);
        let contents = [noise(2, 0x3000), noise(1, 0x1234), noise(2, 0x3000)];
        for ((start, end, _), contents) in list.iter().zip(&contents) {
            assert_eq!(start % 0x1000, 0);
            assert_eq!((end - start) as usize, contents.len());
            assert!(started.memory(*start, contents.len()) == contents);
        }
        assert!(fake.balanced());
    }
}

#[test]
fn the_rest_of_the_last_page_is_zero() {
    let mut fake = fake();
    fake.module2(&["/one"]).unwrap();
    let started = fake.boot().unwrap();
    let (start, end, _) = modules(&started).remove(0);
    let rest = (end.next_multiple_of(0x1000) - end) as usize;
    assert_eq!(started.memory(end, rest), vec![0; rest]);
    assert_eq!(started.chunks[&start].len(), 0x2000);
}

#[test]
fn modules_take_the_lowest_pages() {
    let mut fake = fake();
    fake.module2(&["/one"]).unwrap();
    fake.module2(&["/two"]).unwrap();
    let list = modules(&fake.boot().unwrap());
    assert_eq!(list[0].0, 0x10_0000);
    assert_eq!(list[1].0, 0x10_2000);
}

#[test]
fn an_empty_module_is_listed_without_memory() {
    let mut fake = fake();
    fake.module2(&["/none", "nothing"]).unwrap();
    fake.module2(&["/one"]).unwrap();
    let started = fake.boot().unwrap();
    let list = modules(&started);
    assert_eq!(list[0], (0, 0, b"nothing\0".to_vec()));
    assert_eq!(list[1].1 - list[1].0, 0x1234);
}

#[test]
fn fifty_modules_and_a_long_line_are_no_trouble() {
    let mut fake = fake();
    let long = "x".repeat(2000);
    for number in 0..50 {
        let text = number.to_string();
        fake.module2(&["/one", &text, &long]).unwrap();
    }
    let started = fake.boot().unwrap();
    for (number, (start, _, text)) in modules(&started).into_iter().enumerate() {
        assert_eq!(text, format!("{number} {long}\0").into_bytes());
        assert!(started.memory(start, 0x1234) == noise(1, 0x1234));
    }
    assert_eq!(
        kinds(started.information())[3..54],
        [vec![10], vec![3; 50]].concat()
    );
    assert!(fake.balanced());
}

#[test]
fn command_lines_are_quoted_as_grub_quotes_them() {
    let mut fake = fake();
    let args = ["/one", "a b", "it's", "\"q\"", "back\\slash", ""];
    fake.module2(&args).unwrap();
    let started = fake.boot().unwrap();
    let text = br#""a b" it\'s \"q\" back\\slash "#;
    assert_eq!(modules(&started)[0].2, [text.as_slice(), b"\0"].concat());
}

#[test]
fn nounzip_is_an_option_only_in_front_of_the_file() {
    let mut fake = fake();
    fake.module2(&["--nounzip", "/one", "x"]).unwrap();
    fake.module2(&["/one", "--nounzip"]).unwrap();
    let opened: Vec<_> = fake.events.iter().filter(|e| e.contains("/one")).collect();
    assert_eq!(opened[0], "open /one StoredModule");
    assert_eq!(opened[2], "open /one Module");
    let list = modules(&fake.boot().unwrap());
    assert_eq!(
        (list[0].2.as_slice(), list[1].2.as_slice()),
        (b"x\0".as_slice(), b"--nounzip\0".as_slice())
    );
}

#[test]
fn a_file_is_opened_and_read_before_its_line_is_verified() {
    let mut fake = fake();
    fake.events.clear();
    fake.module2(&["/one", "x"]).unwrap();
    let order = ["open /one Module", "read /one", "verify Module"];
    assert_eq!(fake.events, order);
    assert!(fake.balanced());
}

#[test]
fn a_module_needs_a_name_and_a_kernel() {
    let mut fake = fake();
    assert_eq!(fake.module2(&[]), Err(ours(Kind::NoFileName, &[])));
    assert_eq!(
        fake.module2(&["--nounzip"]),
        Err(ours(Kind::NoFileName, &[]))
    );
    fake.loaded = None;
    assert_eq!(fake.module2(&["/one"]), Err(ours(Kind::NoKernel, &[])));
    assert!(fake.empty());
}

#[test]
fn a_failing_module_leaves_the_kernel_and_the_earlier_ones() {
    let mut fake = fake();
    fake.module2(&["/one", "kept"]).unwrap();
    fake.store("/short", &noise(5, 9000)).readable = 8999;
    fake.store("/unknown", &noise(5, 100)).sized = false;
    let short = Error::new(Kind::FileEnd, &[]);
    assert_eq!(fake.module2(&["/short"]), Err(Fault::Ours(short)));
    assert_eq!(
        fake.module2(&["/unknown"]),
        Err(ours(Kind::UnknownSize, &[]))
    );
    assert_eq!(
        fake.module2(&["/missing"]),
        Err(Fault::Grub("no such file"))
    );
    assert_eq!(fake.world.handed_out().1, 0, "an open file is left");
    fake.module2(&["/two"]).unwrap();
    let started = fake.boot().unwrap();
    let list = modules(&started);
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].2, b"kept\0");
    assert!(started.memory(list[0].0, 0x1234) == noise(1, 0x1234));
    assert!(started.memory(list[1].0, 0x3000) == noise(2, 0x3000));
    assert!(fake.balanced());
}

#[test]
fn a_module_larger_than_memory_is_refused() {
    let mut fake = fake();
    fake.world.ranges.replace(vec![
        Range {
            start: 0,
            end: 0x9_0000,
            kind: FREE,
        },
        Range {
            start: 0x10_0000,
            end: 0x20_0000,
            kind: FREE,
        },
        Range {
            start: 0x20_0000,
            end: 0x30_0000,
            kind: RESERVED,
        },
    ]);
    fake.store("/big", &vec![1; 0x10_0001]);
    let error = fake.module2(&["/big"]).unwrap_err();
    let numbers = [0x10_1000, 0x1000, u64::from(u32::MAX)];
    assert_eq!(error, ours(Kind::NoRoom, &numbers));
    fake.store("/fits", &vec![1; 0x10_0000]);
    fake.module2(&["/fits"]).unwrap();
    assert!(fake.balanced());
}

#[test]
fn modules_never_lie_in_boot_services_memory() {
    let mut fake = with_files(Fake::efi64());
    // Only memory of boot services is large enough.
    fake.store("/big", &vec![1; 0x1_0000]);
    fake.world.ranges.borrow_mut()[0].end = 0x8000;
    fake.world.ranges.borrow_mut()[1].end = 0x10_1000;
    fake.world.ranges.borrow_mut()[4].end = 0x300_1000;
    let error = fake.module2(&["/big"]).unwrap_err();
    assert!(matches!(error, Fault::Ours(e) if e.kind == Kind::NoRoom));
    fake.module2(&["/one"]).unwrap();
    assert!(fake.balanced());
}

#[test]
fn modules_stay_where_they_are_beside_boot_services() {
    let header = images::keeping(HeaderBuilder::new());
    let image = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header));
    let mut fake = Fake::in_place(Firmware::Efi64).file("/one", &noise(1, 0x1234));
    fake.load(&image).unwrap();
    fake.module2(&["/one"]).unwrap();
    let started = fake.boot().unwrap();
    let list = modules(&started);
    assert_eq!(list.len(), 1);
    assert!(started.memory(list[0].0, 0x1234) == noise(1, 0x1234));
    assert!(fake.balanced());
}

#[test]
fn a_chunk_that_would_have_to_move_is_refused_beside_boot_services() {
    // D25: the firmware owns what lies in the way.
    let header = images::keeping(HeaderBuilder::new());
    let kernel = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header));
    let mut fake = Fake::in_place(Firmware::Efi64).file("/one", &noise(1, 0x1234));
    let no_room = |fault| matches!(fault, Fault::Ours(e) if e.kind == Kind::NoRoom);
    fake.world.finds.set(Finds::Moved);
    assert!(no_room(fake.load(&kernel).unwrap_err()));
    assert!(fake.empty());
    fake.world.finds.set(Finds::Direct);
    fake.load(&kernel).unwrap();
    fake.world.finds.set(Finds::Moved);
    assert!(no_room(fake.module2(&["/one"]).unwrap_err()));
    assert!(fake.balanced());
}

#[test]
fn a_refused_chunk_is_not_moved_over_what_lies_there() {
    // GRUB takes no single chunk back, and moves all of them at the end.
    let header = images::keeping(HeaderBuilder::new());
    let beside = images::bytes(&images::elf_at(Class::Elf64, LOW_BASE, &header));
    let new: [New; 2] = [Fake::bios, || Fake::in_place(Firmware::Efi64)];
    let kernels = [images::good(), beside];
    let finds = [Finds::Misplaced(0x400_0000), Finds::Moved];
    for ((new, kernel), finds) in new.into_iter().zip(kernels).zip(finds) {
        let mut fake = new();
        fake.store("/one", &noise(1, 0x1234));
        fake.load(&kernel).unwrap();
        fake.world.finds.set(finds);
        let error = fake.module2(&["/one"]).unwrap_err();
        assert!(matches!(error, Fault::Ours(e) if e.kind == Kind::NoRoom));
        fake.world.finds.set(Finds::Direct);
        // The fake stops a jump that would harm.
        match fake.boot() {
            Ok(started) => assert_eq!(modules(&started), []),
            Err(fault) => assert!(matches!(fault, Fault::Ours(_)), "{fault:?}"),
        }
        assert!(fake.balanced());
        fake.load(&kernel).unwrap();
        fake.boot().unwrap();
    }
}
