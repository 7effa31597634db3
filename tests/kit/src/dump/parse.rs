// SPDX-License-Identifier: GPL-3.0-or-later
//! From the serial transcript to a [`Dump`].

use super::{Dump, Entry, ImageReport, ModuleReport, RangeReport, SectionReport};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

const PREFIX: &str = "mb2k ";

/// The test kernel takes no longer boot information.
const LONGEST: usize = 1 << 24;

impl Dump {
    /// Reads the last report in a transcript. Other lines, and anything in
    /// front of the kernel's prefix on a line, are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::NoKernel`], [`Error::Incomplete`], [`Error::KernelFailed`],
    /// [`Error::KernelPanicked`] or [`Error::BadLine`], as the transcript goes.
    pub fn parse(transcript: &str) -> Result<Self> {
        let lines: Vec<&str> = transcript
            .lines()
            .filter_map(|line| {
                line.find(PREFIX)
                    .map(|at| line[at + PREFIX.len()..].trim_end())
            })
            .collect();
        let start = lines.iter().rposition(|line| *line == "begin");
        let start = start.ok_or(Error::NoKernel)?;
        let mut report = Report::default();
        let mut ended = false;
        for line in &lines[start + 1..] {
            match *line {
                "end ok" => ended = true,
                "panic" => return Err(Error::KernelPanicked),
                line if line.starts_with("fail ") => {
                    return Err(Error::KernelFailed(line[5..].to_owned()));
                }
                line => report
                    .line(line)
                    .ok_or_else(|| Error::BadLine(line.to_owned()))?,
            }
        }
        let last = lines.last().copied().unwrap_or_default();
        let broken = || Error::Incomplete(last.to_owned());
        if !ended || !report.bss_zero {
            return Err(broken());
        }
        let (mbi_address, mbi_len) = report.mbi_place.ok_or_else(broken)?;
        if report.mbi.len() != mbi_len as usize {
            return Err(broken());
        }
        Ok(Self {
            entry: report.entry.ok_or_else(broken)?,
            registers: report.registers,
            image: report.image.ok_or_else(broken)?,
            ranges: report.ranges,
            boot_services_alive: report.boot_services_alive,
            mbi_address,
            mbi: report.mbi,
            modules: report.modules,
            sections: report.sections,
        })
    }
}

#[derive(Default)]
struct Report {
    entry: Option<Entry>,
    registers: BTreeMap<String, u64>,
    image: Option<ImageReport>,
    ranges: Vec<RangeReport>,
    bss_zero: bool,
    boot_services_alive: bool,
    mbi_place: Option<(u32, u32)>,
    mbi: Vec<u8>,
    modules: Vec<ModuleReport>,
    sections: Vec<SectionReport>,
}

/// `name=value` pairs of one line.
struct Fields<'a>(BTreeMap<&'a str, u64>);

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let pairs = text.split_ascii_whitespace().map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name, u64::from_str_radix(value, 16).ok()?))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    fn u64(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    fn u32(&self, name: &str) -> Option<u32> {
        self.u64(name)?.try_into().ok()
    }
}

impl Report {
    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match (word, rest) {
            ("bss", "zero") => self.bss_zero = true,
            ("bs", "alive") => self.boot_services_alive = true,
            ("entry", rest) => {
                self.entry = Some(match Fields::new(rest)?.u32("kind")? {
                    0 => Entry::Plain32,
                    1 => Entry::Efi32,
                    2 => Entry::Efi64,
                    _ => return None,
                });
            }
            ("reg", rest) => {
                for (name, value) in Fields::new(rest)?.0 {
                    self.registers.insert(name.to_owned(), value);
                }
            }
            ("mbi", rest) if rest.contains('=') => {
                let fields = Fields::new(rest)?;
                match fields.u32("zero") {
                    Some(end) => self.zeroes(end as usize)?,
                    None => self.mbi_place = Some((fields.u32("at")?, fields.u32("len")?)),
                }
            }
            ("mbi", rest) => self.dump_line(rest)?,
            (word, rest) => self.table_line(word, &Fields::new(rest)?)?,
        }
        Some(())
    }

    /// Rows of zeroes up to this offset.
    fn zeroes(&mut self, end: usize) -> Option<()> {
        if end <= self.mbi.len() || end > LONGEST {
            return None;
        }
        self.mbi.resize(end, 0);
        Some(())
    }

    fn dump_line(&mut self, text: &str) -> Option<()> {
        let (offset, bytes) = text.split_once(": ")?;
        if usize::from_str_radix(offset, 16).ok()? != self.mbi.len() || bytes.len() % 2 != 0 {
            return None;
        }
        for pair in bytes.as_bytes().chunks(2) {
            let pair = core::str::from_utf8(pair).ok()?;
            self.mbi.push(u8::from_str_radix(pair, 16).ok()?);
        }
        Some(())
    }

    fn table_line(&mut self, word: &str, fields: &Fields<'_>) -> Option<()> {
        let in_order = |len: usize| fields.u32("index").is_some_and(|i| i as usize == len);
        match word {
            "image" => {
                self.image = Some(ImageReport {
                    base: fields.u32("base")?,
                    link: fields.u32("link")?,
                    file_len: fields.u32("len")?,
                    mem_len: fields.u32("mem")?,
                    fnv: fields.u64("fnv")?,
                    relocs: fields.u32("relocs")?,
                    already: fields.u32("already")?,
                });
            }
            "range" if in_order(self.ranges.len()) => self.ranges.push(RangeReport {
                gap: fields.u32("kind")? == 1,
                at: fields.u32("at")?,
                file_len: fields.u32("len")?,
                mem_len: fields.u32("mem")?,
                fnv: fields.u64("fnv")?,
                dirty: fields.u32("dirty")?,
            }),
            "module" if in_order(self.modules.len()) => self.modules.push(ModuleReport {
                start: fields.u32("start")?,
                end: fields.u32("end")?,
                fnv: fields.u64("fnv")?,
                tail_len: fields.u32("tail_len")?,
                tail: fields.u64("tail")?,
            }),
            "section" => self.sections.push(SectionReport {
                index: fields.u32("index")?,
                flags: fields.u64("flags")?,
                addr: fields.u32("addr")?,
                size: fields.u32("size")?,
                fnv: fields.u64("fnv")?,
            }),
            _ => return None,
        }
        Some(())
    }
}
