// SPDX-License-Identifier: GPL-3.0-or-later
//! The sequence of `multiboot2` and `module2`.

use crate::error::{Failed, Kind, MAX_VALUES, Outcome};
use crate::file::KernelFile;
use crate::params::{Framebuffer, LoadParams, Options, Preference};
use crate::place::{Place, Places};
use crate::plan::console;
use crate::plan::image::{self, ImagePlan, Programs, Segment};
use crate::plan::placement::{ONE_MIB, Request};
use crate::plan::relocate::Relocate;
use crate::platform::{Arguments, CommandLine, File, FileKind, Platform, Whose};
use crate::session::{FIRST_TARGETS, Kernel, Loaded, Memory, Session};
use crate::table::{RECORD_LEN, Table};
use crate::tags::Tags;
use crate::units::{FileOffset, PAGE, PhysAddr, Span, align_up, index, narrow};
use crate::wire::elf::FileHeader;
use crate::wire::header::Header;
use crate::{check, info};
use core::ffi::CStr;
use core::mem;

/// How far behind the last byte of a kernel modules lie at least that have to
/// lie behind it: 1 MiB is left for the kernel's own use.
const MODULES_GAP: u32 = ONE_MIB + 1;

/// One kernel on its way into memory: the session is filled as it goes.
pub(crate) struct Load<'a, P: Platform> {
    pub(crate) platform: &'a mut P,
    pub(crate) file: KernelFile<P>,
    pub(crate) session: &'a mut Session<P>,
    pub(crate) options: Options,
    /// The bytes of an image that is relocated and not loaded.
    pub(crate) held: Option<P::Buffer>,
}

/// Loads the kernel that the arguments name, in its place: a session is long, so it
/// is never moved, and never on the stack. With `--check` the kernel is only looked
/// at, in the other place, which is empty again then. Tells whether a kernel is loaded.
///
/// Whatever was loaded before is gone, even if this fails, but for a check.
///
/// # Errors
///
/// Everything that can be wrong with a kernel; see [`Kind`].
pub fn kernel<P: Platform>(
    platform: &mut P,
    args: &P::Args,
    places: &mut Places<P>,
) -> Outcome<bool> {
    let mut options = Options::empty();
    let mut words = 0usize;
    while let Some(option) = args.get(words).and_then(Options::named) {
        options |= option;
        words = words.wrapping_add(1); // there are not as many
    }
    let check = options.contains(Options::CHECK);
    let place = match check {
        true => &mut places.checked,
        false => &mut places.loaded,
    };
    if !check {
        *place = Place::Empty;
        platform.unset_loader();
    }
    let outcome = try_kernel(platform, args, (options, words), place);
    if check || outcome.is_err() {
        *place = Place::Empty;
    }
    outcome.map(|()| !check)
}

fn try_kernel<P: Platform>(
    platform: &mut P,
    args: &P::Args,
    (options, mut words): (Options, usize),
    place: &mut Place<P>,
) -> Outcome {
    let path = named(platform, args, words)?;
    if path.to_bytes().starts_with(b"--") {
        platform.name(path);
        return Err(platform.refuse(Kind::UnknownOption));
    }
    words = words.wrapping_add(1);
    let file = platform.open(path, FileKind::Kernel)?;
    let command_line = platform.command_line(args, words, CommandLine::Kernel)?;
    let file = KernelFile::new(platform, file)?;
    let session = begin(platform, &file, (command_line, options), place)?;
    let mut load = Load {
        platform,
        file,
        session,
        options,
        held: None,
    };
    if load.session.kernel.params.address().is_some() {
        load.flat()?;
    } else {
        load.elf()?;
    }
    load.choose_console()?;
    load.session.kernel.boot_device = load.platform.boot_device()?;
    load.say(Kind::SaysGood, &[]);
    Ok(())
}

/// Starts a session with what the header says.
#[inline(never)] // keeps the caller's stack frame small
fn begin<'a, P: Platform>(
    platform: &mut P,
    file: &KernelFile<P>,
    (command_line, options): (P::Buffer, Options),
    place: &'a mut Place<P>,
) -> Outcome<&'a mut Session<P>> {
    let relocator = platform.new_relocator()?;
    let targets = platform.alloc(FIRST_TARGETS)?;
    let full = Place::Full(Session {
        kernel: Kernel {
            params: LoadParams::default(),
            loaded: Loaded::default(),
            command_line,
            sections: None,
            boot_device: None,
            modules: Tags::default(),
        },
        memory: Memory::new(relocator, targets),
    });
    mem::forget(mem::replace(place, full)); // nothing to drop: it was empty
    let session = place.session().ok_or(Failed)?;
    let params = &mut session.kernel.params;
    let header = Header::find(file.window(), platform)?;
    session.memory.plans_only = options.contains(Options::CHECK);
    if session.memory.plans_only && check::header(&header, platform).is_err() {
        platform.forget_error(); // the first fault counts, as in a load
    }
    params.read(&header, platform.machine(), platform)?;
    session.memory.keep_services = params.keep_services;
    Ok(session)
}

