// SPDX-License-Identifier: GPL-3.0-or-later
//! Gates over sections and size.

use object::{Object, ObjectSection, SectionFlags, elf};

use super::Subject;

/// How large a module may be, in per cent of the distribution's own.
pub(super) const SIZE_LIMIT: u64 = 188;

/// Names and flags of all sections that get memory when the object is loaded.
fn allocated(subject: &Subject<'_>) -> Vec<(String, elf::SectionFlags)> {
    let mut found = Vec::new();
    for section in subject.file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        if sh_flags.contains(elf::SHF_ALLOC) {
            found.push((section.name().unwrap_or("?").to_owned(), sh_flags));
        }
    }
    found
}

/// The Rust object has the four sections that the link script makes, and no other.
pub(crate) fn rust_sections(subject: &Subject<'_>) -> Vec<String> {
    let odd = allocated(subject)
        .into_iter()
        .filter(|(name, _)| ![".text", ".rodata", ".data", ".bss"].contains(&name.as_str()));
    odd.map(|(name, _)| format!("section {name}: merge.ld does not know it"))
        .collect()
}

/// The kinds of sections that GRUB's own modules have: name, whether it is written, whether it
/// is run.
const KINDS: [(&str, bool, bool); 5] = [
    (".text", false, true),
    (".rodata", false, false),
    (".data", true, false),
    (".bss", true, false),
    (".module_license", true, false),
];

/// A module has only known kinds of sections, with the permissions that GRUB gives their pages:
/// data is not run, and nothing else is written.
pub(crate) fn module_sections(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, flags) in allocated(subject) {
        let kind = KINDS.iter().find(|(known, ..)| {
            name.strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let Some(&(_, written, run)) = kind else {
            found.push(format!("section {name}: no module of GRUB has one like it"));
            continue;
        };
        if flags.contains(elf::SHF_WRITE) && !written {
            found.push(format!("section {name} can be written"));
        }
        if flags.contains(elf::SHF_EXECINSTR) && !run {
            found.push(format!("section {name} can be run"));
        }
    }
    for needed in [".modname", ".moddeps", ".module_license"] {
        if subject.file.section_by_name(needed).is_none() {
            found.push(format!("section {needed} is missing"));
        }
    }
    found
}

/// The module stays inside its size budget.
pub(crate) fn size(subject: &Subject<'_>, stock: u64) -> Vec<String> {
    if subject.len * 100 <= stock * SIZE_LIMIT {
        return Vec::new();
    }
    let allowed = stock * SIZE_LIMIT / 100;
    vec![format!(
        "{} bytes, allowed are {allowed} (stock has {stock})",
        subject.len
    )]
}
