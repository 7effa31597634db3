// SPDX-License-Identifier: GPL-3.0-or-later
//! Sessions: many commands in one run of GRUB, each with what GRUB has to say
//! to it, and a good kernel that boots at the end.

use super::rounds::Rounds;
use super::{Expectation, Variant};
use crate::error::Result;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

/// Something that GRUB has to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// An error line with this in it. There may be no other error line.
    Error(&'static str),
    /// This text.
    Text(&'static str),
}

/// Commands, and what GRUB has to print in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Unique in its session.
    pub name: String,
    /// All of it.
    pub says: Vec<Says>,
}

/// Printed in front of each step.
const MARKER: &str = "mb2t step ";

/// The answer to `boot` and to `module2` without a kernel.
pub(super) const NO_KERNEL: Says = Says::Error("you need to load the kernel first");

/// Printed when a command fails, in front of its status.
pub(super) const REFUSED: Says = Says::Text("mb2t refused ");

/// Printed when a command succeeds.
pub(super) const ACCEPTED: Says = Says::Text("mb2t accepted");

impl Step {
    /// What is wrong with a transcript, as far as this step can tell.
    fn check(&self, transcript: &str) -> Vec<String> {
        let marker = format!("{MARKER}{}\n", self.name);
        let clean = transcript.replace('\r', "");
        let part = clean.split_once(&marker).map_or("", |(_, rest)| {
            rest.split(MARKER).next().unwrap_or_default()
        });
        // GRUB's terminal breaks long lines at a space.
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut wrong = Vec::new();
        let mut at = 0;
        for says in &self.says {
            let found = match says {
                Says::Text(text) => find(&part, at, text),
                Says::Error(text) => find(&part, at, ERROR).and_then(|line| {
                    let end = find(&part, line, ERROR).unwrap_or(part.len());
                    find(&part, line, text).filter(|found| *found <= end)
                }),
            };
            match found {
                Some(end) => at = end,
                None => wrong.push(format!("{}: no {says:?} in its place", self.name)),
            }
        }
        let wanted = self.says.iter().filter(|s| matches!(s, Says::Error(_)));
        let (wanted, printed) = (wanted.count(), part.matches(ERROR).count());
        if wanted != printed {
            let name = &self.name;
            wrong.push(format!("{name}: {printed} error lines instead of {wanted}"));
        }
        wrong
    }
}

/// How GRUB begins the line of an error.
const ERROR: &str = "error: ";

/// Where `text` ends, if it begins at `from` or behind.
fn find(part: &str, from: usize, text: &str) -> Option<usize> {
    Some(from + part[from..].find(text)? + text.len())
}

/// What is wrong with the transcript of a session.
pub(super) fn check(transcript: &str, steps: &[Step]) -> Vec<String> {
    let lists = steps.iter().map(|step| step.check(transcript));
    lists.flatten().collect()
}

/// A session that is put together.
pub(super) struct Session {
    variant: Variant,
    script: Vec<String>,
    steps: Vec<Step>,
    rounds: Vec<Rounds>,
}

impl Session {
    /// Starts with nothing but the good kernel `/kernel`, which boots at the
    /// end.
    pub(super) fn new(name: &str, payload: &Payload) -> Result<Self> {
        Ok(Self::of(Variant::of(
            name,
            &KernelSpec::bare(Class::Elf64),
            payload,
        )?))
    }

    /// The same with a variant that boots at the end.
    pub(super) fn of(variant: Variant) -> Self {
        Self {
            variant,
            script: vec!["insmod /mb2probe.mod".to_owned()],
            steps: Vec::new(),
            rounds: Vec::new(),
        }
    }

    /// Takes the first lines of the script that boots at the end.
    pub(super) fn begins(mut self, lines: usize) -> Self {
        self.script.extend(self.variant.script.drain(..lines));
        self
    }

    /// Adds a file.
    pub(super) fn file(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.variant.files.push((name.to_owned(), bytes));
        self
    }

    /// Adds commands without a step of their own.
    pub(super) fn commands(mut self, lines: &[&str]) -> Self {
        self.script
            .extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }

    /// Adds a step.
    pub(super) fn step(mut self, name: &str, lines: &[&str], says: &[Says]) -> Self {
        self.script.push(format!("echo '{MARKER}{name}'"));
        self.steps.push(Step {
            name: name.to_owned(),
            says: says.to_vec(),
        });
        self.commands(lines)
    }

