// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels with relocations whose every number may be wrong, but mostly is
//! not: [`Moved`] makes one of any bytes and has it judged.

use super::machine::Plan;
use super::{Judge, stored};
use crate::common::images::{BASE, SECOND, good_for};
use crate::common::pies::{self, Form, Pie};
use arbitrary::Arbitrary;
use mb2::params::Firmware;
use mb2_testkit::image::Class;

/// A number that has something to do with the image.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Number {
    /// In the first segment, among what is relocated.
    Place(u8),
    /// Anywhere in the first segment, or a little behind it.
    First(u16),
    /// The same in the second one, by its virtual address.
    Second(u16),
    /// By its physical one.
    Physical(u16),
    Small(u8),
    Any(u64),
}

/// A relocation: place, type, symbol, addend.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Entry {
    place: Number,
    kind: u8,
    symbol: u8,
    addend: Number,
}

/// A kernel with relocations, and where it has to go.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Moved {
    wide: bool,
    shared: bool,
    dynamic: bool,
    mapped: bool,
    option: bool,
    pie: bool,
    goes: u8,
    /// Which form, and how many of the entries.
    tables: [(u8, u8); 2],
    entries: [Entry; 6],
    symbols: [(Number, u8); 2],
    stored: [Number; 8],
    tags: Option<(u8, Number)>,
}

const FORMS: [Form; 5] = [
    pies::REL,
    pies::RELA,
    pies::RELR,
    pies::JMPREL,
    pies::JMPRELA,
];
/// Types, most of them known.
const KINDS: [u64; 16] = [8, 1, 8, 1, 2, 4, 0, 10, 11, 24, 8, 1, 10, 2, 8, 3];

impl Moved {
    fn pie(&self) -> Pie {
        let class = if self.wide {
            Class::Elf64
        } else {
            Class::Elf32
        };
        let mapped = if self.wide {
            0xffff_ffff_8000_0000
        } else {
            0xc000_0000
        };
        let mut pie = match self.dynamic {
            true => Pie::new(class),
            false => Pie::kept(class),
        };
        pie.shared = self.shared;
        pie.mapped = if self.mapped { mapped } else { 0 };
        pie.min = [BASE, BASE + 0x20_0000, 0x10_0000, BASE + 0x1000][usize::from(self.goes % 4)];
        let number = |number| {
            let base = u64::from(BASE);
            let second = base + u64::from(SECOND.0);
            match number {
                Number::Place(at) => base + 0x400 + u64::from(at) * 4 % 0x100,
                Number::First(at) => base + u64::from(at) % 0x2800,
                Number::Second(at) => (second + u64::from(at) % 0x1100).wrapping_add(pie.mapped),
                Number::Physical(at) => second + u64::from(at) % 0x1100,
                Number::Small(n) => n.into(),
                Number::Any(n) => n,
            }
        };
        let mut tables = Vec::new();
        for (form, count) in self.tables {
            let form = FORMS[usize::from(form) % FORMS.len()];
            let mut words = Vec::new();
            for entry in self.entries.iter().take(usize::from(count % 7)) {
                let kind = KINDS[usize::from(entry.kind % 16)];
                let info = pie.info(kind, u64::from(entry.symbol % 4));
                let entry = [number(entry.place), info, number(entry.addend)];
                words.extend(&entry[..form.1 as usize]);
            }
            if pie.dynamic || form != pies::RELR {
                tables.push((form, words));
            }
        }
        for (index, value) in self.stored.iter().enumerate() {
            pie.stored
                .push((0x400 + index as u32 * 0x20, number(*value)));
        }
        let section = |n| [0, 1, 2, 0xfff1][usize::from(n % 4)];
        pie.symbols = self
            .symbols
            .map(|(n, place)| (number(n), section(place)))
            .to_vec();
        pie.tags
            .extend(Some([0x6fff_fffb, 0x800_0001]).filter(|_| self.pie));
        pie.tags
            .extend(self.tags.map(|(tag, n)| [u64::from(tag % 40), number(n)]));
        Pie { tables, ..pie }
    }

    /// Loads it beside the reference; tells whether that was possible.
    pub(crate) fn check(&self) -> bool {
        let mut judge = Judge::new(Plan::plain(Firmware::Bios).make());
        let options: &[&str] = if self.option {
            &["--no-elf-relocs"]
        } else {
            &[]
        };
        let loaded = judge.load(&stored(&self.pie().file()), options, &["x"]);
        if loaded {
            judge.boot();
        }
        let good = good_for(&judge.fake);
        judge.end(&good);
        loaded
    }
}
