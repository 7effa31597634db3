// SPDX-License-Identifier: GPL-3.0-or-later
//! What a builder expects of GRUB's makefiles: nothing is made twice, a tarball builds again,
//! without a network, and what was made can be removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

use super::build::{Build, Extent};
use super::target::Target;
use crate::cmd::{output, run, system};
use crate::grub::Grub;
use crate::job::{Job, Passed};
use crate::toolchain;

/// Files that are newer than what was made of them, each in its turn: one of ours in Rust, one
/// in C, and one of GRUB's.
const INPUTS: [&str; 3] = [
    "grub-core/multiboot2-rs/src/lib.rs",
    "grub-core/multiboot2-rs/grub-headers/mb2_abi.h",
    "include/grub/multiboot2.h",
];

/// With this in the place of cargo, make fails where it would start it.
const NO_CARGO: &str = "MB2_CARGO=false";

/// The job for a version: what make does in its tree, and on request what becomes of its tarball.
pub(super) fn job(name: &str, grub: &Grub, with_tarball: bool) -> Job {
    let here = grub.clone();
    let target = Target::ALL[0];
    Job::inside(name, grub, target, move || {
        let build = Build::ensure(&here, target, Extent::Whole)?;
        nothing_twice(&build)?;
        build.make(&["-C", "grub-core", "check"])?;
        if with_tarball {
            tarball(&build)?;
        }
        Ok(Passed::default())
    })
}

/// A second make changes no file and starts no cargo; a newer input starts it, and the result is
/// the same to the byte.
fn nothing_twice(build: &Build) -> Result<()> {
    let core = build.work.join("grub-core");
    let before = times(&core)?;
    build.make(&["-C", "grub-core", NO_CARGO])?;
    let changed = differences(&before, &times(&core)?);
    ensure!(
        changed.is_empty(),
        "a second make changes {}",
        changed.join(", ")
    );
    let module = fs::read(core.join("multiboot2.mod"))?;
    for input in INPUTS {
        let before = times(&core)?;
        fs::File::open(build.source.join(input))?.set_modified(SystemTime::now())?;
        let mut make = build.make_command()?;
        make.args(["-C", "grub-core", NO_CARGO, "mb2rs.o"]);
        if run(&mut make, &build.work.join("without-cargo.log")).is_ok() {
            bail!("make does not start cargo for a newer {input}");
        }
        build.make(&["-C", "grub-core", "multiboot2.module"])?;
        let changed = differences(&before, &times(&core)?);
        for name in ["mb2rs.o", "multiboot2.module"] {
            ensure!(
                changed.iter().any(|one| one == name),
                "{input} changes no {name}"
            );
        }
    }
    build.make(&["-C", "grub-core"])?;
    ensure!(
        fs::read(core.join("multiboot2.mod"))? == module,
        "made again from the same input, multiboot2.mod is another one"
    );
    Ok(())
}

/// When each file in a folder was written.
fn times(folder: &Path) -> Result<BTreeMap<String, SystemTime>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, entry.metadata()?.modified()?);
        }
    }
    Ok(found)
}

fn differences<T: PartialEq>(a: &BTreeMap<String, T>, b: &BTreeMap<String, T>) -> Vec<String> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| a.get(*name) != b.get(*name));
    changed.cloned().collect()
}

/// The tarball of `make dist`, with vendored crates, gives the same module without a network;
/// then `clean` and `distclean` leave nothing of ours.
fn tarball(build: &Build) -> Result<()> {
    build.make(&["dist"])?;
    let place = build.work.with_extension("dist");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    unpack(&build.work, &place)?;
    let again = build.elsewhere(&place);
    vendor(&again.source.join("grub-core/multiboot2-rs"), &place)?;
    again.configure()?;
    let home = place.join("cargo-home");
    fs::create_dir(&home)?;
    let mut make = without_network(&again.make_command()?);
    make.env("CARGO_HOME", &home)
        .env_remove("CARGO_BUILD_BUILD_DIR");
    run(&mut make, &place.join("make.log"))?;
    let core = again.work.join("grub-core");
    ensure!(
        fs::read(core.join("multiboot2.mod"))?
            == fs::read(build.work.join("grub-core/multiboot2.mod"))?,
        "made from the tarball, multiboot2.mod is another one"
    );
    for (goal, gone) in [
        ("clean", ["mb2-target", "mb2rs.o"]),
        ("distclean", ["Makefile", "mb2rs.o"]),
    ] {
        again.make(&[goal])?;
        for name in gone {
            ensure!(
                !core.join(name).exists(),
                "make {goal} leaves grub-core/{name}"
            );
        }
    }
    Ok(fs::remove_dir_all(&place)?)
}

