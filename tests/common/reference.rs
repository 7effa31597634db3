// SPDX-License-Identifier: GPL-3.0-or-later
//! A loader that only says what a kernel file means on a machine: slow,
//! obvious, every number in 128 bits, no code of the loader under test.

pub(crate) type N = u128;

/// What a file means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    pub(crate) header: N,                  // its offset
    pub(crate) tags: [Option<[N; 4]>; 12], // first fields of the last one of each type
    pub(crate) console: N,                 // bit 0: one is required; bit 1: EGA text is none
    pub(crate) keeps_services: bool,       // and is entered beside them
    pub(crate) smbios: bool,               // is asked for
    pub(crate) entry: Option<N>,           // as linked
    pub(crate) parts: Vec<[N; 4]>,         // link address, size, offset and size in the file
    pub(crate) place: [N; 3],              // first byte and end as linked, first as loaded
    pub(crate) programs: [N; 3],           // program headers: offset, number, size
    pub(crate) table: [N; 4],              // section headers: offset, number, size, name index
    pub(crate) sections: Vec<[N; 4]>,      // to be loaded: number, offset, size, alignment
}

pub(crate) fn only_if(condition: bool) -> Option<()> {
    condition.then_some(())
}

pub(crate) fn number(bytes: &[u8], at: N, len: N) -> N {
    let bytes = (at..at + len).rev().map(|i| bytes.get(i as usize));
    bytes.fold(0, |n, byte| n << 8 | N::from(*byte.unwrap_or(&0)))
}

/// Reads the header on a machine with a UEFI of so many bits, or without.
pub(crate) fn header(m: &mut Meaning, file: &[u8], uefi: N) -> Option<()> {
    let n = |at, len| number(file, at, len);
    let limit = file.len().min(0x8000) as N;
    let sum = |at| (0..4).map(|i| n(at + 4 * i, 4)).sum::<N>() % (1 << 32);
    let is_header = |&at: &N| n(at, 8) == 0xe852_50d6 && sum(at) == 0;
    m.header = (0..limit.saturating_sub(15)).step_by(8).find(is_header)?;
    let (mut at, end) = (m.header + 16, m.header + n(m.header + 8, 4));
    only_if(end >= at + 8 && end <= limit)?;
    while [n(at, 2), n(at + 4, 4)] != [0, 8] || at + 8 > end {
        let (kind, optional, size) = (n(at, 2), n(at + 2, 2) & 1 == 1, n(at + 4, 4));
        let slot = kind.min(11) as usize;
        let least = [8, 8, 24, 12, 12, 20, 8, 8, 12, 12, 24, 8][slot];
        only_if(kind != 0 && (kind <= 10 || optional) && size >= least && at + size <= end)?;
        let fields = [0, 4, 8, 12].map(|i| n(at + 8 + i, 4));
        only_if(kind != 1 || optional || (2..size / 4).all(|i| n(at + 4 * i, 4) <= 21))?;
        m.console |= if kind == 4 { fields[0] ^ 2 } else { 0 };
        m.smbios |= kind == 1 && (2..size / 4).any(|i| n(at + 4 * i, 4) == 13);
        m.tags[slot] = Some(fields);
        at += size.next_multiple_of(8);
    }
    let efi_entry = [(32, 8), (64, 9)]
        .into_iter()
        .find(|(bits, _)| *bits == uefi);
    let services = m.tags[7].and(efi_entry).and_then(|(_, tag)| m.tags[tag]);
    m.keeps_services = services.is_some();
    m.entry = services.or(m.tags[3]).map(|fields| fields[0]);
    only_if(m.tags[10].is_none_or(|[_, _, align, _]| align.max(1).is_power_of_two()))
}

/// Reads the address tag of a flat file of so many bytes.
pub(crate) fn flat(m: &mut Meaning, size: N) -> Option<()> {
    let [header, load, load_end, bss_end] = m.tags[2]?;
    let load = Some(load).filter(|&load| load != 0xffff_ffff);
    let load = load.or(header.checked_sub(m.header))?;
    let offset = m.header.checked_sub(header.checked_sub(load)?)?;
    let file_end = load + size.saturating_sub(offset);
    let end = if load_end == 0 { file_end } else { load_end };
    only_if(end <= file_end && (load < end || load_end == 0))?;
    let last = if bss_end == 0 { end } else { bss_end };
    only_if(end <= last && load < last && last <= 1 << 32)?;
    m.parts.push([load, last - load, offset, end - load]);
    Some(())
}

