// SPDX-License-Identifier: GPL-3.0-or-later
//! The layout of the boot information (Multiboot2, 3.6).

use crate::header::word;
use crate::report::{InfoTag, Information};

/// What a type of boot information is called.
#[must_use]
pub fn kind_name(kind: u32) -> &'static str {
    const NAMES: [&str; 22] = [
        "end",
        "command line",
        "loader name",
        "module",
        "basic memory",
        "boot device",
        "memory map",
        "VBE",
        "framebuffer",
        "ELF sections",
        "APM",
        "EFI32 system table",
        "EFI64 system table",
        "SMBIOS",
        "ACPI old",
        "ACPI new",
        "network",
        "EFI memory map",
        "EFI boot services alive",
        "EFI32 image handle",
        "EFI64 image handle",
        "load base",
    ];
    NAMES.get(kind as usize).copied().unwrap_or("unknown")
}

/// Takes boot information apart.
#[must_use]
pub fn read(bytes: &[u8], address: u32) -> Information {
    let size = word(bytes, 0).unwrap_or_default() as usize;
    let bytes = bytes.get(..size).unwrap_or(bytes);
    let mut tags = Vec::new();
    let mut at = 8;
    while let (Some(kind), Some(len)) = (word(bytes, at), word(bytes, at + 4)) {
        let end = at.saturating_add(len as usize);
        let body = bytes.get(at + 8..end).unwrap_or_default();
        tags.push(InfoTag {
            offset: at,
            kind,
            name: kind_name(kind),
            size: len,
            text: text(kind, body),
        });
        if kind == 0 || len < 8 {
            break;
        }
        at = end.next_multiple_of(8);
    }
    Information {
        address,
        size: bytes.len(),
        tags,
    }
}

/// What stands in a tag, in short.
fn text(kind: u32, body: &[u8]) -> Option<String> {
    let number = |index: usize| word(body, index * 4).unwrap_or_default();
    let string = |from: usize| {
        let bytes = body.get(from..).unwrap_or_default();
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        format!("\"{}\"", String::from_utf8_lossy(bytes))
    };
    Some(match kind {
        1 | 2 => string(0),
        3 => format!("{:#x}-{:#x} {}", number(0), number(1), string(8)),
        4 => format!("{} KiB below, {} KiB above 1 MiB", number(0), number(1)),
        6 => format!("{} entries", body.len().saturating_sub(8) / 24),
        8 => format!("{}x{}, {} bits", number(3), number(4), number(5) & 0xff),
        9 => format!("{} headers of {} bytes", number(0), number(1)),
        21 => format!("{:#x}", number(0)),
        _ => return None,
    })
}
