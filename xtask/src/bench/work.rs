// SPDX-License-Identifier: GPL-3.0-or-later
//! What is loaded: kernels of 16 MiB in two shapes, packed in three ways.

use anyhow::Result;
use mb2_testkit::bytes::noise;
use mb2_testkit::compress;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, ImageBuilder, SHT_STRTAB, SHT_SYMTAB, Section, Segment};
use mb2_testkit::kernel::BASE;

/// Bytes of a mebibyte.
pub(crate) const MIB: usize = 1 << 20;

/// A kernel that writes the time stamp counter to the debug console with its first
/// instructions, low byte first, and ends the machine.
const STAMP: [u8; 25] = [
    0x0f, 0x31, // rdtsc
    0xb9, 8, 0, 0, 0, // mov ecx, 8
    0xe6, 0xe9, // next: out 0xe9, al
    0x0f, 0xac, 0xd0, 8, // shrd eax, edx, 8
    0xc1, 0xea, 8, // shr edx, 8
    0xe2, 0xf5, // loop next
    0xb0, 0x10, // mov al, 0x10
    0xe6, 0xf4, // out 0xf4, al
    0xf4, // stop: hlt
    0xeb, 0xfd, // jmp stop
];

/// What a kernel of 16 MiB consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One small segment, and eight sections that no segment holds.
    Sections,
    /// Three segments, symbols, and debug information.
    Program,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// By gzip, best compression.
    Gzip,
    /// By xz.
    Xz,
}

impl Shape {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sections, Self::Program];

    /// For tables and file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sections => "8 sections",
            Self::Program => "segments, symbols, debug information",
        }
    }
}

impl Packing {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Gzip, Self::Xz];

    /// For tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip -9",
            Self::Xz => "xz",
        }
    }

    /// Packs a file.
    ///
    /// # Errors
    ///
    /// If the compressor fails.
    pub(crate) fn pack(self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => compress::gzip(bytes)?,
            Self::Xz => compress::xz(bytes)?,
        })
    }
}

/// Bytes that pack about as well as code and debug information do: a few words again and again,
/// and a byte of noise behind each.
fn contents(seed: u64, len: usize) -> Vec<u8> {
    let words = noise(seed, 64 * 12);
    let picks = noise(seed + 1, 2 * len / 13 + 2);
    let mut bytes = Vec::with_capacity(len + 13);
    for pick in picks.chunks(2) {
        let word = usize::from(pick[0] % 64) * 12;
        bytes.extend_from_slice(&words[word..word + 12]);
        bytes.extend_from_slice(&pick[1..]);
    }
    bytes.truncate(len);
    bytes
}

/// A kernel without anything beside its code.
fn small(class: Class) -> ImageBuilder {
    let entry = BASE + 0x1000;
    let mut first = HeaderBuilder::new().tag(Tag::Entry(entry)).build();
    first.resize(0x1000, 0);
    first.extend_from_slice(&STAMP);
    let mut image = ImageBuilder::new(class);
    image.entry = entry.into();
    image.segment(Segment::load(BASE.into(), first))
}

/// The kernel that modules are loaded beside.
///
/// # Errors
///
/// As [`kernel`].
pub(crate) fn smallest() -> Result<Vec<u8>> {
    Ok(small(Class::Elf32).build()?.bytes)
}

/// A kernel of `len` bytes and a little more.
///
/// # Errors
///
/// None with parts of ordinary shape.
pub(crate) fn kernel(shape: Shape, len: usize) -> Result<Vec<u8>> {
    let part = |number: u64, share: usize| contents(number, len / 16 * share);
    let image = match shape {
        Shape::Sections => (0..8u64).fold(small(Class::Elf32), |image, number| {
            image.section(Section::loose(".debug", part(number, 2)))
        }),
        Shape::Program => {
            let at = |mib: u32| u64::from(BASE) + u64::from(mib) * 0x10_0000;
            let data = Segment::load(at(6), part(3, 1)).mem_len(2 * MIB as u64);
            small(Class::Elf64)
                .segment(Segment::load(at(1), part(1, 2)))
                .segment(Segment::load(at(4), part(2, 1)))
                .segment(data)
                .section(Section::loose(".debug_info", part(4, 6)))
                .section(Section::loose(".debug_line", part(5, 3)))
                .section(Section::loose(".debug_str", part(6, 1)))
                .section(
                    Section::loose(".symtab", part(7, 1))
                        .kind(SHT_SYMTAB)
                        .align(8)
                        .table(5, 1, 24),
                )
                .section(Section::loose(".strtab", part(8, 1)).kind(SHT_STRTAB))
        }
    };
    Ok(image.build()?.bytes)
}
