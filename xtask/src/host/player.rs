// SPDX-License-Identifier: GPL-3.0-or-later
//! A module as a running program, and what it reports of a job.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use mb2_testkit::bytes::{u32_at, u64_at};
use mb2_testkit::differ::{Chunk, Start};

use super::job::Job;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All steps are done.
    Done,
    /// The kernel runs.
    Started,
    /// The module stopped the processor.
    Halted,
    /// The module used GRUB as it must not.
    Misused,
    /// The module ended GRUB, as a panic does.
    Fatal,
    /// It took too long.
    TimedOut,
    /// The sanitizer or the system ended it.
    Crashed,
}

/// What the module held after a step, and what it had done until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Blocks and bytes of heap.
    pub(crate) blocks: u32,
    pub(crate) bytes: u32,
    /// Most bytes of heap so far.
    pub(crate) peak: u32,
    /// Open files and devices.
    pub(crate) files: u32,
    pub(crate) relocators: u32,
    /// How often the module is pinned.
    pub(crate) references: u32,
    /// Registered commands.
    pub(crate) commands: u32,
    /// Counted calls so far.
    pub(crate) calls: u32,
    /// Errors that took the place of another one that nobody had seen.
    pub(crate) overwritten: u32,
    /// Reads before the end of the read before.
    pub(crate) backward: u32,
    /// Bytes read from files.
    pub(crate) read: u32,
}

impl Count {
    /// Whether nothing is left that GRUB handed out.
    pub(crate) fn is_empty(&self) -> bool {
        [
            self.blocks,
            self.bytes,
            self.files,
            self.relocators,
            self.references,
        ] == [0; 5]
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Did {
    /// What it returned, and GRUB's error behind it.
    pub(crate) result: u32,
    pub(crate) error: u32,
    /// The error's text.
    pub(crate) text: String,
    /// A kernel is loaded.
    pub(crate) loaded: bool,
    pub(crate) count: Count,
}

/// The lowest address at which another start of the same kernel finds other bytes, behind the
/// boot information excepted: its chunk is larger than it.
pub(crate) fn difference(one: &Start, other: &Start) -> Option<u64> {
    if one.registers != other.registers || one.chunks.len() != other.chunks.len() {
        return Some(0);
    }
    let information = one.registers.get(2).copied();
    one.chunks.iter().zip(&other.chunks).find_map(|(a, b)| {
        let mut len = a.bytes.len().max(b.bytes.len());
        if Some(a.target) == information {
            len = usize::try_from(u32_at(&a.bytes, 0)?).ok()?;
        }
        let same = a.target == b.target && a.bytes.get(..len) == b.bytes.get(..len);
        let at = || a.bytes.iter().zip(&b.bytes).position(|(a, b)| a != b);
        (!same).then(|| a.target + at().unwrap_or_default() as u64)
    })
}

/// A whole run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) end: End,
    pub(crate) steps: Vec<Did>,
    /// What security services, console and screen saw.
    pub(crate) events: Vec<String>,
    /// Names of the calls that were made to fail.
    pub(crate) failed: Vec<String>,
    pub(crate) start: Option<Start>,
    /// What was printed, which is the sanitizer's report if there is one.
    pub(crate) errors: String,
}

/// A running program.
pub(crate) struct Player {
    child: Child,
    jobs: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
}

impl Player {
    /// Starts a program; `explain` makes reports of the sanitizer name lines, which takes long.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn new(program: &Path, explain: bool) -> Result<Self> {
        let symbolize = u8::from(explain);
        let mut child = Command::new(program)
            .env(
                "ASAN_OPTIONS",
                format!(
                    "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=4:\
                     detect_stack_use_after_return=1:symbolize={symbolize}"
                ),
            )
            .env("UBSAN_OPTIONS", format!("print_stacktrace={symbolize}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let reports = child.stdout.take().context("a program has an output")?;
        Ok(Self {
            jobs: child.stdin.take(),
            child,
            reports: BufReader::new(reports),
        })
    }

    /// Hands over a job.
    ///
    /// # Errors
    ///
    /// If the program is gone.
    pub(crate) fn send(&mut self, job: &Job) -> Result<()> {
        let bytes = job.encode();
        let jobs = self.jobs.as_mut().context("the program has an input")?;
        jobs.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
        jobs.write_all(&bytes)?;
        jobs.flush()?;
        Ok(())
    }

    /// Waits for the report of the oldest job that has none.
    ///
    /// # Errors
    ///
    /// If the program is gone or the report cannot be read.
    pub(crate) fn receive(&mut self) -> Result<Report> {
        let head = self
            .read(12)
            .context("the program that plays modules is gone")?;
        let [status, report, errors] = [0, 4, 8].map(|at| u32_at(&head, at).unwrap_or(0));
        let report = self.read(report)?;
        let errors = self.read(errors)?;
        Report::read(
            status,
            &report,
            String::from_utf8_lossy(&errors).into_owned(),
        )
    }

    /// Plays one job.
    ///
    /// # Errors
    ///
    /// Those of [`Self::send`] and [`Self::receive`].
    pub(crate) fn play(&mut self, job: &Job) -> Result<Report> {
        self.send(job)?;
        self.receive()
    }

    fn read(&mut self, len: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len)?];
        self.reports.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Without an input it ends.
        self.jobs = None;
        let _ = self.child.wait();
    }
}

