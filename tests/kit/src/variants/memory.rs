// SPDX-License-Identifier: GPL-3.0-or-later
//! Commands that are repeated: memory is as before, or what is lost is GRUB's
//! own loss.

use super::Variant;
use super::bad_packed::damaged;
use super::rounds::Rounds;
use super::session::{Session, tried};
use crate::bytes::noise;
use crate::compress::xz;
use crate::error::Result;
use crate::header::{HeaderBuilder, Relocatable, Tag};
use crate::image::{Class, ImageBuilder, Patch, Section, Segment, Shdr};
use crate::kernel::{Flat, KernelSpec};
use crate::payload::Payload;

/// Length of a command line that is seen when it is lost.
const LINE: usize = 700;

fn line(command: &str) -> String {
    format!("{command} {}", "x".repeat(LINE))
}

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    Ok(vec![refused(payload)?, loaded(payload)?, failing(payload)?])
}

const PAGE: u64 = 0x1000;

/// Pages of all segments.
fn pages(image: &ImageBuilder) -> u64 {
    let lens = image.segments.iter().map(|s| s.mem_len.div_ceil(PAGE));
    lens.sum()
}

/// The good kernel in parts.
fn kernel(payload: &Payload) -> Result<ImageBuilder> {
    Ok(KernelSpec::bare(Class::Elf64).elf_builder(payload)?.0)
}

/// What is refused before anything is placed costs nothing at all.
fn refused(payload: &Payload) -> Result<Variant> {
    let mut cut = kernel(payload)?;
    cut.patches.push(Patch::Truncate(0x6001));
    let sections = kernel(payload)?.section(Section::loose(".x", vec![1; 9]));
    let sections = sections.patch(Patch::Ehdr(crate::image::Ehdr::ShEntSize, 8));
    let tag = HeaderBuilder::new().tag(Tag::Raw(6, Some(0), Vec::new()));
    let mut session = Session::new("memory-refused", payload)?
        .file("noise", noise(95, 40_000))
        .file("empty", Vec::new())
        .file("tag", tag.build())
        .file("cut", cut.build()?.bytes)
        .file("sections", sections.build()?.bytes)
        .commands(&["multiboot2 /kernel"]);
    for (name, command) in [
        ("no-name", "multiboot2"),
        ("missing", "multiboot2 /missing"),
        ("no-header", "multiboot2 /noise"),
        ("empty", "multiboot2 /empty"),
        ("bad-tag", "multiboot2 /tag"),
        ("bad-segment", "multiboot2 /cut"),
        ("bad-section-table", "multiboot2 /sections"),
        ("forbidden", "multiboot2 /kernel forbidden"),
        ("module-without-kernel", "module2 /noise"),
        ("boot-without-kernel", "boot"),
    ] {
        let command = match command {
            "boot" | "multiboot2" => command.to_owned(),
            _ => line(command),
        };
        session = session.rounds(Rounds::twenty(name, 0, 0), &[&command]);
    }
    Ok(session.finish())
}

/// A kernel that is replaced gives everything back that GRUB takes back.
fn loaded(payload: &Payload) -> Result<Variant> {
    let image = kernel(payload)?;
    let taken = pages(&image);
    let debug = Section::loose(".debug", noise(96, 50_000)).align(64);
    let sections = image.clone().section(debug).build()?;
    let table = sections.bytes.len() as u64 / PAGE + 1;
    let movable = KernelSpec {
        relocatable: Some(Relocatable {
            min: 0x20_0000,
            max: u32::MAX,
            align: 0x1000,
            preference: 2,
        }),
        ..KernelSpec::bare(Class::Elf32)
    };
    let (movable, expected) = movable.elf_builder(payload)?;
    let span = u64::from(expected.span).div_ceil(PAGE);
    let flat = KernelSpec::flat(Flat::default()).build(payload)?.bytes;
    let flat_pages = flat.len() as u64 / PAGE + 1;
    let session = Session::new("memory-loaded", payload)?
        .file("sections", sections.bytes)
        .file("movable", movable.build()?.bytes)
        .file("flat", flat)
        .file("module", noise(97, 300_000));
    let session = session
        .rounds(
            Rounds::twenty("elf", 2, taken),
            &[&line("multiboot2 /kernel")],
        )
        .rounds(
            Rounds::twenty("sections", 4, taken + table),
            &[&line("multiboot2 /sections")],
        )
        .rounds(
            Rounds::twenty("movable", 1, span),
            &[&line("multiboot2 /movable")],
        )
        .rounds(
            Rounds::twenty("flat", 1, flat_pages),
            &[&line("multiboot2 /flat")],
        )
        .rounds(
            Rounds::twenty("module", 3, taken + 74),
            &[&line("multiboot2 /kernel"), &line("module2 /module")],
        );
    Ok(session.finish())
}

/// What fails when something was placed costs no more.
fn failing(payload: &Payload) -> Result<Variant> {
    let image = kernel(payload)?;
    let taken = pages(&image);
    let mut apart = image.clone();
    apart.segments.push(Segment::load(0xf000_0000, vec![1]));
    let section = image.clone().section(Section::loose(".x", vec![1; 9]));
    let section = section.patch(Patch::Shdr(1, Shdr::AddrAlign, 3));
    let packed = damaged(xz(&image.build()?.bytes)?);
    let console = KernelSpec::bare(Class::Elf64).tag(Tag::Console(1));
    let module = damaged(xz(&noise(98, 100_000))?);
    let session = Session::new("memory-failing", payload)?
        .commands(&["insmod xzio"])
        .file("apart", apart.build()?.bytes)
        .file("section", section.build()?.bytes)
        .file("packed", packed)
        .file("console", console.build(payload)?.bytes)
        .file("module", module);
    let boot = format!("probe_hold; {}; probe_release", tried("boot"));
    let session = session
        .rounds(
            Rounds::twenty("apart", 3, taken),
            &[&line("multiboot2 /apart")],
        )
        .rounds(
            Rounds::twenty("section", 3, taken + 1),
            &[&line("multiboot2 /section")],
        )
        .rounds(
            Rounds::twenty("packed", 2, taken),
            &[&line("multiboot2 /packed")],
        )
        .rounds(
            Rounds::twenty("console", 2, taken),
            &[&line("multiboot2 /console")],
        )
        .rounds(
            Rounds::twenty("module", 3, taken + 25),
            &["multiboot2 /kernel", &line("module2 /module")],
        )
        .rounds(Rounds::twenty("boot", 1, 1), &[&boot]);
    Ok(session.finish())
}
