// SPDX-License-Identifier: GPL-3.0-or-later
//! ELF files with wrong numbers; each is a good one and its damage.

use super::Variant;
use super::bad::{Bad, Cost, session};
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, Ehdr, ImageBuilder, Numbering, PT_NOTE, Patch, Phdr, Section};
use crate::image::{Segment, Shdr};
use crate::kernel::{BASE, KernelSpec};
use crate::payload::Payload;

/// What is broken, the error, and how.
type Damage = (&'static str, &'static str, fn(&mut ImageBuilder));

const MAGIC: &str = "invalid arch-independent ELF magic";
const MACHINE: &str = "invalid arch-dependent ELF magic";
const TYPE: &str = "this ELF file is not of the right type";
const TABLE: &str = " ELF headers of ";
const FILE_SIZE: &str = ": file size 0x";
const RANGE: &str = "crosses 4 GiB border";
const CUT: &str = "premature end of file /";
const OVERLAP: &str = " overlaps ";
const PCI_HOLE: &str = "/pci-hole: 0xf0000000-0xf0002fff is not free memory: 0xf0000000 has type 0";
const NOWHERE: &str = "entry point isn't in a segment";

fn ehdr(image: &mut ImageBuilder, field: Ehdr, value: u64) {
    image.patches.push(Patch::Ehdr(field, value));
}

fn phdr(image: &mut ImageBuilder, field: Phdr, value: u64) {
    image.patches.push(Patch::Phdr(1, field, value));
}

/// The number of segments stands in section header 0.
fn count_in_section(image: &mut ImageBuilder, count: u64) {
    image.numbering = Numbering {
        segments: true,
        ..Numbering::default()
    };
    image.patches.push(Patch::Shdr(0, Shdr::Info, count));
}

