// SPDX-License-Identifier: GPL-3.0-or-later
//! Compiles the C half of the module with the compiler and the flags of a GRUB tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::run;
use crate::platform::Cpu;
use crate::root;
use crate::tree::Tree;

/// Where the sources stand in a patched tree of GRUB. The name gets into the object, and a
/// drop-in shall not differ from a module built there.
const PLACE_IN_TREE: &str = "multiboot2-rs/module-glue";

/// Enters a kernel beside boot services; a program of the host cannot.
pub(crate) const START: &str = "start_efi.c";

/// Names the C sources that make up the module of a platform.
pub(crate) fn sources(tree: &Tree) -> Vec<&'static str> {
    let mut sources = vec!["multiboot2.c", "shims.c"];
    if tree.platform.is_efi() {
        sources.extend(["shims_efi.c", START]);
    } else {
        sources.push("shims_pc.c");
    }
    sources
}

/// Compiles all sources into `work`; warnings are errors.
///
/// # Errors
///
/// The compiler's.
pub(crate) fn compile(tree: &Tree, workspace: &Path, work: &Path) -> Result<Vec<PathBuf>> {
    let glue = workspace.join("module-glue");
    let objects = sources(tree).into_iter().map(|source| {
        let place = format!("{PLACE_IN_TREE}/{source}");
        let include = format!("-I{}", workspace.join("grub-headers").display());
        let mut flags = vec![include];
        flags.extend(own_flags(tree.platform.cpu()).map(str::to_owned));
        compile_one(tree, &glue.join(source), &flags, (&place, work))
    });
    objects.collect()
}

/// Flags of the glue alone, as in `block.def`: stack frames without padding for vectors, and
/// without a frame pointer.
fn own_flags(cpu: Cpu) -> impl Iterator<Item = &'static str> {
    let i386 = [
        "-Oz",
        "-fomit-frame-pointer",
        "-mpreferred-stack-boundary=2",
    ];
    i386.into_iter().filter(move |_| cpu == Cpu::I386)
}

/// Compiles a source of a module as GRUB would, into `work`; `place` is what it is called in
/// messages.
///
/// # Errors
///
/// The compiler's.
pub(crate) fn compile_one(
    tree: &Tree,
    source: &Path,
    flags: &[String],
    (place, work): (&str, &Path),
) -> Result<PathBuf> {
    let name = source.file_name().context("a source has a name")?;
    let object = work.join(Path::new(name).with_extension("o"));
    let mut cc = tree.flags.compiler()?;
    cc.args(["-Werror", "-ffreestanding"])
        .args(["-ffunction-sections", "-fdata-sections"])
        .args(tree.own_includes())
        .args(flags)
        .arg(format!("-DGRUB_FILE=\"{place}\""))
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(&object);
    let name = name.display();
    let log = root().join(format!("target/xtask/log/{name}-{}.log", tree.platform));
    run(&mut cc, &log).with_context(|| format!("{name} does not compile"))?;
    Ok(object)
}
