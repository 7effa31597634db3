// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations of an image that lies elsewhere than it was linked for.
//!
//! Only physical addresses move. A segment whose virtual address is its
//! physical one is seen where it lies, so references to it follow; one that is
//! mapped elsewhere stays where the kernel will map it.

use crate::error::{Kind, Outcome, Report};
use crate::plan::image::{MAX_CHUNKS, Programs};
use crate::table::copy;
use crate::units::{index, low32};
use crate::wire::elf::{Class, PT_LOAD, Section, read};
use crate::wire::relocation::{
    Action, DT_FLAGS_1, DT_JMPREL, DT_PLTREL, DT_RELA, DT_SYMTAB, PIE, PT_DYNAMIC, RELATIVE,
    SHF_ALLOC, SHN_ABS, SYMBOL, TABLES, WORDS, type_and_symbol,
};

/// The bytes of a range, offset and size, as far as they are there.
#[inline(never)] // one copy for all lists
fn cut(bytes: &mut [u8], offset: u32, size: u32) -> &mut [u8] {
    let bytes = bytes.get_mut(index(offset)..).unwrap_or_default();
    let len = bytes.len().min(index(size));
    bytes.get_mut(..len).unwrap_or_default()
}

/// A list of records.
#[derive(Default)]
pub struct List {
    /// Where it starts, in bytes.
    pub start: u32,
    /// Bytes of the list.
    pub size: u32,
    /// Bytes of a record.
    pub len: u32,
}

/// A table of relocations, and the bytes that it is about.
pub struct Relocations<'a> {
    /// Width of the words.
    pub class: Class,
    /// The image.
    pub image: &'a mut [u8],
    /// What the lists lie in if the linker kept them beside the image.
    pub beside: Option<&'a mut [u8]>,
    /// Section or dynamic tag, for errors.
    pub number: u32,
    /// Words of an entry: place, type, addend; of a place alone, the bits of it
    /// may tell more places.
    pub words: u32,
    /// The entries.
    pub entries: List,
    /// The symbols that they name.
    pub symbols: List,
    /// The dynamic section.
    pub dynamic: List,
}

/// Which list is read.
#[derive(Clone, Copy)]
enum Of {
    Entries,
    Symbols,
    Dynamic,
}

impl Relocations<'_> {
    /// Reads a record, if the list has all of it.
    #[inline(never)] // as above
    fn read(&mut self, of: Of, number: u32) -> Option<[u64; 3]> {
        let (list, fields) = match of {
            Of::Entries => (&self.entries, &WORDS),
            Of::Symbols => (&self.symbols, &SYMBOL),
            Of::Dynamic => (&self.dynamic, &WORDS),
        };
        let all = match &mut self.beside {
            Some(beside) => beside,
            None => &mut *self.image,
        };
        let bytes = cut(all, list.start, list.size);
        let bytes = cut(bytes, number.saturating_mul(list.len), list.len);
        (bytes.len() == index(list.len)).then(|| read(self.class, bytes, fields))
    }

    /// The last entry of the dynamic section with a tag, 0 if there is none.
    #[inline(never)] // as above
    fn value(&mut self, tag: u32) -> u64 {
        let mut found = 0;
        let mut number = 0u32;
        while let Some([this, value, _]) = self.read(Of::Dynamic, number) {
            if this == 0 {
                break;
            }
            if this == tag.into() {
                found = value;
            }
            number = number.wrapping_add(1);
        }
        found
    }
}

/// No offset in an image: it would be 4 GiB long.
const NOWHERE: u32 = u32::MAX;

