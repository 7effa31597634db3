// SPDX-License-Identifier: GPL-3.0-or-later
//! Running other programs: quietly into a log, or for their output, with errors that say what
//! was run and what it printed last.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many lines of a log are shown when a program fails.
const TAIL: usize = 40;

/// Returns a command whose PATH holds only the distribution's programs.
///
/// Used for everything that must not depend on what else a developer has installed: GRUB's
/// configure, binutils, the compiler of the tree.
pub(crate) fn system(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}

/// Removes from a cargo command whatever an outer cargo or rustup has put into the environment.
pub(crate) fn forget_outer_cargo(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        let outer = matches!(
            name,
            "CARGO"
                | "RUSTC"
                | "RUSTC_WRAPPER"
                | "RUSTC_WORKSPACE_WRAPPER"
                | "RUSTDOC"
                | "RUSTFLAGS"
                | "RUSTUP_TOOLCHAIN"
                | "RUST_RECURSION_COUNT"
                | "LD_LIBRARY_PATH"
                | "RUSTC_BOOTSTRAP"
        ) || name.starts_with("CARGO_TARGET_")
            || name.starts_with("CARGO_BUILD_")
            || name.starts_with("CARGO_ENCODED_")
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_");
        if outer {
            command.env_remove(&key);
        }
    }
}

/// Returns the command as a line that can be read.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Runs a command with its output in `log`.
///
/// # Errors
///
/// If it cannot be started or fails; the text holds the end of the log.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdout(file.try_clone()?)
        .stderr(file)
        .stdin(Stdio::null());
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    bail!(
        "{tail}\n`{}` failed ({status}); all it printed is in {}",
        abridged(command),
        log.display()
    )
}

/// Returns the command's line, shortened if it is very long.
fn abridged(command: &Command) -> String {
    let line = shown(command);
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
///
/// If it cannot be started or fails; the text holds its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null());
    let out = command
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !out.status.success() {
        let errors = String::from_utf8_lossy(&out.stderr);
        bail!(
            "{}\n`{}` failed ({})",
            errors.trim_end(),
            abridged(command),
            out.status
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
