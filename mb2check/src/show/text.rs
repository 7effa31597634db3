// SPDX-License-Identifier: GPL-3.0-or-later
//! A report as text. Colours are written always; the stream takes them out where they do
//! not belong.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};

use super::regions::{Class, regions};
use super::size;
use crate::report::{self, Note, Report};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const HEAD: Style = Style::new().bold();

/// Most warnings, sections and tags that are listed.
const MOST: usize = 40;

/// Writes a report.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &Report, out: &mut dyn Write) -> Result<()> {
    let firmware = report.machine.firmware;
    match &report.refusal {
        None => writeln!(
            out,
            "{HEAD}{}{HEAD:#}: {GOOD}taken{GOOD:#} ({firmware})",
            report.file
        )?,
        Some(refusal) => self::refusal(report, refusal, out)?,
    }
    for note in &report.near_misses {
        self::note("near miss", note, out)?;
    }
    for note in report.warnings.iter().take(MOST) {
        self::note("warning", note, out)?;
    }
    more(report.warnings.len(), out)?;
    let packed = report
        .packing
        .map(|packing| format!(", unpacked by {}", packing.name()));
    writeln!(
        out,
        "\nfile         {}{}",
        size(report.size as u64),
        packed.unwrap_or_default()
    )?;
    if let Some(header) = &report.header {
        self::header(header, out)?;
    }
    if let Some(image) = &report.image {
        self::image(image, out)?;
    }
    if let Some(placement) = &report.placement {
        self::placement(placement, out)?;
        picture(report, out)?;
    }
    if let Some(information) = &report.information {
        self::information(information, out)?;
    }
    Ok(())
}

fn refusal(report: &Report, refusal: &report::Refusal, out: &mut dyn Write) -> Result<()> {
    let (file, firmware) = (&report.file, report.machine.firmware);
    writeln!(
        out,
        "{HEAD}{file}{HEAD:#}: {BAD}refused{BAD:#} by {} ({firmware})",
        refusal.command
    )?;
    writeln!(out, "  {BAD}{}{BAD:#}", refusal.line)?;
    match (refusal.offset, &refusal.expected) {
        (Some(offset), Some(expected)) => writeln!(out, "  at {offset:#x} expected: {expected}"),
        (Some(offset), None) => writeln!(out, "  at {offset:#x}"),
        (None, Some(expected)) => writeln!(out, "  expected {expected}"),
        (None, None) => Ok(()),
    }
}

fn note(kind: &str, note: &Note, out: &mut dyn Write) -> Result<()> {
    let place = note.offset.map(|offset| format!("at {offset:#x}: "));
    writeln!(
        out,
        "  {WARN}{kind}{WARN:#}: {}{}",
        place.unwrap_or_default(),
        note.text
    )
}

fn header(header: &report::Header, out: &mut dyn Write) -> Result<()> {
    let (offset, length, checksum) = (header.offset, header.length, header.checksum);
    writeln!(
        out,
        "{HEAD}header{HEAD:#}       at {offset:#x}, {length} bytes, checksum {checksum:#x}"
    )?;
    for tag in &header.tags {
        let need = if tag.optional { "optional" } else { "required" };
        write!(
            out,
            "  {:#8x}   {:2} {}, {need}",
            tag.offset, tag.kind, tag.name
        )?;
        for field in &tag.fields {
            match &field.meaning {
                Some(meaning) if field.name == "request" => write!(out, ", {meaning}")?,
                Some(meaning) => write!(out, ", {} {:#x} ({meaning})", field.name, field.value)?,
                None => write!(out, ", {} {:#x}", field.name, field.value)?,
            }
        }
        writeln!(out)?;
    }
    if !header.complete {
        writeln!(out, "             the tags end before the end tag")?;
    }
    Ok(())
}

