// SPDX-License-Identifier: GPL-3.0-or-later
//! A small kernel.

use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{Class, Image, ImageBuilder, Section, Segment};

/// Where the kernel is linked.
pub(crate) const BASE: u32 = 0x40_0000;

/// A kernel of two segments and a section beside them.
pub(crate) fn image(class: Class, header: &HeaderBuilder) -> ImageBuilder {
    let mut data = header.build();
    data.resize(0x1000, 0x90);
    let base = u64::from(BASE);
    let mut image = ImageBuilder::new(class)
        .segment(Segment::load(base, data))
        .segment(Segment::load(base + 0x4000, vec![7; 0x800]).mem_len(0x1000))
        .section(Section::loose(".debug", vec![1; 0x30]));
    image.entry = base + 0x800;
    image
}

/// The same, built.
pub(crate) fn built(class: Class, header: &HeaderBuilder) -> Image {
    image(class, header).build().unwrap()
}
