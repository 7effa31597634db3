// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations of an image that lies elsewhere than it was linked for.
//!
//! Only physical addresses move. A segment whose virtual address is its
//! physical one is seen where it lies, so references to it follow; one that is
//! mapped elsewhere stays where the kernel will map it.

use crate::error::{Kind, Numbers, Outcome, Report};
use crate::plan::image::{MAX_CHUNKS, Programs};
use crate::table::{copy, join};
use crate::units::{index, low32, narrow};
use crate::wire::elf::{Class, PT_LOAD, Section};
use crate::wire::relocation::{
    Action, PT_DYNAMIC, RELATIVE, SHF_ALLOC, SHN_ABS, SYMBOL, WORDS, record, type_and_symbol,
};

/// A range of bytes: offset and size.
pub type Range = (u32, u32);

/// The bytes of a range, as far as they are there.
#[inline(never)] // one copy for all tables
fn cut(bytes: &mut [u8], (offset, size): Range) -> &mut [u8] {
    let bytes = bytes.get_mut(index(offset)..).unwrap_or_default();
    let len = bytes.len().min(index(size));
    bytes.get_mut(..len).unwrap_or_default()
}

/// A table of relocations, and the bytes that it is about.
pub struct Relocations<'a> {
    /// The image.
    pub image: &'a mut [u8],
    /// What the table lies in if the linker kept it beside the image.
    pub beside: Option<&'a mut [u8]>,
    /// Section or dynamic tag, for errors.
    pub number: u32,
    /// Words of an entry: place, type, addend; of a place alone, the bits of it
    /// may tell more places.
    pub words: u32,
    /// Bytes of an entry as the file says, 0 if it does not.
    pub entry_len: u64,
    /// The entries.
    pub entries: Range,
    /// The symbols that they name.
    pub symbols: Range,
}

impl Relocations<'_> {
    /// One of the entries or symbols, which have `len` bytes each.
    #[inline(never)] // as above
    fn item(&mut self, range: Range, number: u32, len: u32) -> &mut [u8] {
        let all = match &mut self.beside {
            Some(beside) => beside,
            None => &mut *self.image,
        };
        cut(cut(all, range), (number.saturating_mul(len), len))
    }
}

/// One relocation.
struct Entry {
    /// Number of the table, its own, its type and its place.
    numbers: Numbers,
    symbol: u32,
    addend: u64,
}

/// Tags of the dynamic section (ELF, 2-11).
const DT_SYMTAB: usize = 6;
const DT_RELA: u64 = 7;
const DT_PLTREL: usize = 20;
const DT_JMPREL: u8 = 23;
const DT_FLAGS_1: u64 = 0x6fff_fffb;

/// One more than the highest tag that tells of tables.
const TAGS: usize = 38;

/// Tags of a table's address, its size and an entry's size, and words of an
/// entry: `DT_REL`, `DT_RELA`, `DT_JMPREL`, `DT_RELR`.
const TABLES: [[u8; 4]; 4] = [
    [17, 18, 19, 2],
    [7, 8, 9, 3],
    [DT_JMPREL, 2, 0, 2],
    [36, 35, 37, 1],
];

/// Flag of a program that is linked to lie anywhere (GNU, `DF_1_PIE`).
const PIE: u64 = 0x0800_0000;

/// An image that relocations are applied to.
pub struct Relocate<'a> {
    programs: &'a Programs<'a>,
    class: Class,
    /// It is to be relocated.
    wanted: bool,
    /// Some of it is seen where it lies.
    moving: bool,
    /// Some of it is mapped elsewhere.
    mapped: bool,
    /// A shared object or a PIE: its contents at link time may be anything but
    /// the addends, and its dynamic section counts.
    shared: bool,
    /// A table was applied.
    applied: bool,
    link_base: u32,
    /// Load address minus link address.
    slide: u64,
    /// Address and size of the dynamic section, which has the tables then.
    dynamic: (u64, u64),
    /// Bytes of tables that may still be read: as many as the file can have.
    pub left: u32,
}

impl<'a> Relocate<'a> {
    /// Reads the segments of an image that was linked to `link_base` and now
    /// starts at `load_base`.
    #[inline(never)] // keeps the caller's stack frame small
    pub fn new(programs: &'a Programs<'a>, link_base: u32, load_base: u32) -> Self {
        let mut this = Self {
            programs,
            class: programs.file.class,
            wanted: false,
            moving: false,
            mapped: false,
            shared: programs.file.shared,
            applied: false,
            link_base,
            slide: u64::from(load_base).wrapping_sub(link_base.into()),
            dynamic: (0, 0),
            left: 0,
        };
        for index in 0..programs.file.programs.count {
            let program = programs.get(index);
            let (vaddr, len) = (program.vaddr(), program.memory_size());
            match program.kind() {
                _ if len == 0 => {}
                PT_LOAD if vaddr == program.paddr() => this.moving = true,
                PT_LOAD => this.mapped = true,
                PT_DYNAMIC => this.dynamic = (vaddr, len),
                _ => {}
            }
        }
        this
    }

