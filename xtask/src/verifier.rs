// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's own build-grub-module-verifier, compiled alone from its source tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::{output, run, system};
use crate::grub::Grub;
use crate::platform::Platform;
use crate::tree::Tree;
use crate::{cache, root};

/// Its sources, as GRUB's own makefile lists them.
const SOURCES: &[&str] = &[
    "util/grub-module-verifier.c",
    "util/grub-module-verifier32.c",
    "util/grub-module-verifier64.c",
    "grub-core/kern/emu/misc.c",
    "util/misc.c",
];

/// Returns the verifier's program; compiles it when needed.
///
/// Any configured tree will do: the program runs on the host and knows every platform.
///
/// # Errors
///
/// If it does not compile.
pub(crate) fn ensure(grub: &Grub, tree: &Tree) -> Result<PathBuf> {
    let dir = grub.cache()?.join("verifier");
    let program = dir.join("build-grub-module-verifier");
    cache::ensure(&dir, |part| {
        let mut cc = system("gcc");
        cc.args([
            "-std=gnu99",
            "-w",
            "-DGRUB_BUILD=1",
            "-DGRUB_UTIL=1",
            "-DGRUB_FILE=\"\"",
        ])
        .arg("-DGRUB_BUILD_PROGRAM_NAME=\"build-grub-module-verifier\"")
        .args(tree.own_includes())
        .arg(format!("-I{}", tree.source.join("include").display()))
        .arg(format!("-I{}", tree.build.join("include").display()))
        .arg("-o")
        .arg(part.join("build-grub-module-verifier"))
        .args(SOURCES.iter().map(|file| tree.source.join(file)));
        run(&mut cc, &root().join("target/xtask/log/verifier.log"))
            .context("cannot compile GRUB's module verifier")
    })?;
    Ok(program)
}

/// Lets the verifier examine a module.
///
/// # Errors
///
/// Its own complaint.
pub(crate) fn verify(program: &Path, module: &Path, platform: Platform) -> Result<()> {
    let mut verifier = system(program);
    verifier
        .arg(module)
        .args([platform.cpu().name(), platform.firmware()]);
    output(&mut verifier)
        .map(drop)
        .context("GRUB's own verifier refuses the module")
}
