// SPDX-License-Identifier: GPL-3.0-or-later
//! Lays an ELF file out and writes it.

use super::elf::{Contents, Image, ImageBuilder, Numbering, Section};
use super::fields::{Ehdr, Phdr, Shdr};
use super::{Patch, SHT_STRTAB};
use crate::bytes::{align_up, put, put_number};
use crate::error::{Error, Result};

impl ImageBuilder {
    /// Lays the file out and writes it.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if a section refers to a segment that does not exist
    /// or a patch to a header that does not exist.
    pub fn build(&self) -> Result<Image> {
        let phdr_stride = self.phdr_stride.unwrap_or(self.class.phdr_len());
        let shdr_stride = self.shdr_stride.unwrap_or(self.class.shdr_len());
        let mut out = vec![0; self.class.ehdr_len()];
        let phdr_offset = self.phdr_at.unwrap_or(out.len() as u64);
        let phdr_len = (self.segments.len() * phdr_stride) as u64;
        let mut cursor = out.len() as u64;
        if self.phdr_at.is_none() {
            cursor += phdr_len;
        }
        for (offset, bytes) in &self.raw {
            put(&mut out, *offset as usize, bytes);
            cursor = cursor.max(offset + bytes.len() as u64);
        }
        let segment_offsets = self.place_segments(&mut out, &mut cursor);
        if self.phdr_at.is_some() {
            cursor = cursor.max(phdr_offset + phdr_len);
        }
        self.write_segments(&mut out, phdr_offset as usize, &segment_offsets);

        let (shdr_offset, section_offsets) = if self.has_sections() {
            self.write_sections(&mut out, cursor, &segment_offsets)?
        } else {
            (0, Vec::new())
        };
        self.write_file_header(&mut out, phdr_offset, shdr_offset);
        let mut image = Image {
            bytes: out,
            phdr_offset,
            shdr_offset,
            segment_offsets,
            section_offsets,
        };
        for patch in &self.patches {
            self.apply(patch, &mut image, (phdr_stride, shdr_stride))?;
        }
        Ok(image)
    }

    fn has_sections(&self) -> bool {
        let Numbering {
            segments,
            sections,
            names,
        } = self.numbering;
        !self.sections.is_empty() || segments || sections || names
    }

    fn place_segments(&self, out: &mut Vec<u8>, cursor: &mut u64) -> Vec<u64> {
        let mut offsets = Vec::new();
        for segment in &self.segments {
            let offset = segment.offset.unwrap_or_else(|| {
                let align = segment.align.max(1);
                let distance = (segment.paddr % align + align - *cursor % align) % align;
                *cursor + distance
            });
            put(out, offset as usize, &segment.data);
            if segment.offset.is_none() || !segment.data.is_empty() {
                *cursor = (*cursor).max(offset + segment.data.len() as u64);
            }
            offsets.push(offset);
        }
        offsets
    }

    fn write_segments(&self, out: &mut Vec<u8>, at: usize, offsets: &[u64]) {
        let stride = self.phdr_stride.unwrap_or(self.class.phdr_len());
        for (index, (segment, offset)) in self.segments.iter().zip(offsets).enumerate() {
            let start = at + index * stride;
            put(out, start, &vec![0; stride]);
            for (field, value) in [
                (Phdr::Type, u64::from(segment.kind)),
                (Phdr::Flags, u64::from(segment.flags)),
                (Phdr::Offset, *offset),
                (Phdr::VAddr, segment.vaddr),
                (Phdr::PAddr, segment.paddr),
                (
                    Phdr::FileSz,
                    segment.file_len.unwrap_or(segment.data.len() as u64),
                ),
                (Phdr::MemSz, segment.mem_len),
                (Phdr::Align, segment.align),
            ] {
                let (offset, len) = field.place().of(self.class);
                put_number(out, start + offset, value, len);
            }
        }
    }