    /// Adds a step of one command that fails with this error, and with a
    /// status that says so.
    pub(super) fn fails(self, name: &str, command: &str, error: &'static str) -> Self {
        let line = tried(command);
        self.step(name, &[&line], &[Says::Error(error), REFUSED])
    }

    /// Adds a step of one command that succeeds.
    pub(super) fn works(self, name: &str, command: &str) -> Self {
        let line = tried(command);
        self.step(name, &[&line], &[ACCEPTED])
    }

    /// Adds an image that is refused and leaves nothing to boot.
    pub(super) fn refuses(self, file: &str, error: &'static str, bytes: Vec<u8>) -> Self {
        let line = tried(&format!("multiboot2 /{file}"));
        self.file(file, bytes).step(
            file,
            &[&line, "boot"],
            &[Says::Error(error), REFUSED, NO_KERNEL],
        )
    }

    /// Adds commands that are repeated and must not cost more memory than
    /// `rounds` says.
    pub(super) fn rounds(mut self, rounds: Rounds, lines: &[&str]) -> Self {
        let step = format!("rounds {}", rounds.name);
        self.script.push(format!("echo '{MARKER}{step}'"));
        self.script.extend(rounds.script(lines));
        self.rounds.push(rounds);
        self
    }

    /// Counts memory before all that is added from here on.
    pub(super) fn counts(mut self, rounds: Rounds) -> Self {
        self.script.push(rounds.count("first"));
        self.rounds.push(rounds);
        self
    }

    /// Counts memory again for the rounds that were added last.
    pub(super) fn counts_again(mut self) -> Self {
        let line = self.rounds.last().map(|rounds| rounds.count("again"));
        self.script.extend(line);
        self
    }

    /// The finished session.
    pub(super) fn finish(mut self) -> Variant {
        self.script.push(format!("echo '{MARKER}good'"));
        self.script.append(&mut self.variant.script);
        Variant {
            script: self.script,
            expectation: Expectation::Session {
                steps: self.steps,
                rounds: self.rounds,
            },
            ..self.variant
        }
    }
}

/// A command whose status is told.
pub(super) fn tried(command: &str) -> String {
    format!("if {command}; then echo mb2t accepted; else echo \"mb2t refused $?\"; fi")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> [Step; 2] {
        ["a", "b"].map(|name| Step {
            name: name.to_owned(),
            says: vec![Says::Error("bad thing"), REFUSED, NO_KERNEL],
        })
    }

    const GOOD: &str = "mb2t step a\r\nerror: /a: bad\nthing.\nmb2t refused 22\n\
        error: you need to load the kernel first.\n\
        mb2t step b\nerror: bad thing.\nmb2t refused 3\n\
        error: you need to load the kernel first.\nmb2t step good\nerror: later.\n";

    #[test]
    fn each_step_needs_all_that_it_says_in_order() {
        assert_eq!(check(GOOD, &steps()), Vec::<String>::new());
        for part in ["bad thing", "mb2t refused 3", "need to load", "mb2t step b"] {
            let less = match GOOD.rfind(part) {
                Some(at) => [&GOOD[..at], &GOOD[at + part.len()..]].concat(),
                None => String::new(),
            };
            assert!(!check(&less, &steps()).is_empty(), "{part}");
        }
        let swapped = "mb2t step a\nmb2t refused 1\nerror: bad thing.\n\
            error: you need to load the kernel first.\n";
        assert_eq!(
            check(swapped, &steps()[..1]),
            ["a: no Text(\"mb2t refused \") in its place"]
        );
    }

    #[test]
    fn a_second_error_line_is_too_many() {
        let twice = GOOD.replace("mb2t refused 3", "error: and more.\nmb2t refused 3");
        let found = check(&twice, &steps());
        assert_eq!(found, ["b: 3 error lines instead of 2"]);
        // The text must stand in its own line.
        let other = GOOD.replace("error: bad thing", "error: other.\nbad thing");
        assert!(check(&other, &steps()).is_empty());
        let later = GOOD.replacen("bad\nthing.", "other.", 1);
        assert!(!check(&later, &steps()).is_empty());
    }
}
