// SPDX-License-Identifier: GPL-3.0-or-later
//! Reports written here, read back, and compared with planted differences.

use super::check::{ExpectedModule, Promise, check};
use super::compare::{Deviation, Rules, compare};
use super::*;
use crate::bytes::{fnv1a64, put_number};
use crate::error::Error;
use crate::kernel::{Expected, ExpectedBlob};
use core::fmt::Write;

/// A boot information block from tags without padding.
fn block(tags: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0; 8];
    for (kind, body) in tags {
        out.extend(kind.to_le_bytes());
        out.extend((body.len() as u32 + 8).to_le_bytes());
        out.extend(body);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let len = out.len() as u64;
    put_number(&mut out, 0, len, 4);
    out
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// One ELF32 section without address space of its own, loaded at 0x3000.
fn section_header() -> Vec<u8> {
    words(&[1, 1, 0, 0x3000, 0x500, 4, 0, 0, 1, 0])
}

fn sample() -> Dump {
    let mut sections = words(&[2, 40, 1]);
    sections.extend([0; 40]);
    sections.extend(section_header());
    let mut map = words(&[24, 0]);
    for (start, len, kind) in [(0u64, 0x9_fc00u64, 1u32), (0x10_0000, 0x1ff0_0000, 1)] {
        map.extend(start.to_le_bytes());
        map.extend(len.to_le_bytes());
        map.extend(words(&[kind, 0]));
    }
    let mut module = words(&[0x2000, 0x2003]);
    module.extend(b"m\0");
    let mbi = block(&[
        (kind::LOAD_BASE, words(&[0x100_0000])),
        (kind::CMDLINE, b"x y\0".to_vec()),
        (kind::LOADER, b"GRUB\0".to_vec()),
        (kind::MODULE, module),
        (kind::MEMORY_MAP, map),
        (kind::SECTIONS, sections),
        (kind::BASIC_MEMORY, words(&[639, 1000])),
        (kind::END, Vec::new()),
    ]);
    let registers = [
        ("eax", 0x36d7_6289),
        ("ebx", 0x1000),
        ("esp", 0x7_ff00),
        ("eflags", 0x46),
    ];
    Dump {
        entry: Entry::Plain32,
        registers: registers.map(|(n, v)| (n.to_owned(), v)).into(),
        image: ImageReport {
            base: 0x100_1000,
            link: 0x100_1000,
            file_len: 0x100,
            mem_len: 0x200,
            fnv: 1,
            relocs: 3,
            already: 0,
        },
        ranges: vec![RangeReport {
            gap: false,
            at: 0x100_0000,
            file_len: 0x1000,
            mem_len: 0x1000,
            fnv: 2,
            dirty: 0,
        }],
        boot_services_alive: false,
        mbi_address: 0x1000,
        mbi,
        modules: vec![ModuleReport {
            start: 0x2000,
            end: 0x2003,
            fnv: fnv1a64(b"abc"),
            tail_len: 0xffd,
            tail: fnv1a64(&[0; 0xffd]),
        }],
        sections: vec![SectionReport {
            index: 1,
            flags: 0,
            addr: 0x3000,
            size: 4,
            fnv: 4,
        }],
    }
}

/// The lines that the kernel prints for a dump.
fn transcript(dump: &Dump) -> String {
    let mut out = String::from("GRUB loading\n\x1b[Hmb2k begin\r\nmb2k entry kind=00000000\r\n");
    let mut line = |text: String| {
        writeln!(out, "mb2k {text}\r").unwrap();
    };
    for (name, value) in &dump.registers {
        line(format!("reg {name}={value:08x}"));
    }
    let i = &dump.image;
    line(format!(
        "image base={:08x} link={:08x} len={:08x} mem={:08x} fnv={:016x} relocs={:08x} already={:08x}",
        i.base, i.link, i.file_len, i.mem_len, i.fnv, i.relocs, i.already
    ));
    for (index, r) in dump.ranges.iter().enumerate() {
        line(format!(
            "range index={index:08x} kind={:08x} at={:08x} len={:08x} mem={:08x} fnv={:016x} dirty={:08x}",
            u32::from(r.gap),
            r.at,
            r.file_len,
            r.mem_len,
            r.fnv,
            r.dirty
        ));
    }
    line("bss zero".to_owned());
    line(format!(
        "mbi at={:08x} len={:08x}",
        dump.mbi_address,
        dump.mbi.len()
    ));
    for (index, bytes) in dump.mbi.chunks(32).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        line(format!("mbi {:06x}: {hex}", index * 32));
    }
    for (index, m) in dump.modules.iter().enumerate() {
        line(format!(
            "module index={index:08x} start={:08x} end={:08x} fnv={:016x} tail_len={:08x} tail={:016x}",
            m.start, m.end, m.fnv, m.tail_len, m.tail
        ));
    }
    for s in &dump.sections {
        line(format!(
            "section index={:08x} flags={:016x} addr={:08x} size={:08x} fnv={:016x}",
            s.index, s.flags, s.addr, s.size, s.fnv
        ));
    }
    line("end ok".to_owned());
    out
}

