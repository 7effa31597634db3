// SPDX-License-Identifier: GPL-3.0-or-later
//! Relocations of an image that lies elsewhere than it was linked for.
//!
//! Only physical addresses move. A segment whose virtual address is its
//! physical one is seen where it lies, so references to it follow; one that is
//! mapped elsewhere stays where the kernel will map it.

use crate::error::{Kind, Outcome, Report};
use crate::plan::image::{MAX_CHUNKS, Programs};
use crate::table::{Bytes, Record, RecordBytes, Table, copy, join, set_word, word};
use crate::units::{index, low32};
use crate::wire::elf::{Class, PT_LOAD, Section};
use crate::wire::relocation::{
    Action, Form, PT_DYNAMIC, SHF_ALLOC, Symbol, dynamic_entry, type_and_symbol, words,
};
use crate::wire::{u32_at, u64_at};

/// A segment as relocations see it.
#[derive(Clone, Copy)]
struct Part {
    vaddr: u64,
    /// Bytes from the image's first byte.
    offset: u32,
    len: u32,
}

impl Record for Part {
    fn load(bytes: &RecordBytes) -> Self {
        Self {
            vaddr: join(word(bytes, 1), word(bytes, 0)),
            offset: word(bytes, 2),
            len: word(bytes, 3),
        }
    }

    fn store(&self, bytes: &mut RecordBytes) {
        set_word(bytes, 0, low32(self.vaddr));
        set_word(bytes, 1, low32(self.vaddr >> 32));
        set_word(bytes, 2, self.offset);
        set_word(bytes, 3, self.len);
    }
}

/// A range of bytes: offset and size.
pub type Range = (u32, u32);

/// The bytes of a range, as far as they are there.
#[must_use]
#[inline(never)] // one copy for all tables
pub fn cut(bytes: &[u8], (offset, size): Range) -> &[u8] {
    let bytes = bytes.get(index(offset)..).unwrap_or_default();
    bytes.get(..index(size)).unwrap_or(bytes)
}

/// A table of relocations: in the image, or beside it if the linker kept it.
pub struct Relocations {
    /// Section or dynamic tag, for errors.
    pub number: u32,
    /// What its entries are.
    pub form: Form,
    /// Bytes of an entry as the file says, 0 if it does not.
    pub entry_len: u64,
    /// The entries.
    pub entries: Range,
    /// The symbols that they name.
    pub symbols: Range,
}

/// Tags of the dynamic section (ELF, 2-11; the last three are newer).
const DT_PLTRELSZ: u32 = 2;
const DT_SYMTAB: u32 = 6;
const DT_RELA: u32 = 7;
const DT_REL: u32 = 17;
const DT_PLTREL: u32 = 20;
const DT_JMPREL: u32 = 23;
const DT_RELRSZ: u32 = 35;
const DT_RELR: u32 = 36;
const DT_RELRENT: u32 = 37;
const DT_FLAGS_1: u32 = 0x6fff_fffb;

/// Flag of a program that is linked to lie anywhere (GNU, `DF_1_PIE`).
const PIE: u64 = 0x0800_0000;

/// An image that relocations are applied to.
pub struct Relocate<B> {
    class: Class,
    parts: Table<Part, B>,
    /// Number of parts that are seen where they lie.
    moving: usize,
    link_base: u32,
    /// Load address minus link address.
    slide: u64,
    /// Address and size of the dynamic section, which has the tables then.
    dynamic: Option<(u64, u64)>,
    /// A shared object or a PIE: its contents at link time may be anything but
    /// the addends, and its dynamic section counts.
    shared: bool,
    /// Bytes of tables that may still be read: as many as the file can have.
    pub left: u32,
    /// A table was applied.
    applied: bool,
}

impl<B: Bytes> Relocate<B> {
    /// Reads the segments of an image that was linked to `link_base` and now
    /// starts at `load_base`; `buffer` has room for all of them.
    #[inline(never)] // keeps the caller's stack frame small
    pub fn new(programs: &Programs<'_>, link_base: u32, load_base: u32, buffer: B) -> Self {
        let mut this = Self {
            class: programs.file.class,
            parts: Table::new(buffer),
            moving: 0,
            link_base,
            slide: u64::from(load_base).wrapping_sub(link_base.into()),
            dynamic: None,
            shared: programs.file.shared,
            left: 0,
            applied: false,
        };
        for index in 0..programs.file.programs.count {
            let program = programs.get(index);
            let (vaddr, len) = (program.vaddr(), program.memory_size());
            if program.kind() == PT_LOAD && len != 0 {
                this.moving = this
                    .moving
                    .saturating_add((vaddr == program.paddr()).into());
                this.parts.push(&Part {
                    vaddr,
                    offset: low32(program.paddr()).wrapping_sub(link_base),
                    len: low32(len),
                });
            } else if program.kind() == PT_DYNAMIC {
                this.dynamic = Some((vaddr, len));
            }
        }
        this
    }

