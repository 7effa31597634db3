// SPDX-License-Identifier: GPL-3.0-or-later
//! ELF files that numbers choose.

use super::header::{Entries, header};
use super::{Ground, Random};
use crate::bytes::{noise, put};
use crate::error::Result;
use crate::image::{
    Class, Contents, ET_DYN, ET_EXEC, ImageBuilder, Numbering, PT_DYNAMIC, PT_NOTE, SHF_ALLOC,
    SHT_NOTE, SHT_RELA, SHT_SYMTAB, Section, Segment,
};

/// Where kernels that live above their physical addresses are linked.
const HIGH_HALF: [u64; 2] = [0xc000_0000, 0xffff_ffff_8000_0000];

pub(super) fn file(random: &mut Random, ground: &Ground, class: Class) -> Result<Vec<u8>> {
    let mut image = ImageBuilder::new(class);
    image.kind = random.pick(&[ET_EXEC, ET_EXEC, ET_DYN]);
    let first = u64::from(ground.base + 0x10 * random.below(0x4000));
    let high = match random.below(3) {
        0 => HIGH_HALF[class.number() as usize - 1],
        _ => 0,
    };
    let end = segments(random, &mut image, first, high);
    let entries = Entries {
        first: first as u32,
        span: (end - first) as u32,
    };
    let header = header(random, ground, &entries).build();
    let place = 8 * random.below(0x10) as usize;
    match random.one_in(8) {
        true => image.raw.push((0x800, header)),
        false => put(&mut image.segments[0].data, place, &header),
    }
    let start = &mut image.segments[0];
    start.mem_len = start.mem_len.max(start.data.len() as u64);

    let target = &image.segments[random.index(image.segments.len())];
    image.entry = target.vaddr + u64::from(random.below(target.mem_len.max(1) as u32));
    if random.one_in(6) {
        random.shuffle(&mut image.segments);
    }
    others(random, &mut image);
    if !random.one_in(3) {
        sections(random, &mut image);
    }
    shape(random, &mut image);
    Ok(image.build()?.bytes)
}

/// Adds loadable segments, apart and upwards; returns where the last one ends.
fn segments(random: &mut Random, image: &mut ImageBuilder, first: u64, high: u64) -> u64 {
    let mut at = first;
    for index in 0..=random.below(4) {
        // The header and what the window has to hold come first.
        let len = 0x200 + random.below(if index == 0 { 0x2000 } else { 0x5000 });
        let zeroes = random.pick(&[0, 0, 1, 0xff0, 0x3000]);
        let mut segment = Segment::load(at, noise(random.next(), len as usize))
            .mem_len(u64::from(len + zeroes))
            .vaddr(at + high);
        segment.align = random.pick(&[1, 0x10, 0x1000]);
        if index > 0 && random.one_in(8) {
            segment.data = Vec::new();
        }
        at += segment.mem_len + random.pick(&[0, 0, 0x20, 0x1000, 0x6123]);
        image.segments.push(segment);
    }
    image
        .segments
        .iter()
        .map(|segment| segment.paddr + segment.mem_len)
        .max()
        .unwrap_or(first)
}

/// Adds headers that nothing is loaded for.
fn others(random: &mut Random, image: &mut ImageBuilder) {
    let model = image.segments[0].clone();
    if random.one_in(4) {
        let mut note = model.clone();
        note.kind = random.pick(&[PT_NOTE, PT_DYNAMIC, 0, 0x6474_e551]);
        note.data = noise(random.next(), 0x40);
        note.mem_len = 0x40;
        if random.one_in(4) {
            // Covers virtual addresses of the image, and says they lie elsewhere.
            note.paddr += 0x1_0000;
            note.mem_len = model.mem_len;
        }
        image.segments.push(note);
        if random.one_in(2) {
            let last = image.segments.len() - 1;
            image.segments.swap(0, last);
        }
    }
    if random.one_in(12) {
        let at = model.paddr + random.pick(&[0, 0x40, 0x10_0000]);
        let mut empty = Segment::load(at, Vec::new());
        empty.vaddr = model.vaddr;
        image.segments.push(empty);
    }
}

fn sections(random: &mut Random, image: &mut ImageBuilder) {
    for index in 0..random.below(7) {
        let bytes = noise(random.next(), 1 + random.below(0x1800) as usize);
        let name = format!(".s{index}");
        let mut section = match random.below(12) {
            0..3 => {
                let mut part = Section::loose(&name, Vec::new());
                let segment = &image.segments[0];
                part.addr = segment.paddr + 0x20;
                part.flags = SHF_ALLOC;
                part.contents = Contents::InSegment(0, 0x20, 0x80);
                part
            }
            3 => Section::nobits(&name, image.segments[0].paddr + 0x100, 0x40),
            4 if random.one_in(4) => Section::nobits(&name, 0, 0x1000),
            5 if random.one_in(4) => Section::loose(&name, bytes).kind(SHT_RELA),
            6 => Section::loose(&name, bytes)
                .kind(SHT_SYMTAB)
                .table(1, 2, 16),
            7 => Section::loose(&name, Vec::new()),
            8 => Section::loose(&name, bytes).kind(SHT_NOTE),
            9 => {
                // Lies before what is read at the end of the file.
                let mut part = Section::loose(&name, Vec::new());
                part.contents = Contents::InSegment(0, 0x30, 0x150);
                part
            }
            _ => Section::loose(&name, bytes),
        };
        section.align = 1 << random.pick(&[0, 0, 2, 3, 4, 6, 12, 14]);
        if random.one_in(60) {
            section.align = 0;
        }
        image.sections.push(section);
    }
}

/// Chooses how the tables are written.
fn shape(random: &mut Random, image: &mut ImageBuilder) {
    if random.one_in(20) {
        image.phdr_at = Some(random.pick(&[0x1_8000, 0x7fe0]));
    }
    if random.one_in(15) {
        image.phdr_stride = Some(random.pick(&[64, 200]));
    }
    if random.one_in(15) {
        image.shdr_stride = Some(random.pick(&[64, 72]));
    }
    if random.one_in(15) {
        image.numbering = Numbering {
            segments: random.one_in(8),
            sections: random.one_in(4),
            names: random.one_in(2),
        };
    }
}