    /// Tells whether the relocations that the linker kept are to be applied:
    /// there is no other source.
    pub fn wants_kept(&self) -> bool {
        let (_, len) = self.dynamic;
        self.wanted && len == 0
    }

    /// Where a section of the image lies now, if it has moved.
    pub fn moved(&self, section: &Section) -> Option<u32> {
        let addr = section.addr();
        let here = self.applied && section.flags() & SHF_ALLOC != 0;
        let moves = here && u64::from(self.programs.find(addr, 1)?) == addr;
        moves.then(|| low32(addr.wrapping_add(self.slide)))
    }

    /// Tells whether what has this virtual address is seen somewhere else now.
    fn moves(&self, vaddr: u64) -> Option<bool> {
        match self.programs.find(vaddr, 1) {
            Some(at) => Some(u64::from(at) == vaddr),
            None if !self.mapped => Some(true),
            None if !self.moving || self.slide == 0 => Some(false),
            None => None,
        }
    }

    /// Applies what the dynamic section names; all of it is in the image.
    ///
    /// # Errors
    ///
    /// [`Kind::RelocationTable`] and those of [`Relocate::apply`].
    #[inline(never)] // as above
    pub fn apply_dynamic(&mut self, image: &mut [u8], report: &mut impl Report) -> Outcome {
        self.wanted = true;
        let (vaddr, len) = self.dynamic;
        let start = self.programs.find(vaddr, len);
        let offset = start.map_or(u32::MAX, |at| at.wrapping_sub(self.link_base));
        let mut bytes = cut(image, (offset, low32(len)));
        let mut values = [0; TAGS];
        let mut flags = 0;
        let entry_len = index(self.class.word_len()).wrapping_mul(2);
        while let Some((entry, rest)) = bytes.split_at_mut_checked(entry_len) {
            let [tag, value, _] = record(self.class, entry, &WORDS);
            if tag == 0 {
                break;
            }
            if tag == DT_FLAGS_1 {
                flags = value;
            }
            if let Some(last) = values.get_mut(narrow(tag)) {
                *last = value;
            }
            bytes = rest;
        }
        // GNU's linker calls a PIE with an address an executable.
        self.shared |= flags & PIE != 0;
        if !self.shared {
            self.dynamic = (0, 0);
        }
        if self.wants_kept() {
            return Ok(());
        }
        self.table(0, self.dynamic, report)?;
        let get = |tag: usize| values.get(tag).copied().unwrap_or_default();
        for &[tag, size, entry_len, words] in &TABLES {
            let range = (get(tag.into()), get(size.into()));
            if range.1 == 0 {
                continue;
            }
            let mut words = words;
            if tag == DT_JMPREL && get(DT_PLTREL) == DT_RELA {
                words = 3;
            }
            let symbols = self.programs.find(get(DT_SYMTAB), 1);
            let symbols = symbols.map_or(u32::MAX, |at| at.wrapping_sub(self.link_base));
            let number = tag.into();
            let mut table = Relocations {
                image,
                beside: None,
                number,
                words: words.into(),
                entry_len: get(entry_len.into()),
                entries: self.table(number, range, report)?,
                symbols: (symbols, u32::MAX),
            };
            self.apply(&mut table, report)?;
        }
        Ok(())
    }

    /// Finds a table of the dynamic section, or that section itself.
    #[inline(never)] // as above
    fn table(
        &self,
        tag: u32,
        (vaddr, len): (u64, u64),
        report: &mut impl Report,
    ) -> Outcome<Range> {
        match self.programs.find(vaddr, len) {
            Some(at) => Ok((at.wrapping_sub(self.link_base), low32(len))),
            None => Err(report.refuse3(Kind::RelocationTable, tag.into(), len, vaddr)),
        }
    }

