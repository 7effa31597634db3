// SPDX-License-Identifier: GPL-3.0-or-later
//! Licences, sources and known faults of the crates that are used, with cargo-deny.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cmd::{output, run};
use crate::job::Passed;
use crate::lint::WORKSPACES;
use crate::{cache, root, toolchain, ui};

/// The version that is compiled into the cache, which takes 160 s of processor time.
const VERSION: &str = "0.20.2";

/// Checks all crates of all workspaces against deny.toml.
///
/// # Errors
///
/// What cargo-deny finds, or if it cannot be installed.
pub(crate) fn check() -> Result<Passed> {
    let program = program()?;
    let step = ui::step("licences and sources of crates");
    check_for(&program, &["licenses", "bans", "sources"], &[])?;
    step.done();
    let fetched = output(Command::new(&program).args(["fetch", "db"])).is_ok();
    if !fetched && !has_database() {
        return Ok(Passed::with(
            "licences and sources; no database of advisories here",
        ));
    }
    let offline: &[&str] = if fetched { &[] } else { &["--offline"] };
    check_for(&program, &["advisories"], offline)?;
    Ok(Passed::with("licences, sources, advisories"))
}

/// Returns cargo-deny; compiles it when the cache has none.
fn program() -> Result<PathBuf> {
    let folder = cache::folder()?.join(format!("cargo-deny-{VERSION}"));
    cache::ensure(&folder, |part| {
        let step = ui::step(format!("compiling cargo-deny {VERSION}"));
        let target = part.join("target");
        let mut cargo = toolchain::host_cargo();
        cargo.args([
            "install",
            "--locked",
            "--no-track",
            "cargo-deny",
            "--version",
            VERSION,
        ]);
        cargo
            .arg("--root")
            .arg(part)
            .arg("--target-dir")
            .arg(&target);
        run(&mut cargo, &root().join("target/xtask/log/cargo-deny.log"))?;
        step.done();
        Ok(fs::remove_dir_all(target)?)
    })?;
    Ok(folder.join("bin/cargo-deny"))
}

fn check_for(program: &Path, what: &[&str], options: &[&str]) -> Result<()> {
    for workspace in WORKSPACES {
        let mut deny = Command::new(program);
        deny.args(["--config", "deny.toml", "--workspace", "--locked"])
            .args(["--log-level", "error", "--manifest-path", workspace])
            .args(options)
            .arg("check")
            .args(what)
            .current_dir(root());
        run(&mut deny, &root().join("target/xtask/log/deny.log"))?;
    }
    Ok(())
}

/// Whether an earlier run has left a database of advisories.
fn has_database() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folder = home.and_then(|home| fs::read_dir(home.join("advisory-dbs")).ok());
    folder.is_some_and(|mut all| all.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir())))
}
