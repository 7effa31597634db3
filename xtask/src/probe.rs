// SPDX-License-Identifier: GPL-3.0-or-later
//! Builds the module of tests/boot/probe: commands that tests want and GRUB does not have.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::cmd::{run, system};
use crate::grub::Place;
use crate::stock::Stock;
use crate::{cache, glue, module, resolve, root, tree, verifier};

/// Its name among modules, and the name of its file without the ending.
const NAME: &str = "mb2probe";

/// Where [`build`] leaves it.
pub(crate) fn path(place: &Place) -> PathBuf {
    let shelf = place.below(root().join("target/xtask/probe"));
    shelf.join(format!("{NAME}.mod"))
}

/// Builds the module for one GRUB.
///
/// # Errors
///
/// The first thing that fails.
pub(crate) fn build(place: &Place) -> Result<()> {
    let (grub, platform) = (&place.grub, place.platform);
    let tree = tree::ensure(grub, platform)?;
    let verifier = verifier::ensure(grub, &tree)?;
    let stock = Stock::read(grub, platform)?;
    let finished = path(place);
    let work = finished.with_extension("work");
    let _guard = cache::lock(&root().join("target/xtask/probe.lock"))?;
    fs::create_dir_all(&work)?;
    let source = root().join("tests/boot/probe/probe.c");
    let object = glue::compile_one(&tree, &source, &[], ("probe.c", &work))?;
    let linked = work.join("linked.mod");
    let mut link = system("ld");
    link.args(["-m", platform.cpu().emulation(), "-r", "-d", "-T"])
        .arg(root().join("module-glue/merge.ld"))
        .arg("-o")
        .args([&linked, &object]);
    run(&mut link, &work.join("link.log"))?;
    let deps = module::dependencies(&stock, &linked)?;
    module::name(&linked, (NAME, &deps), &work)?;
    resolve::file(&linked)?;
    verifier::verify(&verifier, &linked, platform)?;
    fs::copy(&linked, &finished)?;
    Ok(())
}
