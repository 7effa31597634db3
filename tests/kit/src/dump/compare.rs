// SPDX-License-Identifier: GPL-3.0-or-later
//! Two dumps of the same boot under two loaders: what differs and may not.
//!
//! Byte for byte, with these exceptions. Addresses that placement chooses may
//! differ (modules, boot information, sections loaded beside the image); that
//! each lies where it may is the business of [`super::check`]. Padding of the
//! reference is not looked at. UEFI maps are compared by what is free and what
//! is not. Everything else needs a [`Deviation`] by name.

use super::memory::{efi_map, memory_map};
use super::{Dump, Entry, SectionReport, Tag, kind};
use crate::error::Result;
use std::collections::BTreeMap;

/// A known difference to GRUB's C module, with a row in the protocol notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Deviation {
    /// The load base of an image with the relocatable tag.
    Placement,
    /// Boot services are ended although tag 7 is present, for want of an entry.
    BootServicesEnded,
    /// The 32-bit UEFI entry is used.
    Efi32Entry,
    /// The reference refuses, hangs or corrupts memory: nothing to compare.
    ReferenceFails,
    /// `multiboot2` refuses what the reference accepts.
    Stricter,
    /// The VBE tag's protected-mode interface is zero where VBE has none.
    VbeInterface,
    /// An ELF file without a section table.
    NoSectionTable,
    /// The page tables that GRUB leaves behind lie somewhere else.
    PageTables,
    /// SMBIOS tables are given.
    Smbios,
}

impl Deviation {
    /// Name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::BootServicesEnded => "boot services ended",
            Self::Efi32Entry => "EFI32 entry",
            Self::ReferenceFails => "C fails",
            Self::Stricter => "stricter",
            Self::VbeInterface => "VBE interface",
            Self::NoSectionTable => "C wants sections",
            Self::PageTables => "page tables",
            Self::Smbios => "SMBIOS",
        }
    }

    /// Why it is meant to be so.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Placement => {
                "high means the highest aligned place that fits the window, \
                 low and none the lowest; GRUB's relocator misses both in some windows"
            }
            Self::BootServicesEnded => {
                "tag 7 keeps boot services only together with an entry point \
                 that this platform can use"
            }
            Self::Efi32Entry => "GRUB has no hand-over for the 32-bit UEFI entry",
            Self::ReferenceFails => "the image is legal, GRUB's C module cannot load it",
            Self::Stricter => "the image is malformed, GRUB's C module does not notice",
            Self::VbeInterface => {
                "where VBE has no protected-mode interface, C gives the kernel \
                 what its stack held before"
            }
            Self::NoSectionTable => {
                "a program needs no section table; since 2.12 GRUB's C module \
                 looks for one and refuses a file without it"
            }
            Self::Smbios => "the kernel asks for SMBIOS tables, GRUB's C module has none",
            Self::PageTables => {
                "since 2.14 GRUB's hand-over on 64-bit UEFI maps memory anew; where its \
                 tables lie depends on what else had to have a place, and beside boot \
                 services ours keeps the firmware's"
            }
        }
    }
}

/// What may differ in one boot.
#[derive(Clone, Debug, Default)]
pub struct Rules<'a> {
    /// Deviations that the boot is expected to show.
    pub deviations: &'a [Deviation],
}

impl Rules<'_> {
    fn allow(&self, deviation: Deviation) -> bool {
        self.deviations.contains(&deviation)
    }
}

/// Something that differs and may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which part of the dump.
    pub place: String,
    /// What the reference has.
    pub stock: String,
    /// What the loader under test has.
    pub ours: String,
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {} != {}", self.place, self.stock, self.ours)
    }
}

/// Compares the dump of the reference with that of the loader under test.
///
/// # Errors
///
/// [`crate::Error::Mbi`] if one of the two cannot be walked.
pub fn compare(stock: &Dump, ours: &Dump, rules: &Rules<'_>) -> Result<Vec<Difference>> {
    let mut out = Differences {
        list: Vec::new(),
        stock,
        ours,
        rules,
    };
    out.state();
    out.image();
    out.tags()?;
    Ok(out.list)
}

struct Differences<'a> {
    list: Vec<Difference>,
    stock: &'a Dump,
    ours: &'a Dump,
    rules: &'a Rules<'a>,
}

/// Flags of arithmetic, left over from address computations.
const ARITHMETIC_FLAGS: u64 = 0x8d5;

