// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's C module for a tree that holds ours: what ours is compared with.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::build::Build;
use crate::cmd::{run, system};
use crate::stock::Stock;
use crate::tree::Flags;
use crate::{iso, module};

/// Its sources, and what tells the first one which Multiboot is meant.
const SOURCES: [&str; 2] = ["loader/multiboot.c", "loader/multiboot_mbi2.c"];
const DEFINES: &str = "-DGRUB_USE_MULTIBOOT2";

/// Makes a copy of the installed module folder that has the C module.
///
/// # Errors
///
/// If it cannot be compiled.
pub(super) fn modules(build: &Build) -> Result<PathBuf> {
    let work = build.work.join("reference");
    fs::create_dir_all(&work)?;
    let flags = Flags::of(&build.source, &build.work)?;
    let core = build.source.join("grub-core");
    let mut objects = Vec::new();
    for source in SOURCES {
        let object = work.join(source.replace('/', "-")).with_extension("o");
        let mut cc = flags.compiler()?;
        cc.args(["-ffreestanding", DEFINES])
            .args([&build.work, &build.source, &core].map(|dir| format!("-I{}", dir.display())))
            .arg(format!("-DGRUB_FILE=\"{source}\""))
            .arg("-c")
            .arg(core.join(source))
            .arg("-o")
            .arg(&object);
        run(&mut cc, &object.with_extension("log"))?;
        objects.push(object);
    }
    let made = work.join("multiboot2.mod");
    let emulation = format!("elf_{}", build.target.cpu());
    let mut link = system("ld");
    link.args(["-m", &emulation, "-r", "-d", "-o"])
        .arg(&made)
        .args(objects);
    run(&mut link, &work.join("link.log"))?;

    let deps = module::dependencies(&Stock::of_folder(&build.modules())?, &made)?;
    module::name(&made, ("multiboot2", &deps), &work)?;
    let mut strip = system("strip");
    strip
        .args([
            "--strip-unneeded",
            "-K",
            "grub_mod_init",
            "-K",
            "grub_mod_fini",
        ])
        .args([
            "-R",
            ".note.GNU-stack",
            "-R",
            ".comment",
            "-R",
            ".note.gnu.property",
        ])
        .arg(&made);
    run(&mut strip, &work.join("strip.log"))?;

    let folder = work.join("modules");
    iso::copy_modules(&build.modules(), &folder, Some(&made))?;
    // It may need more modules than ours, and images are made by this list.
    let list = folder.join("moddep.lst");
    let text = fs::read_to_string(&list)?;
    let lines = text
        .lines()
        .map(|line| match line.starts_with("multiboot2:") {
            true => format!("multiboot2: {}\n", deps.join(" ")),
            false => format!("{line}\n"),
        });
    fs::write(&list, lines.collect::<String>())?;
    Ok(folder)
}