    /// Applies a table.
    ///
    /// # Errors
    ///
    /// [`Kind::RelocationEntry`], [`Kind::RelocationType`],
    /// [`Kind::RelocationOutside`], [`Kind::RelocationFit`]; [`Kind::Scattered`]
    /// for more segments than can be searched for each relocation, and for
    /// tables that name the same bytes again and again.
    #[inline(never)] // as above
    pub fn apply(&mut self, table: &mut Relocations<'_>, report: &mut impl Report) -> Outcome {
        if self.slide == 0 && !(self.shared && table.words == 3) {
            return Ok(());
        }
        let word_len = self.class.word_len();
        let entry_len = table.words.wrapping_mul(word_len);
        let (_, len) = table.entries;
        let odd = table.entry_len != 0 && table.entry_len != entry_len.into();
        if odd || len.checked_rem(entry_len) != Some(0) {
            let (number, len) = (table.number.into(), len.into());
            return Err(report.refuse3(Kind::RelocationEntry, number, len, table.entry_len));
        }
        let left = self.left.checked_sub(len);
        let left = left.filter(|_| index(self.programs.file.programs.count) <= MAX_CHUNKS);
        self.left = left.ok_or_else(|| report.refuse(Kind::Scattered))?;
        self.applied = true;

        let mut next = 0u64;
        for number in 0..len.checked_div(entry_len).unwrap_or_default() {
            let bytes = table.item(table.entries, number, entry_len);
            let [mut place, mut info, addend] = record(self.class, bytes, &WORDS);
            let mut bits = 1;
            if table.words == 1 {
                info = RELATIVE;
                // An address, or a bit for each of the words behind the last.
                let mut covered = 1;
                if place & 1 == 0 {
                    next = place;
                } else {
                    bits = place >> 1;
                    covered = word_len.wrapping_mul(8).wrapping_sub(1);
                }
                place = next;
                next = next.wrapping_add(covered.wrapping_mul(word_len).into());
            }
            let (kind, symbol) = type_and_symbol(self.class, info);
            while bits != 0 {
                if bits & 1 != 0 {
                    let numbers = [table.number.into(), number.into(), kind.into(), place, 0, 0];
                    let entry = Entry {
                        numbers,
                        symbol,
                        addend,
                    };
                    if let Err(kind) = self.apply_one(table, &entry) {
                        return Err(report.report(kind, &entry.numbers));
                    }
                }
                place = place.wrapping_add(word_len.into());
                bits >>= 1;
            }
        }
        Ok(())
    }

    /// Applies a relocation, or says what is wrong with it.
    #[inline(never)] // as above
    fn apply_one(&self, table: &mut Relocations<'_>, entry: &Entry) -> Result<(), Kind> {
        let [_, _, kind, vaddr, ..] = entry.numbers;
        let action = Action::of(self.class, low32(kind));
        if action.is_empty() {
            // What the linker kept was applied by it.
            let kept = self.wants_kept() && self.slide == 0;
            return if kept {
                Ok(())
            } else {
                Err(Kind::RelocationType)
            };
        }
        let len = action.len();
        if len == 0 {
            return Ok(());
        }
        let outside = Kind::RelocationOutside;
        let at = self.programs.find(vaddr, len.into()).ok_or(outside)?;
        let field = (at.wrapping_sub(self.link_base), len);
        let mut stored = [0; 8];
        copy(&mut stored, cut(table.image, field));
        let mut value = u64::from_le_bytes(stored);
        let upper = |value| join(action.upper(low32(value)), low32(value));
        if len == 4 {
            value = upper(value);
        }
        let rela = table.words == 3;
        let distance = action.contains(Action::DISTANCE);
        // Without a symbol, the address that the relocation carries counts.
        let mut target = if rela { entry.addend } else { value };
        if rela && !distance {
            value = target;
        } else if distance && !rela {
            target = target.wrapping_add(vaddr);
        }
        let mut fixed = false;
        if action.contains(Action::SYMBOL) && entry.symbol != 0 {
            let symbol_len = self.class.pick([16, 24]);
            let bytes = table.item(table.symbols, entry.symbol, symbol_len);
            if bytes.len() < index(symbol_len) {
                return Err(outside);
            }
            let [address, section, _] = record(self.class, bytes, &SYMBOL);
            target = address;
            fixed = section == SHN_ABS || (section | address) == 0;
            if rela && !distance {
                value = value.wrapping_add(address);
            }
        }
        if !fixed && self.moves(self.class.narrow(target)).ok_or(outside)? {
            value = value.wrapping_add(self.slide);
        }
        if distance && u64::from(at) == vaddr {
            value = value.wrapping_sub(self.slide);
        }
        if action.contains(Action::FITS) && upper(value) != value {
            return Err(Kind::RelocationFit);
        }
        copy(cut(table.image, field), &value.to_le_bytes());
        Ok(())
    }
}
