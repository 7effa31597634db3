// SPDX-License-Identifier: GPL-3.0-or-later
//! Gates over instructions: what the processor may not yet, or not any more, be asked to do.

use super::Subject;

/// Largest stack frame, in bytes: everything shares 60 KiB on i386-pc.
const FRAME_LIMIT: u64 = 1024;

/// What may stand in front of a mnemonic.
const PREFIXES: &[&str] = &[
    "lock", "rep", "repz", "repnz", "data16", "addr32", "cs", "ds", "es", "fs", "gs", "ss", "bnd",
    "notrack",
];

/// One instruction of a listing.
struct Instruction<'a> {
    function: &'a str,
    /// Prefixes, mnemonic and operands.
    text: &'a str,
}

impl<'a> Instruction<'a> {
    /// Prefixes and mnemonic: the words before the operands.
    fn words(&self) -> impl Iterator<Item = &'a str> {
        let mut more = true;
        self.text.split_whitespace().take_while(move |word| {
            let this = more;
            more = PREFIXES.contains(word) || word.starts_with("rex");
            this
        })
    }

    /// The text without the name of the place that a jump goes to.
    fn operands(&self) -> &'a str {
        self.text.split('<').next().unwrap_or_default()
    }

    fn complaint(&self, what: &str) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{what} in {}: {text}", self.function)
    }
}

fn instructions(listing: &str) -> Vec<Instruction<'_>> {
    let mut function = "?";
    let mut found = Vec::new();
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|l| l.split_once(" <")) {
            function = name;
        } else if let Some((address, text)) = line.split_once('\t')
            && address.trim_end().ends_with(':')
        {
            found.push(Instruction { function, text });
        }
    }
    found
}

/// No instruction touches registers that GRUB and the firmware do not save.
pub(crate) fn no_vector_or_float(subject: &Subject<'_>) -> Vec<String> {
    let bad = |i: &Instruction<'_>| {
        let registers = ["%xmm", "%ymm", "%zmm", "%mm", "%st"];
        let mnemonics = [
            "emms",
            "ldmxcsr",
            "stmxcsr",
            "vzeroupper",
            "vzeroall",
            "wait",
        ];
        registers
            .iter()
            .any(|register| i.operands().contains(register))
            || i.words().any(|word| word.starts_with('f') && word != "fs")
            || i.words().any(|word| mnemonics.contains(&word))
    };
    let listing = instructions(&subject.listing);
    listing
        .iter()
        .filter(|i| bad(i))
        .map(|i| i.complaint("vector or x87 instruction"))
        .collect()
}

/// No instruction raises an exception on purpose: compilers end with one what cannot go on.
pub(crate) fn no_trap(subject: &Subject<'_>) -> Vec<String> {
    let trap = |i: &&Instruction<'_>| {
        let mut words = i.words();
        words.any(|word| word.starts_with("ud") || ["int", "int3", "into", "icebp"].contains(&word))
    };
    let listing = instructions(&subject.listing);
    listing
        .iter()
        .filter(trap)
        .map(|i| i.complaint("trap"))
        .collect()
}

/// On 32 bit, nothing that the 80386 lacks: atomics turn into such instructions unnoticed.
pub(crate) fn no_later_instruction(subject: &Subject<'_>) -> Vec<String> {
    if subject.is_64() {
        return Vec::new();
    }
    let bad = |i: &Instruction<'_>| {
        i.words().any(|word| {
            matches!(word, "lock" | "bswap" | "cpuid" | "rdtsc")
                || word.starts_with("xadd")
                || word.starts_with("cmpxchg")
                || word.starts_with("cmov")
        })
    };
    let listing = instructions(&subject.listing);
    listing
        .iter()
        .filter(|i| bad(i))
        .map(|i| i.complaint("instruction later than i386"))
        .collect()
}

/// Every stack frame has a size that is known and small.
pub(crate) fn small_frames(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for instruction in instructions(&subject.listing) {
        match frame(&instruction) {
            Some(Some(size)) if size >= FRAME_LIMIT => {
                found.push(instruction.complaint(&format!("stack frame of {size} bytes")));
            }
            Some(None) => found.push(instruction.complaint("stack frame of unknown size")),
            _ => {}
        }
    }
    found
}

/// Returns by how much an instruction grows the stack, `Some(None)` if only the machine knows.
fn frame(instruction: &Instruction<'_>) -> Option<Option<u64>> {
    let mut words = instruction.text.split_whitespace();
    let mnemonic = words.next()?;
    let operands = words.next()?;
    let source = operands
        .strip_suffix(",%esp")
        .or_else(|| operands.strip_suffix(",%rsp"))?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    match mnemonic {
        "sub" | "subl" | "subq" => Some(source.strip_prefix('$').and_then(number)),
        "lea" => {
            let (offset, _) = source.strip_prefix('-')?.split_once('(')?;
            Some(number(offset))
        }
        _ => None,
    }
}
