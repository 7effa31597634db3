// SPDX-License-Identifier: GPL-3.0-or-later
//! The test kernel's code: one flat blob per CPU, with what it needs to run
//! anywhere.

use crate::bytes::{fnv1a64, put_number};
use crate::error::{Error, Result};
use crate::linked::{Linked, Recipe};
use object::elf::{R_386_32, R_386_NONE, R_386_PC32, R_386_PLT32};
use object::elf::{R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget};
use object::{SectionFlags, SymbolSection};
use std::collections::BTreeMap;

/// Number of ranges that fit into a blob's descriptor.
pub const MAX_RANGES: usize = 12;

const DESCRIPTOR_MAGIC: u32 = 0x6b32_424d;
const DESCRIPTOR_LEN: usize = 32 + 16 * MAX_RANGES;
/// Section whose instructions run before the blob is relocated.
const STUB: &str = ".stub";

/// CPU mode that a blob is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// 32-bit protected mode.
    I386,
    /// 64-bit mode.
    X86_64,
}

impl Cpu {
    /// Arguments for `ld` in front of `-o OUTPUT LIBRARY`, to be run with
    /// `-T link.ld` of the test kernel.
    pub fn link_args(self) -> impl Iterator<Item = &'static str> {
        let common = [
            "-static",
            "--gc-sections",
            "--emit-relocs",
            "--no-warn-rwx-segments",
            "-znoexecstack",
        ];
        let own: &[&str] = match self {
            Self::I386 => &["-m", "elf_i386", "-e", "entry32", "-u", "entry_efi32"],
            Self::X86_64 => &["-m", "elf_x86_64", "-e", "entry64"],
        };
        common.into_iter().chain(own.iter().copied())
    }

    fn word_len(self) -> usize {
        match self {
            Self::I386 => 4,
            Self::X86_64 => 8,
        }
    }
}

/// A word that holds an address inside the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixup {
    /// Offset of the word in the blob.
    pub offset: u32,
    /// Its value when the blob lies at 0.
    pub value: u32,
}

/// Something beside the blob that the kernel sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Distance from the blob, modulo 2^32.
    pub delta: u32,
    /// Bytes from the file.
    pub file_len: u32,
    /// Bytes in memory.
    pub mem_len: u32,
    /// Whether it is a gap between segments.
    pub gap: bool,
}

/// Code of one CPU mode, linked at 0.
#[derive(Clone, Debug)]
pub struct Blob {
    cpu: Cpu,
    bytes: Vec<u8>,
    mem_len: u32,
    entry: u32,
    entry_efi: u32,
    table_offset: u32,
    fixups: Vec<Fixup>,
}

