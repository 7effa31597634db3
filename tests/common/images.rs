// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels, small enough for their every byte to be looked at; arguments.

use mb2::platform::Arguments;
use mb2_testkit::bytes::{noise, put};
use mb2_testkit::header::{HeaderBuilder, Relocatable, Tag};
use mb2_testkit::image::{Class, FlatBuilder, ImageBuilder, Section, Segment};
use std::ffi::{CStr, CString};

/// Where kernels are linked; free memory of the fake PC and of the fake UEFI.
pub(crate) const BASE: u32 = 0x40_0000;

/// Where kernels are linked that have to stay beside boot services.
pub(crate) const LOW_BASE: u32 = 0x1020_0000;

/// Bytes of the first part in the file and in memory; start of the second
/// part and its bytes in the file and in memory.
pub(crate) const FIRST: (usize, u32) = (0x1808, 0x2400);
pub(crate) const SECOND: (u32, usize, u32) = (0x4000, 0x855, 0x1003);

/// From the first byte to behind the last one.
pub(crate) const SPAN: u32 = SECOND.0 + SECOND.2;

/// Where kernels start, counted from their base.
pub(crate) const ENTRY: u32 = 0x1010;

pub(crate) const CLASSES: [Class; 2] = [Class::Elf32, Class::Elf64];

/// The contents of the two parts.
pub(crate) fn parts(header: &HeaderBuilder) -> (Vec<u8>, Vec<u8>) {
    let mut first = noise(7, FIRST.0);
    put(&mut first, 0, &header.build());
    (first, noise(8, SECOND.1))
}

/// An ELF kernel of two segments.
pub(crate) fn elf_at(class: Class, base: u32, header: &HeaderBuilder) -> ImageBuilder {
    let base = u64::from(base);
    let (first, second) = parts(header);
    let mut image = ImageBuilder::new(class)
        .segment(Segment::load(base, first).mem_len(FIRST.1.into()))
        .segment(Segment::load(base + u64::from(SECOND.0), second).mem_len(SECOND.2.into()));
    image.entry = base + u64::from(ENTRY);
    image
}

/// The same at the usual place.
pub(crate) fn elf(class: Class, header: &HeaderBuilder) -> ImageBuilder {
    elf_at(class, BASE, header)
}

/// The file of a 64-bit ELF kernel with this header.
pub(crate) fn with_header(header: &HeaderBuilder) -> Vec<u8> {
    bytes(&elf(Class::Elf64, header))
}

/// The file of an image.
pub(crate) fn bytes(image: &ImageBuilder) -> Vec<u8> {
    image.build().expect("an image").bytes
}

/// A kernel that every machine loads.
pub(crate) fn good() -> Vec<u8> {
    bytes(&elf(Class::Elf32, &HeaderBuilder::new()))
}

/// A kernel for the free memory of this machine.
pub(crate) fn good_for(fake: &super::Fake) -> Vec<u8> {
    match fake.world.low.borrow().is_some() {
        true => bytes(&elf_at(
            Class::Elf64,
            LOW_BASE,
            &keeping(HeaderBuilder::new()),
        )),
        false => good(),
    }
}

/// Sections of all sorts, most of which the loader has to load.
pub(crate) fn with_sections(image: ImageBuilder) -> ImageBuilder {
    image
        .section(Section::loose(".symtab", noise(11, 720)).align(8))
        .section(Section::loose(".strtab", noise(12, 333)))
        .section(Section::nobits(".later", 0, 0x40_0000))
        .section(Section::loose(".debug", noise(13, 5000)).align(64))
}

/// A relocatable tag.
pub(crate) fn relocatable(min: u32, max: u32, align: u32, preference: u32) -> Tag {
    Tag::Relocatable(Relocatable {
        min,
        max,
        align,
        preference,
    })
}

/// A flat file of one part.
pub(crate) fn flat(header: HeaderBuilder) -> FlatBuilder {
    flat_at(BASE, header)
}

/// The same at another place.
pub(crate) fn flat_at(base: u32, header: HeaderBuilder) -> FlatBuilder {
    FlatBuilder::new(header.tag(Tag::Entry(base + ENTRY)), base).part(0, noise(9, 0x2345))
}

/// A header that keeps boot services where an entry fits.
pub(crate) fn keeping(header: HeaderBuilder) -> HeaderBuilder {
    header
        .tag(Tag::EfiBootServices)
        .tag(Tag::EntryEfi32(LOW_BASE + ENTRY + 24))
        .tag(Tag::EntryEfi64(LOW_BASE + ENTRY + 16))
}

/// Arguments of a command.
pub(crate) struct Args(Vec<CString>);

impl Args {
    pub(crate) fn new(args: &[&str]) -> Self {
        let owned = |arg: &&str| CString::new(*arg).expect("no NUL");
        Self(args.iter().map(owned).collect())
    }
}

impl Arguments for Args {
    fn get(&self, index: usize) -> Option<&CStr> {
        self.0.get(index).map(CString::as_c_str)
    }
}

/// Joins arguments as GRUB does.
pub(crate) fn quote(args: &Args, first: usize) -> Vec<u8> {
    let mut line = Vec::new();
    for arg in args.0.iter().skip(first) {
        let arg = arg.to_bytes();
        let mark: &[u8] = if arg.contains(&b' ') { b"\"" } else { b"" };
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend(mark);
        for &byte in arg {
            if b"\\'\"".contains(&byte) {
                line.push(b'\\');
            }
            line.push(byte);
        }
        line.extend(mark);
    }
    line.push(0);
    line
}

/// The ELF kernel's memory from its first to its last byte.
pub(crate) fn memory(header: &HeaderBuilder) -> Vec<u8> {
    let (first, second) = parts(header);
    let mut memory = vec![0; SPAN as usize];
    put(&mut memory, 0, &first);
    put(&mut memory, SECOND.0 as usize, &second);
    memory
}