impl Differences<'_> {
    fn equal<T: PartialEq + core::fmt::Debug>(&mut self, place: &str, stock: &T, ours: &T) {
        if stock != ours {
            self.list.push(Difference {
                place: place.to_owned(),
                stock: format!("{stock:x?}"),
                ours: format!("{ours:x?}"),
            });
        }
    }

    fn state(&mut self) {
        let (stock, ours) = (self.stock, self.ours);
        self.equal("entry state", &stock.entry, &ours.entry);
        self.equal(
            "boot services",
            &stock.boot_services_alive,
            &ours.boot_services_alive,
        );
        if stock.entry != ours.entry {
            return;
        }
        let names: Vec<&String> = stock
            .registers
            .keys()
            .chain(ours.registers.keys())
            .collect();
        let names: std::collections::BTreeSet<&String> = names.into_iter().collect();
        for name in names {
            let (a, b) = (stock.registers.get(name), ours.registers.get(name));
            match (name.as_str(), a, b) {
                // Checked against the address of the boot information below.
                ("ebx" | "rbx", ..) => {}
                ("cr3", Some(a), Some(b)) if self.rules.allow(Deviation::PageTables) => {
                    self.equal("page tables' alignment", &(a % 0x1000), &(b % 0x1000));
                    // Beside the firmware ours leaves the firmware's in place.
                    let kept = stock.entry != Entry::Plain32;
                    self.equal("page tables of GRUB", &(kept && a == b), &false);
                }
                // In the trampoline, which is wherever there was room.
                ("gdtr.base", ..) if stock.entry == Entry::Plain32 => {}
                ("eflags" | "rflags", Some(a), Some(b)) => self.equal(
                    &format!("register {name}"),
                    &(a & !ARITHMETIC_FLAGS),
                    &(b & !ARITHMETIC_FLAGS),
                ),
                ("rsp" | "esp", Some(a), Some(b)) if stock.entry != Entry::Plain32 => {
                    self.equal("stack alignment", &(a % 16), &(b % 16));
                }
                // Undefined with boot services kept.
                (
                    "rdi" | "rbp" | "r8" | "r9" | "r10" | "r11" | "r12" | "r13" | "r14" | "r15"
                    | "edi" | "ebp",
                    ..,
                ) if stock.entry != Entry::Plain32 => {}
                _ => self.equal(&format!("register {name}"), &a, &b),
            }
        }
        let info = ours.registers.get("ebx").or(ours.registers.get("rbx"));
        self.equal("register ebx", &Some(&u64::from(ours.mbi_address)), &info);
    }

    fn image(&mut self) {
        let (stock, ours) = (self.stock, self.ours);
        self.equal("kernel bytes", &stock.image.fnv, &ours.image.fnv);
        self.equal("kernel length", &stock.image.mem_len, &ours.image.mem_len);
        if !self.rules.allow(Deviation::Placement) {
            self.equal("kernel address", &stock.image.base, &ours.image.base);
        }
        let fixed = |dump: &Dump| -> Vec<_> {
            let of = |r: &super::RangeReport| {
                (
                    r.at.wrapping_sub(dump.image.base),
                    r.file_len,
                    r.mem_len,
                    r.fnv,
                )
            };
            dump.ranges.iter().map(of).collect()
        };
        self.equal("ranges", &fixed(stock), &fixed(ours));
    }

    fn tags(&mut self) -> Result {
        let (stock, mut ours) = (self.stock.tags()?, self.ours.tags()?);
        if self.rules.allow(Deviation::Smbios) {
            ours.retain(|tag| tag.kind != kind::SMBIOS);
        }
        let kinds = |tags: &[Tag<'_>]| tags.iter().map(|tag| tag.kind).collect::<Vec<_>>();
        self.equal("tag order", &kinds(&stock), &kinds(&ours));
        if kinds(&stock) != kinds(&ours) {
            return Ok(());
        }
        let mut counts = BTreeMap::new();
        for (a, b) in stock.iter().zip(&ours) {
            let count = counts.entry(a.kind).or_insert(0usize);
            self.tag(*count, a, b);
            if b.padding.iter().any(|byte| *byte != 0) {
                let zero = vec![0; b.padding.len()];
                self.equal(
                    &format!("padding of tag {}", b.kind),
                    &&zero[..],
                    &b.padding,
                );
            }
            *count += 1;
        }
        Ok(())
    }

    fn tag(&mut self, index: usize, a: &Tag<'_>, b: &Tag<'_>) {
        let place = format!("tag {}", a.kind);
        match a.kind {
            kind::LOAD_BASE if self.rules.allow(Deviation::Placement) => {
                self.equal(&place, &a.bytes.len(), &b.bytes.len());
            }
            kind::MODULE => self.module(index, a, b),
            kind::SECTIONS => self.sections(a, b),
            // An acknowledgement: transaction number and elapsed seconds differ.
            kind::NETWORK => self.bytes(&place, &mask(a, 12..18), &mask(b, 12..18)),
            kind::VBE if self.rules.allow(Deviation::VbeInterface) => {
                self.equal("VBE interface", &Some(&[0; 6][..]), &b.bytes.get(10..16));
                self.bytes(&place, &mask(a, 10..16), &mask(b, 10..16));
            }
            kind::MEMORY_MAP if self.on_efi() => {
                self.equal(&place, &a.bytes.get(8..16), &b.bytes.get(8..16));
                self.equal(&place, &memory_map(a), &memory_map(b));
            }
            kind::EFI_MAP => {
                self.equal(&place, &a.bytes.get(8..16), &b.bytes.get(8..16));
                self.equal(&place, &efi_map(a), &efi_map(b));
            }
            _ => self.bytes(&place, a.bytes, b.bytes),
        }
    }

    fn on_efi(&self) -> bool {
        let has = |dump: &Dump| {
            dump.tags().is_ok_and(|tags| {
                tags.iter()
                    .any(|tag| matches!(tag.kind, kind::EFI32 | kind::EFI64))
            })
        };
        has(self.stock)
    }

    /// Reports the first byte that differs, or the lengths.
    fn bytes(&mut self, place: &str, a: &[u8], b: &[u8]) {
        self.equal(&format!("{place} length"), &a.len(), &b.len());
        if let Some(at) = a.iter().zip(b).position(|(a, b)| a != b) {
            let around = |bytes: &[u8]| bytes[at..bytes.len().min(at + 8)].to_vec();
            self.equal(
                &format!("{place} from byte {at:#x}"),
                &around(a),
                &around(b),
            );
        }
    }

    fn module(&mut self, index: usize, a: &Tag<'_>, b: &Tag<'_>) {
        let place = format!("module {index}");
        self.bytes(&place, &mask(a, 8..16), &mask(b, 8..16));
        let report = |dump: &Dump| {
            let module = dump.modules.get(index)?;
            Some((
                module.end.wrapping_sub(module.start),
                module.fnv,
                module.start == 0,
            ))
        };
        self.equal(&place, &report(self.stock), &report(self.ours));
    }

    fn sections(&mut self, a: &Tag<'_>, b: &Tag<'_>) {
        let stride = a.u32(12).unwrap_or(0) as usize;
        let address = if stride < 64 { 12..16 } else { 16..24 };
        let (mut left, mut right) = (a.bytes.to_vec(), b.bytes.to_vec());
        let (stock, ours) = (self.stock, self.ours);
        for index in 0..a.u32(8).unwrap_or(0) {
            let of = |dump: &Dump| dump.sections.iter().find(|s| s.index == index).copied();
            let (first, second) = (of(stock), of(ours));
            if let (Some(first), Some(second)) = (first, second) {
                self.section(index, &first, &second);
                let at = 20 + index as usize * stride;
                let differ = first.addr != second.addr;
                if differ && first.flags & crate::image::SHF_ALLOC == 0 {
                    for bytes in [&mut left, &mut right] {
                        let range = at + address.start..at + address.end;
                        if let Some(field) = bytes.get_mut(range) {
                            field.fill(0);
                        }
                    }
                }
            }
        }
        self.bytes("tag 9", &left, &right);
    }

    /// Contents of loose sections must agree. Those of sections in the image
    /// must if both images lie where the headers say.
    fn section(&mut self, index: u32, a: &SectionReport, b: &SectionReport) {
        let place = format!("section {index}");
        let moved = |dump: &Dump| dump.image.base != dump.image.link;
        let in_image = a.flags & crate::image::SHF_ALLOC != 0;
        self.equal(&place, &a.size, &b.size);
        if !in_image || !(moved(self.stock) || moved(self.ours)) {
            self.equal(&place, &a.fnv, &b.fnv);
        }
    }
}

/// The tag with a byte range set to zero.
fn mask(tag: &Tag<'_>, range: core::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = tag.bytes.to_vec();
    if let Some(part) = bytes.get_mut(range) {
        part.fill(0);
    }
    bytes
}
