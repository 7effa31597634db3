// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the parts of an image go, and what each of them reports.

use super::{Expected, ExpectedBlob, KernelSpec};
use crate::bytes::{align_up, fnv1a64};
use crate::error::Result;
use crate::image::{Contents, Image, SHF_ALLOC, SHT_NOBITS, Section};
use crate::payload::{Blob, Payload, Range};

const PAGE: u32 = 0x1000;

/// Addresses of the parts, counted from the link base.
pub(super) struct Layout {
    pub(super) blob32: u32,
    pub(super) end32: u32,
    pub(super) blob64: u32,
    pub(super) end64: u32,
}

pub(super) fn layout(payload: &Payload) -> Layout {
    let end32 = PAGE + payload.blob32.mem_len();
    let blob64 = align_up(end32.into(), PAGE.into()) as u32 + 2 * PAGE;
    Layout {
        blob32: PAGE,
        end32,
        blob64,
        end64: blob64 + payload.blob64.mem_len(),
    }
}

impl KernelSpec {
    /// Finishes both blobs, each with the other parts as ranges.
    pub(super) fn blobs(
        &self,
        payload: &Payload,
        layout: &Layout,
        page: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>, Expected)> {
        let (blob32, blob64) = (&payload.blob32, &payload.blob64);
        let range = |from: u32, at: u32, file_len, mem_len, gap| Range {
            delta: at.wrapping_sub(from),
            file_len,
            mem_len,
            gap,
        };
        let hole = layout.blob64 - layout.end32;
        let ranges = |from: u32, other_at: u32, other: &Blob| {
            [
                range(from, 0, layout.blob32, layout.blob32, false),
                range(from, other_at, other.file_len(), other.mem_len(), false),
                range(from, layout.end32, 0, hole, true),
            ]
        };
        let (bytes32, fnv32) = blob32.finish(
            self.base + layout.blob32,
            &ranges(layout.blob32, layout.blob64, blob64),
        )?;
        let (bytes64, fnv64) = blob64.finish(
            self.base + layout.blob64,
            &ranges(layout.blob64, layout.blob32, blob32),
        )?;
        let page = fnv1a64(page);
        let empty = fnv1a64(&[]);
        let expected = Expected {
            link_base: self.base,
            span: layout.end64,
            blob32: ExpectedBlob {
                offset: layout.blob32,
                fnv: fnv32,
                ranges: vec![(page, false), (fnv64, false), (empty, true)],
            },
            blob64: ExpectedBlob {
                offset: layout.blob64,
                fnv: fnv64,
                ranges: vec![(page, false), (fnv32, false), (empty, true)],
            },
            efi32_entry: self.boot_services && self.entry_efi32,
            efi64_entry: self.boot_services && self.entry_efi64,
            relocatable: self.relocatable,
            loose_sections: Vec::new(),
        };
        Ok((bytes32, bytes64, expected))
    }

    /// Sections that cover the segments.
    pub(super) fn standard_sections(&self, payload: &Payload, layout: &Layout) -> Vec<Section> {
        let part = |name: &str, segment, offset: u32, len: u32, at: u32| Section {
            flags: SHF_ALLOC,
            addr: u64::from(self.base + at) + self.virtual_offset,
            contents: Contents::InSegment(segment, offset.into(), len.into()),
            align: 16,
            ..Section::loose(name, Vec::new())
        };
        let zeroes = |name: &str, at: u32, end: u32| Section {
            flags: SHF_ALLOC,
            kind: SHT_NOBITS,
            align: 16,
            ..Section::nobits(
                name,
                u64::from(self.base + at) + self.virtual_offset,
                (end - at).into(),
            )
        };
        let (len32, len64) = (payload.blob32.file_len(), payload.blob64.file_len());
        vec![
            part(".multiboot", 0, 0, layout.blob32, 0),
            part(".text32", 0, layout.blob32, len32, layout.blob32),
            zeroes(".bss32", layout.blob32 + len32, layout.end32),
            part(".text64", 1, 0, len64, layout.blob64),
            zeroes(".bss64", layout.blob64 + len64, layout.end64),
        ]
    }
}

/// Adds what the loader should have done with sections outside the segments.
pub(super) fn with_loose_sections(
    mut expected: Expected,
    sections: &[Section],
    image: &Image,
) -> Expected {
    for (index, section) in sections.iter().enumerate() {
        let loaded = section.addr == 0 && section.kind != 0 && section.kind != SHT_NOBITS;
        if let (true, Contents::Bytes(bytes)) = (loaded, &section.contents)
            && !bytes.is_empty()
        {
            let pair = (index as u32 + 1, fnv1a64(bytes));
            expected.loose_sections.push(pair);
        }
    }
    // The name table is the last section, and loose like the others.
    if let Some(&at) = image.section_offsets.last() {
        let end = image.shdr_offset as usize;
        let mut names = image.bytes[at as usize..end].to_vec();
        while names.ends_with(&[0, 0]) {
            names.pop();
        }
        let index = image.section_offsets.len() as u32 - 1;
        expected.loose_sections.push((index, fnv1a64(&names)));
    }
    expected
}
