// SPDX-License-Identifier: GPL-3.0-or-later
//! What is odd about an ELF file's headers and segments.

use super::{Case, Kernel, N, Oddity, Part, number, sections};
use crate::image::{ET_DYN, PT_DYNAMIC, PT_LOAD};

/// A count or an index that is in section header 0 instead.
pub(super) const ELSEWHERE: N = 0xffff;

/// End of the memory that loaders use.
const FOUR_GIB: N = 1 << 32;

/// Where a field is and how wide, in 32-bit and in 64-bit files.
type Field = [(N, N); 2];

/// A reader of fields.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) file: &'a [u8],
    pub(super) wide: bool,
}

impl Fields<'_> {
    pub(super) fn get(self, base: N, field: Field) -> N {
        let (offset, width) = field[usize::from(self.wide)];
        number(self.file, base + offset, width)
    }
}

/// A table of headers.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) at: N,
    pub(super) count: N,
    pub(super) stride: N,
}

impl Table {
    pub(super) fn end(&self) -> N {
        self.at + self.count * self.stride
    }

    /// Whether the headers are as long as `least` and in the file.
    fn is_good(&self, least: N, file: &[u8]) -> bool {
        self.count == 0 || (self.stride >= least && self.end() <= file.len() as N)
    }

    pub(super) fn entries(self) -> impl Iterator<Item = N> {
        (0..self.count).map(move |index| self.at + index * self.stride)
    }
}

/// A program header.
#[derive(Clone, Copy)]
struct Program {
    loads: bool,
    dynamic: bool,
    offset: N,
    vaddr: N,
    paddr: N,
    in_file: N,
    in_memory: N,
}

impl Program {
    fn read(fields: Fields<'_>, at: N) -> Self {
        let kind = number(fields.file, at, 4);
        Self {
            loads: kind == N::from(PT_LOAD),
            dynamic: kind == N::from(PT_DYNAMIC),
            offset: fields.get(at, [(4, 4), (8, 8)]),
            vaddr: fields.get(at, [(8, 4), (16, 8)]),
            paddr: fields.get(at, [(12, 4), (24, 8)]),
            in_file: fields.get(at, [(16, 4), (32, 8)]),
            in_memory: fields.get(at, [(20, 4), (40, 8)]),
        }
    }

    fn is_empty(&self) -> bool {
        self.in_file == 0 && self.in_memory == 0
    }
}

pub(super) fn read(kernel: &mut Kernel, case: &Case<'_>) {
    let file = case.file;
    kernel.wide = number(file, 4, 2) & 0xff == 2;
    let fields = Fields {
        file,
        wide: kernel.wide,
    };
    let table = |at, stride, count| Table {
        at: fields.get(0, at),
        stride: fields.get(0, stride),
        count: fields.get(0, count),
    };
    let mut programs = table([(28, 4), (32, 8)], [(42, 2), (54, 2)], [(44, 2), (56, 2)]);
    let sections = table([(32, 4), (40, 8)], [(46, 2), (58, 2)], [(48, 2), (60, 2)]);
    let (program_len, section_len) = if kernel.wide { (56, 64) } else { (32, 40) };
    let first = Table {
        count: 1,
        ..sections
    };
    let first_is_good = sections.at != 0 && first.is_good(section_len, file);
    let names = fields.get(0, [(50, 2), (62, 2)]);
    let asked = programs.count == ELSEWHERE || sections.count == 0 || names == ELSEWHERE;
    // No file is read behind 4 GiB.
    let end = sections.at + section_len;
    let cut = sections.at != 0 && end > file.len() as N && end >> 32 == 0;
    kernel.note(Oddity::SectionZeroCut, asked && cut && !case.sized);
    if programs.count == ELSEWHERE {
        kernel.note(Oddity::ManyPrograms, true);
        programs.count = fields.get(sections.at, [(28, 4), (44, 4)]);
        kernel.note(
            Oddity::ProgramTable,
            !first_is_good || programs.count < ELSEWHERE,
        );
    }
    if !programs.is_good(program_len, file) {
        return kernel.note(Oddity::ProgramTable, true);
    }
    kernel.note(Oddity::FarPrograms, programs.end() > 32768);
    let list: Vec<Program> = programs
        .entries()
        .map(|at| Program::read(fields, at))
        .collect();
    segments(kernel, case, &list);
    entry(kernel, fields, &list);
    let is_shared = number(file, 16, 2) == N::from(ET_DYN);
    kernel.note(
        Oddity::DynamicNowhere,
        kernel.moves() && is_shared && lacks_dynamic(&list),
    );
    sections::read(kernel, case, fields, (sections, first_is_good));
}

