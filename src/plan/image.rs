// SPDX-License-Identifier: GPL-3.0-or-later
//! From program headers or address tag to the parts of the image.
//!
//! A flat file is an image of one part, so both formats take the same path
//! from here on.

use crate::error::{Error, Kind, Result};
use crate::params::{Address, LoadParams};
use crate::table::{Bytes, Record, Table, set_word};
use crate::units::{FOUR_GIB, PhysAddr, Span, low32};
use crate::wire::elf::{self, FileHeader, HeaderTable, PT_LOAD, Program};
use crate::wire::u64_at;

/// A part of the image: memory, and the file range that fills its start. What
/// the file does not fill is zeroed. All numbers are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical memory that the part takes, at its link address.
    pub memory: Span,
    /// Offset of its contents in the file.
    pub offset: u64,
    /// Bytes of contents.
    pub file_size: u64,
    /// Number of its program header.
    pub index: u64,
}

impl Record for Segment {
    const LEN: usize = 40;

    fn load(bytes: &[u8]) -> Self {
        Self {
            memory: Span::load(bytes),
            offset: u64_at(bytes, 16),
            file_size: u64_at(bytes, 24),
            index: u64_at(bytes, 32),
        }
    }

    fn store(&self, bytes: &mut [u8]) {
        self.memory.store(bytes);
        set_word(bytes, 16, self.offset);
        set_word(bytes, 24, self.file_size);
        set_word(bytes, 32, self.index);
    }
}

impl Segment {
    /// Reads a program header, and checks its sizes against the file and its
    /// addresses against 4 GiB; `None` for what is not loaded.
    fn new(program: &Program, index: u32, file_size: u64) -> Result<Option<Self>> {
        let Program {
            paddr,
            file_size: file,
            memory_size: memory,
            ..
        } = *program;
        if program.kind != PT_LOAD || (file == 0 && memory == 0) {
            return Ok(None);
        }
        if file > memory {
            return Err(Error::new(Kind::SegmentSize, &[index.into(), file, memory]));
        }
        let span = Span::new(PhysAddr(paddr), memory);
        if span.end > FOUR_GIB {
            return Err(Error::new(
                Kind::SegmentRange,
                &[index.into(), paddr, memory],
            ));
        }
        if file > 0 && program.offset.saturating_add(file) > file_size {
            return Err(Error::new(Kind::FileEnd, &[]));
        }
        Ok(Some(Self {
            memory: span,
            offset: program.offset,
            file_size: file,
            index: index.into(),
        }))
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
    /// Shape of the table.
    pub table: HeaderTable,
    /// The bytes of the table.
    pub bytes: &'a [u8],
}

impl Programs<'_> {
    fn iter(&self) -> impl Iterator<Item = (u32, Program)> + '_ {
        (0..self.table.count).map(|index| {
            let bytes = elf::entry(&self.table, self.bytes, index);
            (index, Program::parse(self.file.class, bytes))
        })
    }

    /// The physical address of the ELF header's entry: the first loaded
    /// segment whose virtual range holds it decides.
    fn entry(&self) -> Result<u64> {
        let entry = self.file.entry;
        self.iter()
            .filter(|(_, program)| program.kind == PT_LOAD)
            .find_map(|(_, program)| {
                let inside = entry.checked_sub(program.vaddr)?;
                (inside < program.memory_size).then(|| program.paddr.saturating_add(inside))
            })
            .ok_or_else(|| Error::new(Kind::EntryNotInSegment, &[]))
    }
}

/// Plans an ELF image; `segments` has room for every program header.
///
/// # Errors
///
/// Those of the segments: [`Kind::SegmentSize`], [`Kind::SegmentRange`],
/// [`Kind::FileEnd`], [`Kind::Overlap`]; [`Kind::NoSegment`]; those of the
/// entry: [`Kind::EntryNotInSegment`], [`Kind::EntryOutside`].
pub fn plan_elf<B: Bytes>(
    params: &LoadParams,
    programs: &Programs<'_>,
    file_size: u64,
    mut segments: Table<Segment, B>,
) -> Result<ImagePlan<B>> {
    for (index, program) in programs.iter() {
        if let Some(segment) = Segment::new(&program, index, file_size)? {
            segments.push(&segment);
        }
    }
    segments.sort_by_key(|segment| segment.memory.start);
    let extent = check_overlap(&segments)?;
    let entry = match params.entry {
        Some(entry) => entry,
        None => low32(programs.entry()?), // a loaded segment is below 4 GiB
    };
    finish(params, segments, extent, entry)
}