/// Reads the headers of an ELF file.
pub(crate) fn elf(m: &mut Meaning, file: &[u8]) -> Option<()> {
    let n = |at, len| number(file, at, len);
    let wide = usize::from(n(4, 1) == 2);
    only_if(n(0, 4) == 0x464c_457f && n(20, 4) == 1 && [2, 3].contains(&n(16, 2)))?;
    only_if([n(4, 2), n(18, 2)] == [[0x101, 3], [0x102, 62]][wide])?;
    // The number at one of two offsets, in 32-bit and 64-bit files.
    let (word, phleast, shleast) = [(4, 32, 40), (8, 56, 64)][wide];
    let get = |at, field: [N; 2], len| n(at + field[wide], len);
    let inside = |at: N, len: N| at + len <= file.len() as N;
    let fits = |at, count, size, least| count == 0 || size >= least && inside(at, count * size);
    let [entry, phoff, shoff] = [[24, 24], [28, 32], [32, 40]].map(|f| get(0, f, word));
    let [phsize, phnum, shsize] = [[42, 54], [44, 56], [46, 58]].map(|f| get(0, f, 2));
    let [shnum, names] = [[48, 60], [50, 62]].map(|f| get(0, f, 2));
    // Section header 0 has the numbers that are too large for their fields.
    let zero = shoff != 0 && shsize >= shleast && inside(shoff, shleast);
    let or = |n, mark, other| if n == mark && zero { other } else { n };
    let [info, link] = [[28, 44], [24, 40]].map(|f| get(shoff, f, 4));
    let many = Some(get(shoff, [20, 32], word)).filter(|&n| n >= 0xff00);
    only_if(phnum != 0xffff || zero && info >= 0xffff)?;
    let (phnum, names) = (or(phnum, 0xffff, info), or(names, 0xffff, link));
    let shnum = or(shnum, 0, many.unwrap_or(0)) * shoff.min(1);
    only_if(fits(phoff, phnum, phsize, phleast) && fits(shoff, shnum, shsize, shleast))?;
    m.programs = [phoff, phnum, phsize];
    m.table = [shoff, shnum, shsize, names];
    let loaded = (0..phnum).map(|i| phoff + i * phsize);
    for at in loaded.filter(|&at| n(at, 4) == 1) {
        let [offset, virt, phys] = [[4, 8], [8, 16], [12, 24]].map(|f| get(at, f, word));
        let [len, size] = [[16, 32], [20, 40]].map(|f| get(at, f, word));
        only_if(len <= size && (len == 0 || inside(offset, len)))?;
        let apart = |p: &[N; 4]| p[0] >= phys + size || p[0] + p[1] <= phys;
        if size > 0 {
            only_if(phys + size <= 1 << 32 && m.parts.iter().all(apart))?;
            m.parts.push([phys, size, offset, len]);
        }
        let hit = entry.checked_sub(virt).filter(|&hit| hit < size);
        m.entry = m.entry.or(hit.map(|hit| hit + phys));
    }
    for (i, at) in (0..shnum).map(|i| (i, shoff + i * shsize)) {
        let [addr, offset, len] = [[12, 16], [16, 24], [20, 32]].map(|f| get(at, f, word));
        if addr == 0 && len != 0 && ![0, 8].contains(&n(at + 4, 4)) {
            let align = get(at, [32, 48], word).max(1);
            only_if(inside(offset, len) && align.is_power_of_two() && align < 1 << 32)?;
            m.sections.push([i, offset, len, align]);
        }
    }
    Some(())
}

/// Reads a file; `None` for one that has to be refused. Memory is free without boot services
/// and beside them: first byte and end, the best first, low memory from 0x1000 on.
pub(crate) fn read(file: &[u8], uefi: N, free: &[Vec<[N; 2]>; 2]) -> Option<Meaning> {
    let mut m = Meaning::default();
    header(&mut m, file, uefi)?;
    match m.tags[2] {
        Some(_) => flat(&mut m, file.len() as N)?,
        None => elf(&mut m, file)?,
    }
    let text = uefi == 0 && m.console & 2 == 0;
    only_if(text || m.tags[5].is_some() || m.console & 1 == 0)?;
    let holds = |e: &N| m.parts.iter().any(|p| p[0] <= *e && *e < p[0] + p[1]);
    m.entry.filter(holds)?;
    let first = m.parts.iter().map(|p| p[0]).min()?;
    let end = m.parts.iter().map(|p| p[0] + p[1]).max()?;
    m.place = [first, end, first];
    let all = &free[usize::from(m.keeps_services)];
    let is_free = |p: &[N; 4]| all.iter().any(|f| f[0] <= p[0] && p[0] + p[1] <= f[1]);
    let Some([min, max, align, preference]) = m.tags[10] else {
        return m.parts.iter().all(is_free).then_some(m);
    };
    // The hand-over that ends boot services needs the first page of low memory.
    let spared = 0x2000 * N::from(uefi != 0 && !m.keeps_services);
    let (high, align) = (preference == 2, align.max(1));
    let place = |f: &[N; 2]| {
        let lowest = f[0].max(min).max(spared).next_multiple_of(align);
        let highest = f[1].min(max).checked_sub(end - first)? / align * align;
        (lowest <= highest).then_some(if high { highest } else { lowest })
    };
    let mut places = [&free[1], all].map(|free| free.iter().filter_map(place));
    let mut best = places
        .iter_mut()
        .filter_map(if high { Iterator::max } else { Iterator::next });
    m.place[2] = best.next()?;
    Some(m)
}
