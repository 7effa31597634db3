// SPDX-License-Identifier: GPL-3.0-or-later
//! The sequence of `multiboot2` and `module2`.

use crate::error::{Error, Kind, Outcome};
use crate::params::LoadParams;
use crate::plan::console::{self, Choice};
use crate::plan::image::{self, ImagePlan, Programs, Segment};
use crate::plan::placement::Request;
use crate::platform::{Arguments, CommandLine, File, FileKind, OrReport, Platform};
use crate::session::{Loaded, Memory, Modules, Sections, Session};
use crate::table::{Table, copy};
use crate::units::{FileOffset, PAGE, Span, align_down, align_up, low32, narrow, wide};
use crate::wire::elf::{self, FileHeader, HeaderTable, Section, Tables};
use crate::wire::header::{Header, SEARCH_LEN};
use core::ffi::CStr;

/// A kernel file whose first bytes are in memory. Nothing in this window is
/// read again, so a compressed file is decompressed once.
struct KernelFile<P: Platform> {
    file: P::File,
    window: P::Buffer,
    size: u64,
}

impl<P: Platform> KernelFile<P> {
    fn new(platform: &mut P, mut file: P::File) -> Outcome<Self> {
        // A file of unknown size ends where reading stops.
        let size = file.size().unwrap_or(u64::MAX);
        let mut window = platform.alloc(narrow(size.min(wide(SEARCH_LEN))))?;
        platform.read(&mut file, FileOffset(0), &mut window)?;
        Ok(Self { file, window, size })
    }

    fn read(&mut self, platform: &mut P, offset: u64, into: &mut [u8]) -> Outcome {
        let known = self.window.get(narrow(offset)..).unwrap_or_default();
        copy(into, known);
        let known = known.len();
        match into.get_mut(known..) {
            Some(rest) if !rest.is_empty() => {
                let offset = offset.saturating_add(wide(known));
                platform.read(&mut self.file, FileOffset(offset), rest)
            }
            _ => Ok(()),
        }
    }

