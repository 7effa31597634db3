// SPDX-License-Identifier: GPL-3.0-or-later
//! Several commands after one another on one machine.

use super::machine::Plan;
use super::{Judge, stored};
use crate::common::{Stored, images};
use arbitrary::{Arbitrary, Unstructured};

/// Bytes behind a kernel file that say what is done with it.
pub(crate) const SCRIPT_LEN: usize = 48;

/// A machine and the commands that it is given; no command stands for loading
/// the file and starting it.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Script {
    pub(crate) plan: Plan,
    pub(crate) steps: Vec<Step>,
}

/// A command, and which of its calls fails.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) command: Command,
    pub(crate) fail: Option<u8>,
}

/// A command.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Command {
    /// Loads the file.
    Load(Reading),
    /// Loads a kernel that every machine of ordinary size takes.
    Good,
    /// Loads the start of the file as a module, this many bytes of it.
    Module(u16, Reading),
    /// Starts what is loaded.
    Boot,
}

/// How a file is stored and named.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The file system does not know its size.
    pub(crate) unsized_file: bool,
    /// Reading ends so many bytes before the file does.
    pub(crate) cut: Option<u16>,
    /// Which of the lines behind the name, and which options before it.
    pub(crate) line: u8,
}

/// What stands behind a file's name.
const LINES: [&[&str]; 4] = [
    &[],
    &["quiet"],
    &["a b", "c'd", "\\"],
    &["", "--nounzip", "x=\"y\""],
];

/// What may stand before the name of a kernel.
const OPTIONS: [&str; 2] = ["--no-elf-relocs", "--modules-after-kernel"];

impl Reading {
    fn file(self, bytes: &[u8]) -> Stored {
        let cut = self.cut.map_or(0, usize::from);
        Stored {
            sized: !self.unsized_file,
            readable: bytes.len().saturating_sub(cut),
            ..stored(bytes)
        }
    }

    /// Options of `multiboot2`.
    fn options(self) -> Vec<&'static str> {
        let options = OPTIONS.iter().enumerate();
        let given = options.filter(|(bit, _)| self.line >> (bit + 2) & 1 != 0);
        given.map(|(_, option)| *option).collect()
    }

    fn words(self) -> &'static [&'static str] {
        LINES[usize::from(self.line) % LINES.len()]
    }
}

impl Script {
    /// Loads and starts on this machine.
    pub(crate) fn of(plan: Plan) -> Self {
        Self {
            plan,
            steps: Vec::new(),
        }
    }

    /// Separates the script from the file before it; too few bytes are a file
    /// without one.
    pub(crate) fn split(bytes: &[u8]) -> (&[u8], Self) {
        let (file, script) = match bytes.split_last_chunk::<SCRIPT_LEN>() {
            Some((file, script)) => (file, &script[..]),
            None => (bytes, &[0; SCRIPT_LEN][..]),
        };
        let script = Self::arbitrary(&mut Unstructured::new(script));
        (file, script.expect("enough bytes"))
    }

    /// Does it all; tells whether the file was loaded.
    pub(crate) fn run(&self, file: &[u8]) -> bool {
        let mut judge = Judge::new(self.plan.make());
        let good = images::good_for(&judge.fake);
        let load = Command::Load(Reading {
            unsized_file: false,
            cut: None,
            line: 0,
        });
        let usual = [load, Command::Boot].map(|command| Step {
            command,
            fail: None,
        });
        let steps = match self.steps.is_empty() {
            true => &usual[..],
            false => &self.steps[..self.steps.len().min(12)],
        };
        let mut loaded = false;
        for step in steps {
            judge.fail(step.fail.map(usize::from));
            match step.command {
                Command::Load(how) => {
                    let options = how.options();
                    loaded |= judge.load(&how.file(file), &options, how.words());
                }
                Command::Good => _ = judge.multiboot2(&stored(&good), &[]),
                Command::Module(len, how) => {
                    let module = how.file(&file[..file.len().min(len.into())]);
                    let mut words = vec!["/module"];
                    words.extend(how.words());
                    if how.line & 4 != 0 {
                        words.insert(0, "--nounzip");
                    }
                    judge.module2(&module, &words);
                }
                // Nobody comes back from a good start.
                Command::Boot => {
                    if judge.boot() {
                        break;
                    }
                }
            }
        }
        judge.end(&good);
        loaded
    }
}
