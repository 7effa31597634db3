// SPDX-License-Identifier: GPL-3.0-or-later
//! Loads the sections that no segment holds: symbols, debug information.

use crate::error::Outcome;
use crate::load::Load;
use crate::plan::placement::Request;
use crate::platform::{Platform, Whose};
use crate::session::Sections;
use crate::table::copy;
use crate::units::{PAGE, index, low32, narrow};
use crate::wire::elf::{self, FileHeader, HeaderTable, Section};

/// The end of the file, read in one piece: a page-aligned chunk whose bytes
/// lie at their file offset modulo the page, so that most sections may stay
/// where they are.
struct Tail {
    /// Offset in the file of its first byte.
    start: u64,
    /// Offset in the file behind its last byte.
    end: u64,
    /// Physical address of its first byte.
    address: u32,
}

impl Tail {
    /// The address of a section that lies in the tail, if it may stay there.
    fn address(&self, section: &Section, align: u32) -> Option<u32> {
        let inside = section.offset.checked_sub(self.start)?;
        if section.offset.saturating_add(section.size) > self.end {
            return None;
        }
        let address = self.address.saturating_add(low32(inside));
        (address & align.saturating_sub(1) == 0).then_some(address)
    }
}

impl<P: Platform> Load<'_, P> {
    /// Loads the sections and returns the headers with their addresses;
    /// everything before `read_up_to` in the file was read already.
    #[inline(never)] // keeps the caller's stack frame small
    pub(crate) fn sections(
        &mut self,
        header: &FileHeader,
        read_up_to: u64,
    ) -> Outcome<Sections<P::Buffer>> {
        let (class, table) = (header.class, &header.sections);
        let mut headers = self.platform.alloc(narrow(table.len()))?;
        let tail = self.tail(table, read_up_to, &mut headers)?;
        for number in 0..table.count {
            let section = Section::parse(class, elf::entry(table, &headers, number));
            if !section.needs_loading() {
                continue;
            }
            let align = elf::check_section(&section, number, self.file.size(), self.platform)?;
            let stays = tail.as_ref().and_then(|tail| tail.address(&section, align));
            let address = match stays {
                Some(address) => address,
                None => self.section(&section, align)?,
            };
            let start = index(number).saturating_mul(table.entry_size.into());
            Section::set_addr(class, headers.get_mut(start..).unwrap_or_default(), address);
        }
        Ok(Sections {
            count: table.count,
            entry_size: table.entry_size,
            name_index: header.name_index,
            headers,
        })
    }

    /// Reads from `start` to the end of the section table, and copies the
    /// table to `headers`. When the table lies before, or that much memory is
    /// not free, only the table is read.
    fn tail(
        &mut self,
        table: &HeaderTable,
        start: u64,
        headers: &mut [u8],
    ) -> Outcome<Option<Tail>> {
        let end = table.offset.saturating_add(table.len());
        let lead = low32(start) & (PAGE - 1);
        let size = end.checked_sub(start).filter(|_| table.offset >= start);
        let size = size.and_then(|size| u32::try_from(size.saturating_add(lead.into())).ok());
        if let Some(size) = size
            && let request = Request::lowest(size, PAGE)
            && let Some(chunk) = self
                .memory
                .try_place(self.platform, &request, Whose::Image)?
            && let Some((gap, bytes)) = chunk.bytes.split_at_mut_checked(index(lead))
        {
            gap.fill(0);
            self.file.read(self.platform, start, bytes)?;
            let inside = narrow(table.offset.saturating_sub(start));
            copy(headers, bytes.get(inside..).unwrap_or_default());
            let address = chunk.target.0.saturating_add(lead);
            return Ok(Some(Tail {
                start,
                end,
                address,
            }));
        }
        self.file.read(self.platform, table.offset, headers)?;
        Ok(None)
    }

    /// Loads a section into a chunk of its own and returns its address.
    fn section(&mut self, section: &Section, align: u32) -> Outcome<u32> {
        // Sections are bounded by the file; one of 4 GiB fits nowhere.
        let size = u32::try_from(section.size).unwrap_or(u32::MAX);
        let request = Request::lowest(size, align);
        let chunk = self.memory.place(self.platform, &request, Whose::Image)?;
        self.file.read(self.platform, section.offset, chunk.bytes)?;
        Ok(chunk.target.0)
    }
}
