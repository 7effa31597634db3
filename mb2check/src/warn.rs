// SPDX-License-Identifier: GPL-3.0-or-later
//! Warnings: what GRUB's own C loader, or GRUB of some version, refuses or spoils of a
//! file that this loader takes.

use mb2::params::Firmware;
use mb2::wire::elf::{PT_LOAD, Program, SHT_NOBITS, SHT_NULL, Section};
use mb2::wire::header::{SEARCH_LEN, TagType};

use crate::elf::Elf;
use crate::explain::Facts;
use crate::input::Packing;
use crate::report::Note;

/// Types of sections with relocations (ELF, 1-9).
const SHT_RELA: u32 = 4;
const SHT_REL: u32 = 9;

/// Finds what other loaders take amiss.
#[must_use]
pub fn warnings(facts: &Facts<'_>, packing: Option<Packing>) -> Vec<Note> {
    let mut notes = Vec::new();
    if packing == Some(Packing::Zstd) {
        notes.push(Note::new("GRUB unpacks zstd since 2.14 only"));
    }
    header(facts, &mut notes);
    if let Some(elf) = facts.elf {
        programs(elf, &mut notes);
        entry(facts, elf, &mut notes);
        sections(elf, &mut notes);
    }
    notes
}

fn header(facts: &Facts<'_>, notes: &mut Vec<Note>) {
    let has = |kind| facts.tag(kind).is_some();
    for tag in facts.tags(TagType::ENTRY_EFI32).filter(|tag| !tag.optional) {
        let text = "GRUB's C loader does not know tag 8 and refuses it: make it optional";
        notes.push(Note::at(tag.offset, text));
    }
    for tag in facts.tags(TagType::INFORMATION_REQUEST) {
        let smbios = tag.fields.iter().position(|field| field.value == 13);
        if let Some(index) = smbios {
            let at = tag.offset + 8 + 4 * index as u64;
            let text = match tag.optional {
                true => "GRUB's C loader gives no SMBIOS tables (13)",
                false => "GRUB's C loader refuses a required request for SMBIOS (13)",
            };
            notes.push(Note::at(at, text));
        }
    }
    let efi_entry = match facts.setup.firmware {
        Firmware::Bios => true,
        Firmware::Efi32 => false,
        Firmware::Efi64 => has(TagType::ENTRY_EFI64),
    };
    if let Some(tag) = facts.tag(TagType::EFI_BOOT_SERVICES).filter(|_| !efi_entry) {
        let text = "GRUB's C loader keeps boot services for this kernel, knows no entry for \
                    them here, and enters it in the wrong mode";
        notes.push(Note::at(tag.offset, text));
    }
    if let Some(tag) = facts.tag(TagType::ADDRESS) {
        let value = |index: usize| tag.fields.get(index).map_or(0, |field| field.value);
        if value(1) == u32::MAX && value(2) != 0 {
            let text = "GRUB's C loader computes a wrong size from load_addr 0xffffffff with a \
                        load_end_addr";
            notes.push(Note::at(tag.offset + 12, text));
        }
    }
    if let Some(tag) = facts.tag(TagType::RELOCATABLE) {
        let value = |index: usize| tag.fields.get(index).map_or(0, |field| field.value);
        if value(3) == 2 {
            let text = "GRUB's C loader puts the image up to its size lower than the highest \
                        place";
            notes.push(Note::at(tag.offset + 20, text));
        }
    }
}

fn programs(elf: &Elf<'_>, notes: &mut Vec<Note>) {
    let table = &elf.header.programs;
    let end = table.offset.saturating_add(table.len().into());
    if end > SEARCH_LEN as u64 {
        let text = format!(
            "GRUB's C loader wants the program headers in the first 32 KiB; they end at {end:#x}"
        );
        notes.push(Note::at(elf.pick(28, 32), text));
    }
    if elf.extended {
        let text = "GRUB 2.06 does not look up the counts that stand in section header 0";
        notes.push(Note::at(elf.header.sections.offset, text));
    }
    for (index, program) in elf.loadable() {
        if program.paddr() + program.memory_size() == 1 << 32 {
            let text = format!("GRUB's C loader refuses segment {index}, which ends at 4 GiB");
            notes.push(Note::at(elf.program_field(index.into(), 12, 24), text));
        }
    }
    let empty = (0..).zip(&elf.programs);
    for (index, program) in empty {
        if program.kind() == PT_LOAD && program.memory_size() == 0 {
            let text = format!(
                "GRUB's C loader counts the empty segment {index} for the image's bounds and overlaps"
            );
            notes.push(Note::at(elf.program_field(index, 12, 24), text));
        }
    }
    let relocations = (0..)
        .zip(&elf.sections)
        .find(|(_, section)| is_relocation(section));
    if let Some((index, _)) = relocations {
        let text = format!(
            "GRUB's C loader refuses files with relocations, as in section {index} ({}): strip them",
            elf.name(index)
        );
        notes.push(Note::at(elf.section_field(index.into(), 4, 4), text));
    }
    if elf.header.sections.offset == 0 {
        let text = match elf.counts_sections {
            true => "GRUB's C loader takes the start of the file for the section table",
            false => "GRUB's C loader since 2.12 refuses files without a section table",
        };
        notes.push(Note::at(elf.pick(32, 40), text));
    }
}

fn is_relocation(section: &Section) -> bool {
    [SHT_REL, SHT_RELA].contains(&section.kind())
}

/// The C loader asks program headers of all types, and even where a tag has the entry.
fn entry(facts: &Facts<'_>, elf: &Elf<'_>, notes: &mut Vec<Note>) {
    let entry = elf.header.entry;
    // Its sums wrap.
    let word = |value: u64| elf.pick(value & u64::from(u32::MAX), value);
    let holds = |program: &&Program| {
        let end = word(program.vaddr().wrapping_add(program.memory_size()));
        program.vaddr() <= entry && entry < end
    };
    let address = |program: &Program| word(program.paddr().wrapping_add(entry - program.vaddr()));
    let found = elf.programs.iter().find(holds).map(address);
    let mut loaded = elf.loadable().map(|(_, program)| program);
    let right = loaded.find(|program| {
        let inside = entry.checked_sub(program.vaddr());
        inside.is_some_and(|inside| inside < program.memory_size())
    });
    let text = if found.is_none_or(|found| found >> 32 != 0) {
        "GRUB's C loader wants e_entry in a segment, whoever has the entry"
    } else if found != right.map(address) && !facts.entry_by_tag() {
        "GRUB's C loader takes the address of the entry from a header that is not loaded"
    } else {
        return;
    };
    notes.push(Note::at(24, text));
}

fn sections(elf: &Elf<'_>, notes: &mut Vec<Note>) {
    for (index, section) in (0u32..).zip(&elf.sections) {
        let empty = [SHT_NULL, SHT_NOBITS].contains(&section.kind());
        if empty && section.addr() == 0 && section.size() > 0 {
            let text = format!(
                "GRUB's C loader reads section {index} ({}) from the file, which does not hold it",
                elf.name(index)
            );
            notes.push(Note::at(elf.section_field(index.into(), 12, 16), text));
        }
        if section.needs_loading() && section.align() == 0 {
            let text = format!(
                "GRUB's C loader puts section {index} ({}) of alignment 0 at address 0, or hangs",
                elf.name(index)
            );
            notes.push(Note::at(elf.section_field(index.into(), 32, 48), text));
        }
    }
}