fn segments(kernel: &mut Kernel, case: &Case<'_>, list: &[Program]) {
    kernel.stock_link_base = FOUR_GIB - 1;
    for program in list.iter().filter(|program| program.loads) {
        kernel.stock_link_base = kernel.stock_link_base.min(program.paddr);
        if program.is_empty() {
            kernel.note(Oddity::EmptySegment, true);
            continue;
        }
        kernel.note(Oddity::SegmentSize, program.in_file > program.in_memory);
        let end = program.paddr + program.in_memory;
        kernel.note(Oddity::SegmentRange, end > FOUR_GIB);
        kernel.note(Oddity::SegmentTop, end == FOUR_GIB);
        let cut = program.in_file > 0 && program.offset + program.in_file > case.file.len() as N;
        kernel.note(Oddity::SegmentCut, cut);
        let part = Part {
            at: program.paddr,
            size: program.in_memory,
        };
        let shared = |p: &Part| p.at < part.at + part.size && part.at < p.at + p.size;
        let overlaps = kernel.parts.iter().any(shared);
        kernel.note(Oddity::Overlap, overlaps);
        kernel.parts.push(part);
    }
    kernel.note(Oddity::NoSegment, kernel.parts.is_empty());
    kernel.link_base = kernel.parts.iter().map(|part| part.at).min().unwrap_or(0);
}

/// Whether there is a dynamic section, and it is in no loaded segment.
fn lacks_dynamic(list: &[Program]) -> bool {
    let mut found = list.iter().filter(|p| p.dynamic && p.in_memory > 0);
    let Some(dynamic) = found.next_back() else {
        return false;
    };
    let end = dynamic.vaddr + dynamic.in_memory;
    let holds = |p: &Program| p.loads && p.vaddr <= dynamic.vaddr && end <= p.vaddr + p.in_memory;
    !list.iter().any(holds)
}

fn entry(kernel: &mut Kernel, fields: Fields<'_>, list: &[Program]) {
    let entry = fields.get(0, [(24, 4), (24, 8)]);
    let word: N = if fields.wide { 1 << 64 } else { FOUR_GIB };
    let holds = |p: &&Program| p.loads && p.vaddr <= entry && entry - p.vaddr < p.in_memory;
    let found = list.iter().find(holds).map(|p| p.paddr + entry - p.vaddr);
    // C: the first header of any type, with sums that wrap.
    let holds = |p: &&Program| p.vaddr <= entry && (p.vaddr + p.in_memory) % word > entry;
    let stock = list
        .iter()
        .find(holds)
        .map(|p| (p.paddr + entry - p.vaddr) % word);
    let by_tag = kernel.entry_tag.map(|[entry, ..]| entry);
    let used = by_tag.or(found);
    let inside = |entry: &N| {
        kernel
            .parts
            .iter()
            .any(|p| p.at <= *entry && *entry < p.at + p.size)
    };
    let outside = used.is_some() && !used.as_ref().is_some_and(inside);
    let usable = stock.filter(|stock| *stock < FOUR_GIB);
    kernel.note(Oddity::EntryNotInSegment, used.is_none());
    kernel.note(Oddity::EntryOutside, outside);
    kernel.note(Oddity::EntryByTag, used.is_some() && usable.is_none());
    kernel.note(Oddity::EntryElsewhere, by_tag.is_none() && stock != found);
}
