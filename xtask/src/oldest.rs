// SPDX-License-Identifier: GPL-3.0-or-later
//! The oldest Rust that this repository promises to compile with: `rust-version` in Cargo.toml.

use anyhow::{Context, Result};

use crate::cmd::{forget_outer_cargo, output, run};
use crate::job::{Job, Passed};
use crate::{root, toolchain, ui};
use std::process::Command;

/// As "1.95".
const PROMISED: &str = env!("CARGO_PKG_RUST_VERSION");

/// Returns the minor version, 95 of "1.95".
pub(crate) fn minor() -> Result<u32> {
    let minor = PROMISED
        .split('.')
        .nth(1)
        .context("rust-version has two numbers")?;
    Ok(minor.parse()?)
}

/// The test with that version: nothing more to do when cargo is of it. Otherwise rustup gets it.
/// Without rustup there is no such test.
pub(crate) fn job() -> Option<Job> {
    let ours = output(toolchain::host_cargo().arg("--version")).ok()?;
    let this_one = ours.starts_with(&format!("cargo {PROMISED}."));
    if !this_one && output(Command::new("rustup").arg("--version")).is_err() {
        ui::note(&format!(
            "without rustup, Rust {PROMISED} is not tested: {}",
            ours.trim()
        ));
        return None;
    }
    let name = format!("Rust {PROMISED}, the oldest");
    Some(Job::new(&name, None, move || match this_one {
        true => Ok(Passed::with("is what all of this run was built with")),
        false => check(),
    }))
}

/// Compiles everything for the host, tests included, with that version.
fn check() -> Result<Passed> {
    let version = format!("{PROMISED}.0");
    let log = root().join("target/xtask/log/oldest.log");
    let rustup = || {
        let mut rustup = Command::new("rustup");
        forget_outer_cargo(&mut rustup);
        rustup
    };
    let step = ui::step(format!("compiling with Rust {version}"));
    let mut install = rustup();
    install.args(["toolchain", "install", &version, "--profile", "minimal"]);
    if output(rustup().args(["run", &version, "cargo", "--version"])).is_err() {
        run(&mut install, &log)?;
    }
    let mut cargo = rustup();
    cargo
        .args([
            "run",
            &version,
            "cargo",
            "check",
            "--workspace",
            "--all-targets",
            "--locked",
        ])
        .args(["--target-dir", "target/oldest"])
        .current_dir(root());
    run(&mut cargo, &log)?;
    step.done();
    Ok(Passed::with("compiles for the host"))
}

#[cfg(test)]
mod tests {
    use super::PROMISED;
    use crate::root;
    use std::fs;

    #[test]
    fn documents_and_the_fuzz_targets_name_the_same_version() {
        for (file, text) in [
            ("README.md", format!("{PROMISED} or\nlater")),
            (
                "docs/grub-builders.md",
                format!("Rust compiler of {PROMISED} or later"),
            ),
            ("CONTRIBUTING.md", format!("Rust {PROMISED}")),
            ("fuzz/Cargo.toml", format!("rust-version = \"{PROMISED}\"")),
        ] {
            let found = fs::read_to_string(root().join(file)).unwrap();
            assert!(found.contains(&text), "{file} lacks {text:?}");
        }
    }
}
