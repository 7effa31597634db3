// SPDX-License-Identifier: GPL-3.0-or-later
//! Near misses: what a refused file has almost right. A loader cannot afford to look
//! for them.

use mb2::error::{Error, Kind};
use mb2::wire::elf::SHT_NOBITS;
use mb2::wire::header::{ARCHITECTURE_I386, MAGIC, SEARCH_LEN, TAG_ALIGN};

use crate::explain::Facts;
use crate::header::word;
use crate::report::Note;

/// First word of a Multiboot1 header.
const MAGIC1: u32 = 0x1bad_b002;

/// How much of a file may hold that header.
const SEARCH1: usize = 8192;

/// Most places that are looked at.
const MOST_CANDIDATES: usize = 1000;

/// Most headers that are spoken of.
const MOST: usize = 4;

/// Finds what is nearly right.
#[must_use]
pub fn near_misses(facts: &Facts<'_>, error: &Error) -> Vec<Note> {
    match error.kind {
        Kind::NoHeader => no_header(facts),
        Kind::TagSize | Kind::NoEndTag => tags(facts),
        Kind::EntryNotInSegment | Kind::EntryOutside => entry(facts, error),
        _ => Vec::new(),
    }
}

fn no_header(facts: &Facts<'_>) -> Vec<Note> {
    let mut found = candidates(facts);
    // A word in the code of a kernel that knows the magic is wrong in all ways.
    let least = found.iter().map(Vec::len).min().unwrap_or(0);
    found.retain(|faults| faults.len() == least);
    let mut notes: Vec<Note> = found.into_iter().take(MOST).flatten().collect();
    if notes.is_empty() {
        notes.extend(swapped(facts.bytes));
        notes.extend(sections(facts));
    }
    notes.extend(multiboot1(facts.bytes));
    notes.extend(formats(facts.bytes));
    notes
}

/// Offsets of four bytes in a file.
fn places(bytes: &[u8], wanted: [u8; 4]) -> impl Iterator<Item = usize> {
    let windows = bytes.windows(4).enumerate();
    windows
        .filter(move |(_, window)| *window == wanted)
        .map(|(at, _)| at)
}

/// What is wrong with each place that has the magic.
fn candidates(facts: &Facts<'_>) -> Vec<Vec<Note>> {
    let bytes = facts.bytes;
    let each = |at: usize| {
        let mut notes = Vec::new();
        let offset = at as u64;
        let Some([architecture, length, checksum]) = fields(bytes, at) else {
            let text = format!("the file ends inside the header whose magic is at {at:#x}");
            return vec![Note::at(offset, text)];
        };
        if !at.is_multiple_of(TAG_ALIGN as usize) {
            let text = format!(
                "misaligned: the magic is at {at:#x}, {} bytes behind a multiple of 8",
                at % TAG_ALIGN as usize
            );
            notes.push(Note::at(offset, text));
        }
        if at + 16 > SEARCH_LEN {
            notes.push(Note::at(offset, far(facts, at)));
        }
        if architecture != ARCHITECTURE_I386 {
            let whose = if architecture == 4 { " (MIPS)" } else { "" };
            let text = format!("architecture {architecture}{whose} instead of 0 (i386)");
            notes.push(Note::at(offset + 4, text));
        }
        let right = 0u32
            .wrapping_sub(MAGIC)
            .wrapping_sub(architecture)
            .wrapping_sub(length);
        if checksum != right {
            let text = format!("magic at {at:#x}, but checksum {checksum:#x}: {right:#x} is right");
            notes.push(Note::at(offset + 12, text));
        }
        notes
    };
    let all = places(bytes, MAGIC.to_le_bytes());
    all.take(MOST_CANDIDATES).map(each).collect()
}

fn fields(bytes: &[u8], at: usize) -> Option<[u32; 3]> {
    Some([
        word(bytes, at + 4)?,
        word(bytes, at + 8)?,
        word(bytes, at + 12)?,
    ])
}

/// A header that nobody searches for so far behind.
fn far(facts: &Facts<'_>, at: usize) -> String {
    let mut text = format!("the header at {at:#x} is not inside the first 32 KiB (0x8000)");
    if let Some(elf) = facts.elf {
        let section = elf.section_at(at as u64);
        let name = section
            .map(|(index, _)| elf.name(index))
            .unwrap_or_default();
        if !name.is_empty() {
            text += &format!(": it is in section {name}");
        }
        text += ". Put its section first in the linker script, and link with smaller pages \
                 (-z max-page-size=0x1000)";
    }
    text
}

fn swapped(bytes: &[u8]) -> Option<Note> {
    let at = places(bytes, MAGIC.to_be_bytes()).next()?;
    let text = "the magic is there in big endian; the header is little endian";
    Some(Note::at(at as u64, text))
}

/// A section that was to hold the header, in a file without the magic.
fn sections(facts: &Facts<'_>) -> Vec<Note> {
    let Some(elf) = facts.elf else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for (index, section) in (0..).zip(&elf.sections) {
        let name = elf.name(index);
        let lower = name.to_lowercase();
        if !lower.contains("multiboot") && !lower.contains("mb2") && !lower.contains("mbi") {
            continue;
        }
        let what = match section.size() {
            0 => "is empty",
            _ if section.kind() == SHT_NOBITS => "has no bytes in the file (NOBITS)",
            _ => "does not hold the magic",
        };
        notes.push(Note::at(section.offset(), format!("section {name} {what}")));
    }
    notes.push(Note::new(
        "the magic 0xe85250d6 is nowhere in this ELF file: the linker has left the header's \
         section out. Name it in the linker script, before .text, with KEEP()",
    ));
    notes
}