impl Blob {
    /// Bytes that come from the file.
    #[must_use]
    pub fn file_len(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Bytes in memory.
    #[must_use]
    pub fn mem_len(&self) -> u32 {
        self.mem_len
    }

    /// Offset of the entry without firmware (of the only one in 64-bit mode).
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// Offset of the entry with boot services alive.
    #[must_use]
    pub fn entry_efi(&self) -> u32 {
        self.entry_efi
    }

    /// Words that a loader which applies relocations has to change.
    #[must_use]
    pub fn fixups(&self) -> &[Fixup] {
        &self.fixups
    }

    /// Width of a relocated word.
    #[must_use]
    pub fn word_len(&self) -> usize {
        self.cpu.word_len()
    }

    /// The blob with its descriptor filled, and its checksum.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if there are more than [`MAX_RANGES`] ranges.
    pub fn finish(&self, link_base: u32, ranges: &[Range]) -> Result<(Vec<u8>, u64)> {
        if ranges.len() > MAX_RANGES {
            return Err(Error::Image(format!("{} ranges", ranges.len())));
        }
        let mut bytes = self.bytes.clone();
        let words = [
            DESCRIPTOR_MAGIC,
            self.file_len(),
            self.mem_len,
            self.table_offset,
            self.fixups.len() as u32,
            ranges.len() as u32,
            link_base,
            0,
        ];
        let ranges = ranges
            .iter()
            .flat_map(|r| [r.delta, r.file_len, r.mem_len, u32::from(r.gap)]);
        for (index, word) in words.into_iter().chain(ranges).enumerate() {
            put_number(&mut bytes, 4 * index, word.into(), 4);
        }
        let sum = fnv1a64(&bytes);
        Ok((bytes, sum))
    }

    fn from_elf(cpu: Cpu, file: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::Payload(what.to_owned());
        let elf = object::File::parse(file)?;
        if elf.is_64() != (cpu == Cpu::X86_64) {
            return Err(bad("wrong ELF class"));
        }
        let symbols: BTreeMap<&str, u64> = elf
            .symbols()
            .filter_map(|symbol| Some((symbol.name().ok()?, symbol.address())))
            .collect();
        let symbol = |name: &str| {
            symbols
                .get(name)
                .map(|&value| value as u32)
                .ok_or_else(|| Error::Payload(format!("no symbol {name}")))
        };
        let file_len = symbol("bss_start")?;
        let mut bytes = vec![0; file_len as usize];
        let mut fixups = Vec::new();
        for section in elf.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                continue;
            };
            let start = section.address() as usize;
            if sh_flags.0 & super::image::SHF_ALLOC == 0 || start >= bytes.len() {
                continue;
            }
            let data = section.data()?;
            let target = bytes
                .get_mut(start..start + data.len())
                .ok_or_else(|| bad("section behind the start of bss"))?;
            target.copy_from_slice(data);
            if section.name() == Ok(STUB) {
                continue;
            }
            for (offset, relocation) in section.relocations() {
                let absolute = match relocation.target() {
                    RelocationTarget::Symbol(index) => {
                        elf.symbol_by_index(index)?.section() == SymbolSection::Absolute
                    }
                    _ => false,
                };
                if !absolute && needs_fixup(cpu, relocation.flags())? {
                    fixups.push(offset as u32);
                }
            }
        }
        fixups.sort_unstable();
        fixups.dedup();
        let fixups = fixups
            .into_iter()
            .map(|offset| {
                let value = crate::bytes::u32_at(&bytes, offset as usize)
                    .ok_or_else(|| Error::Payload(format!("relocation at {offset:#x}")))?;
                Ok(Fixup { offset, value })
            })
            .collect::<Result<Vec<_>>>()?;
        let (table_offset, table_end) = (symbol("fixups")?, symbol("fixups_end")?);
        if fixups.len() * 8 > (table_end - table_offset) as usize {
            return Err(bad("relocation table is too small"));
        }
        for (index, fixup) in fixups.iter().enumerate() {
            let at = table_offset as usize + 8 * index;
            put_number(&mut bytes, at, fixup.offset.into(), 4);
            put_number(&mut bytes, at + 4, fixup.value.into(), 4);
        }
        let (entry, entry_efi) = match cpu {
            Cpu::I386 => (symbol("entry32")?, symbol("entry_efi32")?),
            Cpu::X86_64 => (symbol("entry64")?, symbol("entry64")?),
        };
        Ok(Self {
            cpu,
            bytes,
            mem_len: symbol("bss_end")?,
            entry,
            entry_efi,
            table_offset,
            fixups,
        })
    }

    fn dummy(cpu: Cpu) -> Self {
        let mut bytes = vec![0; DESCRIPTOR_LEN];
        bytes.extend(crate::bytes::noise(cpu.word_len() as u64, 0x720));
        let fixups = [DESCRIPTOR_LEN as u32 + 0x10, DESCRIPTOR_LEN as u32 + 0x40].map(|offset| {
            let value = offset / 2;
            put_number(&mut bytes, offset as usize, value.into(), cpu.word_len());
            Fixup { offset, value }
        });
        Self {
            cpu,
            mem_len: bytes.len() as u32 + 0x500,
            bytes,
            entry: DESCRIPTOR_LEN as u32,
            entry_efi: DESCRIPTOR_LEN as u32 + 8,
            table_offset: DESCRIPTOR_LEN as u32 + 0x80,
            fixups: fixups.to_vec(),
        }
    }
}

