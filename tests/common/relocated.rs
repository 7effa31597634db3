// SPDX-License-Identifier: GPL-3.0-or-later
//! What relocations make of an image: slow, obvious, every number in 128
//! bits, no code of the loader under test.

use super::reference::{Meaning, N, number, only_if};
use mb2_testkit::bytes::put;

/// An image where it lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relocated {
    pub(crate) image: Vec<u8>,
    pub(crate) moved: Vec<[N; 2]>, // sections that were moved: number and address
    pub(crate) places: N,          // how many were looked at
    applied: bool,
    budget: N,
    parts: Vec<[N; 3]>, // virtual address, size, offset in the image
}

/// Where bytes are: in the image, or in the file.
#[derive(Clone, Copy)]
enum At {
    Image(N, N),
    File(N, N),
}

/// A relocated image is 32 or 64 bits wide and was moved up or down.
struct Width<'a> {
    m: &'a Meaning,
    file: &'a [u8],
    word: N,
    slide: N, // as 64 bits
    shared: bool,
    dynamic: bool,
}

const TOP: N = 1 << 64;

/// Puts the parts together, and applies relocations if that is wanted; how far
/// it came, and whether that was to the end.
pub(crate) fn relocate(m: &Meaning, file: &[u8], [sized, wanted]: [bool; 2]) -> (Relocated, bool) {
    let mut out = Relocated::default();
    let [first, end, base] = m.place;
    out.image = vec![0; (end - first) as usize];
    for &[at, _, offset, len] in m.parts.iter().filter(|part| part[3] > 0) {
        let bytes = &file[offset as usize..][..len as usize];
        put(&mut out.image, (at - first) as usize, bytes);
    }
    if !wanted || m.tags[2].is_some() || m.tags[10].is_none() {
        return (out, true);
    }
    let word = if number(file, 4, 1) == 1 { 4 } else { 8 };
    let width = Width {
        m,
        file,
        word,
        slide: (TOP + base - first) % TOP,
        shared: number(file, 16, 2) == 3,
        dynamic: false,
    };
    let whole = width.run(&mut out, sized).is_some();
    (out, whole)
}