/// Damage that is found before anything is placed.
static DAMAGES: [Damage; 54] = [
    ("magic", MAGIC, |i| ehdr(i, Ehdr::Magic, 0x464c_457e)),
    ("order", MAGIC, |i| ehdr(i, Ehdr::Data, 2)),
    ("class-0", MACHINE, |i| ehdr(i, Ehdr::Class, 0)),
    ("class-3", MACHINE, |i| ehdr(i, Ehdr::Class, 3)),
    ("machine", MACHINE, |i| ehdr(i, Ehdr::Machine, 40)),
    ("version", MACHINE, |i| ehdr(i, Ehdr::Version, 0)),
    ("relocatable-file", TYPE, |i| ehdr(i, Ehdr::Type, 1)),
    ("core-file", TYPE, |i| ehdr(i, Ehdr::Type, 4)),
    ("phentsize-0", TABLE, |i| ehdr(i, Ehdr::PhEntSize, 0)),
    ("phentsize-1", TABLE, |i| ehdr(i, Ehdr::PhEntSize, 1)),
    ("phentsize-short", TABLE, |i| {
        let short = i.class.phdr_len() as u64 - 1;
        ehdr(i, Ehdr::PhEntSize, short);
    }),
    ("phoff-far", TABLE, |i| ehdr(i, Ehdr::PhOff, 0x7fff_ff00)),
    ("phoff-wraps-32", TABLE, |i| {
        ehdr(i, Ehdr::PhOff, 0xffff_ffe0)
    }),
    ("phoff-wraps", TABLE, |i| {
        ehdr(i, Ehdr::PhOff, u64::MAX - 15)
    }),
    ("phnum-0", "nothing to load", |i| ehdr(i, Ehdr::PhNum, 0)),
    ("phnum-many", TABLE, |i| ehdr(i, Ehdr::PhNum, 0xfffe)),
    ("phnum-many-long", TABLE, |i| {
        ehdr(i, Ehdr::PhNum, 0xfffe);
        ehdr(i, Ehdr::PhEntSize, 0xffff);
    }),
    ("phnum-ffff", TABLE, |i| ehdr(i, Ehdr::PhNum, 0xffff)),
    ("phnum-section-0", TABLE, |i| count_in_section(i, 0)),
    ("phnum-section-2", TABLE, |i| count_in_section(i, 2)),
    ("phnum-section-fffe", TABLE, |i| count_in_section(i, 0xfffe)),
    ("phnum-section-wraps", TABLE, |i| {
        count_in_section(i, 0x0800_0001)
    }),
    ("phnum-section-all", TABLE, |i| {
        count_in_section(i, u32::MAX.into())
    }),
    ("phnum-section-far", TABLE, |i| {
        count_in_section(i, 0x1_0000);
        ehdr(i, Ehdr::ShOff, 0xffff_fff8);
    }),
    ("file-above-memory", FILE_SIZE, |i| {
        i.segments[1].mem_len = 0x10
    }),
    ("file-without-memory", FILE_SIZE, |i| {
        i.segments[1].mem_len = 0
    }),
    (
        "file-size-huge",
        "/file-size-huge: segment 1: file size 0xfffffff0 is above 0xfff0",
        |i| {
            phdr(i, Phdr::FileSz, 0xffff_fff0);
            phdr(i, Phdr::MemSz, 0xfff0);
        },
    ),
    ("offset-behind-end", CUT, |i| {
        phdr(i, Phdr::Offset, 0x100_0000)
    }),
    ("offset-wraps", CUT, |i| {
        phdr(i, Phdr::Offset, u64::MAX - 15)
    }),
    ("truncated", "premature end of file /truncated", |i| {
        // The table of sections would be missed first.
        i.sections.clear();
        i.patches.push(Patch::Truncate(0x6001));
    }),
    ("truncated-sections", TABLE, |i| {
        i.patches.push(Patch::Truncate(0x6001))
    }),
    ("above-4gib", RANGE, |i| i.segments[1].paddr = 0xffff_f000),
    ("memory-wraps", RANGE, |i| phdr(i, Phdr::MemSz, 0xffff_f000)),
    ("memory-wraps-top", RANGE, |i| {
        phdr(i, Phdr::PAddr, 0xffff_ffff);
        phdr(i, Phdr::MemSz, 0xffff_ffff);
    }),
    ("overlap", OVERLAP, |i| {
        i.segments[1].paddr = u64::from(BASE) + 0x1800
    }),
    ("contained", OVERLAP, |i| {
        i.segments
            .push(Segment::load(u64::from(BASE) + 0x10, vec![1]))
    }),
    ("overlap-by-one", OVERLAP, |i| {
        let first = &i.segments[0];
        i.segments[1].paddr = first.paddr + first.mem_len - 1;
    }),
    ("entry-nowhere", NOWHERE, |i| i.entry = 0x10),
    ("entry-in-gap", NOWHERE, |i| {
        i.entry = i.segments[0].vaddr + i.segments[0].mem_len
    }),
    ("entry-in-note", NOWHERE, |i| {
        let mut note = Segment::load(u64::from(BASE) + 0x100_0000, Vec::new());
        (note.kind, note.mem_len) = (PT_NOTE, 0x1000);
        i.entry = note.vaddr + 8;
        i.segments.push(note);
    }),
    ("shentsize-0", TABLE, |i| shentsize(i, 0)),
    ("shentsize-1", TABLE, |i| shentsize(i, 1)),
    ("shentsize-8", TABLE, |i| shentsize(i, 8)),
    ("shentsize-short", TABLE, |i| {
        let short = i.class.shdr_len() as u64 - 1;
        shentsize(i, short);
    }),
    ("shoff-far", TABLE, |i| shoff(i, 0x4000_0000)),
    ("shoff-wraps-32", TABLE, |i| shoff(i, 0xffff_fff8)),
    ("shoff-wraps", TABLE, |i| shoff(i, u64::MAX - 63)),
    ("shoff-names-far", TABLE, |i| {
        shoff(i, 0xffff_ffff);
        ehdr(i, Ehdr::ShStrNdx, 0xffff);
    }),
    ("shnum-many", TABLE, |i| {
        section(i);
        ehdr(i, Ehdr::ShNum, 0xfeff);
    }),
    ("shnum-section-ff00", TABLE, |i| shnum(i, 0xff00)),
    ("shnum-section-all", TABLE, |i| shnum(i, u32::MAX.into())),
    ("shnum-section-wraps", TABLE, |i| {
        shnum(i, u64::from(u32::MAX) / 40)
    }),
    ("pci-hole", PCI_HOLE, |i| {
        i.segments[1].paddr = 0xf000_0000;
        i.segments[1].mem_len = 0x3000;
        i.segments[1].data.truncate(0x1000);
        // Nothing is placed before it.
        i.segments.swap(0, 1);
    }),
    ("far-from-ram", "is not free memory", |i| {
        i.segments[1].paddr = 0xffff_0000;
        i.segments[1].mem_len = 0x1_0000;
        i.segments[1].data.truncate(0x1000);
        // Nothing is placed before it.
        i.segments.swap(0, 1);
    }),
];

/// The same for 64-bit numbers only.
static WIDE: [Damage; 8] = [
    (
        "phoff-4gib",
        "/phoff-4gib: no room for 2 ELF headers of 56 bytes at 0x100000000",
        |i| ehdr(i, Ehdr::PhOff, 1 << 32),
    ),
    ("phoff-top", TABLE, |i| ehdr(i, Ehdr::PhOff, u64::MAX - 55)),
    ("phoff-2-63", TABLE, |i| ehdr(i, Ehdr::PhOff, 1 << 63)),
    ("shoff-4gib", TABLE, |i| shoff(i, 1 << 32)),
    ("paddr-4gib", RANGE, |i| phdr(i, Phdr::PAddr, 1 << 32)),
    ("paddr-top", RANGE, |i| phdr(i, Phdr::PAddr, u64::MAX)),
    (
        "memory-all",
        "/memory-all: segment 1 at 0xfffffffffffffff8, size 0xffffffffffffffff crosses 4 GiB border",
        |i| {
            phdr(i, Phdr::PAddr, u64::MAX - 7);
            phdr(i, Phdr::MemSz, u64::MAX);
        },
    ),
    ("memory-8gib", RANGE, |i| phdr(i, Phdr::MemSz, 1 << 33)),
];

