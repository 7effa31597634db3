// SPDX-License-Identifier: GPL-3.0-or-later
//! The SMBIOS tag, read by somebody else's library.

use super::Tag;
use dmidecode::{EntryPoint, Structure};

/// Bytes of a tag before the entry point: type, size, version, reserved ones.
const HEAD: usize = 16;

/// Walks the whole table and says what is wrong with it.
pub(super) fn check(tag: &Tag<'_>) -> Result<(), String> {
    let told = tag.bytes.get(8..HEAD).ok_or("too short")?;
    let payload = tag.bytes.get(HEAD..).ok_or("too short")?;
    let entry = EntryPoint::search(payload).map_err(|error| error.to_string())?;
    if told != [entry.major(), entry.minor(), 0, 0, 0, 0, 0, 0] {
        return Err(format!("version {told:?}"));
    }
    let table = payload
        .get(usize::from(entry.len())..)
        .ok_or("no structures")?;
    let mut seen = Vec::new();
    for structure in entry.structures(table) {
        match structure.map_err(|error| error.to_string())? {
            Structure::System(system) if system.manufacturer.is_empty() => {
                return Err("a system without a manufacturer".to_owned());
            }
            Structure::System(_) => seen.push("system"),
            _ => {}
        }
    }
    if !seen.contains(&"system") {
        return Err(format!("found {seen:?} in {} bytes", table.len()));
    }
    match table {
        // In SMBIOS 2 the length says where the table ends.
        [.., 127, 4, _, _, 0, 0] => Ok(()),
        _ if matches!(entry, EntryPoint::V2(_)) => Ok(()),
        _ => Err("it does not end with the end-of-table structure".to_owned()),
    }
}
