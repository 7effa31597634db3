// SPDX-License-Identifier: GPL-3.0-or-later
//! The memory map of the machine that an image is checked for.

use mb2::params::Firmware;
use mb2::platform::MemoryMap;
use serde::Serialize;

/// GRUB's types of memory (GRUB, include/grub/memory.h).
const AVAILABLE: u32 = 1;
const RESERVED: u32 = 2;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What a range of memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Free to use.
    Available,
    /// In nobody's use, but not to be touched.
    Reserved,
    /// ACPI tables.
    Acpi,
    /// ACPI's own storage.
    Nvs,
    /// Broken.
    Bad,
    /// In use by UEFI until boot services end.
    BootServices,
    /// A type that GRUB knows by its number only.
    Other(u32),
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// What it is.
    pub sort: Sort,
}

/// All memory of a machine, in the order of the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map(Vec<Range>);

impl Sort {
    /// The type that GRUB gives it, once boot services have ended or beside them.
    fn number(self, services_stay: bool) -> u32 {
        match self {
            Self::Available => AVAILABLE,
            Self::BootServices if !services_stay => AVAILABLE,
            Self::BootServices | Self::Reserved => RESERVED,
            Self::Acpi => 3,
            Self::Nvs => 4,
            Self::Bad => 5,
            Self::Other(number) => number,
        }
    }

    /// Reads a word of a map.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches(':').trim().to_lowercase();
        if let Some(number) = text.strip_prefix("type").map(|rest| rest.replace('=', " ")) {
            return Some(match number_of(number.trim())?.try_into().ok()? {
                1 => Self::Available,
                2 => Self::Reserved,
                3 => Self::Acpi,
                4 => Self::Nvs,
                5 => Self::Bad,
                other => Self::Other(other),
            });
        }
        // The more special words first: "ACPI non-volatile storage RAM".
        let words: [(&[&str], Self); 6] = [
            (&["nvs", "non-volatile"], Self::Nvs),
            (&["acpi"], Self::Acpi),
            (&["boot services", "boot-services"], Self::BootServices),
            (&["bad", "faulty", "unusable"], Self::Bad),
            (
                &["reserved", "runtime", "mmio", "firmware", "coreboot"],
                Self::Reserved,
            ),
            (
                &["available", "usable", "free", "system ram", "conventional"],
                Self::Available,
            ),
        ];
        let has = |list: &[&str]| list.iter().any(|word| text.contains(word));
        words
            .iter()
            .find(|(list, _)| has(list))
            .map(|(_, sort)| *sort)
    }
}

impl Map {
    /// A machine with `bytes` of memory, as firmware usually arranges it.
    #[must_use]
    pub fn of(bytes: u64, firmware: Firmware) -> Self {
        let below = bytes.clamp(MIB, 3 * GIB);
        let above = bytes.saturating_sub(below);
        let mut map = Vec::new();
        let mut add = |start, end, sort| {
            if start < end {
                map.push(Range { start, end, sort });
            }
        };
        if firmware == Firmware::Bios {
            add(0, 639 * KIB, Sort::Available);
            add(639 * KIB, 640 * KIB, Sort::Reserved);
            add(960 * KIB, MIB, Sort::Reserved);
            add(MIB, below, Sort::Available);
        } else {
            // UEFI lives at the top of the memory below 4 GiB.
            let runtime = below.saturating_sub(4 * MIB).max(MIB);
            let services = below.saturating_sub(32 * MIB).max(MIB);
            add(0, 640 * KIB, Sort::Available);
            add(MIB, services, Sort::Available);
            add(services, runtime, Sort::BootServices);
            add(runtime, below, Sort::Nvs);
        }
        add(4 * GIB - 256 * KIB, 4 * GIB, Sort::Reserved);
        add(4 * GIB, 4 * GIB + above, Sort::Available);
        Self(map)
    }

    /// A map of these ranges.
    #[must_use]
    pub fn new(mut ranges: Vec<Range>) -> Self {
        ranges.sort_by_key(|range| range.start);
        Self(ranges)
    }