impl<P: Platform> Load<'_, P> {
    /// Makes an empty table of segments.
    fn segments(&mut self, count: u32) -> Outcome<Table<Segment, P::Buffer>> {
        let len = index(count).saturating_mul(RECORD_LEN);
        Ok(Table::new(self.platform.alloc(len)?))
    }

    #[inline(never)] // as above
    fn flat(&mut self) -> Outcome {
        let segments = self.segments(1)?;
        let size = self.file.known_size();
        let plan = image::plan_flat(&self.session.kernel.params, size, segments, self.platform)?;
        self.image(&plan)
    }

    /// Loads an ELF image, and the sections that no segment holds. An image that
    /// may be moved is relocated.
    #[inline(never)] // as above
    fn elf(&mut self) -> Outcome {
        let header = self.elf_header();
        let Ok(header) = &header else {
            return Err(Failed); // in place, a header is long
        };
        let programs = self.file.read_table(self.platform, &header.programs)?;
        let programs = Programs {
            file: header,
            bytes: &programs,
            file_size: self.file.size(),
        };
        let end = self.segments_of(&programs)?;
        let kernel = &self.session.kernel;
        let Loaded {
            link_base,
            load_base,
            ..
        } = kernel.loaded;
        let mut image = Relocate::new(programs, link_base, load_base);
        let relocate = self.relocates();
        if relocate {
            image.left = self.file.known_size().unwrap_or(end);
            let bytes = match &mut self.held {
                Some(held) => held,
                None => self.session.memory.bytes(),
            };
            image.apply_dynamic(bytes, self.platform)?;
        }
        if !header.sections.is_empty() {
            self.sections(header, end, &mut image)?;
        }
        if relocate {
            let numbers = [image.applied, link_base, load_base];
            self.say(Kind::SaysRelocations, &numbers);
        }
        Ok(())
    }

    /// Tells whether the image is relocated if it is moved.
    fn relocates(&self) -> bool {
        let params = &self.session.kernel.params;
        let wanted = !self.options.contains(Options::NO_ELF_RELOCS);
        wanted && params.placement().is_some() && params.address().is_none()
    }

    /// Reads the ELF header, with the counts in section header 0 where they
    /// do not fit.
    #[inline(never)] // as above
    fn elf_header(&mut self) -> Outcome<FileHeader> {
        let mut header = FileHeader::parse(self.file.window(), self.platform)?;
        let size = self.file.size();
        let mut first = None;
        if let Some(extension) = header.extension(size) {
            first = Some(self.file.read_table(self.platform, &extension)?);
        }
        header.resolve(first.as_deref(), size, self.platform)?;
        Ok(header)
    }

    /// Loads the segments, and returns where the last of them ends in the file,
    /// in bytes.
    #[inline(never)] // as above
    fn segments_of(&mut self, programs: &Programs<'_>) -> Outcome<u32> {
        let segments = self.segments(programs.file.programs.count)?;
        let plan = image::plan_elf(
            &self.session.kernel.params,
            programs,
            segments,
            self.platform,
        )?;
        self.image(&plan)?;
        let mut end = 0u32;
        for segment in plan.segments.iter() {
            end = end.max(segment.offset.saturating_add(segment.file_size));
        }
        Ok(end)
    }

    /// Reserves the image's memory and fills it, front to back as the file is.
    #[inline(never)] // as above
    fn image(&mut self, plan: &ImagePlan<P::Buffer>) -> Outcome {
        let link_base = plan.extent.first;
        let mut load_base = link_base;
        self.session.memory.image = plan.extent;
        let placement = self.session.kernel.params.placement();
        let mut line = Kind::SaysFixed;
        if let Some(placement) = &placement {
            let size = plan.extent.len();
            let request = Request::image(size, placement, self.platform)?;
            let memory = &mut self.session.memory;
            load_base = memory.place(self.platform, &request, Whose::Image)?.0;
            line = match placement.preference {
                Preference::Low => Kind::SaysLowest,
                Preference::High => Kind::SaysHighest,
            };
            if self.checks() && self.relocates() {
                self.held = Some(self.platform.alloc(index(size))?);
            }
        } else if plan.segments.len() > image::MAX_CHUNKS {
            // Before the first is reserved: not every firmware takes it back.
            return Err(self.platform.refuse(Kind::Scattered));
        }
        self.say(line, &[load_base]);
        // The image lies below 4 GiB on both sides, so this is exact.
        let slide = load_base.wrapping_sub(link_base);
        for segment in plan.segments.iter() {
            let Span { first, .. } = segment.memory;
            let mut offset = first.saturating_sub(link_base);
            let memory = &mut self.session.memory;
            if placement.is_none() {
                let request = Request::fixed(PhysAddr(first), segment.memory.len());
                memory.place(self.platform, &request, Whose::Image)?;
                offset = 0;
            }
            let bytes = match &mut self.held {
                Some(held) => held,
                None => memory.bytes(),
            };
            let bytes = bytes.get_mut(index(offset)..).unwrap_or_default();
            fill(self.platform, &mut self.file, &segment, bytes)?;
            let at = first.wrapping_add(slide);
            let (file, len) = (segment.file_size, segment.memory.len());
            let numbers = [segment.index, segment.offset, file, first, len, at];
            self.say(Kind::SaysSegment, &numbers);
        }
        self.session.memory.map = None;
        let entry = plan.entry.wrapping_add(slide);
        self.say_entry(entry);
        let mut modules_from = PAGE;
        if self.options.contains(Options::MODULES_AFTER_KERNEL) {
            let last = plan.extent.last.wrapping_add(slide);
            let behind = align_up(last.saturating_add(MODULES_GAP), PAGE);
            modules_from = behind.unwrap_or(u32::MAX);
        }
        self.session.kernel.loaded = Loaded {
            link_base,
            load_base,
            entry,
            modules_from,
        };
        Ok(())
    }

    #[inline(never)] // as above
    fn choose_console(&mut self) -> Outcome {
        let Some(format) = console::choose(
            &self.session.kernel.params,
            self.platform.machine(),
            self.platform,
        )?
        else {
            self.platform.say(Kind::Blind, &[0; MAX_VALUES]);
            return Ok(());
        };
        if self.checks() {
            return Ok(());
        }
        let Framebuffer {
            width,
            height,
            depth,
        } = self.session.kernel.params.framebuffer();
        self.platform
            .set_payload_modes(format, &[width, height, depth, width, height])
    }
}