/// An image that relocations are applied to.
pub struct Relocate<'a> {
    programs: Programs<'a>,
    class: Class,
    /// It is to be relocated.
    wanted: bool,
    /// Some of it is seen where it lies.
    moving: bool,
    /// Some of it is mapped elsewhere, and that makes a difference.
    mapped: bool,
    /// A shared object or a PIE: its contents at link time may be anything but
    /// the addends, and its dynamic section counts.
    shared: bool,
    /// Entries of the tables that were applied.
    pub applied: u32,
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
    #[must_use]
    #[inline(never)] // keeps the caller's stack frame small
    pub fn new(programs: Programs<'a>, link_base: u32, load_base: u32) -> Self {
        let mut this = Self {
            programs,
            class: programs.file.class,
            wanted: false,
            moving: false,
            mapped: false,
            shared: programs.file.shared,
            applied: 0,
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
                PT_LOAD => this.mapped = this.slide != 0,
                PT_DYNAMIC => this.dynamic = (vaddr, len),
                _ => {}
            }
        }
        this
    }

    /// Tells whether the relocations that the linker kept are to be applied:
    /// there is no other source.
    #[must_use]
    pub fn wants_kept(&self) -> bool {
        let (_, len) = self.dynamic;
        self.wanted && len == 0
    }

    /// Where a section of the image lies now if it has moved, else 0.
    #[must_use]
    pub fn moved(&self, section: &Section) -> u32 {
        let addr = section.addr();
        if self.applied == 0 || section.flags() & SHF_ALLOC == 0 {
            return 0;
        }
        let at = self.find(addr, 1);
        if at == NOWHERE || !self.moves(addr, at) {
            return 0;
        }
        low32(addr.wrapping_add(self.slide))
    }

    /// Where in the image a range of virtual addresses starts that lies in one
    /// segment; else [`NOWHERE`].
    #[inline(never)] // as above
    fn find(&self, vaddr: u64, len: u64) -> u32 {
        let found = self.programs.find(vaddr, len);
        found.map_or(NOWHERE, |at| at.wrapping_sub(self.link_base))
    }

    /// Tells whether what has this virtual address, and lies there in the image,
    /// is seen where it lies.
    fn moves(&self, vaddr: u64, offset: u32) -> bool {
        vaddr == self.link_base.wrapping_add(offset).into()
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
        let mut table = Relocations {
            class: self.class,
            image,
            beside: None,
            number: 0,
            words: 0,
            entries: List::default(),
            symbols: List::default(),
            dynamic: List {
                start: self.find(vaddr, len),
                size: low32(len),
                len: self.class.word_len().wrapping_mul(2),
            },
        };
        // GNU's linker calls a PIE with an address an executable.
        self.shared |= table.value(DT_FLAGS_1) & PIE != 0;
        if !self.shared {
            self.dynamic = (0, 0);
        }
        if self.wants_kept() {
            return Ok(());
        }
        let (vaddr, len) = 'missing: {
            if table.dynamic.start == NOWHERE {
                break 'missing self.dynamic;
            }
            for row in &TABLES {
                let [tag, size, entry_len, words] = row.map(u32::from);
                let range = (table.value(tag), table.value(size));
                if range.1 == 0 {
                    continue;
                }
                table.number = tag;
                table.words = words;
                if tag == DT_JMPREL && table.value(DT_PLTREL) == DT_RELA {
                    table.words = 3;
                }
                table.entries.start = self.find(range.0, range.1);
                table.entries.size = low32(range.1);
                if table.entries.start == NOWHERE {
                    break 'missing range;
                }
                table.symbols.start = self.find(table.value(DT_SYMTAB), 1);
                table.symbols.size = u32::MAX;
                let entry_len = table.value(entry_len);
                self.apply(&mut table, entry_len, report)?;
            }
            return Ok(());
        };
        Err(report.refuse3(Kind::RelocationTable, table.number.into(), len, vaddr))
    }

    /// Applies a table; `named_len` are the bytes of an entry as the file says, 0
    /// if it does not.
    ///
    /// # Errors
    ///
    /// [`Kind::RelocationEntry`], [`Kind::RelocationType`],
    /// [`Kind::RelocationOutside`], [`Kind::RelocationFit`]; [`Kind::Scattered`]
    /// for more segments than can be searched for each relocation, and for
    /// tables that name the same bytes again and again.
    #[inline(never)] // as above
    pub fn apply(
        &mut self,
        table: &mut Relocations<'_>,
        named_len: u64,
        report: &mut impl Report,
    ) -> Outcome {
        if self.slide == 0 && !(self.shared && table.words == 3) {
            return Ok(());
        }
        let size = table.entries.size;
        let left = self.left.checked_sub(size);
        let left = left.filter(|_| index(self.programs.file.programs.count) <= MAX_CHUNKS);
        self.left = left.ok_or_else(|| report.refuse(Kind::Scattered))?;

        let word_len = self.class.word_len();
        let len = table.words.wrapping_mul(word_len);
        table.entries.len = len;
        table.symbols.len = self.class.pick([16, 24]);
        let count = size.checked_div(len).unwrap_or_default();
        self.applied = self.applied.wrapping_add(count);
        let named = named_len == 0 || named_len == len.into();
        let mut next = 0u64;
        'odd: {
            if !named || count.wrapping_mul(len) != size {
                break 'odd;
            }
            for number in 0..count {
                let Some(mut entry) = table.read(Of::Entries, number) else {
                    break 'odd;
                };
                let [place, info, _] = &mut entry;
                let (mut bits, mut places) = (1u64, 1u32);
                if table.words == 1 {
                    *info = RELATIVE;
                    if *place & 1 != 0 {
                        // A bit for each of the words behind the last place.
                        bits = *place >> 1;
                        places = word_len.wrapping_mul(8).wrapping_sub(1);
                        *place = next;
                    }
                }
                for _ in 0..places {
                    if bits & 1 != 0 {
                        self.apply_one(table, (number, &entry), report)?;
                    }
                    let [place, ..] = &mut entry;
                    *place = place.wrapping_add(word_len.into());
                    next = *place;
                    bits >>= 1;
                }
            }
            return Ok(());
        }
        Err(report.refuse3(
            Kind::RelocationEntry,
            table.number.into(),
            size.into(),
            named_len,
        ))
    }

    /// Applies a relocation.
    #[inline(never)] // as above
    fn apply_one(
        &self,
        table: &mut Relocations<'_>,
        (number, &[place, info, addend]): (u32, &[u64; 3]),
        report: &mut impl Report,
    ) -> Outcome {
        let (kind, mut symbol) = type_and_symbol(self.class, info);
        let wrong = 'wrong: {
            let action = Action::of(self.class, kind);
            let len = action.width();
            if action.is_empty() && !(self.slide == 0 && table.beside.is_some()) {
                break 'wrong Kind::RelocationType;
            }
            if len == 0 {
                return Ok(()); // or the linker applied what it kept
            }
            if !action.contains(Action::SYMBOL) {
                symbol = 0;
            }
            let mut target = 0;
            let mut fixed = false;
            if symbol != 0 {
                let Some([address, section, _]) = table.read(Of::Symbols, symbol) else {
                    break 'wrong Kind::RelocationOutside;
                };
                target = address;
                fixed = section == SHN_ABS || (section | address) == 0;
            }
            let offset = self.find(place, len.into());
            if offset == NOWHERE {
                break 'wrong Kind::RelocationOutside;
            }
            let mut stored = [0; 8];
            copy(&mut stored, cut(table.image, offset, len));
            let mut value = action.widen(u64::from_le_bytes(stored));
            let distance = action.contains(Action::DISTANCE);
            if table.words == 3 && !distance {
                value = target.wrapping_add(addend);
            }
            if symbol == 0 {
                // The address that is there counts.
                target = value;
                if distance {
                    target = target.wrapping_add(place);
                }
            }
            if !fixed {
                let target = self.class.narrow(target);
                let at = self.find(target, 1);
                let mut moves = self.moves(target, at);
                if at == NOWHERE {
                    if self.mapped && self.moving {
                        break 'wrong Kind::RelocationOutside;
                    }
                    moves = !self.mapped;
                }
                if moves {
                    value = value.wrapping_add(self.slide);
                }
            }
            if distance && self.moves(place, offset) {
                value = value.wrapping_sub(self.slide);
            }
            if action.fits(value) {
                copy(cut(table.image, offset, len), &value.to_le_bytes());
                return Ok(());
            }
            Kind::RelocationFit
        };
        let (table, number, kind) = (table.number.into(), number.into(), kind.into());
        Err(report.report(wrong, &[table, number, kind, place, 0, 0]))
    }
}