    /// Reads a map: the lines of GRUB's `lsmmap`, those that Linux prints of the BIOS's
    /// map or has in `/proc/iomem`, or `START-END WHAT`, the last byte inside.
    ///
    /// # Errors
    ///
    /// Which line is none of this, in one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for (number, line) in text.lines().enumerate() {
            // An indented line of /proc/iomem is a part of the one above.
            let inner = line.starts_with(' ') && line.contains(" : ");
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() || inner {
                continue;
            }
            let range = range(line);
            let range = range.ok_or_else(|| format!("line {}: not a range: {line}", number + 1))?;
            ranges.push(range);
        }
        if ranges.is_empty() {
            return Err("no range of memory in it".to_owned());
        }
        Ok(Self::new(ranges))
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// The map as GRUB hands it to the loader (Multiboot2, 3.6.8).
    #[must_use]
    pub fn bytes(&self, which: MemoryMap) -> Vec<u8> {
        let stay = which == MemoryMap::BesideServices;
        let mut bytes = Vec::new();
        for range in &self.0 {
            bytes.extend(range.start.to_le_bytes());
            bytes.extend((range.end - range.start).to_le_bytes());
            bytes.extend(range.sort.number(stay).to_le_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    /// Kibibytes of available memory that start at 0, up to 1 MiB, and at 1 MiB.
    #[must_use]
    pub fn sizes(&self) -> [u32; 2] {
        let from = |start: u64| {
            let mut end = start;
            for range in &self.0 {
                if range.sort.number(false) == AVAILABLE && range.start <= end {
                    end = end.max(range.end);
                }
            }
            end - start
        };
        [from(0).min(MIB), from(MIB)].map(|len| u32::try_from(len / KIB).unwrap_or(u32::MAX))
    }
}

/// A number in any of the usual ways to write it.
fn number_of(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// An address; without `0x` it has hexadecimal digits, too, as in `/proc/iomem`.
fn address(text: &str) -> Option<u64> {
    let text = text.trim();
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// A line of a map.
fn range(line: &str) -> Option<Range> {
    if let Some(rest) = line.strip_prefix("base_addr") {
        let mut parts = rest.splitn(3, ',');
        let value = |part: &str| address(part.split('=').nth(1)?);
        let start = value(parts.next()?)?;
        let len = value(parts.next()?)?;
        return valid(start, start.checked_add(len)?, parts.next()?);
    }
    let line = line.split("[mem ").nth(1).unwrap_or(line);
    let (start, rest) = line.split_once('-')?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
    let (last, what) = rest.split_at(end.unwrap_or(rest.len()));
    let what = what.trim_start_matches(']');
    valid(address(start)?, address(last)?.checked_add(1)?, what)
}

fn valid(start: u64, end: u64, what: &str) -> Option<Range> {
    let sort = Sort::parse(what)?;
    (start < end).then_some(Range { start, end, sort })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_range_is_read() {
        let text = "\
# a remark
0x0-0x9fbff available
BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003ffdffff] usable
base_addr = 0x3ffe0000, length = 0x20000, ACPI non-volatile storage RAM
base_addr = 0x40000000, length = 0x1000, type = 0x14
50000000-50000fff : System RAM
  50000000-500000ff : Kernel code
0x60000000-0x60000fff boot services  # UEFI
";
        let map = Map::parse(text).unwrap();
        let found: Vec<_> = map
            .ranges()
            .iter()
            .map(|r| (r.start, r.end, r.sort))
            .collect();
        let expected = [
            (0, 0x9_fc00, Sort::Available),
            (0x9_fc00, 0xa_0000, Sort::Reserved),
            (0x10_0000, 0x3ffe_0000, Sort::Available),
            (0x3ffe_0000, 0x4000_0000, Sort::Nvs),
            (0x4000_0000, 0x4000_1000, Sort::Other(0x14)),
            (0x5000_0000, 0x5000_1000, Sort::Available),
            (0x6000_0000, 0x6000_1000, Sort::BootServices),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, error) in [
            ("0-fff usable\nnonsense", "line 2: not a range: nonsense"),
            ("0x10-0xf usable", "line 1: not a range: 0x10-0xf usable"),
            ("0-fff what", "line 1: not a range: 0-fff what"),
            ("# nothing\n", "no range of memory in it"),
        ] {
            assert_eq!(Map::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn models_have_the_memory_that_was_asked_for() {
        for firmware in [Firmware::Bios, Firmware::Efi32, Firmware::Efi64] {
            for size in [2 * MIB, 64 * MIB, 2 * GIB, 8 * GIB] {
                let map = Map::of(size, firmware);
                let pairs = map.ranges().windows(2);
                assert!(pairs.clone().all(|p| p[0].end <= p[1].start), "{map:?}");
                let highest = map.ranges().iter().filter(|r| r.sort != Sort::Reserved);
                let end = highest.map(|r| r.end).max().unwrap();
                assert_eq!(end, if size > 3 * GIB { size + GIB } else { size });
            }
        }
        assert_eq!(Map::of(2 * GIB, Firmware::Bios).sizes(), [639, 2047 * 1024]);
    }
}
