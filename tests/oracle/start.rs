// SPDX-License-Identifier: GPL-3.0-or-later
//! What a kernel has to find when it starts: every byte of every chunk.

use super::Loaded;
use crate::common::Fake;
use crate::common::information::{self, Told, find};
use crate::common::reference::N;
use crate::common::world::Started;
use mb2_testkit::bytes::{put_number, u32_at};
use std::collections::BTreeMap;

const PAGE: usize = 0x1000;

/// Most bytes that chunks for several things may leave unused.
const WASTE: usize = 0x10_0000;

/// What nobody has asked for yet, by address: whole chunks, and what is left of
/// those of which something was asked for.
struct Rest<'a> {
    chunks: BTreeMap<u32, &'a [u8]>,
    pieces: BTreeMap<u32, &'a [u8]>,
}

impl<'a> Rest<'a> {
    /// Takes a whole chunk.
    fn remove(&mut self, at: u32) -> Option<&'a [u8]> {
        self.chunks.remove(&at)
    }

    /// Takes memory that nobody else has, and that may share its chunk.
    fn take(&mut self, at: u32, len: usize) -> Option<&'a [u8]> {
        let holds = |(&start, bytes): (&u32, &&'a [u8])| {
            let before = (at - start) as usize;
            (before + len <= bytes.len()).then_some((start, before))
        };
        let find = |map: &BTreeMap<u32, &'a [u8]>| map.range(..=at).next_back().and_then(holds);
        let piece = find(&self.pieces);
        let (start, before) = piece.or_else(|| find(&self.chunks))?;
        let map = match piece {
            Some(_) => &mut self.pieces,
            None => &mut self.chunks,
        };
        let (front, part) = map.remove(&start)?.split_at(before);
        let (part, back) = part.split_at(len);
        for (at, piece) in [(start, front), (at.wrapping_add(len as u32), back)] {
            if !piece.is_empty() {
                self.pieces.insert(at, piece);
            }
        }
        Some(part)
    }
}

impl Loaded {
    /// Modules lie from here on.
    pub(crate) fn modules_from(&self) -> N {
        let end = self.moved(self.meaning.place[1]) + 0x10_0000;
        N::from(self.modules_behind) * end.next_multiple_of(0x1000)
    }
}

/// Compares everything.
pub(crate) fn check(fake: &Fake, loaded: &Loaded, started: &Started) {
    let mut end = 0;
    for (&start, bytes) in &started.chunks {
        assert!(u64::from(start) >= end, "chunks overlap at {start:#x}");
        end = u64::from(start) + bytes.len() as u64;
    }
    let meaning = &loaded.meaning;
    let registers = started.registers;
    assert_eq!(
        N::from(registers.entry),
        loaded.moved(meaning.entry.unwrap())
    );
    assert_eq!(registers.keep_services, meaning.keeps_services);

    let mut rest = Rest {
        chunks: started.chunks.iter().map(|(&at, b)| (at, &b[..])).collect(),
        pieces: BTreeMap::new(),
    };
    image(loaded, &mut rest);
    let headers = sections(loaded, started, &mut rest);
    let modules = modules(loaded, started, &mut rest);
    let [_, count, size, names] = meaning.table.map(|n| n as u32);
    let told = Told {
        base: meaning.place[2] as u32,
        line: &loaded.line,
        modules: &modules,
        sections: match count {
            0 => [0; 3],
            _ => [count, size, names],
        },
        headers: &headers,
        keeps_services: meaning.keeps_services,
        smbios: meaning.smbios,
    };
    assert_eq!(registers.info % 8, 0);
    let expected = information::whole(fake, &told);
    let chunk = rest.remove(registers.info);
    let chunk = chunk.or_else(|| rest.take(registers.info, expected.len()));
    let chunk = chunk.expect("memory of its own");
    let slack = chunk.strip_prefix(&expected[..]);
    let slack = slack.expect("the right boot information");
    assert!(slack.iter().all(|byte| *byte == 0), "stale bytes behind it");
    // Nothing else was reserved, unless GRUB or the firmware had failed first.
    let explained = rest.chunks.len() <= loaded.left || loaded.doubtful;
    assert!(explained, "{:x?}", rest.chunks.keys());
    let waste: usize = rest.pieces.values().map(|piece| piece.len()).sum();
    assert!(waste < WASTE, "{waste:#x} bytes of chunks are not used");
    let clean = |piece: &&[u8]| piece.iter().all(|byte| *byte == 0);
    let clean = rest.pieces.values().all(clean);
    assert!(clean, "what is not used is not zero");
}

