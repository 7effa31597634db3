// SPDX-License-Identifier: GPL-3.0-or-later
//! A loader that only says what a kernel file means on the fake PC: slow,
//! obvious, every number in 128 bits, no code of the loader under test.

type N = u128;

/// Link address and contents, zeroes included.
type Part = (N, Vec<u8>);

/// What a file means.
#[derive(Default)]
pub(crate) struct Meaning {
    /// Where the image's first byte is linked to lie, and where it will.
    pub(crate) link_base: N,
    pub(crate) base: N,
    pub(crate) entry: Option<N>,
    /// May be moved, in one piece of this many bytes.
    pub(crate) moves: bool,
    pub(crate) size: N,
    pub(crate) parts: Vec<Part>,
    /// Number, contents and alignment of the sections to load.
    pub(crate) sections: Vec<(N, Vec<u8>, N)>,
}

/// Free memory that an image may have on a small fake PC, the end not inside;
/// below 1 MiB comes last.
pub(crate) const HIGH: (N, N) = (0x10_0000, 0x100_0000);
pub(crate) const LOW: (N, N) = (0x1000, 0x9_fc00);

/// Bytes that a header tag has at least, by type; the last is for all others.
const LEAST: [N; 12] = [8, 8, 24, 12, 12, 20, 8, 8, 12, 12, 24, 8];

fn only_if(condition: bool) -> Option<()> {
    condition.then_some(())
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn n(&self, at: N, len: usize) -> N {
        let bytes = (0..len as N).rev().map(|i| self.0.get((at + i) as usize));
        bytes.fold(0, |n, byte| n << 8 | N::from(*byte.unwrap_or(&0)))
    }

    fn part(&self, at: N, len: N) -> Option<Vec<u8>> {
        (at + len <= self.0.len() as N).then(|| self.0[at as usize..(at + len) as usize].to_vec())
    }
}

/// Reads a file; `None` for one that has to be refused.
pub(crate) fn read(file: &[u8]) -> Option<Meaning> {
    let window = Bytes(&file[..file.len().min(0x8000)]);
    let limit = window.0.len() as N;
    let sum = |at| (0..4).map(|i| window.n(at + 4 * i, 4)).sum::<N>() % (1 << 32);
    let is_header = |at| window.n(at, 8) == 0xe852_50d6 && sum(at) == 0;
    let mut places = (0..limit.saturating_sub(15)).step_by(8);
    let header = places.find(|&at| is_header(at))?;
    let end = header + window.n(header + 8, 4);
    only_if(end >= header + 24 && end <= limit)?;
    let mut tags = vec![None; 12];
    let (mut at, mut ega, mut required) = (header + 16, true, false);
    loop {
        let (kind, optional) = (window.n(at, 2), window.n(at + 2, 2) & 1 == 1);
        let size = window.n(at + 4, 4);
        let least = LEAST[kind.min(11) as usize];
        only_if(at + 8 <= end && size >= least && at + size <= end)?;
        only_if(kind != 0 || size == 8)?;
        let mut fields = (8..size - size % 4).step_by(4).map(|i| window.n(at + i, 4));
        let four = [0, 4, 8, 12].map(|i| window.n(at + 8 + i, 4));
        match kind {
            0 => break,
            1 if !optional && fields.any(|request| request > 21) => return None,
            4 => (ega, required) = (ega && four[0] & 2 != 0, required || four[0] & 1 != 0),
            11.. if !optional => return None,
            _ => {}
        }
        tags[kind.min(11) as usize] = Some(four);
        at += size.next_multiple_of(8);
    }
    let mut meaning = Meaning::default();
    match tags[2] {
        Some(tag) => flat(&mut meaning, file, header, tag)?,
        None => elf(&mut meaning, file)?,
    }
    let entry = tags[3].map(|[entry, ..]| entry).or(meaning.entry)?;
    let last = |&(start, ref bytes): &Part| start + bytes.len() as N;
    let holds = |p: &Part| p.0 <= entry && entry < last(p);
    only_if(meaning.parts.iter().any(holds) && (ega || tags[5].is_some() || !required))?;
    meaning.link_base = meaning.parts.iter().map(|p| p.0).min()?;
    meaning.size = meaning.parts.iter().map(last).max()? - meaning.link_base;
    let free = |p: &Part| [LOW, HIGH].iter().any(|f| f.0 <= p.0 && last(p) <= f.1);
    match tags[10] {
        Some(tag) => (meaning.moves, meaning.base) = (true, place(meaning.size, tag)?),
        None => meaning.base = meaning.link_base,
    }
    only_if(meaning.moves || meaning.parts.iter().all(free))?;
    meaning.entry = Some(entry);
    Some(meaning)
}

