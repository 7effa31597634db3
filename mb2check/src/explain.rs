// SPDX-License-Identifier: GPL-3.0-or-later
//! What a refusal is about: the byte of the file, and what was expected there.

use mb2::error::{Error, Kind};
use mb2::params::Firmware;
use mb2::plan::image::MAX_CHUNKS;
use mb2::wire::header::{SEARCH_LEN, TagType};

use crate::elf::Elf;
use crate::host::Setup;
use crate::line::Fault;
use crate::report::{Header, Tag};

/// What is known of a file.
pub struct Facts<'a> {
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Its ELF headers, unless it is a flat file.
    pub elf: Option<&'a Elf<'a>>,
    /// Its Multiboot2 header.
    pub header: Option<&'a Header>,
    /// The machine.
    pub setup: &'a Setup,
}

impl Facts<'_> {
    /// All tags of a type.
    pub fn tags(&self, kind: TagType) -> impl DoubleEndedIterator<Item = &Tag> {
        let tags = self.header.map(|header| &header.tags);
        tags.into_iter()
            .flatten()
            .filter(move |tag| tag.kind == kind.0)
    }

    /// The tag of a type that counts: the last one.
    #[must_use]
    pub fn tag(&self, kind: TagType) -> Option<&Tag> {
        self.tags(kind).next_back()
    }

    /// Tells whether a tag has the entry that is used on this machine.
    #[must_use]
    pub fn entry_by_tag(&self) -> bool {
        let has = |kind| self.tag(kind).is_some();
        let stays = has(TagType::EFI_BOOT_SERVICES) && has(TagType::ENTRY_EFI64);
        has(TagType::ENTRY) || (stays && self.setup.firmware == Firmware::Efi64)
    }

    /// Where a field of that tag is in the file; `inside` the tag.
    fn field(&self, kind: TagType, inside: u64) -> Option<u64> {
        Some(self.tag(kind)?.offset + inside)
    }

    fn program(&self, index: u64, narrow: u64, wide: u64) -> Option<u64> {
        Some(self.elf?.program_field(index, narrow, wide))
    }

    fn section(&self, index: u64, narrow: u64, wide: u64) -> Option<u64> {
        Some(self.elf?.section_field(index, narrow, wide))
    }

    /// The physical ranges of the segments, in words.
    #[must_use]
    pub fn ranges(&self, physical: bool) -> String {
        let range = |(_, program): (u32, &mb2::wire::elf::Program)| {
            let start = if physical {
                program.paddr()
            } else {
                program.vaddr()
            };
            let last = start.saturating_add(program.memory_size() - 1);
            format!("{start:#x}-{last:#x}")
        };
        let all: Vec<_> = self
            .elf
            .into_iter()
            .flat_map(Elf::loadable)
            .map(range)
            .collect();
        match all.len() {
            0 => "the image".to_owned(),
            1..=4 => all.join(", "),
            _ => format!("{}, …", all[..4].join(", ")),
        }
    }
}

type Reason = (Option<u64>, Option<String>);

/// Says where in the file the fault is, and what was expected there.
#[must_use]
pub fn explain(fault: &Fault, facts: &Facts<'_>) -> Reason {
    let Fault::Loader(error) = fault else {
        return (None, None);
    };
    let (offset, expected) = of_header(error, facts)
        .or_else(|| of_elf(error, facts))
        .or_else(|| of_flat(error, facts))
        .or_else(|| of_memory(error, facts))
        .unwrap_or_default();
    (offset, Some(expected).filter(|text| !text.is_empty()))
}

