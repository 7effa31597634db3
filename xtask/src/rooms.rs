// SPDX-License-Identifier: GPL-3.0-or-later
//! What each room of the code costs in the module's file.
//!
//! Code counts where the function stands that it was compiled into: what the compiler has
//! inlined counts for its caller.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use rustc_demangle::demangle;

use crate::platform::Platform;

/// Rooms of the code, and the modules of the crate that make up each. The rest of the code is in C.
const CODE: &[(&str, &[&str])] = &[
    ("wire", &["wire"]),
    ("plan", &["plan"]),
    ("info", &["info"]),
    ("load", &["load", "check", "sections", "file", "params"]),
    ("session", &["session", "place", "tags"]),
    ("boot", &["boot", "video"]),
    ("table, units, error", &["table", "units", "error"]),
    ("ffi, with what is inlined there", &["ffi"]),
];

/// Sections that are rooms of their own.
const SECTIONS: &[(&str, &[&str])] = &[
    ("texts and tables", &[".rodata"]),
    ("relocations", &[".rel.text", ".rela.text"]),
    ("symbols and their names", &[".symtab", ".strtab"]),
];

/// Names and bytes of all rooms, in the order of the table.
pub(crate) type Rooms = Vec<(&'static str, u64)>;

/// Measures a module; `linked` is the object in which its functions still have names.
///
/// # Errors
///
/// If a file cannot be read.
pub(crate) fn measure(module: &Path, linked: &Path) -> Result<Rooms> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let (module, linked) = (read(module)?, read(linked)?);
    let named = object::File::parse(&*linked)?;
    let mut rooms: Rooms = CODE.iter().map(|(room, _)| (*room, 0)).collect();
    for symbol in named.symbols().filter(|s| s.kind() == SymbolKind::Text) {
        let name = format!("{:#}", demangle(symbol.name()?));
        if let Some(room) = room_of(&name).and_then(|room| rooms.get_mut(room)) {
            room.1 += symbol.size();
        }
    }
    let file = object::File::parse(&*module)?;
    let bytes = |name: &str| file.section_by_name(name).map_or(0, |s| s.size());
    let rust: u64 = rooms.iter().map(|(_, bytes)| bytes).sum();
    rooms.push(("glue", bytes(".text").saturating_sub(rust)));
    for (room, names) in SECTIONS {
        rooms.push((room, names.iter().map(|name| bytes(name)).sum()));
    }
    let known: u64 = rooms.iter().map(|(_, bytes)| bytes).sum();
    let whole = u64::try_from(module.len())?;
    rooms.push(("headers and names", whole.saturating_sub(known)));
    rooms.push(("**all**", whole));
    Ok(rooms)
}

/// The index of the room that a function belongs to; `None` for one in C.
fn room_of(name: &str) -> Option<usize> {
    let in_rust = name.contains("mb2::");
    let entry = name.starts_with("mb2_rs_");
    let module = match name.split("mb2::").nth(1) {
        Some(path) => path.split("::").next()?.split('>').next()?,
        None => "ffi",
    };
    let found = CODE.iter().position(|(_, names)| names.contains(&module));
    found.filter(|_| in_rust || entry)
}

/// Formats the rooms of several platforms as a table in Markdown.
pub(crate) fn table(measured: &[(Platform, Rooms)]) -> String {
    let mut text = String::from("| Bytes |");
    let mut line = String::from("\n|---|");
    for (platform, _) in measured {
        text += &format!(" {platform} |");
        line += "--:|";
    }
    text += &line;
    let rows = measured.first().map_or(&[][..], |(_, rooms)| rooms);
    for (row, (room, _)) in rows.iter().enumerate() {
        text += &format!("\n| {room} |");
        for (_, rooms) in measured {
            let bytes = rooms.get(row).map_or(0, |(_, bytes)| *bytes);
            text += &format!(" {bytes} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_rooms() {
        let room = |name| room_of(name).map(|room| CODE[room].0);
        assert_eq!(room("mb2::wire::elf::read_into"), Some("wire"));
        assert_eq!(
            room("<mb2::session::Memory<mb2::ffi::grub::Grub>>::place"),
            Some("session")
        );
        let dropped = "core::ptr::drop_in_place::<mb2::load::Load<mb2::ffi::grub::Grub>>";
        assert_eq!(room(dropped), Some("load"));
        assert!(room("mb2_rs_boot").is_some_and(|room| room.starts_with("ffi")));
        assert_eq!(room("mb2_grub_malloc"), None);
    }

    #[test]
    fn every_module_of_the_crate_has_one_room() {
        let source = fs::read_to_string(crate::root().join("src/lib.rs")).unwrap();
        let modules = source.lines().filter_map(|line| {
            let name = line
                .trim()
                .trim_start_matches("pub ")
                .strip_prefix("mod ")?;
            name.strip_suffix(';')
        });
        for module in modules {
            let rooms = CODE.iter().filter(|(_, names)| names.contains(&module));
            // Traits have no code.
            assert_eq!(rooms.count(), usize::from(module != "platform"), "{module}");
        }
    }
}
