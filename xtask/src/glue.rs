// SPDX-License-Identifier: GPL-3.0-or-later
//! Compiles the C half of the module with the compiler and the flags of a GRUB tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::{run, system};
use crate::root;
use crate::tree::Tree;

/// Where the sources stand in a patched tree of GRUB. The name gets into the object, and a
/// drop-in shall not differ from a module built there.
const PLACE_IN_TREE: &str = "multiboot2-rs/module-glue";

/// Names the C sources that make up the module of a platform.
pub(crate) fn sources(tree: &Tree) -> Vec<&'static str> {
    let machine = if tree.platform.is_efi() {
        "shims_efi.c"
    } else {
        "shims_pc.c"
    };
    vec!["multiboot2.c", "shims.c", machine]
}

/// Compiles all sources into `work`; warnings are errors.
///
/// # Errors
///
/// The compiler's.
pub(crate) fn compile(tree: &Tree, workspace: &Path, work: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    for source in sources(tree) {
        let object = work.join(Path::new(source).with_extension("o"));
        let mut words = tree.cc.split_whitespace();
        let mut cc = system(words.next().context("the tree names no compiler")?);
        cc.args(words)
            .args(&tree.cppflags)
            .args(&tree.cflags)
            .args(["-Werror", "-ffreestanding"])
            .args(["-ffunction-sections", "-fdata-sections"])
            .args(tree.own_includes())
            .arg(format!("-I{}", workspace.join("grub-headers").display()))
            .arg(format!("-DGRUB_FILE=\"{PLACE_IN_TREE}/{source}\""))
            .arg("-c")
            .arg(workspace.join("module-glue").join(source))
            .arg("-o")
            .arg(&object);
        let log = root().join(format!("target/xtask/log/{source}-{}.log", tree.platform));
        run(&mut cc, &log).with_context(|| format!("{source} does not compile"))?;
        objects.push(object);
    }
    Ok(objects)
}