/// Refuses segments that share memory and returns the extent of all; they
/// must be sorted by address.
fn check_overlap<B: Bytes>(segments: &Table<Segment, B>) -> Result<Span> {
    let mut before: Option<Segment> = None;
    for segment in segments.iter() {
        if let Some(before) = before
            && segment.memory.start < before.memory.end
        {
            let last = |span: Span| span.end.saturating_sub(1);
            let (a, b) = (before.memory, segment.memory);
            let both = [
                before.index,
                a.start,
                last(a),
                segment.index,
                b.start,
                last(b),
            ];
            return Err(Error::new(Kind::Overlap, &both));
        }
        before = Some(segment);
    }
    let ends = (segments.get(0), before);
    let (Some(first), Some(last)) = ends else {
        return Err(Error::new(Kind::NoSegment, &[]));
    };
    Ok(Span {
        start: first.memory.start,
        end: last.memory.end,
    })
}

/// Plans a flat file of `file_size` bytes; `segments` has room for one part
/// (Multiboot2, 3.1.5).
///
/// # Errors
///
/// [`Kind::AddressTag`], [`Kind::FileEnd`], [`Kind::UnknownSize`],
/// [`Kind::EntryOutside`].
pub fn plan_flat<B: Bytes>(
    params: &LoadParams,
    address: &Address,
    file_size: Option<u64>,
    mut segments: Table<Segment, B>,
) -> Result<ImagePlan<B>> {
    let fault = |kind, found: u64, limit: u64| Err(Error::new(kind, &[found, limit]));
    let header_offset = u64::from(params.header_offset);
    let header = u64::from(address.header);
    let (load, offset) = if address.load == u32::MAX {
        match header.checked_sub(header_offset) {
            Some(load) => (load, 0),
            None => return fault(Kind::HeaderAddr, header, header_offset),
        }
    } else {
        let load = u64::from(address.load);
        let before = header.checked_sub(load);
        match before.and_then(|before| header_offset.checked_sub(before)) {
            Some(offset) => (load, offset),
            None => return fault(Kind::HeaderAddr, header, header_offset),
        }
    };

    let load_end = u64::from(address.load_end);
    let load_size = match file_size {
        Some(size) if load_end == 0 => size.saturating_sub(offset),
        None if load_end == 0 => return Err(Error::new(Kind::UnknownSize, &[])),
        _ if load_end <= load => return fault(Kind::LoadEnd, load_end, load),
        _ => load_end.saturating_sub(load),
    };
    if offset.saturating_add(load_size) > file_size.unwrap_or(u64::MAX) {
        return Err(Error::new(Kind::FileEnd, &[]));
    }

    let end = load.saturating_add(load_size);
    let bss_end = u64::from(address.bss_end);
    if bss_end != 0 && bss_end < end {
        return fault(Kind::BssEnd, bss_end, end);
    }
    let extent = Span {
        start: load,
        end: end.max(bss_end),
    };
    if extent.is_empty() || extent.end > FOUR_GIB {
        return fault(Kind::ImageEnd, extent.end, load);
    }
    segments.push(&Segment {
        memory: extent,
        offset,
        file_size: load_size,
        index: 0,
    });
    // LoadParams has made sure that a flat file has an entry tag.
    finish(params, segments, extent, params.entry.unwrap_or_default())
}

/// Checks the entry, gives gaps to the part before them where the image is
/// one piece, and brings the parts into the order of the file.
fn finish<B: Bytes>(
    params: &LoadParams,
    mut segments: Table<Segment, B>,
    extent: Span,
    entry: u32,
) -> Result<ImagePlan<B>> {
    let start = Span::new(PhysAddr(entry.into()), 1);
    if !segments.iter().any(|s| s.memory.contains(&start)) {
        return Err(Error::new(Kind::EntryOutside, &[entry.into()]));
    }
    if params.placement.is_some() {
        let mut next = extent.end;
        for index in (0..segments.len()).rev() {
            if let Some(mut segment) = segments.get(index) {
                segment.memory.end = next;
                next = segment.memory.start;
                segments.set(index, &segment);
            }
        }
    }
    segments.sort_by_key(|segment| segment.offset);
    Ok(ImagePlan {
        segments,
        extent,
        entry,
    })
}
