// SPDX-License-Identifier: GPL-3.0-or-later
//! The same sources give the same module, wherever they lie.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::grub::Grub;
use crate::module::Job;
use crate::platform::Platform;
use crate::stock::Stock;
use crate::{cache, module, root, sources, toolchain, tree};

/// Builds the module a second time from a copy of the sources and compares the two files.
///
/// # Errors
///
/// If they differ.
pub(crate) fn check(grub: &Grub, platform: Platform) -> Result<()> {
    let toolchain = toolchain::find()?;
    let tree = tree::ensure(grub, platform)?;
    let stock = Stock::read(grub, platform)?;
    let _guard = cache::lock(&root().join("target/xtask/module.lock"))?;
    let place = root().join("target/xtask/elsewhere");
    let copy = place.join("sources");
    fs::create_dir_all(&copy)?;
    sources::copy(&copy)?;
    let job = Job {
        toolchain: &toolchain,
        tree: &tree,
        stock: &stock,
        workspace: &copy,
    };
    let (again, _) = job.make(&place.join("work"))?;
    let first = fs::read(module::to_run(grub, platform).context("there is no module")?)?;
    let second = fs::read(&again.module)?;
    if first == second {
        return Ok(());
    }
    let at = first.iter().zip(&second).position(|(a, b)| a != b);
    bail!(
        "built in another folder, the module of {platform} is another one \
         ({} and {} bytes, first difference at {at:?}): {}",
        first.len(),
        second.len(),
        again.module.display()
    )
}
