// SPDX-License-Identifier: GPL-3.0-or-later
//! Gates over relocations: the kinds that GRUB's loader and verifier accept.

use std::collections::BTreeSet;

use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, elf};

use super::Subject;

/// The shim that ends the machine. Code that refers to it can panic.
const FATAL: &str = "mb2_grub_fatal";

/// One relocation, as far as a gate looks at it.
struct Relocation<'a> {
    section: &'a str,
    offset: u64,
    kind: elf::RelocationType,
    symbol: Option<&'a str>,
    /// The symbol is in this object, or is a shim and will be in the same module.
    inside: bool,
    /// The addend is in the place itself (`SHT_REL`), not in the entry (`SHT_RELA`).
    implicit: bool,
}

fn all<'a>(subject: &'a Subject<'_>) -> Vec<Relocation<'a>> {
    let mut found = Vec::new();
    for section in subject.file.sections() {
        for (offset, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            let symbol = match relocation.target() {
                RelocationTarget::Symbol(index) => subject.file.symbol_by_index(index).ok(),
                _ => None,
            };
            found.push(Relocation {
                section: section.name().unwrap_or("?"),
                offset,
                kind: r_type,
                symbol: symbol.as_ref().and_then(|s| s.name().ok()),
                inside: symbol.as_ref().is_some_and(|s| {
                    !s.is_undefined() || s.name().is_ok_and(|n| n.starts_with("mb2_grub_"))
                }),
                implicit: relocation.has_implicit_addend(),
            });
        }
    }
    found
}

/// Names the functions that refer to a symbol.
pub(super) fn users(subject: &Subject<'_>, symbol: &str) -> BTreeSet<String> {
    let uses = all(subject)
        .into_iter()
        .filter(|r| r.symbol == Some(symbol));
    uses.map(|r| function_at(subject, r.section, r.offset))
        .collect()
}

/// Names the function that holds an offset of a section.
fn function_at(subject: &Subject<'_>, section: &str, offset: u64) -> String {
    let index = subject.file.section_by_name(section).map(|s| s.index());
    let holds = |s: &object::Symbol<'_, '_>| {
        let begun = offset.checked_sub(s.address());
        s.section_index() == index && begun.is_some_and(|distance| distance < s.size())
    };
    let holder = subject.file.symbols().find(holds);
    let name = holder.and_then(|s| s.name().ok().map(str::to_owned));
    name.unwrap_or_else(|| format!("{section}+{offset:#x}"))
}

/// Every relocation is of a kind that GRUB's verifier lets pass.
pub(crate) fn types(subject: &Subject<'_>) -> Vec<String> {
    let accepted = |r: &Relocation<'_>| {
        if subject.is_64() {
            let anywhere = matches!(r.kind, elf::R_X86_64_64 | elf::R_X86_64_PC64);
            let inside = matches!(r.kind, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) && r.inside;
            !r.implicit && (anywhere || inside)
        } else {
            r.implicit && matches!(r.kind, elf::R_386_32 | elf::R_386_PC32)
        }
    };
    let refused = all(subject).into_iter().filter(|r| !accepted(r));
    refused
        .map(|r| {
            format!(
                "relocation type {:#x} at {}+{:#x} against {}: GRUB does not know it",
                r.kind.0,
                r.section,
                r.offset,
                r.symbol
                    .filter(|name| !name.is_empty())
                    .unwrap_or("a section")
            )
        })
        .collect()
}

/// No code refers to the end of the machine, so no panic can be reached.
pub(crate) fn no_fatal_edge(subject: &Subject<'_>) -> Vec<String> {
    let edges = all(subject).into_iter().filter(|r| r.symbol == Some(FATAL));
    edges
        .map(|r| {
            format!(
                "panic edge: {FATAL} is used at {}+{:#x}",
                r.section, r.offset
            )
        })
        .collect()
}