impl Width<'_> {
    fn get(&self, at: N, [narrow, wide]: [N; 2]) -> N {
        let at = at + if self.word == 4 { narrow } else { wide };
        number(self.file, at, self.word)
    }

    fn bytes<'a>(&'a self, image: &'a [u8], at: At) -> &'a [u8] {
        let cut = |all: &'a [u8], from: N, len: N| {
            let end = (from + len).min(all.len() as N);
            &all[from.min(end) as usize..end as usize]
        };
        match at {
            At::Image(from, len) => cut(image, from, len),
            At::File(from, len) => cut(self.file, from, len),
        }
    }

    fn run(mut self, out: &mut Relocated, sized: bool) -> Option<()> {
        let [table, count, stride] = self.m.programs;
        let mut dynamic = None;
        for at in (0..count).map(|i| table + i * stride) {
            let [virt, phys] = [[8, 16], [12, 24]].map(|f| self.get(at, f));
            let size = self.get(at, [20, 40]);
            match number(self.file, at, 4) {
                1 if size > 0 => out.parts.push([virt, size, phys - self.m.place[0]]),
                2 if size > 0 => dynamic = Some([virt, size]),
                _ => {}
            }
        }
        let flags = dynamic.and_then(|[virt, size]| {
            let section = At::Image(self.find(out, virt, size)?, size);
            let tags = self.tags(self.bytes(&out.image, section));
            let flags = tags.into_iter().rev().find(|t| t[0] == 0x6fff_fffb);
            flags.map(|t| t[1] & 0x800_0000)
        });
        self.shared |= flags.unwrap_or(0) != 0;
        dynamic = dynamic.filter(|_| self.shared);
        self.dynamic = dynamic.is_some();
        let ends = self.m.parts.iter().map(|p| (p[2] + p[3]) * p[3].min(1));
        let end = ends.max()?;
        let all = self.file.len() as N;
        out.budget = if sized { all } else { end };
        if let Some([virt, size]) = dynamic {
            let section = At::Image(self.find(out, virt, size)?, size);
            // Tag of the address, of the size, of an entry's size, words in an entry.
            for [tag, size, entry, words] in [
                [17, 18, 19, 2],
                [7, 8, 9, 3],
                [23, 2, 0, 2],
                [36, 35, 37, 1],
            ] {
                let tags = self.tags(self.bytes(&out.image, section));
                let value = |tag| tags.iter().rev().find(|t| t[0] == tag).map_or(0, |t| t[1]);
                let words = words + N::from(tag == 23 && value(20) == 7);
                let (len, entry) = (value(size), value(entry));
                if len > 0 {
                    let place = At::Image(self.find(out, value(tag), len)?, len);
                    let symbols = self.find(out, value(6), 1).unwrap_or(TOP);
                    self.table(out, [words, entry], [place, At::Image(symbols, TOP)])?;
                }
            }
        }
        let [table, count, stride, _] = self.m.table;
        let word = |at, narrow, wide| {
            number(
                self.file,
                at + if self.word == 4 { narrow } else { wide },
                4,
            )
        };
        let flags = |i| {
            if i < count {
                self.get(table + i * stride, [8, 8]) & 2
            } else {
                0
            }
        };
        out.budget = if sized {
            all
        } else {
            end.max(table + count * stride)
        };
        for i in (0..count).filter(|_| !self.dynamic) {
            let at = table + i * stride;
            let words = match number(self.file, at + 4, 4) {
                4 => 3,
                9 => 2,
                _ => continue,
            };
            let [link, info] = [word(at, 24, 40), word(at, 28, 44)];
            let part = |at| [[16, 24], [20, 32], [32, 48], [36, 56]].map(|f| self.get(at, f));
            let [offset, size, align, entry] = part(at);
            if size == 0 || flags(i) != 0 || flags(info) == 0 {
                continue;
            }
            let good = |offset: N, size: N, align: N| {
                let align = align.max(1);
                offset + size <= all && align.is_power_of_two() && align < 1 << 32
            };
            only_if(good(offset, size, align))?;
            let mut symbols = At::File(0, 0);
            let at = table + link * stride;
            if link < count && number(self.file, at + 4, 4) == 2 {
                let [offset, size, align, _] = part(at);
                only_if(size == 0 || good(offset, size, align))?;
                symbols = At::File(offset, size);
            }
            self.table(out, [words, entry], [At::File(offset, size), symbols])?;
        }
        for i in (0..count).filter(|&i| out.applied && flags(i) != 0) {
            let addr = self.get(table + i * stride, [12, 16]);
            let loaded = self.m.sections.iter().any(|s| s[0] == i);
            if !loaded && let Some(true) = self.part(out, addr, 1).map(|(_, moves)| moves) {
                out.moved.push([i, (addr + self.slide) % TOP]);
            }
        }
        Some(())
    }

    /// Tags and values of a dynamic section.
    fn tags(&self, bytes: &[u8]) -> Vec<[N; 2]> {
        let entries = bytes.chunks_exact(2 * self.word as usize);
        let entry = |e: &[u8]| [number(e, 0, self.word), number(e, self.word, self.word)];
        entries.map(entry).take_while(|e| e[0] != 0).collect()
    }

    /// Offset of a range in the image, and whether its addresses move.
    fn part(&self, out: &Relocated, virt: N, len: N) -> Option<(N, bool)> {
        let mut parts = out.parts.iter();
        let part = parts.find(|p| p[0] <= virt && virt + len <= p[0] + p[1])?;
        Some((
            part[2] + virt - part[0],
            part[0] == part[2] + self.m.place[0],
        ))
    }

    fn find(&self, out: &Relocated, virt: N, len: N) -> Option<N> {
        self.part(out, virt, len).map(|(offset, _)| offset)
    }

    fn table(
        &self,
        out: &mut Relocated,
        [words, entry]: [N; 2],
        [at, symbols]: [At; 2],
    ) -> Option<()> {
        if self.slide == 0 && !(self.shared && words == 3) {
            return Some(());
        }
        let len = self.bytes(&out.image, at).len() as N;
        let stride = words * self.word;
        only_if(
            len.is_multiple_of(stride)
                && (entry == 0 || entry == stride)
                && self.m.programs[1] <= 256,
        )?;
        out.budget = out.budget.checked_sub(len)?;
        out.applied = true;
        let mut next = 0;
        for start in (0..len).step_by(stride as usize) {
            let bytes = &self.bytes(&out.image, at)[start as usize..];
            let [place, info, addend] = [0, 1, 2].map(|i| number(bytes, i * self.word, self.word));
            if words > 1 {
                self.one(
                    out,
                    ([place, info], (words == 3).then_some(addend)),
                    symbols,
                )?;
            } else if place % 2 == 0 {
                self.one(out, ([place, 8], None), symbols)?;
                next = place + self.word;
            } else {
                for bit in (1..8 * self.word).filter(|bit| place >> bit & 1 == 1) {
                    let place = (next + (bit - 1) * self.word) % TOP;
                    self.one(out, ([place, 8], None), symbols)?;
                }
                next = (next + (8 * self.word - 1) * self.word) % TOP;
            }
        }
        Some(())
    }

    fn one(
        &self,
        out: &mut Relocated,
        ([place, info], addend): ([N; 2], Option<N>),
        symbols: At,
    ) -> Option<()> {
        out.places += 1;
        let wide = self.word == 8;
        let split = if wide { 32 } else { 8 };
        let (kind, index) = (info % (1 << split), info >> split);
        // Bytes, whether a sign counts, whether it is a distance.
        let (len, signed, distance) = match kind {
            0 => return Some(()),
            1 | 8 => (self.word, false, false),
            2 | 4 => (4, true, true),
            10 if wide => (4, false, false),
            11 if wide => (4, true, false),
            24 if wide => (8, false, true),
            _ => return only_if(self.slide == 0 && !self.dynamic),
        };
        let sign = |n: N| {
            if signed && n >> 31 & 1 == 1 {
                n + TOP - (1 << 32)
            } else {
                n
            }
        };
        let (at, here_moves) = self.part(out, place, len)?;
        let stored = number(&out.image, at, len);
        let stored = if len == 4 { sign(stored) } else { stored };
        let (mut target, mut value, mut fixed) = (addend.unwrap_or(stored), 0, false);
        if kind != 8 && index != 0 {
            let table = self.bytes(&out.image, symbols);
            let size = if wide { 24 } else { 16 };
            only_if((index + 1) * size <= table.len() as N)?;
            let [at, section] = if wide { [8, 6] } else { [4, 14] };
            value = number(table, index * size + at, self.word);
            let section = number(table, index * size + section, 2);
            (target, fixed) = (value, section == 0xfff1 || section + value == 0);
        } else if distance {
            target = stored + place;
        }
        target %= if wide { TOP } else { 1 << 32 };
        let all = |moves: bool| {
            let is = |p: &[N; 3]| (p[0] == p[2] + self.m.place[0]) == moves;
            self.slide == 0 || out.parts.iter().all(is)
        };
        let target_moves = match self.part(out, target, 1) {
            _ if fixed => false,
            Some((_, moves)) => moves,
            None if all(true) => true,
            None if all(false) => false,
            None => return None,
        };
        let mut result = match (target_moves, distance && here_moves) {
            (true, false) => self.slide,
            (false, true) => TOP - self.slide,
            _ if distance => return Some(()),
            _ => 0,
        };
        result += match addend {
            Some(addend) if !distance => value + addend,
            _ => stored,
        };
        result %= TOP;
        let fits = sign(result % (1 << 32)) == result;
        only_if(len == 8 || !wide || fits)?;
        put(
            &mut out.image,
            at as usize,
            &(result as u64).to_le_bytes()[..len as usize],
        );
        Some(())
    }
}