fn place(size: N, [min, max, align, preference]: [N; 4]) -> Option<N> {
    let align = align.max(1);
    let places = [HIGH, LOW].map(|(start, end)| {
        let lowest = start.max(min).next_multiple_of(align);
        let highest = end.min(max).checked_sub(size)? / align * align;
        (lowest <= highest).then_some([lowest, highest][usize::from(preference == 2)])
    });
    let [high, low] = places;
    high.or(low).filter(|_| align.is_power_of_two())
}

fn flat(meaning: &mut Meaning, file: &[u8], at: N, tag: [N; 4]) -> Option<()> {
    let [header, mut load, load_end, bss_end] = tag;
    if load == 0xffff_ffff {
        load = header.checked_sub(at)?;
    }
    let offset = at.checked_sub(header.checked_sub(load)?)?;
    let file_end = load + file.len() as N - offset;
    let end = if load_end == 0 { file_end } else { load_end };
    let mut bytes = Bytes(file).part(offset, end.checked_sub(load)?)?;
    let memory_end = if bss_end == 0 { end } else { bss_end };
    only_if(end > load && memory_end >= end && memory_end <= load + HIGH.1)?;
    only_if(memory_end <= 1 << 32)?;
    bytes.resize((memory_end - load) as usize, 0);
    meaning.parts.push((load, bytes));
    Some(())
}

fn elf(meaning: &mut Meaning, bytes: &[u8]) -> Option<()> {
    let file = Bytes(bytes);
    let wide = match (file.n(0, 4), file.n(4, 3), file.n(16, 4), file.n(20, 4)) {
        (0x464c_457f, class, 0x3_0002 | 0x3_0003, 1) if class & 0xffff == 0x101 => false,
        (0x464c_457f, class, 0x3e_0002 | 0x3e_0003, 1) if class & 0xffff == 0x102 => true,
        _ => return None,
    };
    let word = if wide { 8 } else { 4 };
    // Offset in a 32-bit file, in a 64-bit one, width.
    let get = |at: N, field: [N; 2], len| file.n(at + field[usize::from(wide)], len);
    let [entry, phoff, shoff] = [[24, 24], [28, 32], [32, 40]].map(|f| get(0, f, word));
    let [phsize, mut phnum, shsize, mut shnum] =
        [[42, 54], [44, 56], [46, 58], [48, 60]].map(|f| get(0, f, 2));
    let (phleast, shleast) = if wide { (56, 64) } else { (32, 40) };
    let inside = |at: N, count: N, size: N| at + count * size <= bytes.len() as N;
    let zero = shoff != 0 && shsize >= shleast && inside(shoff, 1, shleast);
    if phnum == 0xffff {
        phnum = get(shoff, [28, 44], 4);
        only_if(zero && phnum >= 0xffff)?;
    }
    let many = get(shoff, [20, 32], word);
    shnum = match shnum {
        0 if zero && many >= 0xff00 => many,
        _ => shnum * shoff.min(1),
    };
    let fits = |at, count, size, least| count == 0 || (size >= least && inside(at, count, size));
    only_if(fits(phoff, phnum, phsize, phleast) && fits(shoff, shnum, shsize, shleast))?;
    let headers = (0..phnum).map(|i| phoff + i * phsize);
    for at in headers.filter(|&at| file.n(at, 4) == 1) {
        let [offset, vaddr, paddr, size, memory] =
            [[4, 8], [8, 16], [12, 24], [16, 32], [20, 40]].map(|f| get(at, f, word));
        only_if(size <= memory && memory <= HIGH.1)?;
        if memory > 0 {
            only_if(paddr + memory <= 1 << 32)?;
            let mut part = file.part(offset * size.min(1), size)?;
            let apart = |p: &Part| p.0 >= paddr + memory || p.0 + p.1.len() as N <= paddr;
            only_if(meaning.parts.iter().all(apart))?;
            part.resize(memory as usize, 0);
            meaning.parts.push((paddr, part));
        }
        if vaddr <= entry && entry - vaddr < memory {
            meaning.entry.get_or_insert(entry - vaddr + paddr);
        }
    }
    for number in 0..shnum {
        let at = shoff + number * shsize;
        let [addr, offset, size, align] =
            [[12, 16], [16, 24], [20, 32], [32, 48]].map(|f| get(at, f, word));
        if addr == 0 && size != 0 && ![0, 8].contains(&file.n(at + 4, 4)) {
            let align = align.max(1);
            only_if(align.is_power_of_two() && align <= 1 << 31)?;
            let contents = file.part(offset, size)?;
            meaning.sections.push((number, contents, align));
        }
    }
    Some(())
}
