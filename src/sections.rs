// SPDX-License-Identifier: GPL-3.0-or-later
//! Loads the sections that no segment holds: symbols, debug information.

use crate::error::{Kind, Outcome};
use crate::load::Load;
use crate::plan::placement::Request;
use crate::plan::relocate::{List, Relocate, Relocations};
use crate::platform::{Platform, Relocator, Whose};
use crate::session::Sections;
use crate::table::copy;
use crate::units::{PAGE, PhysAddr, align_down, index};
use crate::wire::elf::{self, FileHeader, HeaderTable, Section, SectionPart};
use crate::wire::relocation::{SHF_ALLOC, SHT_REL, SHT_RELA, SHT_SYMTAB};

/// The end of the file, read in one piece: a page-aligned chunk whose bytes
/// lie at their file offset modulo the page, so that most sections may stay
/// where they are. One without bytes is no tail.
#[derive(Default)]
struct Tail {
    /// Offset in the file of its first byte.
    start: u32,
    /// Offset in the file behind its last byte.
    end: u32,
    /// Physical address of its first byte.
    address: u32,
}

impl Tail {
    /// The address of a section that lies in the tail if it may stay there, else
    /// 0.
    fn address(&self, section: &SectionPart) -> u32 {
        let (offset, size) = section.range;
        // It is in the file, so its end is below 4 GiB.
        let inside = offset >= self.start && offset.wrapping_add(size) <= self.end;
        let address = self.address.wrapping_add(offset.wrapping_sub(self.start));
        if !inside || align_down(address, section.align) != address {
            return 0;
        }
        address
    }
}

impl<P: Platform> Load<'_, P> {
    /// Loads the sections and keeps the headers with their addresses; everything
    /// before `read_up_to` in the file was read already.
    #[inline(never)] // keeps the caller's stack frame small
    pub(crate) fn sections(
        &mut self,
        header: &FileHeader,
        read_up_to: u32,
        image: &mut Relocate<'_>,
    ) -> Outcome {
        let (class, table) = (header.class, &header.sections);
        self.say(Kind::SaysSections, &[table.count, header.name_index]);
        let mut headers = self.platform.alloc(index(table.len()))?;
        let tail = self.tail(table, read_up_to, &mut headers)?;
        if image.wants_kept() {
            let end = table.offset().saturating_add(table.len());
            image.left = self.file.known_size().unwrap_or(end.max(read_up_to));
            self.relocate(header, &headers, (&tail, image))?;
        }
        for number in 0..table.count {
            let section = Section::parse(class, elf::entry(table, &headers, number));
            let mut address = image.moved(&section);
            if section.needs_loading() {
                let part = elf::check_section(&section, number, self.file.size(), self.platform)?;
                address = tail.address(&part);
                if address == 0 {
                    address = self.section(&part)?;
                }
                let (offset, size) = part.range;
                self.say(Kind::SaysSection, &[number, offset, size, address]);
            }
            if address == 0 {
                continue;
            }
            let start = index(number.wrapping_mul(table.entry_size));
            Section::set_addr(
                class,
                headers.get_mut(start..).unwrap_or_default(),
                PhysAddr(address),
            );
        }
        self.session.kernel.sections = Some(Sections {
            count: table.count,
            entry_size: table.entry_size,
            name_index: header.name_index,
            headers,
        });
        Ok(())
    }

    /// Reads from `start` to the end of the section table, and copies the
    /// table to `headers`. When the table lies before, or that much memory is
    /// not free, only the table is read.
    fn tail(&mut self, table: &HeaderTable, start: u32, headers: &mut [u8]) -> Outcome<Tail> {
        let offset = table.offset();
        let end = offset.saturating_add(table.len());
        let lead = start & (PAGE - 1);
        if let Some(inside) = offset.checked_sub(start)
            && let size = end.saturating_sub(start).saturating_add(lead)
            && let request = Request::lowest(size, PAGE)
            && let memory = &mut self.session.memory
            && let Some(target) = memory.try_place(self.platform, &request, Whose::Image)?
        {
            if let Some((gap, bytes)) = memory.bytes().split_at_mut_checked(index(lead))
                && !bytes.is_empty()
            {
                gap.fill(0);
                self.file.read(self.platform, start, bytes)?;
                copy(headers, bytes.get(index(inside)..).unwrap_or_default());
            } else {
                self.file.load(self.platform, (start, inside), &mut [])?;
                self.file.read(self.platform, offset, headers)?;
            }
            let address = target.0.saturating_add(lead);
            return Ok(Tail {
                start,
                end,
                address,
            });
        }
        self.file.read(self.platform, offset, headers)?;
        Ok(Tail::default())
    }

    /// Applies the relocations that the linker kept in sections.
    #[inline(never)] // as above
    fn relocate(
        &mut self,
        header: &FileHeader,
        headers: &[u8],
        (tail, image): (&Tail, &mut Relocate<'_>),
    ) -> Outcome {
        let (class, table) = (header.class, &header.sections);
        let get = |number| Section::parse(class, elf::entry(table, headers, number));
        let flags = |number| get(number).flags();
        for number in 0..table.count {
            let section = get(number);
            let words = match section.kind() {
                SHT_REL => 2,
                SHT_RELA => 3,
                _ => continue,
            };
            let kept = flags(section.info()) & !section.flags() & SHF_ALLOC != 0;
            if section.size() == 0 || !kept {
                continue;
            }
            let (link, size) = (section.link(), self.file.size());
            let entries = elf::check_section(&section, number, size, self.platform)?.range;
            let mut symbols = (entries.0, 0);
            let linked = get(link);
            if linked.kind() == SHT_SYMTAB && linked.size() != 0 {
                symbols = elf::check_section(&linked, link, size, self.platform)?.range;
            }
            // Both are in the file, so no sum passes 4 GiB.
            let behind = |(offset, size): (u32, u32)| offset.wrapping_add(size);
            let need = behind(entries).max(behind(symbols));
            let held = self.held.as_deref_mut();
            let in_tail = entries.0.min(symbols.0) >= tail.start && need <= tail.end;
            let in_tail = in_tail && held.is_none();
            let mut first = align_down(tail.start, PAGE);
            if !in_tail {
                first = 0;
                self.file.widen(self.platform, need)?;
            }
            let (first_chunk, newest) = self.session.memory.relocator.first_and_newest();
            let bytes = held.unwrap_or(first_chunk);
            let list = |(offset, size): (u32, u32)| List {
                start: offset.wrapping_sub(first),
                size,
                len: 0,
            };
            let mut table = Relocations {
                class,
                image: bytes,
                beside: Some(if in_tail {
                    newest
                } else {
                    self.file.window_mut()
                }),
                number,
                words,
                entries: list(entries),
                symbols: list(symbols),
                dynamic: List::default(),
            };
            image.apply(&mut table, section.entry_len(), self.platform)?;
        }
        Ok(())
    }

    /// Loads a section into a chunk of its own and returns its address.
    fn section(&mut self, part: &SectionPart) -> Outcome<u32> {
        let (_, size) = part.range;
        let request = Request::lowest(size, part.align);
        let memory = &mut self.session.memory;
        let target = memory.place(self.platform, &request, Whose::Image)?;
        self.file.load(self.platform, part.range, memory.bytes())?;
        memory.keep();
        Ok(target.0)
    }
}
