// SPDX-License-Identifier: GPL-3.0-or-later
//! A kernel file that is read front to back.

use crate::error::{Kind, Outcome};
use crate::platform::{File, Platform};
use crate::table::copy;
use crate::units::{FileOffset, index, short};
use crate::wire::elf::HeaderTable;
use crate::wire::header::SEARCH_LEN;

/// A kernel file whose first bytes are in memory. Nothing in this window is
/// read again, so that a compressed file is decompressed once.
pub(crate) struct KernelFile<P: Platform> {
    file: P::File,
    /// Bytes as far as the file is read, if GRUB knows.
    size: Option<u32>,
    window: P::Buffer,
    /// Bytes of the window that are the file's.
    len: usize,
    /// Offset behind the byte that was read last.
    position: u32,
    /// How often an earlier byte may still be read next.
    returns: u8,
}

/// How often a file may be read from an earlier place on: each time a packed
/// one may be decompressed from its start.
const RETURNS: u8 = 255;

impl<P: Platform> KernelFile<P> {
    /// Reads the window of an open file.
    pub(crate) fn new(platform: &mut P, mut file: P::File) -> Outcome<Self> {
        // A file whose size nobody knows may end inside the window.
        let mut window = platform.alloc(SEARCH_LEN)?;
        let len = platform.read(&mut file, FileOffset(0), &mut window)?;
        let size = file.size();
        Ok(Self {
            file,
            size: size.map(|size| u32::try_from(size).unwrap_or(u32::MAX)),
            window,
            len,
            position: short(len),
            returns: RETURNS,
        })
    }

    /// The first bytes of the file.
    pub(crate) fn window(&self) -> &[u8] {
        self.window.get(..self.len).unwrap_or_default()
    }

    /// Makes the window `len` bytes long if it is shorter.
    #[inline(never)] // keeps the caller's stack frame small
    pub(crate) fn widen(&mut self, platform: &mut P, len: u32) -> Outcome {
        if self.len < index(len) {
            let mut window = platform.alloc(index(len))?;
            self.read(platform, 0, &mut window)?;
            self.window = window;
            self.len = index(len);
        }
        Ok(())
    }

    /// The window, to be read in place.
    pub(crate) fn window_mut(&mut self) -> &mut [u8] {
        &mut self.window
    }

    /// Size in bytes as far as the file is read, if it is known.
    pub(crate) fn known_size(&self) -> Option<u32> {
        self.size
    }

    /// Size in bytes; a file of unknown size ends where reading fails.
    pub(crate) fn size(&self) -> u32 {
        self.size.unwrap_or(u32::MAX)
    }

    /// Fills `into` from `offset` on.
    pub(crate) fn read(&mut self, platform: &mut P, offset: u32, into: &mut [u8]) -> Outcome {
        let known = self.window().get(index(offset)..).unwrap_or_default();
        copy(into, known);
        let known = known.len();
        match into.get_mut(known..) {
            Some(rest) if !rest.is_empty() => {
                // A range that is in the file, so neither sum passes 4 GiB.
                let offset = offset.wrapping_add(short(known));
                if offset < self.position {
                    let left = self.returns.checked_sub(1);
                    self.returns = left.ok_or_else(|| platform.refuse(Kind::Scattered))?;
                }
                self.position = offset.wrapping_add(short(rest.len()));
                platform.fill(&mut self.file, FileOffset(offset), rest)
            }
            _ => Ok(()),
        }
    }

    /// Reads a range to the start of `memory`. Where there is no memory for all of
    /// it, it is read all the same: a check looks for what cannot be read.
    #[inline(never)] // three callers, none of them hurried
    pub(crate) fn load(
        &mut self,
        platform: &mut P,
        (mut offset, mut len): (u32, u32),
        memory: &mut [u8],
    ) -> Outcome {
        if let Some(memory) = memory.get_mut(..index(len)) {
            return self.read(platform, offset, memory);
        }
        let mut piece = platform.alloc(SEARCH_LEN)?;
        while len != 0 {
            let step = len.min(short(SEARCH_LEN));
            let memory = piece.get_mut(..index(step)).unwrap_or_default();
            self.read(platform, offset, memory)?;
            // A range that is in the file, so no sum passes 4 GiB.
            offset = offset.wrapping_add(step);
            len = len.wrapping_sub(step);
        }
        Ok(())
    }

    /// Reads a table of headers into memory of its own.
    pub(crate) fn read_table(
        &mut self,
        platform: &mut P,
        table: &HeaderTable,
    ) -> Outcome<P::Buffer> {
        let mut bytes = platform.alloc(index(table.len()))?;
        self.read(platform, table.offset(), &mut bytes)?;
        Ok(bytes)
    }
}
