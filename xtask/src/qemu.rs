// SPDX-License-Identifier: GPL-3.0-or-later
//! Starts virtual machines and reads their serial port.
//!
//! A machine ends by itself (the guest wrote to the debug-exit port), because the reader has
//! seen enough, or because its time is up. Time is only a safety net: no verdict rests on it.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cmd::{shown, system};
use crate::firmware::{self, Firmware};
use crate::platform::Platform;
use crate::root;

/// A machine that has not started yet.
pub(crate) struct Machine {
    /// UEFI; without one it has a BIOS.
    pub(crate) firmware: Option<Firmware>,
    /// In MiB.
    pub(crate) memory: u32,
    /// What it boots from, if that is no firmware of its own.
    pub(crate) iso: Option<PathBuf>,
    /// More options for QEMU. Without any about a network there is none.
    pub(crate) extra: Vec<String>,
    /// Ends the machine when this shows on the serial port, even in a line that is not finished.
    pub(crate) stop_at: Option<&'static str>,
    /// Whether everything the guest prints also goes to our standard output.
    pub(crate) echo: bool,
}

/// What the reader of the serial port wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on.
    Continue,
    /// Enough was seen.
    Stop,
}

/// Why a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code. The debug-exit port turns v into (v << 1) | 1.
    Exit(i32),
    /// The reader had seen enough.
    Stopped,
    /// Its time was up.
    TimedOut,
}

/// A machine that has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Why.
    pub(crate) end: End,
    /// All it printed, without terminal control sequences.
    pub(crate) transcript: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Machine {
    /// A quiet machine with nothing more than it needs.
    pub(crate) fn new(platform: Platform, memory: u32, iso: PathBuf) -> Self {
        Self {
            firmware: firmware::usual(platform),
            memory,
            iso: Some(iso),
            extra: Vec::new(),
            stop_at: None,
            echo: false,
        }
    }

    /// The same with a folder as its only disk.
    pub(crate) fn of_folder(platform: Platform, memory: u32, disk: &Path) -> Self {
        let drive = format!("format=raw,file=fat:rw:{}", disk.display());
        Self {
            iso: None,
            extra: vec!["-drive".to_owned(), drive],
            ..Self::new(platform, memory, PathBuf::new())
        }
    }

    /// Runs the machine; `on_line` sees every line that the guest prints.
    ///
    /// # Errors
    ///
    /// If QEMU or the firmware is missing or does not start.
    pub(crate) fn run(
        &self,
        limit: Duration,
        mut on_line: impl FnMut(&str) -> Next,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let scratch = Scratch::new()?;
        let mut command = self.command(&scratch.0)?;
        let errors = scratch.0.join("errors");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors)?);
        let mut child = command
            .spawn()
            .with_context(|| {
                format!(
                    "missing qemu: apt-get install qemu-system-x86 ({})",
                    shown(&command)
                )
            })
            .map(Running)?;
        let output = child.0.stdout.take().context("QEMU's output was piped")?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || forward(output, &sender));

        let mut text = Cleaner::default();
        let mut seen = 0;
        let end = loop {
            let left = limit.saturating_sub(started.elapsed());
            match receiver.recv_timeout(left) {
                Ok(bytes) => {
                    let from = text.clean.len();
                    text.add(&bytes);
                    if self.echo {
                        let mut out = std::io::stdout().lock();
                        out.write_all(&text.clean.as_bytes()[from..])?;
                        out.flush()?;
                    }
                    let mut next = Next::Continue;
                    while let Some(len) = text.clean[seen..].find('\n') {
                        let line = text.clean[seen..seen + len].trim_end_matches('\r');
                        seen += len + 1;
                        if on_line(line) == Next::Stop {
                            next = Next::Stop;
                            break;
                        }
                    }
                    let unfinished = &text.clean[seen..];
                    if self.stop_at.is_some_and(|stop| unfinished.contains(stop)) {
                        on_line(unfinished);
                        next = Next::Stop;
                    }
                    if next == Next::Stop {
                        break End::Stopped;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break End::TimedOut,
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.0.wait()?;
                    match status.code() {
                        Some(code) => break End::Exit(code),
                        None => bail!("QEMU was killed ({status})"),
                    }
                }
            }
        };
        drop(child);
        let complaint = fs::read_to_string(&errors).unwrap_or_default();
        if let (End::Exit(1), true) = (end, text.clean.is_empty()) {
            bail!("QEMU did not start: {}", complaint.trim());
        }
        Ok(Outcome {
            end,
            transcript: text.clean,
            took: started.elapsed(),
        })
    }

    fn command(&self, scratch: &Path) -> Result<Command> {
        // The machine dies with us, however we die.
        let mut command = system("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg"]);
        command.args([
            "-m",
            &self.memory.to_string(),
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.args(["-serial", "stdio", "-monitor", "none"]);
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        if let Some(iso) = &self.iso {
            command.arg("-cdrom").arg(iso);
        }
        if !self
            .extra
            .iter()
            .any(|word| word.starts_with("-net") || word.starts_with("-nic"))
        {
            command.args(["-nic", "none"]);
        }
        if let Some(firmware) = &self.firmware {
            if firmware.needs_smm {
                command.args(["-machine", "q35,smm=on"]);
                command.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
            } else {
                command.args(["-machine", "q35"]);
            }
            flash(&mut command, firmware, scratch)?;
        }
        command.args(&self.extra);
        Ok(command)
    }
}

/// Adds UEFI firmware: code that stays as it is and a copy of the variables for this run.
fn flash(command: &mut Command, firmware: &Firmware, scratch: &Path) -> Result<()> {
    let copy = scratch.join("variables.fd");
    let from = &firmware.variables;
    fs::copy(from, &copy)
        .with_context(|| format!("missing {}: apt-get install ovmf ovmf-ia32", from.display()))?;
    for (file, access) in [(&firmware.code, ",readonly=on"), (&copy, "")] {
        command.arg("-drive");
        command.arg(format!(
            "if=pflash,format=raw,file={}{access}",
            file.display()
        ));
    }
    Ok(())
}

/// A process that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for one run.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = root().join(format!("target/xtask/qemu/{}-{number}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sends everything that can be read until the end or until nobody listens.
fn forward(mut from: impl Read, to: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to.send(buffer[..len].to_vec()).is_err() {
            return;
        }
    }
}

/// Takes terminal control sequences out of a stream: firmware and GRUB clear the screen and move
/// the cursor, which would ruin a developer's terminal and hide text from a search.
#[derive(Default)]
struct Cleaner {
    clean: String,
    state: Escape,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Started,
    Inside,
}

impl Cleaner {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = match (self.state, byte) {
                (Escape::Outside, 0x1b) => Escape::Started,
                (Escape::Outside, b'\n' | b'\t' | b'\r' | 0x20..0x7f) => {
                    self.clean.push(char::from(*byte));
                    Escape::Outside
                }
                (Escape::Started, b'[') => Escape::Inside,
                (Escape::Inside, b'0'..=b'?' | b' '..=b'/') => Escape::Inside,
                // Everything else is the last byte of a sequence or nothing that can be shown.
                _ => Escape::Outside,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_taken_out_even_when_split() {
        let mut cleaner = Cleaner::default();
        cleaner.add(b"\x1b[2J\x1b[01;0");
        cleaner.add(b"1HWelcome\x00 to \x1b[37mGRUB\r\n\x1bc!");
        assert_eq!(cleaner.clean, "Welcome to GRUB\r\n!");
    }
}
