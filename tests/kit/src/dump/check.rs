// SPDX-License-Identifier: GPL-3.0-or-later
//! One dump against what its image, its modules and its machine promise.

use super::{Available, Dump, Entry, kind, smbios};
use crate::bytes::{fnv1a64, u32_at};
use crate::error::Result;
use crate::kernel::Expected;

/// A module that should arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedModule {
    /// Length after unpacking.
    pub len: u32,
    /// Checksum after unpacking.
    pub fnv: u64,
    /// Command line as GRUB quotes it.
    pub cmdline: String,
}

/// Everything that can be said in advance about a boot.
#[derive(Clone, Debug)]
pub struct Promise<'a> {
    /// The image.
    pub image: &'a Expected,
    /// State in which this platform enters it.
    pub entry: Entry,
    /// Command line of the kernel.
    pub cmdline: &'a str,
    /// Modules in order.
    pub modules: &'a [ExpectedModule],
    /// Whether gaps between segments must be zero.
    pub zeroed_gaps: bool,
    /// Whether pages that modules end in must be zero behind them.
    pub zeroed_tails: bool,
    /// Whether modules have to lie behind the image, 1 MiB away.
    pub modules_behind: bool,
}

/// Lists what the dump shows and the promise excludes; nothing means good.
///
/// # Errors
///
/// [`crate::Error::Mbi`] if the boot information cannot be walked.
pub fn check(dump: &Dump, promise: &Promise<'_>) -> Result<Vec<String>> {
    let mut findings = Findings(Vec::new());
    findings.image(dump, promise);
    findings.strings(dump, promise)?;
    findings.smbios(dump)?;
    findings.modules(dump, promise);
    findings.sections(dump, promise);
    findings.places(dump, promise)?;
    Ok(findings.0)
}

/// Value of the load base tag.
pub(super) fn load_base(dump: &Dump) -> Result<Option<u32>> {
    let tags = dump.tags()?;
    let tag = tags.iter().find(|tag| tag.kind == kind::LOAD_BASE);
    Ok(tag.and_then(|tag| tag.u32(8)))
}

struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, good: bool, text: impl FnOnce() -> String) {
        if !good {
            self.0.push(text());
        }
    }

    fn image(&mut self, dump: &Dump, promise: &Promise<'_>) {
        let image = promise.image;
        self.expect(dump.entry == promise.entry, || {
            format!("entered as {:?}, not {:?}", dump.entry, promise.entry)
        });
        let kept = dump.entry != Entry::Plain32;
        self.expect(dump.boot_services_alive == kept, || {
            "boot services were not called".to_owned()
        });
        let blob = match dump.entry {
            Entry::Efi64 => &image.blob64,
            Entry::Plain32 | Entry::Efi32 => &image.blob32,
        };
        self.expect(dump.image.link == image.link_base + blob.offset, || {
            "the wrong blob runs".to_owned()
        });
        self.expect(dump.image.fnv == blob.fnv, || {
            "the kernel's own bytes are wrong".to_owned()
        });
        self.expect(dump.ranges.len() == blob.ranges.len(), || {
            "wrong number of ranges".to_owned()
        });
        for (index, (range, (fnv, gap))) in dump.ranges.iter().zip(&blob.ranges).enumerate() {
            self.expect(range.fnv == *fnv, || format!("range {index} is wrong"));
            let must_be_zero = !gap || promise.zeroed_gaps;
            self.expect(range.dirty == 0 || !must_be_zero, || {
                format!("range {index} is not zero at {:#x}", range.dirty)
            });
        }
    }

    fn strings(&mut self, dump: &Dump, promise: &Promise<'_>) -> Result {
        let tags = dump.tags()?;
        let line = tags.iter().find(|tag| tag.kind == kind::CMDLINE);
        let found = line.map(|tag| &tag.bytes[8..]);
        let wanted = [promise.cmdline.as_bytes(), b"\0"].concat();
        self.expect(found == Some(&wanted[..]), || {
            format!("command line is {:?}", found.map(String::from_utf8_lossy))
        });
        let modules: Vec<_> = tags.iter().filter(|t| t.kind == kind::MODULE).collect();
        for (index, (tag, module)) in modules.iter().zip(promise.modules).enumerate() {
            let wanted = [module.cmdline.as_bytes(), b"\0"].concat();
            self.expect(tag.bytes.get(16..) == Some(&wanted[..]), || {
                format!("command line of module {index} is wrong")
            });
        }
        self.expect(modules.len() == promise.modules.len(), || {
            format!("{} module tags", modules.len())
        });
        Ok(())
    }

    fn smbios(&mut self, dump: &Dump) -> Result {
        for tag in dump.tags()?.iter().filter(|tag| tag.kind == kind::SMBIOS) {
            if let Err(text) = smbios::check(tag) {
                self.expect(false, || format!("SMBIOS: {text}"));
            }
        }
        Ok(())
    }

    fn modules(&mut self, dump: &Dump, promise: &Promise<'_>) {
        for (index, (found, wanted)) in dump.modules.iter().zip(promise.modules).enumerate() {
            self.expect(found.end.wrapping_sub(found.start) == wanted.len, || {
                format!(
                    "module {index} has {} bytes",
                    found.end.wrapping_sub(found.start)
                )
            });
            self.expect(found.fnv == wanted.fnv, || {
                format!("module {index} has wrong bytes")
            });
            let zero = fnv1a64(&vec![0; found.tail_len as usize]);
            self.expect(found.tail == zero || !promise.zeroed_tails, || {
                format!("module {index} ends in a page that is not zero")
            });
        }
    }

    fn sections(&mut self, dump: &Dump, promise: &Promise<'_>) {
        for (index, fnv) in &promise.image.loose_sections {
            let found = dump.sections.iter().find(|s| s.index == *index);
            self.expect(found.is_some_and(|section| section.fnv == *fnv), || {
                format!("section {index} is missing or wrong")
            });
        }
    }

    /// Where things lie: inside available memory, aligned, apart.
    fn places(&mut self, dump: &Dump, promise: &Promise<'_>) -> Result {
        let expected = promise.image;
        let base = load_base(dump)?;
        let blob_offset = dump.image.link.wrapping_sub(expected.link_base);
        let actual = dump.image.base.wrapping_sub(blob_offset);
        self.expect(base == Some(actual), || {
            format!("load base tag says {base:x?}, the image is at {actual:#x}")
        });
        match expected.relocatable {
            None => self.expect(actual == expected.link_base, || {
                format!("fixed image lies at {actual:#x}")
            }),
            Some(window) => {
                let end = u64::from(actual) + u64::from(expected.span);
                let aligned = actual.is_multiple_of(window.align.max(1));
                self.expect(aligned, || format!("load base {actual:#x} is not aligned"));
                let inside = actual >= window.min && end <= window.max.into();
                self.expect(inside, || {
                    format!("image {actual:#x}..{end:#x} is outside its window")
                });
            }
        }
        self.expect(dump.mbi_address.is_multiple_of(8), || {
            "boot information is not aligned".to_owned()
        });

        let mut used = image_parts(dump, expected, actual);
        let mbi_len = dump.mbi.len() as u64;
        used.push((
            "boot information".to_owned(),
            dump.mbi_address.into(),
            mbi_len,
        ));
        for (index, module) in dump.modules.iter().enumerate() {
            self.expect(module.start % 0x1000 == 0, || {
                format!("module {index} is not page-aligned")
            });
            let len = module.end.wrapping_sub(module.start);
            let from = u64::from(actual) + u64::from(expected.span) + 0x10_0000;
            let near = promise.modules_behind && len > 0 && u64::from(module.start) < from;
            self.expect(!near, || {
                format!(
                    "module {index} at {:#x} is not behind {from:#x}",
                    module.start
                )
            });
            used.push((format!("module {index}"), module.start.into(), len.into()));
        }
        let table = section_alignments(dump)?;
        for (index, _) in &expected.loose_sections {
            let Some(found) = dump.sections.iter().find(|s| s.index == *index) else {
                continue;
            };
            let align = table.get(*index as usize).copied().unwrap_or(1).max(1);
            self.expect(u64::from(found.addr) % align == 0, || {
                format!("section {index} is not aligned")
            });
            let name = format!("section {index}");
            used.push((name, found.addr.into(), found.size.into()));
        }
        used.retain(|(_, _, len)| *len != 0);
        used.sort_by_key(|(_, start, _)| *start);
        for pair in used.windows(2) {
            self.expect(pair[0].1 + pair[0].2 <= pair[1].1, || {
                format!("{} and {} overlap", pair[0].0, pair[1].0)
            });
        }
        if let Some(memory) = Available::of(dump)? {
            for (name, start, len) in &used {
                self.expect(memory.contains(*start, *len), || {
                    format!("{name} at {start:#x} is not in available memory")
                });
            }
        }
        Ok(())
    }
}

/// What the image occupies: all of its span if it moves as a whole, else its
/// segments.
fn image_parts(dump: &Dump, expected: &Expected, base: u32) -> Vec<(String, u64, u64)> {
    if expected.relocatable.is_some() {
        return vec![("image".to_owned(), base.into(), expected.span.into())];
    }
    let blob = (dump.image.base, dump.image.mem_len);
    let ranges = dump.ranges.iter().filter(|range| !range.gap);
    core::iter::once(blob)
        .chain(ranges.map(|range| (range.at, range.mem_len)))
        .map(|(start, len)| {
            (
                format!("image part at {start:#x}"),
                start.into(),
                len.into(),
            )
        })
        .collect()
}

/// `sh_addralign` of every section header in tag 9.
fn section_alignments(dump: &Dump) -> Result<Vec<u64>> {
    let tags = dump.tags()?;
    let Some(tag) = tags.iter().find(|tag| tag.kind == kind::SECTIONS) else {
        return Ok(Vec::new());
    };
    let count = tag.u32(8).unwrap_or(0) as usize;
    let stride = tag.u32(12).unwrap_or(0) as usize;
    Ok((0..count)
        .map(|index| {
            let at = 20 + index * stride;
            match stride {
                ..64 => u32_at(tag.bytes, at + 32).map(u64::from),
                _ => tag.u64(at + 48),
            }
            .unwrap_or(0)
        })
        .collect())
}
