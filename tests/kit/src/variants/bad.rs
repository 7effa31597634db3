// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that must be refused, all of a theme in one session of GRUB, with a
//! good kernel at the end: those with a bad header here.

use super::Variant;
use super::rounds::Rounds;
use super::session::Session;
use crate::bytes::noise;
use crate::error::Result;
use crate::header::{HeaderBuilder, Relocatable, Tag};
use crate::image::{Class, Patch};
use crate::kernel::KernelSpec;
use crate::payload::Payload;

/// Name, part of the error line, file.
pub(super) type Bad = (String, &'static str, Vec<u8>);

/// A session that tries each image, then `boot`, then boots a good kernel.
/// Those that are refused before anything is placed leave no trace in memory.
pub(super) fn session(name: &str, bad: Vec<Bad>, cost: Cost, payload: &Payload) -> Result<Variant> {
    let mut session = Session::new(name, payload)?;
    if let (Cost::Searches(searches), Some((first, ..))) = (cost, bad.first()) {
        let first = format!("multiboot2 /{first}");
        session = session.commands(&["multiboot2 /kernel", &first]);
        session = session.counts(Rounds::single("list", searches));
    }
    for (file, error, bytes) in bad {
        session = session.refuses(&file, error, bytes);
    }
    Ok(session.counts_again().finish())
}

/// What the images of a list cost before they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// They look for memory so often, and find none.
    Searches(u64),
    /// Some are placed.
    Memory,
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    Ok(vec![
        session(
            "refused-headers",
            headers(payload)?,
            Cost::Searches(0),
            payload,
        )?,
        session("refused-tags", tags(payload)?, Cost::Searches(0), payload)?,
        // It is refused when it is in memory.
        session("refused-console", console(payload)?, Cost::Memory, payload)?,
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

/// The same with the header at this offset of the file.
fn with_header_at(offset: usize, payload: &Payload) -> Result<Vec<u8>> {
    let spec = KernelSpec::elf(Class::Elf32);
    let (image, _) = spec.elf_builder(payload)?;
    let good = image.build()?.segment_offsets.first().copied();
    let none = Patch::Bytes(good.unwrap_or_default() as usize, vec![0; 16]);
    let header = Patch::Bytes(offset, HeaderBuilder::new().build());
    Ok(image.patch(none).patch(header).build()?.bytes)
}

const NONE: &str = "no multiboot header found";
const LENGTH: &str = "length 0x";
const SIZE: &str = "wrong size 0x";
const HUGE: &str =
    "/length-huge: header at 0x1000: length 0xfffffff0 is below 0x18 or passes 0x8000";
const END: &str = "/no-end: no end tag in the header up to 0x1018";

fn headers(payload: &Payload) -> Result<Vec<Bad>> {
    let new = HeaderBuilder::new;
    let mut list = vec![
        ("magic", NONE, new().magic(0xe852_50d7)),
        ("mips", NONE, new().architecture(4)),
        ("checksum", NONE, new().checksum(0)),
        ("length-0", LENGTH, new().length(0)),
        ("length-16", LENGTH, new().length(16)),
        ("length-23", LENGTH, new().length(23)),
        ("length-huge", HUGE, new().length(0xffff_fff0)),
        ("length-past-window", LENGTH, new().length(0x8000)),
        (
            "no-end",
            END,
            new().without_end().length(24).tag(Tag::ModuleAlignment),
        ),
    ];
    for (name, size) in [("end-size-0", 0), ("end-size-9", 9), ("end-size-16", 16)] {
        let end = Tag::Raw(0, Some(size), vec![0; 16]);
        list.push((name, SIZE, new().tag(end)));
    }
    for (name, size) in [
        ("size-7", 7),
        ("size-below-wrap", 0xffff_fff8),
        ("size-wraps", 0xffff_fff9),
        ("size-largest", 0xffff_ffff),
    ] {
        list.push((name, SIZE, new().tag(Tag::Raw(6, Some(size), Vec::new()))));
    }
    let zero = Tag::Raw(6, Some(0), Vec::new());
    let error = "/size-0: header tag 6 at 0x1010: wrong size 0x0";
    list.push(("size-0", error, new().tag(zero)));
    for (name, size) in [("optional-size-0", 0), ("optional-wraps", 0xffff_fffc)] {
        let tag = Tag::Raw(99, Some(size), Vec::new());
        list.push((name, SIZE, new().optional(tag)));
    }
    let beyond = Tag::Raw(99, Some(200), Vec::new());
    list.push(("size-beyond", SIZE, new().optional(beyond)));
    // Each lacks the last byte of its fields, and the next tag follows.
    for (name, kind, least) in [
        ("address-short", 2, 24),
        ("entry-short", 3, 12),
        ("console-short", 4, 12),
        ("framebuffer-short", 5, 20),
        ("efi32-entry-short", 8, 12),
        ("efi64-entry-short", 9, 12),
        ("relocatable-short", 10, 24),
    ] {
        let short = Tag::Raw(kind, None, vec![0; least - 9]);
        list.push((name, SIZE, new().tag(short)));
    }
    let short = Tag::Raw(4, Some(8), vec![0; 4]);
    list.push(("optional-but-short", SIZE, new().optional(short)));

    let mut all = Vec::new();
    for (name, error, header) in list {
        all.push((name.to_owned(), error, with_header(&header, payload)?));
    }
    for size in 0..8 {
        let tag = Tag::Raw(1, Some(size), vec![0; 16]);
        let file = with_header(&new().tag(tag), payload)?;
        all.push((format!("request-size-{size}"), SIZE, file));
    }
    for (name, error, offset) in [
        ("window-crossed", LENGTH, 0x7ff0),
        ("window-missed", NONE, 0x7ff8),
        ("window-behind", NONE, 0x8000),
        ("unaligned", NONE, 0x1004),
    ] {
        all.push((name.to_owned(), error, with_header_at(offset, payload)?));
    }
    let mut tail = vec![0; 0x100];
    tail.extend(&new().build()[..12]);
    for (name, file) in [
        ("empty-file", Vec::new()),
        ("noise", noise(71, 50_000)),
        ("short-file", new().build()[..12].to_vec()),
        ("tail-12", tail),
    ] {
        all.push((name.to_owned(), NONE, file));
    }
    Ok(all)
}

fn tags(payload: &Payload) -> Result<Vec<Bad>> {
    let new = HeaderBuilder::new;
    const ALIGN: &str = "is not a power of two";
    let align = |align| {
        new().tag(Tag::Relocatable(Relocatable {
            min: 0x10_0000,
            max: u32::MAX,
            align,
            preference: 1,
        }))
    };
    let list = [
        (
            "unknown-tag",
            "unsupported tag: 0x1267",
            new().tag(Tag::Raw(4711, None, Vec::new())),
        ),
        (
            "first-unknown-tag",
            "unsupported tag: 0xb",
            new().tag(Tag::Raw(11, None, vec![0; 5])),
        ),
        (
            "unknown-request",
            "unsupported information tag: 0x1267",
            new().tag(Tag::InformationRequest(vec![6, 4711])),
        ),
        (
            "first-unknown-request",
            "unsupported information tag: 0x16",
            new().tag(Tag::InformationRequest(vec![1, 21, 22])),
        ),
        (
            "entry-below",
            "/entry-below: entry 0x10 is outside the image",
            new().tag(Tag::Entry(0x10)),
        ),
        (
            "entry-above",
            "entry 0xffffffff is outside the image",
            new().tag(Tag::Entry(u32::MAX)),
        ),
        (
            "align-3",
            "/align-3: alignment 0x3 is not a power of two",
            align(3),
        ),
        ("align-6", ALIGN, align(6)),
        ("align-all-ones", ALIGN, align(u32::MAX)),
    ];
    let mut all = Vec::new();
    for (name, error, header) in list {
        all.push((name.to_owned(), error, with_header(&header, payload)?));
    }
    Ok(all)
}

/// Kernels that need a console, and take none that there is.
fn console(payload: &Payload) -> Result<Vec<Bad>> {
    let error = "OS requires a console but none is available";
    let header = HeaderBuilder::new().tag(Tag::Console(1));
    Ok(vec![(
        "no-console".to_owned(),
        error,
        with_header(&header, payload)?,
    )])
}