fn of_header(error: &Error, facts: &Facts<'_>) -> Option<(Option<u64>, String)> {
    let [a, b, ..] = error.values;
    let window = facts.bytes.len().min(SEARCH_LEN) as u64;
    Some(match error.kind {
        Kind::NoHeader => (
            None,
            "in the first 32 KiB, at a multiple of 8: 0xe85250d6, 0, the length, and what \
             makes their sum 0"
                .to_owned(),
        ),
        Kind::HeaderLength => (
            Some(a + 8),
            format!(
                "a length from 0x18 to {:#x}, the rest of the window",
                window - a
            ),
        ),
        Kind::TagSize => {
            let end = facts.header.map_or(0, |h| h.offset + u64::from(h.length));
            let kind = TagType(u16::try_from(a).unwrap_or(u16::MAX));
            let least = kind.min_size().unwrap_or(8);
            let size = match kind {
                TagType::END => "8".to_owned(),
                _ => format!("{least} to {}", end.saturating_sub(b)),
            };
            (
                Some(b + 4),
                format!("a size of {size}; the header ends at {end:#x}"),
            )
        }
        Kind::NoEndTag => (
            Some(a),
            "a tag of type 0 and size 8 inside the length of the header".to_owned(),
        ),
        Kind::UnknownTag => {
            let all = facts.header.map(|header| &header.tags);
            let mut all = all.into_iter().flatten();
            let tag = all.find(|tag| u64::from(tag.kind) == a && !tag.optional);
            let text = "a type from 1 to 10, or bit 0 of the flags set: the tag is optional";
            (tag.map(|tag| tag.offset), text.to_owned())
        }
        Kind::UnknownRequest => {
            let at = facts.tags(TagType::INFORMATION_REQUEST).find_map(|tag| {
                let is = |field: &crate::report::Field| u64::from(field.value) == a;
                let index = tag.fields.iter().position(is).filter(|_| !tag.optional)?;
                Some(tag.offset + 8 + 4 * index as u64)
            });
            (
                at,
                "a type of boot information from 0 to 21, or an optional tag".to_owned(),
            )
        }
        Kind::NoEntryTag => (
            facts.field(TagType::ADDRESS, 0),
            "an entry address tag (type 3) beside this address tag (type 2)".to_owned(),
        ),
        Kind::PlacementAlign => (
            facts.field(TagType::RELOCATABLE, 16),
            "a power of two, or 0".to_owned(),
        ),
        Kind::PlacementRange => (
            facts.field(TagType::RELOCATABLE, 12),
            "a max_addr that lies above min_addr by the size of the image or more".to_owned(),
        ),
        Kind::NoConsole => (
            facts.field(TagType::CONSOLE_FLAGS, 8),
            "bit 0 clear, or a framebuffer tag (type 5); EGA text is on a BIOS only".to_owned(),
        ),
        _ => return None,
    })
}

fn of_elf(error: &Error, facts: &Facts<'_>) -> Option<(Option<u64>, String)> {
    let [a, b, c, d, ..] = error.values;
    let size = facts.bytes.len() as u64;
    let number = |at: usize| {
        u16::from_le_bytes([0, 1].map(|i| facts.bytes.get(at + i).copied().unwrap_or(0)))
    };
    Some(match error.kind {
        Kind::ElfMagic => (
            Some(0),
            "7f 45 4c 46, a class, and 1 for little endian; or an address tag (type 2) in the \
             header, for a flat file"
                .to_owned(),
        ),
        Kind::ElfMachine => {
            let text =
                "machine 3 (i386) in an ELF32 file or 62 (x86-64) in an ELF64 file, version 1";
            (Some(18), format!("{text}; found machine {}", number(18)))
        }
        Kind::ElfType => (
            Some(16),
            format!(
                "type 2 (executable) or 3 (shared object); found {}",
                number(16)
            ),
        ),
        Kind::ElfTable => {
            let elf = facts.elf?;
            let header = &elf.header;
            let programs = header.programs.offset == c && u64::from(header.programs.count) == a;
            let (at, least) = match programs {
                true => (elf.pick(28, 32), header.class.program_header_len()),
                false => (elf.pick(32, 40), header.class.section_header_len()),
            };
            let text =
                format!("a table inside the file of {size:#x} bytes, entries of {least} or more");
            (Some(at), text)
        }
        Kind::NoSegment => (
            facts.elf.map(|elf| elf.header.programs.offset),
            "a PT_LOAD segment whose p_memsz is not 0".to_owned(),
        ),
        Kind::SegmentSize => (
            facts.program(a, 16, 32),
            format!("a p_filesz of at most {c:#x}"),
        ),
        Kind::SegmentRange => (
            facts.program(a, 12, 24),
            "a p_paddr and a p_memsz that end at 4 GiB or below".to_owned(),
        ),
        Kind::Overlap => (
            facts.program(d, 12, 24),
            format!("a p_paddr above {c:#x}, the end of segment {a}"),
        ),
        Kind::EntryNotInSegment => (
            Some(24),
            format!(
                "a virtual address in a PT_LOAD segment: {}",
                facts.ranges(false)
            ),
        ),
        Kind::EntryOutside => {
            let kinds = [TagType::ENTRY_EFI64, TagType::ENTRY_EFI32, TagType::ENTRY];
            let named = kinds.iter().filter_map(|kind| facts.tag(*kind));
            let named = named.filter(|tag| u64::from(tag.fields[0].value) == a);
            let at = named.map(|tag| tag.offset + 8).next().unwrap_or(24);
            (
                Some(at),
                format!("a physical address in {}", facts.ranges(true)),
            )
        }
        Kind::FileEnd => {
            let cut = facts.elf?.loadable().find(|(_, program)| {
                let end = program.offset().checked_add(program.file_size());
                program.file_size() > 0 && end.is_none_or(|end| end > size)
            });
            let (index, program) = cut?;
            let end = program.offset().saturating_add(program.file_size());
            let text = format!("segment {index} up to {end:#x}, but the file ends at {size:#x}");
            (facts.program(index.into(), 4, 8), text)
        }
        Kind::SectionRange => (
            facts.section(a, 16, 24),
            format!(
                "an end of {:#x} or below; the section asks for {:#x}",
                size,
                b.saturating_add(c)
            ),
        ),
        Kind::SectionAlign => (
            facts.section(a, 32, 48),
            "a power of two below 4 GiB, or 0".to_owned(),
        ),
        Kind::RelocationTable => (None, "all its bytes in one segment".to_owned()),
        Kind::RelocationEntry => (
            None,
            "whole entries, as long as the class has them".to_owned(),
        ),
        Kind::RelocationType => (
            None,
            "a type that moves an address or a distance, or none".to_owned(),
        ),
        Kind::RelocationOutside => (None, "place, symbol and target in a segment".to_owned()),
        Kind::RelocationFit => (None, "a result of 32 bits, with its sign".to_owned()),
        _ => return None,
    })
}

