// SPDX-License-Identifier: GPL-3.0-or-later
//! Images parsed back.

use super::*;
use crate::bytes::fnv1a64;
use object::{Object, ObjectSection, ObjectSegment};

#[test]
fn both_classes_parse_back() {
    let payload = Payload::dummy();
    for class in [Class::Elf32, Class::Elf64] {
        let kernel = KernelSpec::elf(class).build(&payload).unwrap();
        let elf = object::File::parse(&*kernel.bytes).unwrap();
        assert_eq!(elf.is_64(), class == Class::Elf64);
        assert_eq!(
            elf.entry(),
            u64::from(BASE) + 0x1000 + u64::from(payload.blob32.entry())
        );
        let segments: Vec<_> = elf.segments().collect();
        assert_eq!(segments.len(), 2);
        assert_eq!(segments[0].address(), u64::from(BASE));
        assert_eq!(
            fnv1a64(&segments[0].data().unwrap()[..0x1000]),
            kernel.expected.blob32.ranges[0].0
        );
        assert_eq!(
            fnv1a64(segments[1].data().unwrap()),
            kernel.expected.blob64.fnv
        );
        let text = elf.section_by_name(".text32").unwrap();
        assert_eq!(fnv1a64(text.data().unwrap()), kernel.expected.blob32.fnv);
        let names = elf.section_by_name(".shstrtab").unwrap();
        assert_eq!(
            kernel.expected.loose_sections,
            [(6, fnv1a64(names.data().unwrap()))]
        );
    }
}

#[test]
fn header_is_within_the_search_window() {
    let kernel = KernelSpec::elf(Class::Elf64)
        .build(&Payload::dummy())
        .unwrap();
    let at = kernel
        .bytes
        .chunks_exact(8)
        .position(|c| c.starts_with(&crate::header::MAGIC.to_le_bytes()));
    assert!(at.is_some_and(|at| at * 8 < 0x7000));
}

#[test]
fn flat_files_hold_what_their_tag_leaves_out() {
    let payload = Payload::dummy();
    let whole = KernelSpec::flat(Flat::default()).build(&payload).unwrap();
    let short = KernelSpec::flat(Flat {
        bss_end: true,
        lead: 0x40,
        ..Flat::default()
    });
    let short = short.build(&payload).unwrap();
    assert_eq!(whole.bytes.len() as u32, whole.expected.span);
    let saved = payload.blob64.mem_len() - payload.blob64.file_len();
    assert_eq!(short.bytes.len() as u32 + saved, short.expected.span + 0x40);
    assert_eq!(
        fnv1a64(&whole.bytes[..0x1000]),
        whole.expected.blob32.ranges[0].0
    );
    assert_eq!(
        fnv1a64(&short.bytes[0x40..0x1040]),
        short.expected.blob32.ranges[0].0
    );
}