fn differences(change: impl FnOnce(&mut Dump)) -> Vec<String> {
    let mut ours = sample();
    change(&mut ours);
    let rules = Rules { deviations: &[] };
    let list = compare(&sample(), &ours, &rules).unwrap();
    list.into_iter()
        .map(|difference| difference.place)
        .collect()
}

/// Offset of the n-th tag of a type.
fn offset_of(dump: &Dump, kind: u32) -> usize {
    let tags = dump.tags().unwrap();
    tags.iter().find(|tag| tag.kind == kind).unwrap().offset
}

#[test]
fn transcript_reads_back() {
    let dump = sample();
    assert_eq!(Dump::parse(&transcript(&dump)).unwrap(), dump);
}

#[test]
fn rows_of_zeroes_are_told_in_one_line() {
    let mut dump = sample();
    let row = dump.mbi.len() / 32 / 2 * 32;
    dump.mbi[row..row + 32].fill(0);
    let text = transcript(&dump);
    let zero = format!("mbi {row:06x}: {}", "0".repeat(64));
    let short = text.replace(&zero, &format!("mbi zero={:08x}", row + 32));
    assert_ne!(text, short);
    assert_eq!(Dump::parse(&short).unwrap(), dump);
    for wrong in [row, row + 33, 0x100_0001] {
        let text = text.replace(&zero, &format!("mbi zero={wrong:08x}"));
        assert!(Dump::parse(&text).is_err(), "{wrong:#x}");
    }
}

#[test]
fn the_last_of_two_reports_counts() {
    let mut old = sample();
    old.image.fnv = 77;
    let both = format!("{}{}", transcript(&old), transcript(&sample()));
    assert_eq!(Dump::parse(&both).unwrap(), sample());
}

#[test]
fn broken_transcripts_are_errors() {
    let good = transcript(&sample());
    assert!(matches!(Dump::parse("GRUB only"), Err(Error::NoKernel)));
    let cut = good.replace("mb2k end ok", "");
    assert!(matches!(Dump::parse(&cut), Err(Error::Incomplete(_))));
    let failed = good.replace("end ok", "fail magic");
    assert!(matches!(Dump::parse(&failed), Err(Error::KernelFailed(reason)) if reason == "magic"));
    let panicked = good.replace("end ok", "panic");
    assert!(matches!(Dump::parse(&panicked), Err(Error::KernelPanicked)));
    // A line of the dump is lost on the wire, or damaged.
    let lost: String = good
        .lines()
        .filter(|l| !l.contains("mbi 000020"))
        .map(|l| format!("{l}\n"))
        .collect();
    assert!(matches!(Dump::parse(&lost), Err(Error::BadLine(_))));
    let odd = good.replace("bss zero", "bss what");
    assert!(matches!(Dump::parse(&odd), Err(Error::BadLine(_))));
}

#[test]
fn the_second_reader_accepts_the_sample_and_refuses_damage() {
    let mut dump = sample();
    dump.check_with_multiboot2_crate().unwrap();
    let at = offset_of(&dump, kind::CMDLINE);
    dump.mbi[at + 8] = 0xff;
    assert!(dump.check_with_multiboot2_crate().is_err());
}

#[test]
fn a_dump_is_identical_to_itself() {
    assert_eq!(differences(|_| {}), Vec::<String>::new());
}

