// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that must be refused, all of a theme in one session of GRUB, with a
//! good kernel at the end.

use super::judge::marker;
use super::{BadImage, Expectation, Variant};
use crate::bytes::noise;
use crate::error::Result;
use crate::header::{HeaderBuilder, Relocatable, Tag};
use crate::image::{Class, Ehdr, ImageBuilder, Patch, Phdr, Section, Segment, Shdr};
use crate::kernel::{BASE, KernelSpec};
use crate::payload::Payload;

/// Name, part of the error line, file.
pub(super) type Bad = (&'static str, &'static str, Vec<u8>);

/// A session that tries each image, then `boot`, then boots a good kernel.
pub(super) fn session(name: &str, bad: Vec<Bad>, payload: &Payload) -> Result<Variant> {
    let mut variant = Variant::of(name, &KernelSpec::elf(Class::Elf64), payload)?;
    let mut script = Vec::new();
    let mut images = Vec::new();
    for (file, error, bytes) in bad {
        script.push(format!("echo '{}'", marker(file)));
        script.push(format!("multiboot2 /{file}"));
        script.push("boot".to_owned());
        variant.files.push((file.to_owned(), bytes));
        images.push(BadImage {
            file: file.to_owned(),
            error,
        });
    }
    script.push("echo 'mb2t good'".to_owned());
    script.append(&mut variant.script);
    Ok(Variant {
        script,
        expectation: Expectation::Refused { images },
        ..variant
    })
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    Ok(vec![
        session("refused-headers", headers(payload)?, payload)?,
        session("refused-tags", tags(payload)?, payload)?,
        session("refused-elf", damaged(payload)?, payload)?,
        session("refused-placement", placement(payload)?, payload)?,
    ])
}

/// A good ELF file with another header in front of the good one's place.
fn with_header(header: &HeaderBuilder, payload: &Payload) -> Result<Vec<u8>> {
    let (mut image, _) = KernelSpec::elf(Class::Elf32).elf_builder(payload)?;
    let good = HeaderBuilder::new().build();
    if let Some(first) = image.segments.first_mut() {
        first.data[..good.len()].fill(0);
        let bytes = header.build();
        first.data[..bytes.len()].copy_from_slice(&bytes);
    }
    Ok(image.build()?.bytes)
}

fn headers(payload: &Payload) -> Result<Vec<Bad>> {
    const NONE: &str = "no multiboot header found";
    const LENGTH: &str = "length 0x";
    const SIZE: &str = "wrong size 0x";
    const END: &str = "no end tag";
    let new = HeaderBuilder::new;
    let list = [
        ("magic", NONE, new().magic(0xe852_50d7)),
        ("mips", NONE, new().architecture(4)),
        ("checksum", NONE, new().checksum(0)),
        ("length-16", LENGTH, new().length(16)),
        ("length-huge", LENGTH, new().length(0xffff_fff0)),
        ("length-past-window", LENGTH, new().length(0x8000)),
        (
            "no-end",
            END,
            new().without_end().length(24).tag(Tag::ModuleAlignment),
        ),
        ("size-0", SIZE, new().tag(Tag::Raw(6, Some(0), Vec::new()))),
        ("size-7", SIZE, new().tag(Tag::Raw(6, Some(7), Vec::new()))),
        (
            "size-wraps",
            SIZE,
            new().optional(Tag::Raw(99, Some(0xffff_fffc), Vec::new())),
        ),
        (
            "size-beyond",
            SIZE,
            new().optional(Tag::Raw(99, Some(200), Vec::new())),
        ),
        (
            "request-size-4",
            SIZE,
            new().tag(Tag::Raw(1, Some(4), Vec::new())),
        ),
        (
            "entry-short",
            SIZE,
            new().tag(Tag::Raw(3, Some(8), vec![0; 4])),
        ),
        (
            "framebuffer-short",
            SIZE,
            new().tag(Tag::Raw(5, Some(16), vec![0; 12])),
        ),
        (
            "relocatable-short",
            SIZE,
            new().tag(Tag::Raw(10, Some(20), vec![0; 16])),
        ),
        (
            "optional-but-short",
            SIZE,
            new().optional(Tag::Raw(4, Some(8), vec![0; 4])),
        ),
    ];
    let mut all = Vec::new();
    for (name, error, header) in list {
        all.push((name, error, with_header(&header, payload)?));
    }
    all.push(("empty-file", NONE, Vec::new()));
    all.push(("noise", NONE, noise(71, 50_000)));
    all.push((
        "short-file",
        NONE,
        HeaderBuilder::new().build()[..12].to_vec(),
    ));
    Ok(all)
}

fn tags(payload: &Payload) -> Result<Vec<Bad>> {
    let new = HeaderBuilder::new;
    let list = [
        (
            "unknown-tag",
            "unsupported tag: 0x1267",
            new().tag(Tag::Raw(4711, None, Vec::new())),
        ),
        (
            "unknown-request",
            "unsupported information tag: 0x1267",
            new().tag(Tag::InformationRequest(vec![6, 4711])),
        ),
        (
            "no-console",
            "requires a console",
            new().tag(Tag::Console(1)),
        ),
        (
            "entry-outside",
            "is outside the image",
            new().tag(Tag::Entry(0x10)),
        ),
    ];
    let mut all = Vec::new();
    for (name, error, header) in list {
        all.push((name, error, with_header(&header, payload)?));
    }
    Ok(all)
}

