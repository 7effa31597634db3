// SPDX-License-Identifier: GPL-3.0-or-later
//! A large ELF file with less in it.

use super::{Class, Ehdr, Phdr};
use crate::bytes::{put_number, u16_at, u32_at, u64_at};

fn number(bytes: &[u8], at: usize, (offset, len): (usize, usize)) -> Option<u64> {
    match len {
        2 => u16_at(bytes, at + offset).map(u64::from),
        4 => u32_at(bytes, at + offset).map(u64::from),
        _ => u64_at(bytes, at + offset),
    }
}

/// Cuts an ELF file to its first `len` bytes. Its segments keep their places
/// and sizes in memory, with less from the file; it has no sections any more.
/// `None` for another file, and for one whose program headers lie behind.
#[must_use]
pub fn shortened(file: &[u8], len: usize) -> Option<Vec<u8>> {
    let class = match file.get(..5)? {
        b"\x7fELF\x01" => Class::Elf32,
        b"\x7fELF\x02" => Class::Elf64,
        _ => return None,
    };
    let mut short = file.get(..len).unwrap_or(file).to_vec();
    let [offset, count, stride] = [Ehdr::PhOff, Ehdr::PhNum, Ehdr::PhEntSize]
        .map(|field| number(file, 0, field.place().of(class)));
    let (offset, count, stride) = (offset? as usize, count? as usize, stride? as usize);
    if offset.checked_add(count * stride)? > short.len() {
        return None;
    }
    for at in (0..count).map(|index| offset + index * stride) {
        let place = Phdr::FileSz.place().of(class);
        let start = number(file, at, Phdr::Offset.place().of(class))?;
        let left = (short.len() as u64).saturating_sub(start);
        let size = number(file, at, place)?.min(left);
        put_number(&mut short, at + place.0, size, place.1);
    }
    for field in [Ehdr::ShOff, Ehdr::ShNum, Ehdr::ShStrNdx] {
        let (offset, width) = field.place().of(class);
        put_number(&mut short, offset, 0, width);
    }
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::noise;
    use crate::image::{ImageBuilder, Section, Segment};
    use object::{Object, ObjectSegment};

    #[test]
    fn segments_keep_their_places_and_lose_contents() {
        for class in [Class::Elf32, Class::Elf64] {
            let image = ImageBuilder::new(class)
                .segment(Segment::load(0x10_0000, noise(1, 0x3000)).mem_len(0x5000))
                .segment(Segment::load(0x20_0000, noise(2, 0x3000)))
                .section(Section::loose(".s", noise(3, 99)));
            let whole = image.build().unwrap().bytes;
            let short = shortened(&whole, 0x2000).unwrap();
            assert_eq!(short.len(), 0x2000);
            let read = object::File::parse(&*short).unwrap();
            let segments: Vec<_> = read.segments().collect();
            let places: Vec<_> = segments.iter().map(|s| (s.address(), s.size())).collect();
            assert_eq!(places, [(0x10_0000, 0x5000), (0x20_0000, 0x3000)]);
            assert_eq!(segments[0].data().unwrap(), &noise(1, 0x3000)[..0x1000]);
            assert_eq!(segments[1].data().unwrap(), b"");
            assert_eq!(read.sections().count(), 0);
        }
    }

    #[test]
    fn other_files_are_not_touched() {
        assert_eq!(shortened(b"no ELF file", 4), None);
        assert_eq!(shortened(b"", 4), None);
    }
}
