// SPDX-License-Identifier: GPL-3.0-or-later
//! The module folders of an installed GRUB, and what they say about themselves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSymbol};

use super::swap::MODULE;
use crate::moddeps;
use crate::platform::Platform;
use crate::stock::Stock;

/// Names of the folder below the boot folder: GRUB's own, and that of Fedora and SUSE.
const NAMES: [&str; 2] = ["grub", "grub2"];

/// What GRUB's build has written about itself; grub-install copies it with the modules.
const FACTS: &str = "modinfo.sh";

/// The module folder of one platform.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What its modules run on.
    pub(super) platform: Platform,
    /// Version of the package that they came with.
    pub(super) version: String,
    /// What modules of this version tell kernels about their loader.
    title: String,
}

impl Folder {
    /// Finds the folders of the platforms that are asked for, or of all that we have.
    ///
    /// # Errors
    ///
    /// If there is none, or one does not say what it is.
    pub(super) fn find(boot: &Path, asked: &[Platform]) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let mut known = Vec::new();
        for name in NAMES {
            let grub = boot.join(name);
            // One that exists and cannot be read must not look like one that is missing.
            match fs::read_dir(&grub) {
                Ok(_) => known.push(grub),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", grub.display()));
                }
            }
        }
        if known.is_empty() {
            bail!(
                "{} has neither a folder grub nor grub2: \
                 name the one that grub-install was given, as in --boot-directory /boot",
                boot.display()
            );
        }
        for platform in Platform::or_all(asked) {
            let paths = known.iter().map(|grub| grub.join(platform.name()));
            let paths: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
            if paths.is_empty() && !asked.is_empty() {
                bail!("GRUB is not installed for {platform} in {}", boot.display());
            }
            for path in paths {
                found.push(Self::open(path, platform)?);
            }
        }
        if found.is_empty() {
            let names = Platform::ALL.map(Platform::name).join(", ");
            bail!("{} has modules for none of {names}", known[0].display());
        }
        Ok(found)
    }

    fn open(path: PathBuf, platform: Platform) -> Result<Self> {
        let place = path.join(FACTS);
        let facts = fs::read_to_string(&place).with_context(|| {
            format!(
                "cannot read {}, which says what GRUB this is",
                place.display()
            )
        })?;
        let fact =
            |key| value(&facts, key).with_context(|| format!("{} has no {key}", place.display()));
        let (cpu, firmware) = (
            fact("grub_modinfo_target_cpu")?,
            fact("grub_modinfo_platform")?,
        );
        ensure!(
            format!("{cpu}-{firmware}") == platform.name(),
            "{} holds modules for {cpu}-{firmware}",
            path.display()
        );
        Ok(Self {
            platform,
            version: fact("grub_package_version")?,
            title: fact("grub_package_string")?,
            path,
        })
    }

    /// Compares the modules that ours works with, and the one that starts everything, with those
    /// of the package that the folder says it came from.
    ///
    /// # Errors
    ///
    /// Names the first that is another one.
    pub(super) fn check_modules(&self, package: &Path) -> Result<()> {
        let mut names = Stock::of_folder(package)?.deps;
        names.push("normal".to_owned());
        for name in names {
            let (here, there) = (self.module(&name), format!("{name}.mod"));
            let bytes = read(&here)?;
            ensure!(
                bytes == read(&package.join(there))?,
                "{} is not that of GRUB {}{}: let grub-install renew the folder",
                here.display(),
                self.version,
                if bytes.starts_with(b"\x7fELF") {
                    ""
                } else {
                    ", but no ELF file"
                }
            );
        }
        Ok(())
    }

    /// Checks that a module can be loaded by the GRUB of this folder: version, symbols, and what
    /// the lists of the folder say about it.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub(super) fn check_fit(&self, bytes: &[u8]) -> Result<()> {
        ensure!(
            self.is_of_version(bytes),
            "it was not built for {}",
            self.title
        );
        let stock = Stock::of_folder(&self.path)?;
        let file = object::File::parse(bytes)?;
        ensure!(
            Some(file.is_64()) == self.is_64()?,
            "it is for another processor"
        );
        let needed: Vec<&str> = file
            .symbols()
            .filter(|symbol| symbol.is_undefined())
            .filter_map(|symbol| symbol.name().ok())
            .filter(|name| !name.is_empty())
            .collect();
        if let Some(name) = needed.iter().find(|name| !stock.named.contains(**name)) {
            bail!("no module in {} knows {name}", self.path.display());
        }
        let deps = moddeps::compute(&stock, needed.into_iter());
        if let Some(added) = moddeps::added(&stock, &deps) {
            bail!(
                "moddep.lst in {} does not name {added}",
                self.path.display()
            );
        }
        let commands = String::from_utf8(read(&self.path.join("command.lst"))?)?;
        for command in ["multiboot2", "module2"] {
            let line = format!("{command}: multiboot2");
            ensure!(
                commands.lines().any(|other| other == line),
                "command.lst in {} lacks `{line}`",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Whether a multiboot2.mod was built for the GRUB of this folder: it tells kernels so.
    pub(super) fn is_of_version(&self, module: &[u8]) -> bool {
        let title = format!("{}\0", self.title);
        module.windows(title.len()).any(|w| w == title.as_bytes())
    }

    /// Whether GRUB's own modules here are 64 bits wide.
    fn is_64(&self) -> Result<Option<bool>> {
        let bytes = read(&self.module("normal"))?;
        Ok(object::File::parse(&*bytes).ok().map(|file| file.is_64()))
    }

    fn module(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.mod"))
    }

    /// Whether this process may change the folder.
    pub(super) fn can_be_written(&self) -> bool {
        let probe = self.path.join(format!("{MODULE}.try"));
        let written = fs::write(&probe, "");
        let _ = fs::remove_file(&probe);
        // Any other failure gets its own words when the work begins.
        !matches!(written, Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Returns what the shell variable `key` is set to.
fn value(facts: &str, key: &str) -> Option<String> {
    let mut lines = facts.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn facts_are_read_with_and_without_quotes() {
        let facts = "grub_version=\"2.06\"\ngrub_package_version=\"2.06-13\"\ncpu=i386\n";
        assert_eq!(value(facts, "grub_package_version").unwrap(), "2.06-13");
        assert_eq!(value(facts, "cpu").unwrap(), "i386");
        assert_eq!(value(facts, "grub_package"), None);
    }
}