/// What is broken, the error, and how.
type Damage = (&'static str, &'static str, fn(&mut ImageBuilder));

static DAMAGES: [Damage; 25] = [
    ("elf-magic", "ELF magic", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::Magic, 0))
    }),
    ("elf-class", "ELF magic", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::Class, 3))
    }),
    ("elf-order", "ELF magic", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::Data, 2))
    }),
    ("elf-machine", "ELF magic", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::Machine, 40))
    }),
    ("elf-type", "not of the right type", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::Type, 1))
    }),
    ("phentsize-0", "ELF headers", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhEntSize, 0))
    }),
    ("phentsize-1", "ELF headers", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhEntSize, 1))
    }),
    ("phoff-far", "ELF headers", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhOff, 0x7fff_ff00))
    }),
    ("phoff-wraps", "ELF headers", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhOff, u64::MAX - 15))
    }),
    ("phnum-many", "ELF headers", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhNum, 0xfffe))
    }),
    ("phnum-0", "nothing to load", |i| {
        i.patches.push(Patch::Ehdr(Ehdr::PhNum, 0))
    }),
    ("file-above-memory", "is above 0x", |i| {
        i.segments[1].mem_len = 0x10
    }),
    ("offset-behind-end", "premature end", |i| {
        i.patches.push(Patch::Phdr(1, Phdr::Offset, 0x100_0000))
    }),
    ("truncated", "premature end", |i| {
        // The table of sections would be missed first.
        i.sections.clear();
        i.patches.push(Patch::Truncate(0x6001));
    }),
    ("truncated-sections", "ELF headers", |i| {
        i.patches.push(Patch::Truncate(0x6001))
    }),
    ("above-4gib", "crosses 4 GiB", |i| {
        i.segments[1].paddr = 0xffff_f000
    }),
    ("memory-wraps", "crosses 4 GiB", |i| {
        i.patches.push(Patch::Phdr(1, Phdr::MemSz, 0xffff_f000))
    }),
    ("overlap", "overlaps ", |i| {
        i.segments[1].paddr = u64::from(BASE) + 0x1800
    }),
    ("contained", "overlaps ", |i| {
        i.segments
            .push(Segment::load(u64::from(BASE) + 0x10, vec![1]))
    }),
    ("entry-nowhere", "entry point isn't in a segment", |i| {
        i.entry = 0x10
    }),
    ("shentsize-small", "ELF headers", |i| {
        i.sections.push(Section::loose(".x", vec![1; 9]));
        i.patches.push(Patch::Ehdr(Ehdr::ShEntSize, 8));
    }),
    ("shoff-far", "ELF headers", |i| {
        i.sections.push(Section::loose(".x", vec![1; 9]));
        i.patches.push(Patch::Ehdr(Ehdr::ShOff, 0x4000_0000));
    }),
    ("section-behind-end", "ends behind the file", |i| {
        i.sections.push(Section::loose(".x", vec![1; 9]));
        i.patches
            .push(Patch::Shdr(i.sections.len(), Shdr::Size, 0x1000_0000));
    }),
    ("section-align-3", "is not a power", |i| {
        i.sections.push(Section::loose(".x", vec![1; 9]).align(3))
    }),
    ("section-align-high", "is not a power", |i| {
        i.sections.push(Section::loose(".x", vec![1; 9]));
        i.patches
            .push(Patch::Shdr(i.sections.len(), Shdr::AddrAlign, 0x0003_0000));
    }),
];

fn damaged(payload: &Payload) -> Result<Vec<Bad>> {
    let mut all = Vec::new();
    for &(name, error, damage) in &DAMAGES {
        let (mut image, _) = KernelSpec::elf(Class::Elf64).elf_builder(payload)?;
        damage(&mut image);
        all.push((name, error, image.build()?.bytes));
    }
    Ok(all)
}

fn placement(payload: &Payload) -> Result<Vec<Bad>> {
    const RANGE: &str = "invalid min/max";
    let window = |min, max, align| Relocatable {
        min,
        max,
        align,
        preference: 1,
    };
    let list = [
        ("align-3", "is not a power", window(0x10_0000, u32::MAX, 3)),
        ("window-small", RANGE, window(0x10_0000, 0x10_1000, 1)),
        ("window-inverted", RANGE, window(0x20_0000, 0x10_0000, 1)),
        ("window-zero", RANGE, window(0, 0, 1)),
        (
            "window-not-ram",
            "no free memory",
            window(0xf000_0000, u32::MAX, 1),
        ),
    ];
    let mut all = Vec::new();
    for (name, error, window) in list {
        let spec = KernelSpec {
            relocatable: Some(window),
            ..KernelSpec::elf(Class::Elf64)
        };
        all.push((name, error, spec.build(payload)?.bytes));
    }
    for (name, base) in [
        ("fixed-not-ram", 0xf000_0000),
        ("fixed-beyond-ram", 0x6000_0000),
    ] {
        let spec = KernelSpec {
            base,
            ..KernelSpec::elf(Class::Elf64)
        };
        all.push((name, "is not free memory", spec.build(payload)?.bytes));
    }
    Ok(all)
}