/// The image lies in one chunk, or in one for each part.
fn image(loaded: &Loaded, rest: &mut Rest<'_>) {
    let meaning = &loaded.meaning;
    if meaning.tags[10].is_some() {
        let base = meaning.place[2] as u32;
        let chunk = rest.remove(base).expect("a chunk for the image");
        let same = chunk == loaded.relocated.image;
        assert!(same, "wrong bytes in the image at {base:#x}");
        return;
    }
    for &[at, size, offset, len] in &meaning.parts {
        // Where nothing is read, the offset does not matter.
        let offset = offset * len.min(1);
        let mut part = loaded.file[offset as usize..][..len as usize].to_vec();
        part.resize(size as usize, 0);
        let chunk = rest.remove(at as u32).expect("a chunk for a part");
        assert!(chunk == part, "wrong bytes in the part at {at:#x}");
    }
}

/// Sections lie where the boot information says: in the end of the file, read
/// in one piece, or in chunks of their own. Returns the headers as they are told.
fn sections(loaded: &Loaded, started: &Started, rest: &mut Rest<'_>) -> Vec<u8> {
    let meaning = &loaded.meaning;
    let [table, count, stride, _] = meaning.table.map(|n| n as usize);
    if count == 0 {
        return Vec::new();
    }
    let mut headers = loaded.file[table..][..count * stride].to_vec();
    let start = meaning
        .parts
        .iter()
        .map(|p| p[2] * p[3].min(1) + p[3])
        .max();
    let start = start.unwrap() as usize;
    let tail = (start <= table).then(|| {
        let mut tail = vec![0; start % PAGE];
        tail.extend(&loaded.file[start..table + count * stride]);
        tail
    });
    let is_tail = |bytes: &[u8]| tail.as_deref() == Some(bytes);
    let found = rest.chunks.iter().find(|(_, bytes)| is_tail(bytes));
    let tail_at = found.map(|(&at, _)| at);
    if let Some(at) = tail_at {
        assert!((at as usize).is_multiple_of(PAGE));
        rest.remove(at);
    }
    let told = find(started.information(), 9);
    for &[number, offset, len, align] in &meaning.sections {
        let field = number as usize * stride + if loaded.file[4] == 1 { 12 } else { 16 };
        let address = u32_at(told, 20 + field).expect("an address");
        assert_eq!(N::from(address) % align, 0, "section {number}");
        let bytes = &loaded.file[offset as usize..][..len as usize];
        assert!(
            started.memory(address, bytes.len()) == bytes,
            "section {number}"
        );
        put_number(&mut headers, field, address.into(), 4);
        let inside = tail_at.and_then(|at| address.checked_sub(at));
        let tail_len = tail.as_ref().map_or(0, Vec::len);
        if inside.is_none_or(|inside| inside as usize >= tail_len) {
            rest.take(address, len as usize).expect("memory of its own");
        }
    }
    for &[number, address] in &loaded.relocated.moved {
        let field = number as usize * stride + if loaded.file[4] == 1 { 12 } else { 16 };
        put_number(&mut headers, field, address as u64, 4);
    }
    headers
}

/// Modules lie on pages of their own, and the rest of the last one is zero.
/// Returns what is told about them.
fn modules<'a>(
    loaded: &'a Loaded,
    started: &Started,
    rest: &mut Rest<'_>,
) -> Vec<([u32; 2], &'a [u8])> {
    let tags = mb2_testkit::dump::Tags::new(started.information()).expect("boot information");
    let mut tags = tags
        .map(|tag| tag.expect("a tag"))
        .filter(|tag| tag.kind == 3);
    let mut told = Vec::new();
    for module in &loaded.modules {
        let tag = tags.next().expect("a tag for each module").bytes;
        let start = u32_at(tag, 8).expect("an address");
        let len = module.bytes.len();
        if len > 0 {
            let mut bytes = module.bytes.clone();
            bytes.resize(len.next_multiple_of(PAGE), 0);
            let memory = rest.take(start, bytes.len());
            let memory = memory.expect("memory of its own for a module");
            assert!(memory == bytes, "wrong bytes in a module at {start:#x}");
            assert!((start as usize).is_multiple_of(PAGE), "{start:#x}");
            let from = loaded.modules_from();
            assert!(N::from(start) >= from, "{start:#x} is below {from:#x}");
        } else {
            assert_eq!(start, 0);
        }
        told.push(([start, start.wrapping_add(len as u32)], &module.line[..]));
    }
    assert!(tags.next().is_none(), "a module that nobody loaded");
    told
}
