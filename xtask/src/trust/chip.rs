// SPDX-License-Identifier: GPL-3.0-or-later
//! A TPM for one machine: swtpm, and what it was told to measure.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cmd::{output, system};

/// What a bank of SHA-256 is extended with.
pub(super) type Sum = [u8; 32];

/// The emulator. It ends with the machine, and else with this value.
pub(super) struct Chip(TempDir);

impl Chip {
    /// Starts it with a state that nobody has used.
    ///
    /// # Errors
    ///
    /// If swtpm does not start.
    pub(super) fn start() -> Result<Self> {
        let chip = Self(tempfile::Builder::new().prefix("mb2-tpm").tempdir()?);
        let mut swtpm = system("swtpm");
        // As a daemon, so that it has returned when the socket is there.
        swtpm.args(["socket", "--tpm2", "--daemon", "--terminate"]);
        for (option, value) in [
            ("--tpmstate", format!("dir={}", chip.path(""))),
            (
                "--ctrl",
                format!("type=unixio,path={}", chip.path("socket")),
            ),
            ("--log", format!("file={},level=20", chip.path("log"))),
        ] {
            swtpm.arg(option).arg(value);
        }
        output(&mut swtpm)?;
        Ok(chip)
    }

    /// What QEMU has to be told.
    pub(super) fn options(&self) -> Vec<String> {
        let socket = format!("socket,id=chip,path={}", self.path("socket"));
        let rest = [
            "-tpmdev",
            "emulator,id=tpm,chardev=chip",
            "-device",
            "tpm-crb,tpmdev=tpm",
        ];
        let mut options = vec!["-chardev".to_owned(), socket];
        options.extend(rest.map(str::to_owned));
        options
    }

    /// Returns what was added to a register since the machine was switched on.
    ///
    /// # Errors
    ///
    /// If the log does not look as expected.
    pub(super) fn added_to(&self, register: u32) -> Result<Vec<Sum>> {
        let log = fs::read_to_string(self.path("log"))?;
        let mut sums = Vec::new();
        for command in commands(&log) {
            if let Some((to, sum)) = extend(&command).context("an odd command in swtpm's log")?
                && to == register
            {
                sums.push(sum);
            }
        }
        Ok(sums)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

impl Drop for Chip {
    /// Ends it where no machine has done that; otherwise nobody answers.
    fn drop(&mut self) {
        const SHUTDOWN: [u8; 4] = [0, 0, 0, 3];
        if let Ok(mut control) = UnixStream::connect(self.path("socket")) {
            let _ = control.write_all(&SHUTDOWN);
        }
    }
}

/// Returns the commands in a log, each as its bytes.
fn commands(log: &str) -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    for part in log.split("SWTPM_IO_Read: ").skip(1) {
        let lines = part.lines().skip(1);
        let words = lines.map(|line| {
            let words = line.split_ascii_whitespace();
            words.map(|word| u8::from_str_radix(word, 16)).collect()
        });
        // What follows the bytes is no line of numbers.
        let bytes = words.map_while(|line: Result<Vec<u8>, _>| line.ok());
        commands.push(bytes.flatten().collect());
    }
    commands
}

/// Reads a command: the register that it adds to, and what; nothing within if it does something
/// else, and nothing at all if it cannot be read (TPM 2.0, part 3: `TPM2_PCR_Extend`).
fn extend(command: &[u8]) -> Option<Option<(u32, Sum)>> {
    const EXTEND: u32 = 0x182;
    const SHA256: u16 = 0xb;
    let mut rest = command;
    let (_tag, _size) = (word(&mut rest)?, long(&mut rest)?);
    if long(&mut rest)? != EXTEND {
        return Some(None);
    }
    let (register, authorization) = (long(&mut rest)?, long(&mut rest)?);
    rest = rest.get(authorization as usize..)?;
    for _ in 0..long(&mut rest)? {
        let kind = word(&mut rest)?;
        if kind == SHA256 {
            let sum = rest.first_chunk::<32>()?;
            return Some(Some((register, *sum)));
        }
        let len = match kind {
            0x4 => 20,
            0xc => 48,
            0xd => 64,
            _ => return None,
        };
        rest = rest.get(len..)?;
    }
    None
}

fn word(from: &mut &[u8]) -> Option<u16> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u16::from_be_bytes(*bytes))
}

fn long(from: &mut &[u8]) -> Option<u32> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(u32::from_be_bytes(*bytes))
}

/// Returns the value of a register that was zero before these were added.
pub(super) fn value(added: &[Sum]) -> Sum {
    added.iter().fold([0; 32], |value, sum| {
        Sha256::new()
            .chain_update(value)
            .chain_update(sum)
            .finalize()
            .into()
    })
}

/// Returns numbers as TPM tools print them.
pub(super) fn shown(sum: &Sum) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_extends_a_register_is_taken() {
        let log = " Ctrl Rsp: length 4\n 00 00 00 00 \n SWTPM_IO_Read: length 12\n \
            80 01 00 00 00 0C 00 00 01 44 00 00 \n SWTPM_IO_Write: length 10\n \
            80 01 00 00 00 0A 00 00 00 00 \n SWTPM_IO_Read: length 65\n \
            80 02 00 00 00 41 00 00 01 82 00 00 00 08 00 00 \n \
            00 09 40 00 00 09 00 00 00 00 00 00 00 00 01 00 \n \
            0B 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 \n \
            01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 \n 02 \n \
            Ctrl Cmd: length 4\n 00 00 00 03 \n";
        let found: Vec<_> = commands(log).iter().map(|one| extend(one)).collect();
        let mut sum = [1; 32];
        sum[31] = 2;
        assert_eq!(found, [Some(None), Some(Some((8, sum)))]);
        let mut short = commands(log).pop().unwrap();
        short.pop();
        assert_eq!(extend(&short), None);
    }

    #[test]
    fn a_register_starts_at_zero_and_takes_one_after_the_other() {
        assert_eq!(value(&[]), [0; 32]);
        assert_ne!(value(&[[1; 32], [2; 32]]), value(&[[2; 32], [1; 32]]));
        let once = shown(&value(&[[0; 32]]));
        assert_eq!(
            once,
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"
        );
    }
}
