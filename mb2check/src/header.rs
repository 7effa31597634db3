// SPDX-License-Identifier: GPL-3.0-or-later
//! The tags of a header and what their fields mean (Multiboot2, 3.1).

use mb2::error::Kept;
use mb2::wire::header::{Header, SEARCH_LEN, TagType};

use crate::info::kind_name;
use crate::report;

/// The little-endian 32-bit number at an offset.
#[must_use]
pub fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

/// Reads the header that the loader would find.
#[must_use]
pub fn read(file: &[u8]) -> Option<report::Header> {
    let mut kept = Kept::default();
    let window = file.get(..SEARCH_LEN).unwrap_or(file);
    let header = Header::find(window, &mut kept).ok()?;
    let mut walk = header.tags();
    let mut tags = Vec::new();
    let complete = loop {
        let offset = walk.offset() as usize;
        match walk.next(&mut kept) {
            Err(_) => break false,
            Ok(None) => break true,
            Ok(Some(tag)) => {
                let values = (0..tag.field_count()).map(|index| tag.field(index));
                tags.push(report::Tag {
                    offset: offset as u64,
                    kind: tag.kind.0,
                    name: name(tag.kind),
                    optional: tag.optional,
                    size: word(file, offset + 4).unwrap_or_default(),
                    fields: fields(tag.kind, values),
                });
            }
        }
    };
    let start = header.offset as usize;
    Some(report::Header {
        offset: header.offset.into(),
        length: word(file, start + 8).unwrap_or_default(),
        checksum: word(file, start + 12).unwrap_or_default(),
        tags,
        complete,
    })
}

fn name(kind: TagType) -> &'static str {
    match kind {
        TagType::END => "end",
        TagType::INFORMATION_REQUEST => "information request",
        TagType::ADDRESS => "address",
        TagType::ENTRY => "entry",
        TagType::CONSOLE_FLAGS => "console flags",
        TagType::FRAMEBUFFER => "framebuffer",
        TagType::MODULE_ALIGN => "module alignment",
        TagType::EFI_BOOT_SERVICES => "EFI boot services",
        TagType::ENTRY_EFI32 => "EFI i386 entry",
        TagType::ENTRY_EFI64 => "EFI amd64 entry",
        TagType::RELOCATABLE => "relocatable",
        _ => "unknown",
    }
}

/// The names that the specification gives to the fields of a tag.
fn names(kind: TagType) -> &'static [&'static str] {
    match kind {
        TagType::ADDRESS => &["header_addr", "load_addr", "load_end_addr", "bss_end_addr"],
        TagType::ENTRY | TagType::ENTRY_EFI32 | TagType::ENTRY_EFI64 => &["entry_addr"],
        TagType::CONSOLE_FLAGS => &["console_flags"],
        TagType::FRAMEBUFFER => &["width", "height", "depth"],
        TagType::RELOCATABLE => &["min_addr", "max_addr", "align", "preference"],
        _ => &[],
    }
}

fn fields(kind: TagType, values: impl Iterator<Item = u32>) -> Vec<report::Field> {
    if kind == TagType::INFORMATION_REQUEST {
        let request = |value| report::Field {
            name: "request",
            value,
            meaning: Some(kind_name(value).to_owned()),
        };
        return values.map(request).collect();
    }
    let named = names(kind).iter().zip(values);
    named
        .map(|(&name, value)| report::Field {
            name,
            value,
            meaning: meaning(name, value).map(str::to_owned),
        })
        .collect()
}

fn meaning(name: &str, value: u32) -> Option<&'static str> {
    Some(match (name, value) {
        ("load_addr", u32::MAX) => "from the start of the file",
        ("load_end_addr", 0) => "to the end of the file",
        ("bss_end_addr", 0) => "nothing behind it",
        ("console_flags", flags) => match flags & 3 {
            0 => "no console needed, no EGA text",
            1 => "a console is required, no EGA text",
            2 => "no console needed, EGA text understood",
            _ => "a console is required, EGA text understood",
        },
        ("width" | "height" | "depth", 0) => "no wish",
        ("preference", 1) => "lowest",
        ("preference", 2) => "highest",
        ("preference", _) => "none",
        _ => return None,
    })
}