/// Reads a segment's contents to the start of its memory, if it has some, and
/// zeroes the rest.
#[inline(never)] // as above
fn fill<P: Platform>(
    platform: &mut P,
    file: &mut KernelFile<P>,
    segment: &Segment,
    memory: &mut [u8],
) -> Outcome {
    let len = index(segment.memory.len());
    let memory = memory.get_mut(..len).unwrap_or_default();
    let rest = memory.get_mut(index(segment.file_size)..);
    rest.unwrap_or_default().fill(0);
    file.load(platform, (segment.offset, segment.file_size), memory)
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
    let mut name = 0;
    let mut kind = FileKind::Module;
    if named(platform, args, 0)? == c"--nounzip" {
        name = 1;
        kind = FileKind::StoredModule;
    }
    let path = named(platform, args, name)?;
    let session = loaded(platform, session)?;
    let mut file = platform.open(path, kind)?;
    let place = match file.size() {
        Some(0) => None,
        size => Some(read_module(platform, session, &mut file, size)?),
    };
    let command_line = platform.command_line(args, name.saturating_add(1), CommandLine::Module)?;
    let modules = &mut session.kernel.modules;
    modules.append(platform, &|out| {
        info::module(out, place.as_ref(), &command_line)
    })?;
    if place.is_some() {
        session.memory.keep();
    }
    Ok(())
}

/// Reads a module that is not empty, and returns where it lies.
fn read_module<P: Platform>(
    platform: &mut P,
    session: &mut Session<P>,
    file: &mut P::File,
    size: Option<u64>,
) -> Outcome<Span> {
    let Some(size) = size else {
        return Err(platform.refuse(Kind::UnknownSize));
    };
    // The rest of the last page is the module's too, and zero.
    let request = u32::try_from(size)
        .ok()
        .and_then(|size| align_up(size, PAGE))
        .map(|size| Request::lowest(size, PAGE));
    let Some(mut request) = request else {
        return Err(platform.refuse3(Kind::NoRoom, size, PAGE.into(), u32::MAX.into()));
    };
    request.window.first = session.kernel.loaded.modules_from;
    let target = session.memory.place(platform, &request, Whose::Other)?;
    let bytes = session.memory.bytes();
    if let Some((contents, rest)) = bytes.split_at_mut_checked(narrow(size)) {
        platform.fill(file, FileOffset(0), contents)?;
        rest.fill(0);
    }
    Ok(Span::clip(target.0.into(), size).unwrap_or(request.window))
}

/// The argument that names a file.
fn named<'a, P: Platform>(platform: &mut P, args: &'a P::Args, index: usize) -> Outcome<&'a CStr> {
    let name = args.get(index);
    name.ok_or_else(|| platform.refuse(Kind::NoFileName))
}

/// The kernel that the command needs.
pub(crate) fn loaded<'a, P: Platform>(
    platform: &mut P,
    session: Option<&'a mut Session<P>>,
) -> Outcome<&'a mut Session<P>> {
    session.ok_or_else(|| platform.refuse(Kind::NoKernel))
}