    /// Reads a table of headers into memory of its own.
    fn read_table(&mut self, platform: &mut P, table: &HeaderTable) -> Outcome<P::Buffer> {
        let mut bytes = platform.alloc(narrow(table.len()))?;
        self.read(platform, table.offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// Loads the kernel that the arguments name and returns it ready to start.
///
/// Whatever was loaded before is gone, even if this fails.
///
/// # Errors
///
/// Everything that can be wrong with a kernel; see [`Kind`].
pub fn kernel<P: Platform>(platform: &mut P, args: &P::Args) -> Outcome<Session<P>> {
    platform.unset_loader();
    let path = named(platform, args, 0)?;
    let file = platform.open(path, FileKind::Kernel)?;
    let command_line = platform.command_line(args, 1, CommandLine::Kernel)?;
    let mut file = KernelFile::new(platform, file)?;

    let header = Header::find(&file.window).or_report(platform)?;
    let params = LoadParams::new(&header, platform.machine()).or_report(platform)?;
    let mut memory = Memory::new(platform, &params)?;
    let (loaded, sections) = if let Some(address) = &params.address {
        let room = Table::<Segment, P::Buffer>::bytes_for(1);
        let segments = Table::new(platform.alloc(room)?);
        let plan =
            image::plan_flat(&params, address, file.file.size(), segments).or_report(platform)?;
        (
            load_image(platform, &mut memory, (&params, &plan), &mut file)?,
            None,
        )
    } else {
        elf(platform, &mut memory, &params, &mut file)?
    };

    match console::choose(&params).or_report(platform)? {
        Choice::None => platform.print(c"WARNING: no console will be available to OS"),
        Choice::Modes(modes) => platform.set_payload_modes(modes.as_c_str())?,
    }
    Ok(Session {
        params,
        loaded,
        memory,
        command_line,
        sections,
        boot_device: platform.boot_device()?,
        modules: Modules::default(),
    })
}

/// Where an image lies, and its section headers if it has any.
type LoadedElf<P> = (Loaded, Option<Sections<<P as Platform>::Buffer>>);

fn elf<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    params: &LoadParams,
    file: &mut KernelFile<P>,
) -> Outcome<LoadedElf<P>> {
    let header = FileHeader::parse(&file.window).or_report(platform)?;
    let tables = read_tables(platform, &header, file)?;
    let programs = file.read_table(platform, &tables.programs)?;
    let room = Table::<Segment, P::Buffer>::bytes_for(narrow(tables.programs.count.into()));
    let segments = Table::new(platform.alloc(room)?);
    let programs = Programs {
        file: &header,
        table: tables.programs,
        bytes: &programs,
    };
    let plan = image::plan_elf(params, &programs, file.size, segments).or_report(platform)?;
    let loaded = load_image(platform, memory, (params, &plan), file)?;
    if tables.sections.is_empty() {
        return Ok((loaded, None));
    }
    let end = plan
        .segments
        .iter()
        .map(|s| s.offset.saturating_add(s.file_size))
        .max();
    let mut loader = SectionLoader {
        memory,
        file,
        header,
        read_up_to: end.unwrap_or_default(),
    };
    let headers = loader.load(platform, &tables.sections)?;
    Ok((
        loaded,
        Some(Sections {
            count: tables.sections.count,
            entry_size: tables.sections.entry_size,
            name_index: tables.name_index,
            headers,
        }),
    ))
}

fn read_tables<P: Platform>(
    platform: &mut P,
    header: &FileHeader,
    file: &mut KernelFile<P>,
) -> Outcome<Tables> {
    let len = u64::from(header.extension_len());
    let extension = header.extension();
    let Some(offset) = extension.filter(|at| at.saturating_add(len) <= file.size) else {
        return header.tables(None, file.size).or_report(platform);
    };
    let mut first = platform.alloc(narrow(len))?;
    file.read(platform, offset, &mut first)?;
    header.tables(Some(&first), file.size).or_report(platform)
}

/// Reserves the image's memory and fills it, front to back as the file is.
fn load_image<P: Platform>(
    platform: &mut P,
    memory: &mut Memory<P>,
    (params, plan): (&LoadParams, &ImagePlan<P::Buffer>),
    file: &mut KernelFile<P>,
) -> Outcome<Loaded> {
    let extent = plan.extent;
    let mut load_base = extent.start;
    if let Some(placement) = &params.placement {
        let request = Request::image(extent.len(), placement).or_report(platform)?;
        let chunk = memory.place_image(platform, &request)?;
        load_base = chunk.target.0;
        for segment in plan.segments.iter() {
            let offset = narrow(segment.memory.start.saturating_sub(extent.start));
            fill(
                platform,
                file,
                &segment,
                chunk.bytes.get_mut(offset..).unwrap_or_default(),
            )?;
        }
    } else {
        for segment in plan.segments.iter() {
            let chunk = memory.place_fixed(platform, &segment.memory)?;
            fill(platform, file, &segment, chunk.bytes)?;
        }
    }
    let (link_base, load_base) = (low32(extent.start), low32(load_base));
    // The image lies below 4 GiB on both sides, so this is exact.
    let slide = load_base.wrapping_sub(link_base);
    Ok(Loaded {
        link_base,
        load_base,
        entry: plan.entry.wrapping_add(slide),
    })
}

/// Reads a segment's contents and zeroes the rest of its memory.
fn fill<P: Platform>(
    platform: &mut P,
    file: &mut KernelFile<P>,
    segment: &Segment,
    memory: &mut [u8],
) -> Outcome {
    let memory = memory
        .get_mut(..narrow(segment.memory.len()))
        .unwrap_or_default();
    if let Some((contents, rest)) = memory.split_at_mut_checked(narrow(segment.file_size)) {
        file.read(platform, segment.offset, contents)?;
        rest.fill(0);
    }
    Ok(())
}

/// Loads the sections that no segment holds (symbols, debug information).
struct SectionLoader<'a, P: Platform> {
    memory: &'a mut Memory<P>,
    file: &'a mut KernelFile<P>,
    header: FileHeader,
    /// Offset in the file behind the last segment, in bytes.
    read_up_to: u64,
}

/// The end of the file, read in one piece: a page-aligned chunk whose bytes
/// lie at their file offset modulo the page, so that most sections may stay.
struct Tail {
    /// The part of the file, in bytes.
    part: Span,
    /// Physical address of the part's first byte.
    address: u64,
}

impl Tail {
    /// The address of a section that lies in the tail, if it may stay there.
    fn address(&self, section: &Section, align: u64) -> Option<u64> {
        let inside = section.offset.checked_sub(self.part.start)?;
        let end = section.offset.saturating_add(section.size);
        let address = self.address.saturating_add(inside);
        let aligned = address & align.saturating_sub(1) == 0;
        (end <= self.part.end && aligned).then_some(address)
    }
}

impl<P: Platform> SectionLoader<'_, P> {
    /// Returns the section headers with the addresses of what was loaded.
    fn load(&mut self, platform: &mut P, table: &HeaderTable) -> Outcome<P::Buffer> {
        let mut headers = platform.alloc(narrow(table.len()))?;
        let tail = self.read_tail(platform, table, &mut headers)?;
        if tail.is_none() {
            self.file.read(platform, table.offset, &mut headers)?;
        }
        for index in 0..table.count {
            let class = self.header.class;
            let section = Section::parse(class, elf::entry(table, &headers, index));
            if !section.needs_loading() {
                continue;
            }
            let align = elf::check_section(&section, index, self.file.size).or_report(platform)?;
            let staying = tail.as_ref().and_then(|tail| tail.address(&section, align));
            let address = match staying {
                Some(address) => address,
                None => self.load_alone(platform, &section, align)?,
            };
            let start = narrow(index.into()).saturating_mul(table.entry_size.into());
            let entry = headers.get_mut(start..).unwrap_or_default();
            Section::set_addr(class, entry, low32(address));
        }
        Ok(headers)
    }