fn image(image: &report::Image, out: &mut dyn Write) -> Result<()> {
    write!(out, "{HEAD}image{HEAD:#}        {}", image.format)?;
    match image.entry {
        Some(entry) => writeln!(out, ", entry {entry:#x} (virtual)")?,
        None => writeln!(out)?,
    }
    if !image.segments.is_empty() {
        let columns = [
            "segment",
            "in the file",
            "bytes",
            "virtual",
            "physical",
            "bytes",
            "lies at",
        ];
        let [a, b, c, d, e, f, g] = columns;
        writeln!(
            out,
            "  {a:>8} {b:>12} {c:>10} {d:>18} {e:>10} {f:>10} {g:>10}"
        )?;
    }
    for segment in &image.segments {
        let lies = segment
            .lies_at
            .map_or_else(|| "-".to_owned(), |at| format!("{at:#x}"));
        writeln!(
            out,
            "  {:8} {:#12x} {:#10x} {:#18x} {:#10x} {:#10x} {lies:>10}",
            segment.index,
            segment.offset,
            segment.file_size,
            segment.vaddr,
            segment.paddr,
            segment.memory_size,
        )?;
    }
    let loaded = image
        .sections
        .iter()
        .filter(|section| section.loaded_at.is_some());
    let count = image.sections.len();
    if count > 0 {
        writeln!(
            out,
            "  {count} sections, of which {} are loaded beside the segments",
            loaded.clone().count()
        )?;
    }
    for section in loaded.clone().take(MOST) {
        let at = section.loaded_at.unwrap_or_default();
        let (index, offset, bytes, name) =
            (section.index, section.offset, section.size, &section.name);
        writeln!(
            out,
            "  {index:8} {offset:#12x} {bytes:#10x} {:>18} {:>21} {at:#10x}",
            "", name
        )?;
    }
    more(loaded.count(), out)
}

fn placement(placement: &report::Placement, out: &mut dyn Write) -> Result<()> {
    let (link, load, entry) = (placement.link_base, placement.load_base, placement.entry);
    let moved = if link == load { "as linked" } else { "moved" };
    writeln!(
        out,
        "{HEAD}placement{HEAD:#}    linked to {link:#x}, lies at {load:#x} ({moved})"
    )?;
    let services = if placement.keeps_services {
        ", boot services alive"
    } else {
        ""
    };
    writeln!(
        out,
        "             entry {entry:#x}, {}{services}",
        placement.entered
    )?;
    if let Some(modes) = &placement.gfxpayload {
        writeln!(out, "             gfxpayload becomes {modes}")?;
    }
    for line in &placement.printed {
        writeln!(out, "             GRUB prints: {line}")?;
    }
    Ok(())
}

/// Draws the address space, the highest address on top.
fn picture(report: &Report, out: &mut dyn Write) -> Result<()> {
    let regions = regions(report);
    writeln!(out, "\n{:>12} ┌{:─<34}┐", format!("{:#x}", 1u64 << 32), "")?;
    for (index, region) in regions.iter().enumerate().rev() {
        let (mark, style) = match region.class {
            Class::Loaded => ('█', GOOD),
            Class::Free => ('░', Style::new()),
            Class::Kept => ('▒', WARN),
            Class::Nothing => (' ', Style::new()),
        };
        let bytes = size(region.end - region.start);
        let what: String = region.what.chars().take(18).collect();
        writeln!(
            out,
            "{:>12} │{style}{mark}{mark}{style:#} {what:<18} {bytes:>11} │",
            ""
        )?;
        let (left, right) = if index == 0 {
            ('└', '┘')
        } else {
            ('├', '┤')
        };
        writeln!(
            out,
            "{:>12} {left}{:─<34}{right}",
            format!("{:#x}", region.start),
            ""
        )?;
    }
    writeln!(out)
}

fn information(information: &report::Information, out: &mut dyn Write) -> Result<()> {
    let (at, bytes) = (information.address, information.size);
    writeln!(
        out,
        "{HEAD}information{HEAD:#}  at {at:#x}, {bytes} bytes; facts of the firmware as on an ordinary PC"
    )?;
    let tags = &information.tags;
    for tag in tags.iter().take(MOST) {
        let text = tag.text.as_deref().unwrap_or_default();
        let line = format!(
            "  {:#8x}   {:2} {:<24} {:6} bytes  {text}",
            tag.offset, tag.kind, tag.name, tag.size
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    more(tags.len(), out)
}

fn more(count: usize, out: &mut dyn Write) -> Result<()> {
    match count.checked_sub(MOST) {
        None | Some(0) => Ok(()),
        Some(rest) => writeln!(out, "             and {rest} more (--json has all)"),
    }
}
