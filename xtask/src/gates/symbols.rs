// SPDX-License-Identifier: GPL-3.0-or-later
//! Gates over symbols: who is called, who can be seen, what must not be there at all.

use std::collections::BTreeSet;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolFlags, SymbolKind, elf};

use super::{Subject, relocs};
use crate::stock::Stock;

/// Parts of names that only panicking, formatting, allocating or dividing code has.
const MACHINERY: &[(&str, &str)] = &[
    ("panicking", "panic machinery"),
    ("begin_unwind", "panic machinery"),
    ("slice_index_fail", "panic machinery"),
    ("unwrap_failed", "panic machinery"),
    ("expect_failed", "panic machinery"),
    ("panic_", "panic machinery"),
    ("len_mismatch_fail", "panic machinery"),
    ("4core3fmt", "formatting machinery"),
    ("__rust_alloc", "the alloc crate"),
    ("__rust_no_alloc", "the alloc crate"),
    // With -Zregparm LLVM does not pass their arguments where they expect them.
    ("__udivdi3", "64-bit division"),
    ("__umoddi3", "64-bit division"),
    ("__divdi3", "64-bit division"),
    ("__moddi3", "64-bit division"),
    ("__muldi3", "64-bit multiplication"),
];

fn undefined<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a str> {
    let names = subject.file.symbols().filter(|s| s.is_undefined());
    names
        .filter_map(|s| s.name().ok())
        .filter(|name| !name.is_empty())
}

fn globals<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a str> {
    let symbols = subject
        .file
        .symbols()
        .filter(|s| s.is_global() && !s.is_undefined());
    symbols.filter_map(|s| s.name().ok())
}

/// Rust calls the shims of the contract and nothing else.
pub(crate) fn only_contract(subject: &Subject<'_>) -> Vec<String> {
    let strangers = undefined(subject).filter(|name| !name.starts_with("mb2_grub_"));
    strangers
        .map(|name| format!("{name} is called from Rust but is no mb2_grub_ shim"))
        .collect()
}

/// Exactly the listed symbols can be seen from outside.
pub(crate) fn globals_are(subject: &Subject<'_>, exports: &[String]) -> Vec<String> {
    let seen: BTreeSet<&str> = globals(subject).collect();
    let listed: BTreeSet<&str> = exports.iter().map(String::as_str).collect();
    let extra = seen
        .difference(&listed)
        .map(|name| format!("{name} is global but not exported"));
    let absent = listed
        .difference(&seen)
        .map(|name| format!("exports.txt names {name} in vain"));
    extra.chain(absent).collect()
}

/// Nothing that panics, formats or allocates was linked in.
pub(crate) fn no_panic_machinery(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for name in subject
        .file
        .symbols()
        .filter_map(|s| s.name().ok().map(str::to_owned))
    {
        if let Some((_, what)) = MACHINERY.iter().find(|(part, _)| name.contains(part)) {
            let users = Vec::from_iter(relocs::users(subject, &name)).join(", ");
            found.push(format!("{what} is linked in: {name}, used by {users}"));
        }
    }
    found
}

/// Functions of GRUB that do not come back.
const ENDS: &[&str] = &["grub_fatal", "grub_abort", "grub_exit", "grub_reboot"];

/// The module cannot end GRUB: of all that refers to such a function, nothing was linked in.
pub(crate) fn no_way_out(subject: &Subject<'_>) -> Vec<String> {
    let ends = undefined(subject).filter(|name| ENDS.contains(name));
    ends.map(|name| format!("{name} can be reached, which ends GRUB"))
        .collect()
}

/// Nothing can be written but the one static: whatever is kept lies in it.
pub(crate) fn one_static(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for symbol in subject.file.symbols() {
        let section = symbol.section_index();
        let section = section.and_then(|index| subject.file.section_by_index(index).ok());
        let kind = section.map(|section| section.kind());
        let written = matches!(
            kind,
            Some(SectionKind::Data | SectionKind::UninitializedData)
        );
        if written && symbol.kind() == SymbolKind::Data {
            found.push(symbol.name().unwrap_or("?").to_owned());
        }
    }
    if found.len() <= 1 {
        return Vec::new();
    }
    vec![format!("more than one static: {}", found.join(", "))]
}

/// GRUB's loader knows every type of symbol that occurs.
pub(crate) fn types(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for symbol in subject.file.symbols() {
        let SymbolFlags::Elf { st_info, .. } = symbol.flags() else {
            continue;
        };
        let kind = st_info.st_type();
        let known = [
            elf::STT_NOTYPE,
            elf::STT_OBJECT,
            elf::STT_FUNC,
            elf::STT_SECTION,
            elf::STT_FILE,
        ];
        if !known.contains(&kind) {
            found.push(format!(
                "{} has symbol type {}",
                symbol.name().unwrap_or("?"),
                kind.0
            ));
        }
    }
    found
}

/// Every symbol that the module needs exists in the distribution's GRUB.
pub(crate) fn known_to(subject: &Subject<'_>, stock: &Stock) -> Vec<String> {
    let unknown = undefined(subject).filter(|name| !stock.named.contains(*name));
    unknown
        .map(|name| format!("no module of the distribution knows {name}"))
        .collect()
}

/// The module defines no name that belongs to GRUB: its loader would take ours for it.
pub(crate) fn not_taken_from(subject: &Subject<'_>, stock: &Stock) -> Vec<String> {
    let taken = globals(subject).filter(|name| stock.named.contains(*name));
    taken
        .map(|name| format!("{name} is GRUB's name but defined here"))
        .collect()
}
