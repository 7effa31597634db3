// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian's compiler for a foreign processor: unpacked into the cache, never installed.
//!
//! Its packages are in conflict with gcc-multilib, which this repository needs: installing one
//! removes the other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cmd::{output, system};
use crate::{apt, cache, packages, ui};

/// A compiler in the cache.
pub(super) struct Compiler {
    /// Folders for PATH; in the first one the compiler's name leads to ccache.
    pub(super) programs: [PathBuf; 2],
    /// Its own libraries.
    pub(super) libraries: PathBuf,
}

/// Returns the compiler for a processor, named as in "mips-linux-gnu"; fetches it when needed.
///
/// # Errors
///
/// If apt cannot get its packages.
pub(super) fn ensure(cpu: &str) -> Result<Compiler> {
    let version = output(system("gcc").arg("-dumpversion"))?;
    let version = version.trim();
    let main = format!("gcc-{version}-{cpu}");
    let debian = packages::candidate(&main).unwrap_or_default();
    let dir = cache::folder()?
        .join("foreign")
        .join(format!("{main}_{debian}"));
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("fetching {main} {debian}"));
        let short = cpu.split('-').next().context("a processor has a name")?;
        for package in [
            main.clone(),
            format!("cpp-{version}-{cpu}"),
            format!("binutils-{cpu}"),
            format!("libgcc-{version}-dev-{short}-cross"),
        ] {
            apt::download_and_unpack(&package, part)?;
        }
        fs::create_dir(part.join("ccache"))?;
        let name = format!("{cpu}-gcc");
        symlink("/usr/bin/ccache", part.join("ccache").join(&name))?;
        symlink(
            format!("{name}-{version}"),
            part.join("usr/bin").join(&name),
        )?;
        step.done();
        Ok(())
    })?;
    Ok(Compiler {
        programs: [dir.join("ccache"), dir.join("usr/bin")],
        libraries: dir.join("usr/lib/x86_64-linux-gnu"),
    })
}
