// SPDX-License-Identifier: GPL-3.0-or-later
//! The parts of a load, each beside its part of the reference.

use crate::common::reference::{self, Meaning, N};
use arbitrary::Arbitrary;
use mb2::error::{Kept, Outcome};
use mb2::params::{Console, Firmware, LoadParams, Machine, Preference};
use mb2::plan::image::{ImagePlan, Programs, plan_elf, plan_flat};
use mb2::table::{RECORD_LEN, Table};
use mb2::wire::elf::{self, FileHeader, HeaderTable, Section};
use mb2::wire::header::{Header, TagType};

/// The machines that take tags differently.
const MACHINES: [(Firmware, N); 3] = [
    (Firmware::Bios, 0),
    (Firmware::Efi32, 32),
    (Firmware::Efi64, 64),
];

/// Runs something that reports; it fails with a reason or not at all.
fn reported<T>(run: impl FnOnce(&mut Kept) -> Outcome<T>) -> Option<T> {
    let mut kept = Kept::default();
    let outcome = run(&mut kept);
    assert_eq!(outcome.is_err(), kept.0.is_some(), "{:?}", kept.0);
    outcome.ok()
}

/// What the header of a file asks for.
fn params(file: &[u8], machine: Machine, report: &mut Kept) -> Outcome<LoadParams> {
    let mut params = LoadParams::default();
    let header = Header::find(file, report)?;
    params.read(&header, machine, report)?;
    Ok(params)
}

/// Searches a header in a file and reads its tags; tells whether all machines take it.
pub(crate) fn header(file: &[u8]) -> bool {
    MACHINES.iter().all(|&(firmware, bits)| {
        let vga_text = firmware == Firmware::Bios;
        let machine = Machine { firmware, vga_text };
        let params = reported(|report| params(file, machine, report));
        let mut meaning = Meaning::default();
        let sound = reference::header(&mut meaning, file, bits).is_some();
        let needs_entry = meaning.tags[2].is_some() && meaning.entry.is_none();
        assert_eq!(params.is_some(), sound && !needs_entry, "{meaning:x?}");
        params.inspect(|params| compare(params, &meaning)).is_some()
    })
}

fn compare(params: &LoadParams, meaning: &Meaning) {
    assert_eq!(N::from(params.header_offset), meaning.header);
    assert_eq!(params.entry().map(N::from), meaning.entry);
    assert_eq!(params.keep_services, meaning.keeps_services);
    let address = params
        .address()
        .map(|a| [a.header, a.load, a.load_end, a.bss_end]);
    assert_eq!(address.map(|fields| fields.map(N::from)), meaning.tags[2]);
    let wish = params.framebuffer();
    let wish = [wish.width, wish.height, wish.depth].map(N::from);
    let [width, height, depth, _] = meaning.tags[5].unwrap_or_default();
    assert_eq!(wish, [width, height, depth]);
    let flags = [
        (Console::REQUIRED, meaning.console & 1 != 0),
        (Console::EGA_TEXT, meaning.console & 2 == 0),
        (Console::FRAMEBUFFER, meaning.tags[5].is_some()),
    ];
    for (flag, expected) in flags {
        assert_eq!(params.console.contains(flag), expected, "{flag:?}");
    }
    let place = params.placement().map(|p| {
        let high = p.preference == Preference::High;
        ([p.min, p.max, p.align].map(N::from), high)
    });
    let wanted = meaning.tags[10].map(|[min, max, align, preference]| {
        let high = preference == 2;
        ([min, max, align.max(1)], high)
    });
    assert_eq!(place, wanted);
}

/// What a load knows of its image apart from the file.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub(crate) struct Apart {
    pub(crate) moves: bool,
    pub(crate) entry: Option<u32>,
}

impl Apart {
    fn params(self) -> LoadParams {
        let machine = Machine {
            firmware: Firmware::Bios,
            vga_text: true,
        };
        let header = mb2_testkit::header::HeaderBuilder::new().build();
        let params = reported(|report| params(&header, machine, report));
        let mut params = params.expect("a sound header");
        if let Some(entry) = self.entry {
            params.set(TagType::ENTRY, [entry, 0, 0, 0]);
        }
        if self.moves {
            params.set(TagType::RELOCATABLE, [0, u32::MAX, 1, 0]);
        }
        params
    }

