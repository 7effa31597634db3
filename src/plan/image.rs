// SPDX-License-Identifier: GPL-3.0-or-later
//! From program headers or address tag to the parts of the image.
//!
//! A flat file is an image of one part, so both formats take the same path
//! from here on.

use crate::error::{Kind, Outcome, Report};
use crate::params::LoadParams;
use crate::table::{Bytes, Record, RecordBytes, Table, set_word, word};
use crate::units::{Span, in_file, low32};
use crate::wire::elf::{self, FileHeader, PT_LOAD, Program};

/// Most chunks of memory that an image may need: each costs GRUB's relocator
/// more than the one before.
pub const MAX_CHUNKS: usize = 256;

/// A part of the image: memory, and the file range that fills its start. What
/// the file does not fill is zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical memory that the part takes, at its link address.
    pub memory: Span,
    /// Offset of its contents in the file, in bytes.
    pub offset: u32,
    /// Bytes of contents.
    pub file_size: u32,
    /// Number of its program header.
    pub index: u32,
}

/// Words of a segment's record where its address and its offset start.
const BY_ADDRESS: usize = 0;
const BY_OFFSET: usize = 2;

impl Record for Segment {
    fn load(bytes: &RecordBytes) -> Self {
        Self {
            memory: Span::load(bytes),
            offset: word(bytes, 2),
            file_size: word(bytes, 3),
            index: word(bytes, 4),
        }
    }

    fn store(&self, bytes: &mut RecordBytes) {
        self.memory.store(bytes);
        set_word(bytes, 2, self.offset);
        set_word(bytes, 3, self.file_size);
        set_word(bytes, 4, self.index);
    }
}

impl Segment {
    /// Adds a program header to `segments` if it is loaded, and checks its
    /// sizes against the file and its addresses against 4 GiB.
    fn add<B: Bytes>(
        segments: &mut Table<Self, B>,
        (program, index): (&Program, u32),
        file_size: u32,
        report: &mut impl Report,
    ) -> Outcome {
        let (file, memory) = (program.file_size(), program.memory_size());
        if program.kind() != PT_LOAD || (file | memory) == 0 {
            return Ok(());
        }
        if file > memory {
            return Err(report.refuse3(Kind::SegmentSize, index.into(), file, memory));
        }
        let Some(span) = Span::whole(program.paddr(), memory) else {
            let paddr = program.paddr();
            return Err(report.refuse3(Kind::SegmentRange, index.into(), paddr, memory));
        };
        // Where nothing is read, the offset does not matter.
        let offset = if file == 0 { 0 } else { program.offset() };
        if !in_file(offset, file, file_size) {
            return Err(report.refuse(Kind::FileEnd));
        }
        segments.push(&Self {
            memory: span,
            offset: low32(offset),
            file_size: low32(file),
            index,
        });
        Ok(())
    }
}

/// The whole image before it is placed: parts, extent and entry. Addresses
/// are physical and as linked.
pub struct ImagePlan<B> {
    /// The parts, in the order of the file.
    pub segments: Table<Segment, B>,
    /// From the lowest to the highest byte.
    pub extent: Span,
    /// Where the kernel starts.
    pub entry: u32,
}

/// A table of ELF program headers and the bytes it lies in.
#[derive(Clone, Copy)]
pub struct Programs<'a> {
    /// The ELF header.
    pub file: &'a FileHeader,
    /// The bytes of the table.
    pub bytes: &'a [u8],
    /// Bytes of the file.
    pub file_size: u32,
}

impl Programs<'_> {
    /// The program header at `index`.
    pub(super) fn get(&self, index: u32) -> Program {
        let bytes = elf::entry(&self.file.programs, self.bytes, index);
        Program::parse(self.file.class, bytes)
    }

    /// The physical address, before any move, of a range of virtual addresses:
    /// the first loaded segment that has all of it decides.
    #[must_use]
    #[inline(never)] // one copy of the 64-bit arithmetic
    pub fn find(&self, vaddr: u64, len: u64) -> Option<u32> {
        for index in 0..self.file.programs.count {
            let program = self.get(index);
            if program.kind() == PT_LOAD
                && let Some(inside) = vaddr.checked_sub(program.vaddr())
                && let Some(rest) = program.memory_size().checked_sub(inside)
                && len <= rest
            {
                // A loaded segment ends below 4 GiB.
                return Some(low32(program.paddr()).wrapping_add(low32(inside)));
            }
        }
        None
    }
}

/// Plans an ELF image; `segments` has room for every program header.
///
/// # Errors
///
/// Those of the segments: [`Kind::SegmentSize`], [`Kind::SegmentRange`],
/// [`Kind::FileEnd`], [`Kind::Overlap`]; [`Kind::NoSegment`]; those of the
/// entry: [`Kind::EntryNotInSegment`], [`Kind::EntryOutside`].
#[inline(never)] // keeps the caller's stack frame small
pub fn plan_elf<B: Bytes>(
    params: &LoadParams,
    programs: &Programs<'_>,
    mut segments: Table<Segment, B>,
    report: &mut impl Report,
) -> Outcome<ImagePlan<B>> {
    let file_size = programs.file_size;
    for index in 0..programs.file.programs.count {
        let program = (&programs.get(index), index);
        Segment::add(&mut segments, program, file_size, report)?;
    }
    segments.sort_by_words(BY_ADDRESS);
    let extent = check_overlap(&segments, report)?;
    let entry = match params.entry() {
        Some(entry) => entry,
        None => {
            let entry = programs.find(programs.file.entry, 1);
            entry.ok_or_else(|| report.refuse(Kind::EntryNotInSegment))?
        }
    };
    finish(params, segments, (extent, entry), report)
}

