// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds a Rust compiler, the cargo and the library source that belong together.
//!
//! The cross build compiles the core library itself and needs its source, which rustup installs
//! only on request. Debian's packages have it. The first compiler with its source is taken; the
//! cargo is the one beside that compiler, never simply the first in PATH.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cmd::{forget_outer_cargo, output};
use crate::{oldest, packages, ui};

/// The newest minor version that it was tried with.
const NEWEST_TESTED: u32 = 97;

/// A compiler and a cargo of the same version, with the library source.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// The cargo that came with it.
    pub(crate) cargo: PathBuf,
}

/// Finds the toolchain for the cross build; installs Debian's when there is none.
///
/// # Errors
///
/// If there is none and none can be installed, or it is too old.
pub(crate) fn find() -> Result<Toolchain> {
    if let Some(found) = search()? {
        return Ok(found);
    }
    packages::ensure(packages::RUST).context(
        "no Rust compiler has the source of its library \
         (with rustup instead: `rustup component add rust-src`)",
    )?;
    search()?.context("the packages of Debian hold no library source that fits their compiler")
}

/// Tries `$RUSTC`, the compiler in PATH and the distribution's.
fn search() -> Result<Option<Toolchain>> {
    let asked = std::env::var_os("RUSTC").map(PathBuf::from);
    for rustc in asked
        .into_iter()
        .chain(["rustc".into(), "/usr/bin/rustc".into()])
    {
        let Some(sysroot) = sysroot(&rustc) else {
            continue;
        };
        if !sysroot
            .join("lib/rustlib/src/rust/library/Cargo.lock")
            .exists()
        {
            continue;
        }
        let found = Toolchain {
            rustc: sysroot.join("bin/rustc"),
            cargo: sysroot.join("bin/cargo"),
        };
        if found.rustc.exists() && found.cargo.exists() {
            found.check_version()?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Returns the folder that a compiler and its library are installed in.
fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let text = output(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(text.trim()))
}

impl Toolchain {
    fn check_version(&self) -> Result<()> {
        let text = output(Command::new(&self.rustc).arg("--version"))?;
        let minor = minor_version(&text)
            .with_context(|| format!("cannot read the version of rustc: {}", text.trim()))?;
        let oldest = oldest::minor()?;
        if minor < oldest {
            bail!(
                "{} is 1.{minor}, but 1.{oldest} is needed",
                self.rustc.display()
            );
        }
        if minor > NEWEST_TESTED {
            ui::warn(&format!(
                "rustc 1.{minor} is newer than the tested 1.{NEWEST_TESTED}"
            ));
        }
        Ok(())
    }

    /// Returns its cargo, freed of what an outer cargo has put into the environment.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        forget_outer_cargo(&mut command);
        command.env("RUSTC", &self.rustc).stdin(Stdio::null());
        command
    }
}

/// Reads 96 out of "rustc 1.96.0 (…)".
fn minor_version(text: &str) -> Option<u32> {
    text.strip_prefix("rustc 1.")?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Returns the cargo for ordinary builds on the host: the one that runs us.
pub(crate) fn host_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.stdin(Stdio::null());
    command
}

/// Returns a cargo that has clippy and rustfmt.
///
/// # Errors
///
/// If none has them and Debian's cannot be installed.
pub(crate) fn lint_cargo() -> Result<Command> {
    if has_lints(host_cargo) {
        return Ok(host_cargo());
    }
    packages::ensure(packages::RUST)?;
    packages::ensure(packages::LINTS).context(
        "cargo has no clippy or no rustfmt (with rustup: `rustup component add clippy rustfmt`)",
    )?;
    let debian = || Toolchain {
        rustc: "/usr/bin/rustc".into(),
        cargo: "/usr/bin/cargo".into(),
    };
    let cargo = || {
        let mut cargo = debian().cargo();
        cargo.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        cargo
    };
    if !has_lints(cargo) {
        bail!("/usr/bin/cargo has no clippy or no rustfmt: reinstall rust-web-clippy, rustfmt-web");
    }
    Ok(cargo())
}

/// Sees to it that some cargo has clippy and rustfmt.
///
/// # Errors
///
/// Those of [`lint_cargo`].
pub(crate) fn ensure_lints() -> Result<()> {
    lint_cargo().map(drop)
}

fn has_lints(cargo: impl Fn() -> Command) -> bool {
    ["clippy", "fmt"]
        .iter()
        .all(|tool| output(cargo().args([tool, "--version"])).is_ok())
}

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn version_is_read_from_the_compilers_own_words() {
        assert_eq!(
            minor_version("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some(96)
        );
        assert_eq!(minor_version("rustc 1.97.0-nightly"), Some(97));
        assert_eq!(minor_version("gcc 12"), None);
    }
}
