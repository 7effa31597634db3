// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that ask for much work: the heaviest legal ones boot, and what
//! would need too many chunks of memory is refused.

use super::bad::{Bad, Cost, session};
use super::{Platform, Variant};
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, ImageBuilder, Patch, Section, Segment, Shdr};
use crate::kernel::{BASE, Expected, Kernel, KernelSpec};
use crate::payload::Payload;

/// One of each kind of firmware is enough.
const PLATFORMS: [Platform; 2] = [Platform::I386Pc, Platform::X86_64Efi];

/// As many headers as 16 bits count without help, but for a few.
const MANY: usize = 0xfef0;

/// More than an image may have chunks.
const TOO_MANY: usize = 300;

const ERROR: &str = "in too many pieces";

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let boots = |name, (image, expected): (ImageBuilder, Expected)| -> Result<Variant> {
        let bytes = image.build()?.bytes;
        let variant = Variant::boots(name, Kernel { bytes, expected });
        // GRUB's own loader wants program headers in front, and needs a chunk
        // for each section.
        let variant = variant.ours_only(Deviation::ReferenceFails);
        Ok(variant.on(&PLATFORMS))
    };
    let fixed = |count| -> Result<Vec<u8>> { Ok(segments(count, None, payload)?.0.build()?.bytes) };
    let refused: Vec<Bad> = vec![
        ("segments".to_owned(), ERROR, fixed(TOO_MANY)?),
        ("segments-many".to_owned(), ERROR, fixed(MANY)?),
        // Last, since UEFI keeps the chunks of those that were not too many.
        (
            "sections-many".to_owned(),
            ERROR,
            misaligned(MANY, payload)?,
        ),
    ];
    Ok(vec![
        boots("elf32-heavy-segments", segments(MANY, anywhere(), payload)?)?,
        loads("elf64-heavy-sections", sections(MANY, payload)?, payload)?,
        session("refused-pieces", refused, Cost::Memory, payload)?.on(&PLATFORMS),
    ])
}

fn anywhere() -> Option<Relocatable> {
    Some(Relocatable {
        min: 0x10_0000,
        max: u32::MAX,
        align: 0x1000,
        preference: 0,
    })
}

/// A good kernel and as many segments of one byte behind it.
fn segments(
    count: usize,
    relocatable: Option<Relocatable>,
    payload: &Payload,
) -> Result<(ImageBuilder, Expected)> {
    let spec = KernelSpec {
        relocatable,
        ..KernelSpec::elf(Class::Elf32)
    };
    let (mut image, mut expected) = spec.elf_builder(payload)?;
    let start = BASE + 0x40_0000;
    for place in (0..count as u32).rev() {
        let mut part = Segment::load(u64::from(start + 16 * place), vec![1]).mem_len(9);
        part.align = 1;
        image.segments.push(part);
    }
    image.phdr_at = Some(0x40_0000);
    expected.span = start + 16 * count as u32 - 7 - BASE;
    Ok((image, expected))
}

/// A good kernel and as many sections of one byte.
fn sections(count: usize, payload: &Payload) -> Result<ImageBuilder> {
    let (mut image, _) = KernelSpec::elf(Class::Elf64).elf_builder(payload)?;
    image.sections.resize(count, Section::loose("", vec![7]));
    Ok(image)
}

/// Loads the image, and boots another one if that went well: reports of so
/// many sections would take longer than everything else.
fn loads(name: &str, image: ImageBuilder, payload: &Payload) -> Result<Variant> {
    let mut variant = Variant::of(name, &KernelSpec::elf(Class::Elf64), payload)?;
    variant
        .files
        .push(("many".to_owned(), image.build()?.bytes));
    let load = "if multiboot2 /many; then multiboot2 /kernel; fi";
    variant.script = vec![load.to_owned(), "boot".to_owned()];
    Ok(variant.ours_only(Deviation::ReferenceFails).on(&PLATFORMS))
}

/// The same with sections that may not stay where the file has them.
fn misaligned(count: usize, payload: &Payload) -> Result<Vec<u8>> {
    let mut image = sections(count, payload)?;
    let align = |index| Patch::Shdr(index, Shdr::AddrAlign, 0x2000);
    image.patches.extend((1..=count).map(align));
    Ok(image.build()?.bytes)
}