/// Refuses segments that share memory and returns the extent of all; they
/// must be sorted by address.
fn check_overlap<B: Bytes>(
    segments: &Table<Segment, B>,
    report: &mut impl Report,
) -> Outcome<Span> {
    let mut before: Option<Segment> = None;
    for segment in segments.iter() {
        if let Some(before) = before
            && segment.memory.first <= before.memory.last
        {
            let (a, b) = (before.memory, segment.memory);
            let both = [
                before.index,
                a.first,
                a.last,
                segment.index,
                b.first,
                b.last,
            ];
            return Err(report.report(Kind::Overlap, &both.map(u64::from)));
        }
        before = Some(segment);
    }
    match (segments.get(0), before) {
        (Some(lowest), Some(highest)) => Ok(Span {
            first: lowest.memory.first,
            last: highest.memory.last,
        }),
        _ => Err(report.refuse(Kind::NoSegment)),
    }
}

/// Plans a flat file of `file_size` bytes; `segments` has room for one part
/// (Multiboot2, 3.1.5).
///
/// # Errors
///
/// [`Kind::HeaderAddr`], [`Kind::LoadEnd`], [`Kind::BssEnd`],
/// [`Kind::ImageEnd`], [`Kind::FileEnd`], [`Kind::UnknownSize`],
/// [`Kind::EntryOutside`]; [`Kind::NoSegment`] without an address tag.
pub fn plan_flat<B: Bytes>(
    params: &LoadParams,
    file_size: Option<u32>,
    mut segments: Table<Segment, B>,
    report: &mut impl Report,
) -> Outcome<ImagePlan<B>> {
    let Some(address) = params.address() else {
        return Err(report.refuse(Kind::NoSegment));
    };
    let (header, header_offset) = (address.header, params.header_offset);
    // All ones: the file is loaded from its first byte on.
    let load = match address.load {
        u32::MAX => header.wrapping_sub(header_offset),
        load => load,
    };
    let before = header.wrapping_sub(load);
    if load > header || before > header_offset {
        let (header, offset) = (header.into(), header_offset.into());
        return Err(report.refuse2(Kind::HeaderAddr, header, offset));
    }
    let offset = header_offset.saturating_sub(before);

    let rest = file_size.map(|size| size.saturating_sub(offset));
    let load_size = match address.load_end.checked_sub(load) {
        _ if address.load_end == 0 => rest.ok_or_else(|| report.refuse(Kind::UnknownSize))?,
        None | Some(0) => {
            let (end, load) = (address.load_end.into(), load.into());
            return Err(report.refuse2(Kind::LoadEnd, end, load));
        }
        Some(size) => size,
    };
    if load_size > rest.unwrap_or(u32::MAX) {
        return Err(report.refuse(Kind::FileEnd));
    }

    let load_end = u64::from(load_size).saturating_add(load.into());
    let bss_end = u64::from(address.bss_end);
    if bss_end != 0 && bss_end < load_end {
        return Err(report.refuse2(Kind::BssEnd, bss_end, load_end));
    }
    let end = load_end.max(bss_end);
    let Some(extent) = Span::whole(load.into(), end.saturating_sub(load.into())) else {
        return Err(report.refuse2(Kind::ImageEnd, end, load.into()));
    };
    segments.push(&Segment {
        memory: extent,
        offset,
        file_size: load_size,
        index: 0,
    });
    // LoadParams has made sure that a flat file has an entry tag.
    let entry = params.entry().unwrap_or_default();
    finish(params, segments, (extent, entry), report)
}

/// Checks the entry, gives gaps to the part before them where the image is
/// one piece, and brings the parts into the order of the file.
fn finish<B: Bytes>(
    params: &LoadParams,
    mut segments: Table<Segment, B>,
    (extent, entry): (Span, u32),
    report: &mut impl Report,
) -> Outcome<ImagePlan<B>> {
    let start = Span {
        first: entry,
        last: entry,
    };
    let mut inside = false;
    let mut last = extent.last;
    for index in (0..segments.len()).rev() {
        if let Some(mut segment) = segments.get(index) {
            inside |= segment.memory.contains(&start);
            if params.placement().is_some() {
                segment.memory.last = last;
                last = segment.memory.first.saturating_sub(1);
                segments.set(index, &segment);
            }
        }
    }
    if !inside {
        return Err(report.refuse1(Kind::EntryOutside, entry));
    }
    segments.sort_by_words(BY_OFFSET);
    Ok(ImagePlan {
        segments,
        extent,
        entry,
    })
}