/// Signal of the timer that counts a process's time.
const SIGPROF: i32 = 27;

impl Report {
    fn read(status: u32, mut bytes: &[u8], errors: String) -> Result<Self> {
        let mut report = Self {
            end: End::Done,
            steps: Vec::new(),
            events: Vec::new(),
            failed: Vec::new(),
            start: None,
            errors,
        };
        while !bytes.is_empty() {
            let (kind, len) = (u32_at(bytes, 0), u32_at(bytes, 4));
            let (Some(kind), Some(len)) = (kind, len) else {
                bail!("a report ends in the middle");
            };
            let rest = &bytes[8..];
            let len = usize::try_from(len)?;
            ensure!(rest.len() >= len, "a record ends in the middle");
            report.add(kind, &rest[..len])?;
            bytes = &rest[len..];
        }
        if let Some(start) = &mut report.start {
            start.chunks.sort_by_key(|chunk| chunk.target);
        }
        let status = ExitStatus::from_raw(status.cast_signed());
        report.end = match (status.code(), status.signal()) {
            (Some(0), _) if report.start.is_some() => End::Started,
            (Some(0), _) => End::Done,
            (Some(96), _) => End::Fatal,
            (Some(97), _) => End::Halted,
            (Some(98), _) => End::Misused,
            (_, Some(SIGPROF)) => End::TimedOut,
            _ => End::Crashed,
        };
        Ok(report)
    }

    /// Takes a record, as `enum fake_record` numbers them.
    fn add(&mut self, kind: u32, bytes: &[u8]) -> Result<()> {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match kind {
            1 => self.steps.push(Did::read(bytes)?),
            2 => self.events.push(text()),
            3 => {
                let (registers, _) = bytes.as_chunks();
                self.start = Some(Start {
                    registers: registers.iter().map(|r| u64::from_le_bytes(*r)).collect(),
                    chunks: Vec::new(),
                    events: self.events.clone(),
                });
            }
            4 => {
                let start = self.start.as_mut().context("a chunk before the start")?;
                let (Some(target), Some(in_place)) = (u64_at(bytes, 0), u64_at(bytes, 8)) else {
                    bail!("a chunk without a place");
                };
                start.chunks.push(Chunk {
                    target,
                    in_place: in_place != 0,
                    bytes: bytes[16..].to_vec(),
                });
            }
            5 => self.failed.push(text()),
            other => bail!("a record of kind {other}"),
        }
        Ok(())
    }
}

impl Did {
    fn read(bytes: &[u8]) -> Result<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let mut next = || words.next().context("a step's record is too short");
        let [_, result, error, loaded] = [next()?, next()?, next()?, next()?];
        let count = Count {
            blocks: next()?,
            bytes: next()?,
            peak: next()?,
            files: next()?,
            relocators: next()?,
            references: next()?,
            commands: next()?,
            calls: next()?,
            overwritten: next()?,
            backward: next()?,
            read: next()?,
        };
        Ok(Self {
            result,
            error,
            text: String::from_utf8_lossy(&bytes[15 * 4..]).into_owned(),
            loaded: loaded != 0,
            count,
        })
    }
}