/// Damage to an image that may be moved.
static MOVABLE: [&str; 5] = [
    "above-4gib",
    "memory-wraps",
    "memory-wraps-top",
    "overlap",
    "overlap-by-one",
];

/// Damage that is found when the image is in its place.
static SECTIONS: [Damage; 7] = [
    ("section-behind-end", "ends behind the file", |i| {
        last_section(i, Shdr::Size, 0x1000_0000)
    }),
    (
        "section-offset-far",
        "/section-offset-far: section 1 at 0xfffffff8, size 0x9 ends behind the file",
        |i| last_section(i, Shdr::Offset, 0xffff_fff8),
    ),
    (
        "section-align-3",
        "/section-align-3: section 1: alignment 0x3 is not a power of two",
        |i| last_section(i, Shdr::AddrAlign, 3),
    ),
    (
        "section-align-5",
        "alignment 0x5 is not a power of two",
        |i| last_section(i, Shdr::AddrAlign, 5),
    ),
    ("section-align-high", "is not a power of two", |i| {
        last_section(i, Shdr::AddrAlign, 0x0003_0000)
    }),
    ("section-align-all", "is not a power of two", |i| {
        last_section(i, Shdr::AddrAlign, u64::MAX)
    }),
    // A power of two, and no such place in memory.
    ("section-align-2gib", "no free memory for 0x9 bytes", |i| {
        last_section(i, Shdr::AddrAlign, 1 << 31)
    }),
];

/// The same for 64-bit numbers only.
static WIDE_SECTIONS: [Damage; 2] = [
    ("section-align-4gib", "is not a power of two", |i| {
        last_section(i, Shdr::AddrAlign, 1 << 32)
    }),
    ("section-align-top", "is not a power of two", |i| {
        last_section(i, Shdr::AddrAlign, 1 << 63)
    }),
];

fn section(image: &mut ImageBuilder) {
    image.sections.push(Section::loose(".x", vec![1; 9]));
}

fn last_section(image: &mut ImageBuilder, field: Shdr, value: u64) {
    section(image);
    let index = image.sections.len();
    image.patches.push(Patch::Shdr(index, field, value));
}

fn shentsize(image: &mut ImageBuilder, size: u64) {
    section(image);
    ehdr(image, Ehdr::ShEntSize, size);
}

fn shoff(image: &mut ImageBuilder, offset: u64) {
    section(image);
    ehdr(image, Ehdr::ShOff, offset);
}

/// The number of sections stands in section header 0.
fn shnum(image: &mut ImageBuilder, count: u64) {
    section(image);
    ehdr(image, Ehdr::ShNum, 0);
    image.patches.push(Patch::Shdr(0, Shdr::Size, count));
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for (class, name) in super::elf::CLASSES {
        let fixed = KernelSpec::elf(class);
        let mut bad = damaged(&DAMAGES, &fixed, "", payload)?;
        if class == Class::Elf64 {
            bad.extend(damaged(&WIDE, &fixed, "", payload)?);
        }
        let movable = KernelSpec {
            relocatable: Some(Relocatable {
                min: 0x10_0000,
                max: u32::MAX,
                align: 0x1000,
                preference: 1,
            }),
            ..fixed.clone()
        };
        let mut moved = damaged(&DAMAGES, &movable, "movable-", payload)?;
        moved.retain(|(name, ..)| MOVABLE.iter().any(|m| name == &format!("movable-{m}")));
        bad.extend(moved);
        let session_of = |what: &str, bad, places| {
            let name = format!("refused-{what}{}", &name[3..]);
            session(&name, bad, places, payload)
        };
        list.push(session_of("elf", bad, Cost::Searches(1))?);
        let bare = KernelSpec::bare(class);
        let mut bad = damaged(&SECTIONS, &bare, "", payload)?;
        if class == Class::Elf64 {
            bad.extend(damaged(&WIDE_SECTIONS, &bare, "", payload)?);
        }
        list.push(session_of("sections", bad, Cost::Memory)?);
    }
    Ok(list)
}

fn damaged(
    damages: &[Damage],
    spec: &KernelSpec,
    prefix: &str,
    payload: &Payload,
) -> Result<Vec<Bad>> {
    let mut all = Vec::new();
    for &(name, error, damage) in damages {
        let (mut image, _) = spec.elf_builder(payload)?;
        damage(&mut image);
        all.push((format!("{prefix}{name}"), error, image.build()?.bytes));
    }
    Ok(all)
}
