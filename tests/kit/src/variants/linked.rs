// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that the loader relocates: kernels as a linker made them, and bad
//! ones.

use super::Variant;
use super::session::Session;
use crate::bytes::put_number;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, ImageBuilder, PT_DYNAMIC, SHT_REL, Section, Segment};
use crate::kernel::{BASE, Kernel, KernelSpec};
use crate::payload::Payload;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for linked in &payload.linked {
        let variant = Variant::boots(&linked.recipe.name(), linked.kernel.clone());
        list.push(variant.ours_only(Deviation::ReferenceFails));
    }
    list.push(option(payload)?);
    list.push(refused(payload)?);
    Ok(list)
}

/// A kernel that may be moved, away from where it is linked.
fn movable(class: Class) -> KernelSpec {
    KernelSpec {
        relocatable: Some(Relocatable {
            min: 0x100_0000,
            max: 0x380_0000,
            align: 0x1000,
            preference: 1,
        }),
        ..KernelSpec::elf(class)
    }
}

/// The test kernel with a kept relocation of a type that nobody knows.
fn unknown(payload: &Payload) -> Result<Kernel> {
    let mut entry = Vec::new();
    put_number(&mut entry, 0, u64::from(BASE) + 0x800, 4);
    put_number(&mut entry, 4, 0x4d, 4);
    let table = Section::loose(".rel.text", entry).kind(SHT_REL);
    movable(Class::Elf32)
        .section(table.table(0, 1, 8))
        .build(payload)
}

/// It relocates itself and says so.
fn option(payload: &Payload) -> Result<Variant> {
    let kernel = unknown(payload)?;
    let mut variant = Variant::boots("elf32-no-elf-relocs", kernel).arguments(&["--quiet"]);
    variant.script[0] = "multiboot2 --no-elf-relocs /kernel --quiet".to_owned();
    Ok(variant.ours_only(Deviation::ReferenceFails))
}

/// A kernel with a dynamic section behind its segments: tags and values, and
/// a table of words behind them.
fn with_table(
    payload: &Payload,
    class: Class,
    tags: &[[u64; 2]],
    words: &[u64],
) -> Result<Vec<u8>> {
    let (mut image, _) = movable(class).elf_builder(payload)?;
    image.kind = crate::image::ET_DYN;
    let last = image.segments.last().map_or(0, |s| s.paddr + s.mem_len);
    let at = last.next_multiple_of(0x1000);
    let len = if class == Class::Elf32 { 4 } else { 8 };
    let mut data = Vec::new();
    let mut tags = tags.to_vec();
    tags.push([0, 0]);
    // A tag's value below 0x100 is a distance from the section.
    for (index, &number) in tags.as_flattened().iter().chain(words).enumerate() {
        let address =
            index < tags.len() * 2 && index % 2 == 1 && ADDRESSES.contains(&tags[index / 2][0]);
        let number = if address { at + number } else { number };
        put_number(&mut data, index * len, number, len);
    }
    let mut dynamic = Segment::load(at, Vec::new())
        .at(0)
        .mem_len(data.len() as u64);
    dynamic.kind = PT_DYNAMIC;
    image = image.segment(Segment::load(at, data)).segment(dynamic);
    Ok(ImageBuilder { ..image }.build()?.bytes)
}

/// Tags whose values are addresses.
const ADDRESSES: [u64; 3] = [7, 17, 36];

/// Bad relocations, each between good kernels.
fn refused(payload: &Payload) -> Result<Variant> {
    let kernel = Variant::of(
        "refused-relocations",
        &KernelSpec::elf(Class::Elf32),
        payload,
    )?;
    let base = u64::from(BASE);
    let narrow = |tags: &[[u64; 2]], words: &[u64]| with_table(payload, Class::Elf32, tags, words);
    let wide = |tags: &[[u64; 2]], words: &[u64]| with_table(payload, Class::Elf64, tags, words);
    // Two tags and the end take 24 bytes, or 48.
    let rel = [[17, 24], [18, 8]];
    let rela = [[7, 48], [8, 24]];
    let cases = [
        (
            "kept-type",
            unknown(payload)?.bytes,
            "/kept-type: section/DT 6, relocation 0: unknown type 77 at 0x4000800",
        ),
        (
            "type",
            narrow(&rel, &[base + 0x800, 42])?,
            "/type: section/DT 17, relocation 0: unknown type 42 at 0x4000800",
        ),
        (
            "place",
            narrow(&rel, &[base - 1, 8])?,
            "/place: section/DT 17, relocation 0: type 8 at 0x3ffffff leaves the image",
        ),
        (
            "symbol",
            narrow(&rel, &[base + 0x800, 0xffff_ff01])?,
            "/symbol: section/DT 17, relocation 0: type 1 at 0x4000800 leaves the image",
        ),
        (
            "bitmap",
            narrow(&[[36, 24], [35, 4]], &[3])?,
            "/bitmap: section/DT 36, relocation 0: type 8 at 0x0 leaves the image",
        ),
        (
            "fit",
            wide(&rela, &[base + 0x800, 10, 1 << 33])?,
            "/fit: section/DT 7, relocation 0: type 10 at 0x4000800 does not fit",
        ),
        (
            "half",
            narrow(&[[17, 24], [18, 12]], &[base, 8, 8])?,
            "/half: section/DT 17: 0xc bytes have no entries of 0x0",
        ),
        (
            "table",
            wide(&[[7, 48], [8, 1 << 40]], &[])?,
            "DT 7: 0x10000000000 bytes at 0x",
        ),
    ];
    let mut session = Session::of(kernel);
    for (name, bytes, error) in cases {
        session = session.refuses(name, error, bytes);
    }
    let session = session
        .fails(
            "option",
            "multiboot2 --no-elf-relocations /type",
            "unknown argument `--no-elf-relocations'",
        )
        .works("left-alone", "multiboot2 --no-elf-relocs /type");
    Ok(session.finish())
}
