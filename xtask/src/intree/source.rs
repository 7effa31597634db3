// SPDX-License-Identifier: GPL-3.0-or-later
//! A source tree of GRUB with this repository in it, made as `docs/grub-builders.md` tells it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::{run, system};
use crate::grub::Grub;
use crate::{cache, sources, tree, ui};

/// Where the repository lies in the tree.
pub(super) const PLACE: &str = "grub-core/multiboot2-rs";

/// The files that `autogen.sh` has to be run for. GRUB's makefiles would notice all but the first
/// by themselves, but several builds of one source would run automake in it at the same time.
const BUILD_FILES: &[&str] = &[
    "grub-core/Makefile.core.def",
    "grub-core/Makefile.am",
    "grub-core/multiboot2-rs/Makefile.am",
];

/// Returns the source tree at `folder`; what is there already is brought up to date.
///
/// # Errors
///
/// If GRUB's source cannot be had, or a step fails.
pub(super) fn ensure(grub: &Grub, folder: PathBuf, logs: &Path) -> Result<PathBuf> {
    let original = tree::source(grub)?;
    let _guard = cache::lock(&folder.with_extension("guard"))?;
    let step = ui::step(format!("putting the module into GRUB {}", grub.upstream));
    cache::ensure(&folder, |part| {
        let mut copy = system("cp");
        copy.arg("-a").arg(original.join(".")).arg(part);
        run(&mut copy, &logs.join("copy.log"))
    })?;
    let place = folder.join(PLACE);
    fs::create_dir_all(&place)?;
    sources::copy(&place)?;
    let mut patch = system(place.join("module-glue/patch-tree"));
    run(&mut patch, &logs.join("patch-tree.log"))?;
    // Only then: it makes everything anew, and configure would run again everywhere.
    let stamp = folder.join("autogen.done");
    let now = build_files(&folder)?;
    if fs::read(&stamp).ok().as_ref() != Some(&now) {
        tree::autogen(&folder, &logs.join("autogen.log"))?;
        fs::write(&stamp, now)?;
    }
    step.done();
    Ok(folder)
}

/// All build files, one after the other.
fn build_files(folder: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for name in BUILD_FILES {
        let path = folder.join(name);
        all.extend(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(all)
}