#[test]
fn placement_of_loose_parts_may_differ() {
    let moved = differences(|dump| {
        let module = offset_of(dump, kind::MODULE);
        put_number(&mut dump.mbi, module + 8, 0x8000, 4);
        put_number(&mut dump.mbi, module + 12, 0x8003, 4);
        (dump.modules[0].start, dump.modules[0].end) = (0x8000, 0x8003);
        let section = offset_of(dump, kind::SECTIONS) + 20 + 40 + 12;
        put_number(&mut dump.mbi, section, 0x9000, 4);
        dump.sections[0].addr = 0x9000;
        dump.mbi_address = 0xa000;
        dump.registers.insert("ebx".to_owned(), 0xa000);
        dump.registers.insert("eflags".to_owned(), 0x02);
        dump.registers.insert("gdtr.base".to_owned(), 0x1234);
    });
    assert_eq!(moved, Vec::<String>::new());
}

#[test]
fn each_planted_difference_is_found() {
    let register = |name: &'static str, value| {
        move |dump: &mut Dump| {
            dump.registers.insert(name.to_owned(), value);
        }
    };
    assert_eq!(differences(register("ecx", 1)), ["register ecx"]);
    assert_eq!(differences(register("esp", 1)), ["register esp"]);
    assert_eq!(differences(register("eflags", 0x246)), ["register eflags"]);
    assert_eq!(differences(register("ebx", 0x1008)), ["register ebx"]);
    assert_eq!(differences(|d| d.entry = Entry::Efi64)[0], "entry state");
    assert_eq!(differences(|d| d.image.fnv = 5), ["kernel bytes"]);
    assert_eq!(differences(|d| d.ranges[0].fnv = 5), ["ranges"]);
    assert_eq!(differences(|d| d.modules[0].fnv = 5), ["module 0"]);
    assert_eq!(differences(|d| d.sections[0].fnv = 5), ["section 1"]);

    let plant = |kind, offset: usize| {
        move |dump: &mut Dump| {
            let at = offset_of(dump, kind);
            dump.mbi[at + offset] ^= 1;
        }
    };
    assert_eq!(
        differences(plant(kind::LOAD_BASE, 9)),
        ["tag 21 from byte 0x9"]
    );
    assert_eq!(
        differences(plant(kind::CMDLINE, 8)),
        ["tag 1 from byte 0x8"]
    );
    assert_eq!(differences(plant(kind::LOADER, 8)), ["tag 2 from byte 0x8"]);
    assert_eq!(
        differences(plant(kind::MODULE, 16)),
        ["module 0 from byte 0x10"]
    );
    assert_eq!(
        differences(plant(kind::MEMORY_MAP, 32)),
        ["tag 6 from byte 0x20"]
    );
    assert_eq!(
        differences(plant(kind::SECTIONS, 60)),
        ["tag 9 from byte 0x3c"]
    );
    assert_eq!(
        differences(plant(kind::BASIC_MEMORY, 8)),
        ["tag 4 from byte 0x8"]
    );
    // The tag has 12 bytes: what follows is padding.
    assert_eq!(
        differences(plant(kind::LOAD_BASE, 12)),
        ["padding of tag 21"]
    );
    assert_eq!(differences(plant(kind::BASIC_MEMORY, 0)), ["tag order"]);
    let short = differences(|dump| {
        let at = offset_of(dump, kind::LOADER);
        dump.mbi[at + 4] -= 1;
    });
    assert_eq!(short, ["tag 2 length", "tag 2 from byte 0x4"]);
}

#[test]
fn padding_of_the_reference_is_not_looked_at() {
    let mut stock = sample();
    let at = offset_of(&stock, kind::LOAD_BASE);
    stock.mbi[at + 12] = 0x77;
    let rules = Rules { deviations: &[] };
    assert_eq!(compare(&stock, &sample(), &rules).unwrap(), []);
}

#[test]
fn another_base_needs_its_deviation() {
    let mut ours = sample();
    let at = offset_of(&ours, kind::LOAD_BASE);
    put_number(&mut ours.mbi, at + 8, 0x180_0000, 4);
    ours.image.base += 0x80_0000;
    ours.ranges[0].at += 0x80_0000;
    let none = Rules { deviations: &[] };
    assert_eq!(compare(&sample(), &ours, &none).unwrap().len(), 2);
    let placement = Rules {
        deviations: &[Deviation::Placement],
    };
    assert_eq!(compare(&sample(), &ours, &placement).unwrap(), []);
}