/// Unpacks the only tarball of a folder to `source` in another one.
fn unpack(from: &Path, place: &Path) -> Result<()> {
    let mut names = fs::read_dir(from)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_tarball = |path: &PathBuf| path.extension().is_some_and(|e| e == "gz");
    let tarball = names
        .find(is_tarball)
        .context("make dist has left no tarball")?;
    let into = place.join("source");
    fs::create_dir(&into)?;
    let mut tar = system("tar");
    tar.arg("-xf")
        .arg(&tarball)
        .arg("-C")
        .arg(&into)
        .arg("--strip-components=1");
    run(&mut tar, &place.join("unpack.log"))?;
    Ok(fs::remove_file(tarball)?)
}

/// Vendors all crates, as `docs/grub-builders.md` tells it.
fn vendor(repository: &Path, place: &Path) -> Result<()> {
    let toolchain = toolchain::find()?;
    let sysroot = output(Command::new(&toolchain.rustc).args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.toml");
    let mut cargo = toolchain.cargo();
    cargo
        .args(["vendor", "--locked", "--versioned-dirs", "--sync"])
        .arg(library)
        .current_dir(repository);
    let settings = output(&mut cargo).context("cannot vendor the crates")?;
    let file = repository.join(".cargo/config.toml");
    let old = fs::read_to_string(&file)?;
    fs::write(&file, old + &settings)?;
    Ok(fs::write(place.join("vendor.toml"), settings)?)
}

/// The same command, where there is no network, if this user may have such a place; without
/// crates at home it fails all the same when it would have to fetch one.
fn without_network(command: &Command) -> Command {
    let may = output(system("unshare").args(["-n", "true"])).is_ok();
    let mut made = match may {
        true => system("unshare"),
        false => system(command.get_program()),
    };
    if may {
        made.arg("-n").arg(command.get_program());
    }
    made.args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => made.env(key, value),
            None => made.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        made.current_dir(folder);
    }
    made.env("CARGO_NET_OFFLINE", "true");
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{root, sources};

    #[test]
    fn a_tarball_gets_every_source() {
        let text = fs::read_to_string(root().join("Makefile.am")).unwrap();
        let (_, rest) = text.split_once("\nMB2_FILES = ").unwrap();
        let (list, _) = rest.split_once("\nEXTRA_DIST").unwrap();
        let (plain, glue) = list.split_once("$(addprefix module-glue/,").unwrap();
        let words = |text: &str| -> BTreeSet<String> {
            let words = text.split_whitespace().filter(|word| *word != "\\");
            words
                .map(|word| word.trim_end_matches(')').to_owned())
                .collect()
        };
        let (mut all, mut in_glue) = (BTreeSet::new(), BTreeSet::new());
        for name in sources::names(&root()).unwrap() {
            match name.split_once('/') {
                // Its C sources are in block.def.
                Some(("module-glue", rest)) if !rest.ends_with(".c") => {
                    in_glue.extend(rest.split('/').next().map(str::to_owned));
                }
                Some((".ci" | "module-glue", _)) => {}
                Some((folder, _)) => drop(all.insert(folder.to_owned())),
                None if name == ".gitignore" => {}
                None => drop(all.insert(name)),
            }
        }
        assert_eq!(words(plain), all);
        assert_eq!(words(glue), in_glue);
    }

    #[test]
    fn a_file_that_appears_goes_or_is_newer_is_a_difference() {
        let map = |list: &[(&str, u8)]| -> BTreeMap<String, u8> {
            list.iter()
                .map(|(name, time)| ((*name).to_owned(), *time))
                .collect()
        };
        let before = map(&[("gone", 1), ("newer", 1), ("same", 1)]);
        let after = map(&[("new", 2), ("newer", 2), ("same", 1)]);
        assert_eq!(differences(&before, &after), ["gone", "new", "newer"]);
    }
}