    /// Reads from the last segment's end to the end of the section table, and
    /// copies the table to `headers`. Nothing is read when the table lies
    /// elsewhere or that much memory is not free.
    fn read_tail(
        &mut self,
        platform: &mut P,
        table: &HeaderTable,
        headers: &mut [u8],
    ) -> Outcome<Option<Tail>> {
        let part = Span {
            start: self.read_up_to,
            end: table.offset.saturating_add(table.len()),
        };
        if table.offset < part.start {
            return Ok(None);
        }
        let page = align_down(part.start, PAGE);
        let request = Request::lowest(part.end.saturating_sub(page), PAGE);
        let Some(chunk) = self.memory.try_place_image(platform, &request)? else {
            return Ok(None);
        };
        let lead = part.start.saturating_sub(page);
        let Some((gap, bytes)) = chunk.bytes.split_at_mut_checked(narrow(lead)) else {
            return Ok(None);
        };
        gap.fill(0);
        self.file.read(platform, part.start, bytes)?;
        let start = narrow(table.offset.saturating_sub(part.start));
        copy(headers, bytes.get(start..).unwrap_or_default());
        let address = chunk.target.0.saturating_add(lead);
        Ok(Some(Tail { part, address }))
    }

    fn load_alone(&mut self, platform: &mut P, section: &Section, align: u64) -> Outcome<u64> {
        let request = Request::lowest(section.size, align);
        let chunk = self.memory.place_image(platform, &request)?;
        self.file.read(platform, section.offset, chunk.bytes)?;
        Ok(chunk.target.0)
    }
}

/// Loads the module that the arguments name and lists it. When this fails the
/// kernel and the earlier modules are as they were.
///
/// # Errors
///
/// [`Kind::NoFileName`], [`Kind::NoKernel`], [`Kind::UnknownSize`],
/// [`Kind::FileEnd`], [`Kind::NoRoom`] and what GRUB refuses.
pub fn module<P: Platform>(
    platform: &mut P,
    session: Option<&mut Session<P>>,
    args: &P::Args,
) -> Outcome {
    let first = named(platform, args, 0)?;
    let (name, kind) = if first == c"--nounzip" {
        (1, FileKind::StoredModule)
    } else {
        (0, FileKind::Module)
    };
    let path = named(platform, args, name)?;
    let session = loaded(platform, session)?;
    let mut file = platform.open(path, kind)?;
    let size = file
        .size()
        .ok_or_else(|| Error::new(Kind::UnknownSize, &[]))
        .or_report(platform)?;
    let mut lies = Span { start: 0, end: 0 };
    if size > 0 {
        // The rest of the last page is ours too, and zero.
        let request = Request::lowest(align_up(size, PAGE), PAGE);
        let chunk = session.memory.place_beside(platform, &request)?;
        if let Some((contents, rest)) = chunk.bytes.split_at_mut_checked(narrow(size)) {
            platform.read(&mut file, FileOffset(0), contents)?;
            rest.fill(0);
        }
        lies = Span::new(chunk.target, size);
    }
    let command_line = platform.command_line(args, name.saturating_add(1), CommandLine::Module)?;
    session.modules.add(platform, &lies, &command_line)
}

/// The argument that names a file.
fn named<'a, P: Platform>(platform: &mut P, args: &'a P::Args, index: usize) -> Outcome<&'a CStr> {
    let name = args.get(index);
    name.ok_or_else(|| platform.report(&Error::new(Kind::NoFileName, &[])))
}

/// The kernel that the command needs.
pub(crate) fn loaded<'a, P: Platform>(
    platform: &mut P,
    session: Option<&'a mut Session<P>>,
) -> Outcome<&'a mut Session<P>> {
    session.ok_or_else(|| platform.report(&Error::new(Kind::NoKernel, &[])))
}