fn expected() -> Expected {
    let blob = |fnv| ExpectedBlob {
        offset: 0x1000,
        fnv,
        ranges: vec![(2, false)],
    };
    Expected {
        link_base: 0x100_0000,
        span: 0x1200,
        blob32: blob(1),
        blob64: blob(99),
        efi32_entry: false,
        efi64_entry: false,
        relocatable: None,
        loose_sections: vec![(1, 4)],
    }
}

fn findings(change: impl FnOnce(&mut Dump, &mut Expected)) -> Vec<String> {
    let (mut dump, mut image) = (sample(), expected());
    change(&mut dump, &mut image);
    let modules = [ExpectedModule {
        len: 3,
        fnv: fnv1a64(b"abc"),
        cmdline: "m".to_owned(),
    }];
    let promise = Promise {
        image: &image,
        entry: Entry::Plain32,
        cmdline: "x y",
        modules: &modules,
        zeroed_tails: true,
        modules_behind: false,
        zeroed_gaps: true,
    };
    check(&dump, &promise).unwrap()
}

#[test]
fn promise_is_kept_by_the_sample() {
    assert_eq!(findings(|_, _| {}), Vec::<String>::new());
}

#[test]
fn each_broken_promise_is_named() {
    type Change = fn(&mut Dump, &mut Expected);
    let cases: [(&str, Change); 14] = [
        ("ends in a page", |d, _| d.modules[0].tail ^= 1),
        ("entered as Efi64", |d, _| d.entry = Entry::Efi64),
        ("own bytes are wrong", |_, e| e.blob32.fnv = 7),
        ("range 0 is wrong", |_, e| e.blob32.ranges[0].0 = 7),
        ("range 0 is not zero", |d, _| d.ranges[0].dirty = 0x100_0004),
        ("module 0 has wrong bytes", |d, _| d.modules[0].fnv = 7),
        ("module 0 has 2 bytes", |d, _| d.modules[0].end -= 1),
        ("module 0 is not page-aligned", |d, _| {
            d.modules[0].start += 8;
            d.modules[0].end += 8;
        }),
        ("section 1 is missing", |d, _| d.sections.clear()),
        ("fixed image lies at", |d, _| d.image.base += 0x1000),
        ("boot information is not aligned", |d, _| d.mbi_address += 4),
        ("boot information and module 0 overlap", |d, _| {
            d.mbi_address = 0x1ff8
        }),
        ("boot information at 0x9fff0 is not in available", |d, _| {
            d.mbi_address = 0x9_fff0
        }),
        ("is outside its window", |_, e| {
            e.relocatable = Some(crate::header::Relocatable {
                min: 0x200_0000,
                max: 0x300_0000,
                align: 0x1000,
                preference: 1,
            });
        }),
    ];
    for (text, change) in cases {
        let list = findings(change);
        assert!(
            list.iter().any(|line| line.contains(text)),
            "{text}: {list:?}"
        );
    }
}

#[test]
fn firmware_maps_are_compared_by_what_is_free() {
    /// Type, first page, pages.
    fn map(entries: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = words(&[48, 1]);
        for (kind, page, pages) in entries {
            bytes.extend(words(&[*kind, 0]));
            for value in [page * 0x1000, 0, *pages, 0xf, 0] {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }
    let dump = |entries: &[(u32, u64, u64)]| Dump {
        mbi: block(&[(kind::EFI_MAP, map(entries)), (kind::END, Vec::new())]),
        ..sample()
    };
    let stock = dump(&[(7, 0, 10), (2, 10, 5), (4, 15, 5), (6, 20, 4)]);
    let same = dump(&[(2, 0, 1), (7, 1, 19), (6, 20, 4)]);
    let rules = Rules { deviations: &[] };
    let list = |ours: &Dump| compare(&stock, ours, &rules).unwrap();
    assert!(
        list(&same).iter().all(|d| d.place.ends_with("length")),
        "{:?}",
        list(&same)
    );
    let runtime = dump(&[(7, 0, 10), (2, 10, 5), (4, 15, 4), (6, 19, 5)]);
    assert!(list(&runtime).iter().any(|d| d.place == "tag 17"));
}
