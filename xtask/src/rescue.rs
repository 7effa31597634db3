// SPDX-License-Identifier: GPL-3.0-or-later
//! The program grub-mkrescue of each version of GRUB: what it puts into an ISO has to fit the
//! modules that it is given.
//!
//! Of the installed version it is installed too. Debian's programs of a later suite do not run
//! on this machine's C library, so of another version it is made from the source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::{run, system};
use crate::grub::Grub;
use crate::platform::Platform;
use crate::{cache, packages, tree, ui};

/// Name of the program.
const PROGRAM: &str = "grub-mkrescue";

/// Returns the program that belongs to a version of GRUB; makes it when needed.
///
/// # Errors
///
/// If the source is missing and cannot be fetched, or does not compile.
pub(crate) fn ensure(grub: &Grub) -> Result<PathBuf> {
    if packages::installed("grub-common").is_some_and(|version| version == grub.debian) {
        return Ok(Path::new("/usr/bin").join(PROGRAM));
    }
    let dir = grub.cache()?.join("rescue");
    if !dir.exists() {
        // Any platform will do: the program knows all of them.
        tree::ensure(grub, Platform::I386Pc)?;
    }
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("compiling {PROGRAM} of GRUB {}", grub.upstream));
        let configured = grub.cache()?.join(Platform::I386Pc.name());
        compile(&configured, part)?;
        step.done();
        Ok(())
    })?;
    Ok(dir.join(PROGRAM))
}

/// Makes the program in a copy of a configured tree, beside it, and keeps nothing else.
fn compile(configured: &Path, into: &Path) -> Result<()> {
    let log = into.with_extension("log");
    // With its time stamps, or make would start with configure.
    let copy = into.with_extension("build");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    run(system("cp").arg("-a").arg(configured).arg(&copy), &log)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    for goal in [&["-C", "grub-core/lib/gnulib"][..], &[PROGRAM]] {
        let mut make = system("make");
        make.arg(format!("-j{jobs}")).args(goal).current_dir(&copy);
        run(&mut make, &log).with_context(|| format!("cannot compile {PROGRAM}"))?;
    }
    fs::rename(copy.join(PROGRAM), into.join(PROGRAM))?;
    fs::remove_file(&log)?;
    Ok(fs::remove_dir_all(&copy)?)
}
