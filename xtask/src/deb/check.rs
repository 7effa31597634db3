// SPDX-License-Identifier: GPL-3.0-or-later
//! A package in a system of its own: a folder in which dpkg has installed GRUB's modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Package;
use crate::cmd::{output, run, system};
use crate::grub::Place;
use crate::job::{Job, Passed};
use crate::{iso, module, packages, root, stock};

/// Name of the test.
pub(crate) const NAME: &str = "deb";

/// The test for a platform.
pub(crate) fn job(place: &Place) -> Job {
    let here = place.clone();
    Job::new(NAME, Some(place), move || check(&here))
}

fn check(place: &Place) -> Result<Passed> {
    let work = place.below(root().join("target/xtask/deb"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let drop_in = module::to_run(&place.grub, place.platform).context("there is no module")?;
    let ours = fs::read(drop_in)?;
    let mut package = Package::new(&place.grub, place.platform)?;
    let deb = package.make(&ours, &work)?;
    let again = package.make(&ours, &work.join("again"))?;
    ensure!(
        fs::read(&deb)? == fs::read(again)?,
        "two packages of the same files differ"
    );
    let mut lintian = system("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning,info,pedantic"]);
    lintian.args(["--display-info", "--pedantic"]).arg(&deb);
    run(&mut lintian, &work.join("lintian.log")).context("lintian complains")?;
    package.version += "+next";
    let mut newer_module = ours.clone();
    newer_module.push(0);
    let newer = package.make(&newer_module, &work.join("newer"))?;

    let system = Scratch::new(&work.join("root"), place)?;
    let grub = system.grub(&place.grub.debian, 0)?;
    let other = system.grub(&format!("{}+next", place.grub.debian), 1)?;
    system
        .dpkg(&["--install"], &[&deb])
        .err()
        .context("installed without GRUB")?;
    system.dpkg(&["--purge"], &[Path::new(&package.name)])?;
    system.dpkg(&["--install"], &[&grub])?;
    system.grub_install()?;
    let before = system.files()?;
    let own = system.read("usr/lib/grub", "multiboot2.mod")?;

    system.dpkg(&["--install"], &[&deb])?;
    system.holds(&ours, &own)?;
    system.dpkg(&["--install"], &[&deb])?;
    system.holds(&ours, &own)?;
    system.dpkg(&["--install"], &[&newer])?;
    system.holds(&newer_module, &own)?;
    system.dpkg(&["--install"], &[&deb, &grub])?;
    system.holds(&ours, &own)?;
    system.dpkg(&["--verify"], &[Path::new(&package.name)])?;
    // The next GRUB: not beside this module, and its own file comes where it belongs.
    system
        .dpkg(&["--install"], &[&other])
        .err()
        .context("a module beside another GRUB")?;
    system.dpkg(&["--install"], &[&grub])?;
    system.holds(&ours, &own)?;
    system.dpkg(&["--remove"], &[Path::new(&package.name)])?;
    system.is(&before, "after --remove")?;
    system.dpkg(&["--purge"], &[Path::new(&package.name)])?;
    system.is(&before, "after --purge")?;

    system.dpkg(&["--install"], &[&deb])?;
    system.dpkg(&["--purge"], &[Path::new(&package.name)])?;
    system.is(&before, "after --purge at once")?;

    // GRUB and the module for it in one go, as apt does it.
    system.dpkg(&["--install"], &[&deb])?;
    package.grub.debian += "+next";
    let fitting = package.make(&newer_module, &work.join("fitting"))?;
    system.dpkg(&["--auto-deconfigure", "--install"], &[&other, &fitting])?;
    let own_of_next = [own.as_slice(), &[0]].concat();
    system.holds(&newer_module, &own_of_next)?;
    system.dpkg(&["--purge"], &[Path::new(&package.name)])?;
    ensure!(
        system.read("boot/grub", "multiboot2.mod")? == own_of_next,
        "an old module is back"
    );
    system.dpkg(&["--install"], &[&grub])?;
    system.grub_install()?;
    system.is(&before, "after an upgrade and back")?;

    // A boot folder of another GRUB is left alone.
    let facts = system.folder("boot/grub").join("modinfo.sh");
    fs::write(&facts, "another\n")?;
    system.dpkg(&["--install"], &[&deb])?;
    ensure!(
        system.read("boot/grub", "multiboot2.mod")? == own,
        "another GRUB's folder changed"
    );
    ensure!(
        system.read("usr/lib/grub", "multiboot2.mod")? == ours,
        "not diverted"
    );
    Ok(Passed::with(
        "lintian has nothing to say; installed, renewed, removed, purged",
    ))
}

/// A folder that dpkg takes for a whole system.
struct Scratch {
    root: PathBuf,
    place: Place,
}

/// Files by their names.
type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Scratch {
    fn new(root: &Path, place: &Place) -> Result<Self> {
        for folder in ["info", "updates"] {
            fs::create_dir_all(root.join("var/lib/dpkg").join(folder))?;
        }
        for file in ["status", "available"] {
            fs::write(root.join("var/lib/dpkg").join(file), "")?;
        }
        Ok(Self {
            root: root.to_path_buf(),
            place: place.clone(),
        })
    }

    fn folder(&self, above: &str) -> PathBuf {
        self.root.join(above).join(self.place.platform.name())
    }

    fn read(&self, above: &str, name: &str) -> Result<Vec<u8>> {
        let path = self.folder(above).join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Makes a package with GRUB's own modules, of which the module in question is longer by
    /// some bytes.
    fn grub(&self, version: &str, more: usize) -> Result<PathBuf> {
        let name = self.place.platform.stock_package();
        let modules = stock::folder(&self.place.grub, self.place.platform)?;
        let stage = self.root.with_file_name(format!("grub-{more}"));
        let module = modules.join("multiboot2.mod");
        let long = [fs::read(module)?, vec![0; more]].concat();
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n\
             Maintainer: nobody <nobody@example.org>\nDescription: GRUB's modules\n"
        );
        iso::write_files(&stage, &[("DEBIAN/control", control.as_bytes())])?;
        let folder = stage.join("usr/lib/grub").join(self.place.platform.name());
        iso::copy_modules(&modules, &folder, None)?;
        fs::write(folder.join("multiboot2.mod"), long)?;
        let file = stage.with_extension("deb");
        let mut build = system("dpkg-deb");
        build.args(["-Znone", "--root-owner-group", "--build"]);
        run(build.arg(&stage).arg(&file), &stage.with_extension("log"))?;
        Ok(file)
    }

    /// Copies the modules to the boot folder, as grub-install does.
    fn grub_install(&self) -> Result<()> {
        iso::copy_modules(
            &self.folder("usr/lib/grub"),
            &self.folder("boot/grub"),
            None,
        )
    }

    /// Lets dpkg act; maintainer scripts find the folder in their environment.
    fn dpkg(&self, action: &[&str], what: &[&Path]) -> Result<String> {
        let mut dpkg = packages::as_root("dpkg")?;
        dpkg.arg("--root").arg(&self.root);
        dpkg.args(["--force-script-chrootless", "--log=/dev/null"]);
        output(dpkg.args(action).args(what))
    }

    /// Both folders hold this module, and GRUB's own is where it was put.
    fn holds(&self, ours: &[u8], own: &[u8]) -> Result<()> {
        for (above, name, bytes) in [
            ("usr/lib/grub", "multiboot2.mod", ours),
            ("usr/lib/grub", "multiboot2.mod.distrib", own),
            ("boot/grub", "multiboot2.mod", ours),
        ] {
            ensure!(self.read(above, name)? == bytes, "wrong {above} {name}");
        }
        Ok(())
    }

    /// All files but dpkg's own.
    fn files(&self) -> Result<Files> {
        let mut left = vec![self.root.clone()];
        let mut found = Files::new();
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if !path.is_dir() {
                    found.insert(path.clone(), fs::read(path)?);
                } else if !path.ends_with("var/lib/dpkg") {
                    left.push(path);
                }
            }
        }
        Ok(found)
    }

    fn is(&self, before: &Files, when: &str) -> Result<()> {
        let now = self.files()?;
        for path in before.keys().chain(now.keys()) {
            if before.get(path) != now.get(path) {
                bail!("{when}, {} is not what it was", path.display());
            }
        }
        let mut list = system("dpkg-divert");
        list.arg("--root").arg(&self.root).arg("--list");
        let diversions = output(&mut list)?;
        ensure!(diversions.is_empty(), "{when}, there is still {diversions}");
        Ok(())
    }
}
