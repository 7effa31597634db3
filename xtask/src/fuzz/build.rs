// SPDX-License-Identifier: GPL-3.0-or-later
//! Builds the targets, once for fuzzing and once for counting lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::folder;
use crate::cmd::{output, run};
use crate::{cache, root, toolchain, ui};

/// Version of cargo-fuzz; another one may want another layout.
const CARGO_FUZZ: &str = "0.13.2";

/// What the targets are built for.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Returns cargo-fuzz; cargo installs it into the cache when it is not there.
fn cargo_fuzz() -> Result<PathBuf> {
    let dir = cache::folder()?
        .join("tools")
        .join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("installing cargo-fuzz {CARGO_FUZZ}"));
        let mut cargo = toolchain::host_cargo();
        cargo.args(["install", "cargo-fuzz", "--locked", "--no-track"]);
        cargo.args(["--version", CARGO_FUZZ, "--root"]).arg(part);
        run(&mut cargo, &folder().join("log/install.log"))?;
        step.done();
        Ok(())
    })?;
    Ok(dir.join("bin/cargo-fuzz"))
}

/// Builds the targets under the address sanitizer and with the fuzzer's counters; returns their
/// folder.
///
/// # Errors
///
/// If the toolchain has no address sanitizer or does not compile them.
pub(super) fn fuzzers() -> Result<PathBuf> {
    check_sanitizer()?;
    let tool = cargo_fuzz()?;
    let place = folder().join("build");
    let step = ui::step("building the fuzz targets");
    let mut cargo = Command::new(tool);
    cargo.args(["build", "--fuzz-dir", "fuzz", "--target", HOST]);
    cargo.arg("--target-dir").arg(&place);
    bootstrap(&mut cargo);
    run(&mut cargo, &folder().join("log/build.log"))?;
    step.done();
    Ok(place.join(HOST).join("release"))
}

/// Builds the targets so that they count lines; returns their folder.
///
/// # Errors
///
/// If they do not compile.
pub(super) fn counters() -> Result<PathBuf> {
    let place = folder().join("build-coverage");
    let step = ui::step("building the fuzz targets that count lines");
    let mut cargo = toolchain::host_cargo();
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ]);
    cargo
        .args(["--target", HOST])
        .arg("--target-dir")
        .arg(&place);
    bootstrap(&mut cargo);
    cargo.env("RUSTFLAGS", "-Cinstrument-coverage --cfg fuzzing");
    run(&mut cargo, &folder().join("log/build-coverage.log"))?;
    step.done();
    Ok(place.join(HOST).join("release"))
}

/// Lets a stable toolchain take the flags that fuzzing needs; no other build gets this.
fn bootstrap(cargo: &mut Command) {
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root());
}

/// Debian's compilers come without the sanitizer's library.
fn check_sanitizer() -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(HOST)
        .join("lib");
    let found = fs::read_dir(&libraries)
        .with_context(|| format!("no library in {}", libraries.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .any(|name| name.ends_with("_rt.asan.a"));
    if !found {
        bail!("this rustc has no address sanitizer: use the one that rustup installs");
    }
    Ok(())
}
