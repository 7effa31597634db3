// SPDX-License-Identifier: GPL-3.0-or-later
//! One kernel under two loaders on a machine that exists only in numbers: what
//! may differ, and why.
//!
//! GRUB's C loader is the reference as long as a file is as it should be. Where
//! a file is odd, [`oddities`] finds out what is odd about it, from the file
//! alone and without any code of either loader, and each [`Oddity`] says what
//! the two loaders may do about it. [`judge`] accepts nothing else.

mod compare;
mod elf;
mod flat;
mod header;
mod oddity;
mod place;
mod sections;
#[cfg(test)]
mod tests;

pub use oddity::{Change, Oddity};
pub use place::Terrain;

use crate::bytes::{u16_at, u32_at, u64_at};
use std::collections::BTreeSet;

/// Firmware, as far as loaders depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A PC BIOS.
    Bios,
    /// 32-bit UEFI.
    Efi32,
    /// 64-bit UEFI.
    Efi64,
}

/// Memory that a kernel finds when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Physical address.
    pub target: u64,
    /// It lay there already while the loader ran.
    pub in_place: bool,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// The start of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Entry, EAX, EBX, ECX, EDX, ESI and, without boot services, EDI, EBP,
    /// ESP; in 64 bits with them.
    pub registers: Vec<u64>,
    /// In the order of their addresses.
    pub chunks: Vec<Chunk>,
    /// What verifiers, console and screen saw until then.
    pub events: Vec<String>,
}

/// How a loader dealt with a kernel.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The kernel was started.
    Started(Start),
    /// A command failed with this text.
    Refused(String),
    /// The loader crashed, hung, or used GRUB as it must not.
    Broke(String),
}

/// Everything that both loaders got.
pub struct Case<'a> {
    /// The kernel.
    pub file: &'a [u8],
    /// The file system tells the kernel's size.
    pub sized: bool,
    /// Modules that were loaded.
    pub modules: &'a [&'a [u8]],
    /// The machine.
    pub terrain: &'a Terrain,
}

/// What is the same, or why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both started the kernel with the same memory.
    Same,
    /// Both started it, and what differs does so for these reasons.
    Deviates(BTreeSet<Oddity>),
    /// Neither started it.
    NeitherStarts,
    /// Only the reference started it; the other one refuses such files.
    Stricter(Oddity),
    /// The reference cannot load such files.
    ReferenceFails(Oddity),
}

/// Finds everything that is odd about a kernel, and what it consists of.
#[must_use]
pub fn oddities(case: &Case<'_>) -> BTreeSet<Oddity> {
    Kernel::read(case).odd
}

/// Holds the two outcomes against each other.
///
/// # Errors
///
/// A text for what nothing explains.
pub fn judge(case: &Case<'_>, stock: &Outcome, ours: &Outcome) -> Result<Verdict, String> {
    let kernel = Kernel::read(case);
    let odd = &kernel.odd;
    if let Outcome::Started(_) = ours
        && let Some(fatal) = odd.iter().find(|odd| odd.is_fatal())
    {
        return Err(format!("our loader starts it in spite of {fatal:?}"));
    }
    match (stock, ours) {
        (_, Outcome::Broke(how)) => Err(format!("our loader: {how}")),
        (Outcome::Started(stock), Outcome::Started(ours)) => {
            place::check(case, &kernel, ours)?;
            compare::compare(case, &kernel, stock, ours)?;
            let changing: BTreeSet<_> = odd
                .iter()
                .filter(|o| !o.changes().is_empty())
                .copied()
                .collect();
            Ok(match changing.is_empty() {
                true => Verdict::Same,
                false => Verdict::Deviates(changing),
            })
        }
        (Outcome::Started(_), Outcome::Refused(text)) => {
            let reason = first(odd, text, Oddity::refusals);
            let none = || format!("only our loader refuses: {text}; {odd:?}");
            reason.map(Verdict::Stricter).ok_or_else(none)
        }
        (Outcome::Refused(how) | Outcome::Broke(how), Outcome::Started(ours)) => {
            place::check(case, &kernel, ours)?;
            let reason = first(odd, how, Oddity::failures);
            let none = || format!("only the reference fails: {how}; {odd:?}");
            reason.map(Verdict::ReferenceFails).ok_or_else(none)
        }
        _ => Ok(Verdict::NeitherStarts),
    }
}

/// The first oddity that knows a part of this text.
fn first(
    odd: &BTreeSet<Oddity>,
    text: &str,
    parts: fn(Oddity) -> &'static [&'static str],
) -> Option<Oddity> {
    let knows = |odd: &&Oddity| parts(**odd).iter().any(|part| text.contains(part));
    odd.iter().find(knows).copied()
}

/// Numbers from files, in more bits than any of them has.
type N = u128;

/// A loaded part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// Physical address as linked.
    at: N,
    /// Bytes in memory.
    size: N,
}

/// A section that has to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loose {
    index: usize,
    offset: usize,
    size: usize,
}

/// What a file means, as far as it can be made out.
#[derive(Debug, Default)]
struct Kernel {
    odd: BTreeSet<Oddity>,
    /// Where the header is, and its tags by type: the first four fields.
    header: N,
    tags: [Option<[N; 4]>; 11],
    /// Boot services stay alive.
    keeps_services: bool,
    /// The entry that a tag names, if one counts.
    entry_tag: Option<[N; 4]>,
    parts: Vec<Part>,
    /// What the image's first byte is linked to, in our eyes and in C's.
    link_base: N,
    stock_link_base: N,
    loose: Vec<Loose>,
    /// Bytes of a section header.
    stride: usize,
    /// 64-bit structures.
    wide: bool,
}

impl Kernel {
    fn read(case: &Case<'_>) -> Self {
        let mut kernel = Self::default();
        header::read(&mut kernel, case);
        match kernel.tags[2] {
            Some(address) => flat::read(&mut kernel, case, address),
            None => elf::read(&mut kernel, case),
        }
        place::read(&mut kernel, case);
        kernel
    }

    fn note(&mut self, oddity: Oddity, when: bool) {
        if when {
            self.odd.insert(oddity);
        }
    }

    /// The image may be moved.
    fn moves(&self) -> bool {
        self.tags[10].is_some()
    }

    fn allows(&self, change: Change) -> bool {
        self.odd.iter().any(|odd| odd.changes().contains(&change))
    }
}

/// A number of 1 to 8 bytes; 0 outside the file.
fn number(file: &[u8], at: N, width: N) -> N {
    let Ok(at) = usize::try_from(at) else {
        return 0;
    };
    match width {
        2 => u16_at(file, at).map(N::from),
        4 => u32_at(file, at).map(N::from),
        _ => u64_at(file, at).map(N::from),
    }
    .unwrap_or(0)
}