    /// Compares a plan with what the reference has read, if it has.
    fn compare(self, plan: Option<&ImagePlan<Vec<u8>>>, meaning: Option<Meaning>) -> bool {
        let holds =
            |m: &Meaning, entry| m.parts.iter().any(|p| p[0] <= entry && entry < p[0] + p[1]);
        let meaning = meaning.filter(|m| m.entry.is_some_and(|entry| holds(m, entry)));
        let (Some(plan), Some(mut meaning)) = (plan, meaning.clone()) else {
            assert_eq!(plan.is_some(), meaning.is_some(), "{meaning:x?}");
            return false;
        };
        meaning.parts.sort_unstable();
        let ends = meaning.parts.iter().map(|p| p[0] + p[1]);
        let end = ends.max().expect("a part");
        assert_eq!(N::from(plan.extent.first), meaning.parts[0][0]);
        assert_eq!(N::from(plan.extent.last) + 1, end);
        assert_eq!(Some(N::from(plan.entry)), meaning.entry);
        // In the order of the file, so that it is read front to back.
        let offsets: Vec<u32> = plan.segments.iter().map(|s| s.offset).collect();
        assert!(offsets.is_sorted());
        let mut found: Vec<[N; 4]> = Vec::new();
        for segment in plan.segments.iter() {
            let [first, last] = [segment.memory.first, segment.memory.last].map(N::from);
            let [offset, len] = [segment.offset, segment.file_size].map(N::from);
            found.push([first, last + 1 - first, offset * len.min(1), len]);
        }
        found.sort_unstable();
        let next: Vec<N> = meaning.parts.iter().map(|part| part[0]).collect();
        for (number, part) in meaning.parts.iter_mut().enumerate() {
            // What moves in one piece has no gaps.
            let next = next.get(number + 1).copied().unwrap_or(end);
            part[1] = if self.moves { next - part[0] } else { part[1] };
            part[2] *= part[3].min(1);
        }
        assert_eq!(found, meaning.parts);
        true
    }
}

/// Plans an ELF file; tells whether it is sound.
pub(crate) fn elf(file: &[u8], apart: Apart) -> bool {
    let params = apart.params();
    let size = u32::try_from(file.len()).expect("a small file");
    let bytes = |table: &HeaderTable| match table.is_empty() {
        true => &[],
        false => &file[table.offset() as usize..][..table.len() as usize],
    };
    let header = reported(|report| {
        let mut header = FileHeader::parse(file, report)?;
        let first = header.extension(size);
        header.resolve(first.as_ref().map(bytes), size, report)?;
        Ok(header)
    });
    let plan = header.and_then(|header| {
        let programs = Programs {
            file: &header,
            bytes: bytes(&header.programs),
            file_size: size,
        };
        let table = Table::new(vec![0; header.programs.count as usize * RECORD_LEN]);
        reported(|report| plan_elf(&params, &programs, table, report))
    });
    let sections = header.and_then(|header| sections(file, &header, size));
    let mut meaning = Meaning {
        entry: params.entry().map(N::from),
        ..Meaning::default()
    };
    let sound = reference::elf(&mut meaning, file).is_some();
    let plan = plan.filter(|_| sections.is_some());
    let good = apart.compare(plan.as_ref(), sound.then_some(meaning.clone()));
    if good {
        assert_eq!(sections, Some(meaning.sections));
        let header = header.expect("a plan has a header");
        let [offset, count, stride, names] = meaning.table;
        assert_eq!(N::from(header.sections.count), count);
        if count > 0 {
            assert_eq!(N::from(header.sections.offset), offset);
            assert_eq!(N::from(header.sections.entry_size), stride);
            assert_eq!(N::from(header.name_index), names);
        }
    }
    good
}

/// The sections to load, if they are all sound: number, offset, size, alignment.
fn sections(file: &[u8], header: &FileHeader, size: u32) -> Option<Vec<[N; 4]>> {
    let table = &header.sections;
    let mut list = Vec::new();
    for number in 0..table.count {
        let start = table.offset() as usize;
        let section = Section::parse(header.class, elf::entry(table, &file[start..], number));
        if section.needs_loading() {
            let part = reported(|report| elf::check_section(&section, number, size, report))?;
            let (offset, len) = part.range;
            list.push([number, offset, len, part.align].map(N::from));
        }
    }
    Some(list)
}

/// An address tag, and the file around it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Flat {
    pub(crate) address: [u32; 4],
    pub(crate) header_offset: u32,
    pub(crate) size: Option<u32>,
    pub(crate) moves: bool,
    pub(crate) entry: u32,
}

/// Plans a flat file; tells whether it is sound.
pub(crate) fn flat(flat: &Flat) -> bool {
    let apart = Apart {
        moves: flat.moves,
        entry: Some(flat.entry),
    };
    let mut params = apart.params();
    params.header_offset = flat.header_offset;
    params.set(TagType::ADDRESS, flat.address);
    let table = Table::new(vec![0; RECORD_LEN]);
    let plan = reported(|report| plan_flat(&params, flat.size, table, report));
    let mut meaning = Meaning {
        header: flat.header_offset.into(),
        entry: Some(flat.entry.into()),
        ..Meaning::default()
    };
    meaning.tags[2] = Some(flat.address.map(N::from));
    // A file of unknown size may have any.
    let size = flat.size.map_or(1 << 40, N::from);
    let sound = reference::flat(&mut meaning, size).is_some();
    apart.compare(plan.as_ref(), sound.then_some(meaning))
}