fn multiboot1(bytes: &[u8]) -> Option<Note> {
    let start = bytes.get(..SEARCH1).unwrap_or(bytes);
    let at = places(start, MAGIC1.to_le_bytes()).find(|&at| {
        let sum = |flags: u32, check: u32| MAGIC1.wrapping_add(flags).wrapping_add(check);
        let words = word(start, at + 4).zip(word(start, at + 8));
        at.is_multiple_of(4) && words.is_some_and(|(flags, check)| sum(flags, check) == 0)
    })?;
    let text = "a Multiboot1 header: GRUB's command `multiboot` loads this file";
    Some(Note::at(at as u64, text))
}

/// Files of other kinds.
fn formats(bytes: &[u8]) -> Option<Note> {
    let starts: [(&[u8], usize, &str); 6] = [
        (
            b"HdrS",
            0x202,
            "a Linux kernel: GRUB's command `linux` loads it",
        ),
        (
            b"MZ",
            0,
            "a PE file: GRUB's command `chainloader` starts UEFI programs",
        ),
        (b"BZh", 0, "packed by bzip2, which GRUB does not unpack"),
        (
            b"\x89LZO",
            0,
            "packed by lzop, which GRUB unpacks but not this program",
        ),
        (
            b"\x04\x22\x4d\x18",
            0,
            "packed by lz4, which GRUB does not unpack",
        ),
        (
            b"\x5d\0\0",
            0,
            "packed by lzma, which GRUB does not unpack; xz it does",
        ),
    ];
    if bytes.is_empty() {
        return Some(Note::new("the file is empty"));
    }
    let is = |start: &[u8], at| {
        bytes
            .get(at..)
            .is_some_and(|rest: &[u8]| rest.starts_with(start))
    };
    let found = starts.iter().find(|(start, at, _)| is(start, *at))?;
    Some(Note::at(found.1 as u64, found.2))
}

/// Tags that would be there with less padding, or behind the header's length.
fn tags(facts: &Facts<'_>) -> Vec<Note> {
    let Some(header) = facts.header else {
        return Vec::new();
    };
    let start = header.offset as usize;
    let end = start + header.length as usize;
    for align in [4, 1] {
        let Some(list) = walk(facts.bytes, start + 16, end, align) else {
            continue;
        };
        let wrong = list.iter().find(|(at, _)| !(at - start).is_multiple_of(8));
        if let Some((at, kind)) = wrong {
            let missing = 8 - (at - start) % 8;
            let text = format!(
                "the tag of type {kind} at {at:#x} is not 8-aligned: {missing} bytes of padding \
                 are missing before it"
            );
            return vec![Note::at(*at as u64, text)];
        }
    }
    let window = facts.bytes.len().min(SEARCH_LEN);
    if let Some(list) = walk(facts.bytes, start + 16, window, 8)
        && let Some((at, _)) = list.last()
        && at + 8 > end
    {
        let right = at + 8 - start;
        let text =
            format!("the end tag is at {at:#x}, behind the header's length: {right:#x} is right");
        return vec![Note::at(header.offset + 8, text)];
    }
    Vec::new()
}

/// The tags from `at` up to an end tag before `end`, as offsets and types; only if all
/// of them are known.
fn walk(bytes: &[u8], mut at: usize, end: usize, align: usize) -> Option<Vec<(usize, u16)>> {
    let mut list = Vec::new();
    loop {
        let (kind, size) = (word(bytes, at)?, word(bytes, at + 4)? as usize);
        let kind = u16::try_from(kind & 0xffff).ok()?;
        if at + 8 > end {
            return None;
        }
        list.push((at, kind));
        if (kind, size) == (0, 8) {
            return Some(list);
        }
        if kind > 10 || kind == 0 || size < 8 {
            return None;
        }
        at = at.checked_add(size)?.checked_next_multiple_of(align)?;
    }
}

/// An entry that mixes up physical and virtual addresses.
fn entry(facts: &Facts<'_>, error: &Error) -> Vec<Note> {
    let Some(elf) = facts.elf else {
        return Vec::new();
    };
    let named = error.kind == Kind::EntryOutside;
    let entry = if named {
        error.values[0]
    } else {
        elf.header.entry
    };
    for (index, program) in elf.loadable() {
        let (is, wanted, from, to) = match named {
            true => ("virtual", "physical", program.vaddr(), program.paddr()),
            false => ("physical", "virtual", program.paddr(), program.vaddr()),
        };
        let inside = entry
            .checked_sub(from)
            .filter(|inside| *inside < program.memory_size());
        if let Some(inside) = inside.filter(|_| from != to) {
            let right = to.wrapping_add(inside);
            let text = format!(
                "{entry:#x} is a {is} address of segment {index}; the {wanted} one is {right:#x}"
            );
            return vec![Note::new(text)];
        }
    }
    let distance = |program: &mb2::wire::elf::Program| {
        let start = if named {
            program.paddr()
        } else {
            program.vaddr()
        };
        let last = start.saturating_add(program.memory_size() - 1);
        (
            start.saturating_sub(entry).max(entry.saturating_sub(last)),
            entry > last,
        )
    };
    let nearest = elf
        .loadable()
        .map(|(index, program)| (distance(program), index))
        .min();
    nearest.map_or_else(Vec::new, |((bytes, behind), index)| {
        let side = if behind {
            "behind the end"
        } else {
            "before the start"
        };
        vec![Note::new(format!(
            "{entry:#x} is {bytes:#x} bytes {side} of segment {index}"
        ))]
    })
}