    /// Tells whether a table in a section is to be applied: it was kept by the
    /// linker, is about a section of the image, and there is no other source.
    pub fn wants(&self, section: &Section, about: &Section) -> bool {
        self.dynamic.is_none() && section.flags() & SHF_ALLOC == 0 && about.flags() & SHF_ALLOC != 0
    }

    /// Where a section of the image lies now, if it has moved.
    pub fn moved(&self, section: &Section) -> Option<u32> {
        let addr = section.addr();
        let here = self.applied && section.flags() & SHF_ALLOC != 0;
        let moves = here && self.is_seen_there(addr, self.find(addr, 1)?);
        moves.then(|| low32(addr.wrapping_add(self.slide)))
    }

    /// Where in the image a range of virtual addresses starts that lies in one
    /// part.
    #[inline(never)] // as above
    fn find(&self, vaddr: u64, len: u64) -> Option<u32> {
        self.parts.iter().find_map(|part| {
            let inside = vaddr.checked_sub(part.vaddr)?;
            let rest = u64::from(part.len).checked_sub(inside)?;
            (len <= rest).then(|| part.offset.wrapping_add(low32(inside)))
        })
    }

    /// Tells whether a virtual address is the physical one of its byte.
    fn is_seen_there(&self, vaddr: u64, offset: u32) -> bool {
        vaddr == self.link_base.wrapping_add(offset).into()
    }