fn of_flat(error: &Error, facts: &Facts<'_>) -> Option<(Option<u64>, String)> {
    let [_, b, ..] = error.values;
    let field = |inside| facts.field(TagType::ADDRESS, inside);
    Some(match error.kind {
        Kind::HeaderAddr => (
            field(8),
            format!("load_addr plus at most {b:#x}, the header's offset in the file"),
        ),
        Kind::LoadEnd => (field(16), format!("an address above {b:#x}, or 0")),
        Kind::BssEnd => (field(20), format!("an address from {b:#x} on, or 0")),
        Kind::ImageEnd => (
            field(20),
            "an image that has a byte and ends at 4 GiB or below".to_owned(),
        ),
        Kind::FileEnd => (
            field(16),
            format!(
                "no more than the file has, which ends at {:#x}",
                facts.bytes.len()
            ),
        ),
        _ => return None,
    })
}

fn of_memory(error: &Error, facts: &Facts<'_>) -> Option<(Option<u64>, String)> {
    let [a, _, c, _, size, near] = error.values;
    let ranges = facts.setup.map.ranges();
    Some(match error.kind {
        Kind::Scattered => (
            None,
            format!(
                "at most {MAX_CHUNKS} pieces of memory, and parts in the order of the file: it \
                 may be read from an earlier place 255 times"
            ),
        ),
        Kind::Elsewhere if facts.field(TagType::RELOCATABLE, 8).is_some() => (
            facts.field(TagType::RELOCATABLE, 8),
            format!("{size:#x} aligned free bytes in one piece; the nearest are at {near:#x}"),
        ),
        Kind::NotFree | Kind::Elsewhere => {
            let mut holds = ranges
                .iter()
                .filter(|range| range.start <= c && c < range.end);
            let is = holds
                .next()
                .map_or_else(|| "nothing".to_owned(), |range| format!("{:?}", range.sort));
            let mut all = facts.elf.into_iter().flat_map(Elf::loadable);
            let segment = all.find(|(_, program)| program.paddr() == a);
            let at = match segment {
                Some((index, _)) => facts.program(index.into(), 12, 24),
                None => facts.field(TagType::ADDRESS, 12),
            };
            let text = "available memory; the map has";
            (
                at,
                format!(
                    "{text} {is} at {c:#x}. A relocatable tag (type 10) lets the loader choose"
                ),
            )
        }
        Kind::NoRoom => {
            let available = ranges
                .iter()
                .filter(|range| range.sort == crate::memory::Sort::Available);
            let below = available.map(|range| range.end.min(1 << 32).saturating_sub(range.start));
            let largest = below.max().unwrap_or(0);
            (
                facts.field(TagType::RELOCATABLE, 8),
                format!("{a:#x} bytes in one piece; the largest below 4 GiB has {largest:#x}"),
            )
        }
        _ => return None,
    })
}