    /// Writes contents, names and the table; returns where the table and the
    /// contents are.
    fn write_sections(
        &self,
        out: &mut Vec<u8>,
        mut cursor: u64,
        segment_offsets: &[u64],
    ) -> Result<(u64, Vec<u64>)> {
        let mut names = vec![0];
        let mut name_offsets = Vec::new();
        for name in self
            .sections
            .iter()
            .map(|s| s.name.as_str())
            .chain([".shstrtab"])
        {
            name_offsets.push(names.len() as u64);
            names.extend(name.bytes());
            names.push(0);
        }
        let mut offsets = vec![0];
        let mut lens = vec![0];
        for section in &self.sections {
            let (offset, len) = match &section.contents {
                Contents::Bytes(bytes) => {
                    cursor = align_up(cursor, section.align.clamp(1, 0x1000));
                    put(out, cursor as usize, bytes);
                    cursor += bytes.len() as u64;
                    (cursor - bytes.len() as u64, bytes.len() as u64)
                }
                Contents::InSegment(index, offset, len) => {
                    let start = segment_offsets.get(*index).ok_or_else(|| {
                        Error::Image(format!("{} is in segment {index}", section.name))
                    })?;
                    (start + offset, *len)
                }
                Contents::NoBits(len) => (cursor, *len),
            };
            offsets.push(offset);
            lens.push(len);
        }
        put(out, cursor as usize, &names);
        offsets.push(cursor);
        lens.push(names.len() as u64);
        let names_section = Section::loose(".shstrtab", names).kind(SHT_STRTAB);

        let table = align_up(out.len() as u64, 8);
        let stride = self.shdr_stride.unwrap_or(self.class.shdr_len());
        let count = self.sections.len() + 2;
        put(out, table as usize, &vec![0; stride * count]);
        let all = self.sections.iter().chain([&names_section]);
        for (index, (section, name)) in all.zip(&name_offsets).enumerate() {
            let index = index + 1;
            for (field, value) in [
                (Shdr::Name, *name),
                (Shdr::Type, section.kind.into()),
                (Shdr::Flags, section.flags),
                (Shdr::Addr, section.addr),
                (Shdr::Offset, offsets[index]),
                (Shdr::Size, lens[index]),
                (Shdr::Link, section.link.into()),
                (Shdr::Info, section.info.into()),
                (Shdr::AddrAlign, section.align),
                (Shdr::EntSize, section.entry_len),
            ] {
                let (offset, len) = field.place().of(self.class);
                put_number(out, table as usize + index * stride + offset, value, len);
            }
        }
        for (wanted, field, value) in [
            (self.numbering.segments, Shdr::Info, self.segments.len()),
            (self.numbering.sections, Shdr::Size, count),
            (self.numbering.names, Shdr::Link, count - 1),
        ] {
            if wanted {
                let (offset, len) = field.place().of(self.class);
                put_number(out, table as usize + offset, value as u64, len);
            }
        }
        Ok((table, offsets))
    }

    fn write_file_header(&self, out: &mut Vec<u8>, phdr_offset: u64, shdr_offset: u64) {
        let sections = self.has_sections();
        let count = if sections {
            self.sections.len() as u64 + 2
        } else {
            0
        };
        let phnum = match self.numbering.segments {
            true => 0xffff,
            false => self.segments.len() as u64,
        };
        let shnum = if self.numbering.sections { 0 } else { count };
        let names = match self.numbering.names {
            true => 0xffff,
            false => count.saturating_sub(1),
        };
        let phdr_stride = self.phdr_stride.unwrap_or(self.class.phdr_len()) as u64;
        let shdr_stride = self.shdr_stride.unwrap_or(self.class.shdr_len()) as u64;
        for (field, value) in [
            (Ehdr::Magic, 0x464c_457f),
            (Ehdr::Class, self.class.number().into()),
            (Ehdr::Data, 1),
            (Ehdr::IdentVersion, 1),
            (Ehdr::Type, self.kind.into()),
            (Ehdr::Machine, self.class.machine().into()),
            (Ehdr::Version, 1),
            (Ehdr::Entry, self.entry),
            (Ehdr::PhOff, phdr_offset),
            (Ehdr::ShOff, shdr_offset),
            (Ehdr::EhSize, self.class.ehdr_len() as u64),
            (Ehdr::PhEntSize, phdr_stride),
            (Ehdr::PhNum, phnum),
            (Ehdr::ShEntSize, if sections { shdr_stride } else { 0 }),
            (Ehdr::ShNum, shnum),
            (Ehdr::ShStrNdx, names),
        ] {
            let (offset, len) = field.place().of(self.class);
            put_number(out, offset, value, len);
        }
    }

    fn apply(&self, patch: &Patch, image: &mut Image, strides: (usize, usize)) -> Result {
        let missing = |what: &str, index: usize| Error::Image(format!("no {what} header {index}"));
        let (at, (offset, len), value) = match patch {
            Patch::Ehdr(field, value) => (0, field.place().of(self.class), *value),
            Patch::Phdr(index, field, value) => {
                if *index >= self.segments.len() {
                    return Err(missing("program", *index));
                }
                let at = image.phdr_offset as usize + index * strides.0;
                (at, field.place().of(self.class), *value)
            }
            Patch::Shdr(index, field, value) => {
                if *index >= image.section_offsets.len() {
                    return Err(missing("section", *index));
                }
                let at = image.shdr_offset as usize + index * strides.1;
                (at, field.place().of(self.class), *value)
            }
            Patch::Bytes(at, bytes) => {
                put(&mut image.bytes, *at, bytes);
                return Ok(());
            }
            Patch::Truncate(len) => {
                image.bytes.truncate(*len);
                return Ok(());
            }
        };
        put_number(&mut image.bytes, at + offset, value, len);
        Ok(())
    }
}