    /// Tells whether what has this virtual address is seen somewhere else now.
    fn moves(&self, vaddr: u64) -> Option<bool> {
        match self.find(vaddr, 1) {
            Some(offset) => Some(self.is_seen_there(vaddr, offset)),
            None if self.moving == self.parts.len() => Some(true),
            None if self.moving == 0 || self.slide == 0 => Some(false),
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
        let Some(range) = self.dynamic else {
            return Ok(());
        };
        let class = self.class;
        let found = self.find(range.0, range.1).unwrap_or(u32::MAX);
        let place = (found, low32(range.1));
        if !self.shared {
            // GNU's linker calls a PIE with an address an executable.
            let flags = dynamic_entry(class, cut(image, place), DT_FLAGS_1);
            self.shared = flags & PIE != 0;
            if !self.shared {
                self.dynamic = None;
                return Ok(());
            }
        }
        self.table(0, range, report)?;
        let get = |image: &[u8], tag| dynamic_entry(class, cut(image, place), tag);
        for &[tag, size, entry_len] in &[
            [DT_REL, DT_REL + 1, DT_REL + 2],
            [DT_RELA, DT_RELA + 1, DT_RELA + 2],
            [DT_JMPREL, DT_PLTRELSZ, 0],
            [DT_RELR, DT_RELRSZ, DT_RELRENT],
        ] {
            let range = (get(image, tag), get(image, size));
            if range.1 == 0 {
                continue;
            }
            let form = match tag {
                DT_RELR => Form::Relr,
                DT_RELA => Form::Rela,
                DT_JMPREL if get(image, DT_PLTREL) == DT_RELA.into() => Form::Rela,
                _ => Form::Rel,
            };
            let symbols = self.find(get(image, DT_SYMTAB), 1);
            let table = Relocations {
                number: tag,
                form,
                entry_len: get(image, entry_len),
                entries: self.table(tag, range, report)?,
                symbols: (symbols.unwrap_or(u32::MAX), u32::MAX),
            };
            self.apply((image, &[]), &table, report)?;
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
        match self.find(vaddr, len) {
            Some(offset) => Ok((offset, low32(len))),
            None => Err(report.refuse3(Kind::RelocationTable, tag.into(), len, vaddr)),
        }
    }

    /// The bytes of a table.
    fn bytes<'a>(&self, (image, beside): (&'a [u8], &'a [u8]), range: Range) -> &'a [u8] {
        let bytes = if self.dynamic.is_some() {
            image
        } else {
            beside
        };
        cut(bytes, range)
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
    pub fn apply(
        &mut self,
        (image, beside): (&mut [u8], &[u8]),
        table: &Relocations,
        report: &mut impl Report,
    ) -> Outcome {
        if self.slide == 0 && !(self.shared && table.form == Form::Rela) {
            return Ok(());
        }
        let (_, len) = table.entries;
        let entry_len = table.form.entry_len(self.class);
        let odd = table.entry_len != 0 && table.entry_len != entry_len.into();
        if odd || len.checked_rem(entry_len) != Some(0) {
            let (number, len) = (table.number.into(), len.into());
            return Err(report.refuse3(Kind::RelocationEntry, number, len, table.entry_len));
        }
        let left = self.left.checked_sub(len);
        let left = left.filter(|_| self.parts.len() <= MAX_CHUNKS);
        self.left = left.ok_or_else(|| report.refuse(Kind::Scattered))?;
        self.applied = true;

        let word_len = self.class.word_len();
        let mut next = 0u64;
        let mut start = 0u32;
        while start < len {
            let bytes = self.bytes((image, beside), table.entries);
            let mut entry = words(self.class, cut(bytes, (start, entry_len)));
            let [place, ..] = &mut entry;
            let mut bits = 1;
            if table.form == Form::Relr {
                // An address, or a bit for each of the words behind the last.
                let covered = if *place & 1 == 0 {
                    next = *place;
                    1
                } else {
                    bits = *place >> 1;
                    word_len.saturating_mul(8).saturating_sub(1)
                };
                *place = next;
                next = next.wrapping_add(covered.saturating_mul(word_len).into());
            }
            while bits != 0 {
                if bits & 1 != 0
                    && let Err(kind) = self.apply_one((image, beside), table, &entry)
                {
                    let [place, info, _] = entry;
                    let (number, _) = type_and_symbol(self.class, table.form, info);
                    let start = start.checked_div(entry_len).unwrap_or_default();
                    let numbers = [table.number, start, number, 0, 0, 0].map(u64::from);
                    let [table, start, number, ..] = numbers;
                    return Err(report.report(kind, &[table, start, number, place, 0, 0]));
                }
                let [place, ..] = &mut entry;
                *place = place.wrapping_add(word_len.into());
                bits >>= 1;
            }
            start = start.saturating_add(entry_len);
        }
        Ok(())
    }

    /// Applies a relocation, or says what is wrong with it.
    #[inline(never)] // as above
    fn apply_one(
        &self,
        (image, beside): (&mut [u8], &[u8]),
        table: &Relocations,
        &[vaddr, info, addend]: &[u64; 3],
    ) -> Result<(), Kind> {
        let (kind, number) = type_and_symbol(self.class, table.form, info);
        let Some(action) = Action::of(self.class, kind) else {
            // What the linker kept was applied by it.
            let kept = self.dynamic.is_none() && self.slide == 0;
            return if kept {
                Ok(())
            } else {
                Err(Kind::RelocationType)
            };
        };
        let len = action.len(self.class);
        if len == 0 {
            return Ok(());
        }
        let outside = Kind::RelocationOutside;
        let offset = self.find(vaddr, len.into()).ok_or(outside)?;
        let at = index(offset);
        let mut value = match len {
            8 => u64_at(image, at),
            _ => action.widen(u32_at(image, at).into()),
        };
        let rela = table.form == Form::Rela;
        let distance = action.contains(Action::DISTANCE);
        // Without a symbol, the address that the relocation carries counts.
        let mut target = if rela { addend } else { value };
        let mut sum = target;
        let mut moves = 0i32;
        let mut fixed = false;
        if action.contains(Action::SYMBOL) && number != 0 {
            let symbols = self.bytes((image, beside), table.symbols);
            let symbol = Symbol::parse(self.class, symbols, number).ok_or(outside)?;
            target = symbol.value;
            sum = sum.wrapping_add(target);
            fixed = symbol.fixed;
        } else if distance && !rela {
            target = target.wrapping_add(vaddr);
        }
        if !fixed {
            let target = self.class.narrow(target);
            moves = self.moves(target).ok_or(outside)?.into();
        }
        if distance {
            moves = moves.wrapping_sub(self.is_seen_there(vaddr, offset).into());
            if moves == 0 {
                return Ok(());
            }
        } else if rela {
            value = sum;
        }
        value = match moves {
            0 => value,
            1 => value.wrapping_add(self.slide),
            _ => value.wrapping_sub(self.slide),
        };
        if len == 4 && self.class == Class::Elf64 && action.widen(value) != value {
            return Err(Kind::RelocationFit);
        }
        let rest = image.get_mut(at..).unwrap_or_default();
        let field = rest.get_mut(..index(len)).unwrap_or_default();
        copy(field, &value.to_le_bytes());
        Ok(())
    }
}