/// Whether a relocation of the linked blob depends on where the blob lies.
fn needs_fixup(cpu: Cpu, flags: RelocationFlags) -> Result<bool> {
    let RelocationFlags::Elf { r_type } = flags else {
        return Err(Error::Payload("not an ELF relocation".to_owned()));
    };
    let (absolute, harmless): (_, &[_]) = match cpu {
        Cpu::I386 => (R_386_32, &[R_386_NONE, R_386_PC32, R_386_PLT32]),
        Cpu::X86_64 => (
            R_X86_64_64,
            &[R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64],
        ),
    };
    if r_type == absolute {
        Ok(true)
    } else if harmless.contains(&r_type) {
        Ok(false)
    } else {
        Err(Error::Payload(format!("relocation type {r_type:?}")))
    }
}

/// The code for both CPU modes.
#[derive(Clone, Debug)]
pub struct Payload {
    /// For 32-bit entries.
    pub blob32: Blob,
    /// For the 64-bit UEFI entry.
    pub blob64: Blob,
    /// Kernels that need no wrapping.
    pub linked: Vec<Linked>,
}

impl Payload {
    /// Takes the blobs out of the linked test kernel.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] or [`Error::Payload`] if a file is not the test
    /// kernel, linked as [`Cpu::link_args`] says.
    pub fn from_elf(elf32: &[u8], elf64: &[u8]) -> Result<Self> {
        Ok(Self {
            blob32: Blob::from_elf(Cpu::I386, elf32)?,
            blob64: Blob::from_elf(Cpu::X86_64, elf64)?,
            linked: Vec::new(),
        })
    }

    /// Stand-ins of the same shape that cannot run, for host tests.
    #[must_use]
    pub fn dummy() -> Self {
        Self {
            blob32: Blob::dummy(Cpu::I386),
            blob64: Blob::dummy(Cpu::X86_64),
            linked: Recipe::all().map(Recipe::dummy).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::u32_at;

    #[test]
    fn a_finished_blob_describes_itself() {
        let blob = Payload::dummy().blob32;
        let range = Range {
            delta: 0u32.wrapping_sub(0x1000),
            file_len: 3,
            mem_len: 5,
            gap: true,
        };
        let (bytes, sum) = blob.finish(0x10_0000, &[range]).unwrap();
        assert_eq!(bytes.len() as u32, blob.file_len());
        assert_eq!(sum, fnv1a64(&bytes));
        let words: Vec<u32> = (0..12).filter_map(|i| u32_at(&bytes, 4 * i)).collect();
        assert_eq!(words[0], DESCRIPTOR_MAGIC);
        assert_eq!(words[1], blob.file_len());
        assert_eq!(words[5..12], [1, 0x10_0000, 0, 0xffff_f000, 3, 5, 1]);
    }

    #[test]
    fn too_many_ranges_are_an_error() {
        let range = Range {
            delta: 0,
            file_len: 0,
            mem_len: 0,
            gap: false,
        };
        let blob = Payload::dummy().blob64;
        assert!(blob.finish(0, &[range; MAX_RANGES]).is_ok());
        assert!(blob.finish(0, &[range; MAX_RANGES + 1]).is_err());
    }

    #[test]
    fn files_that_are_not_the_kernel_are_refused() {
        assert!(Payload::from_elf(b"", b"").is_err());
        let image = crate::image::ImageBuilder::new(crate::image::Class::Elf32);
        let bytes = image.build().unwrap().bytes;
        assert!(Payload::from_elf(&bytes, &bytes).is_err());
    }
}
