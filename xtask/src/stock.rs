// SPDX-License-Identifier: GPL-3.0-or-later
//! The distribution's own GRUB modules: what the drop-in has to fit into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol};

use crate::grub::Grub;
use crate::platform::Platform;
use crate::{archive, packages};

/// A distribution's module folder and what its modules say about each other.
pub(crate) struct Stock {
    /// Symbol → the module that defines it.
    pub(crate) defined: BTreeMap<String, String>,
    /// Every symbol that some module defines or needs. What is needed but defined by no module
    /// is in GRUB's kernel.
    pub(crate) named: BTreeSet<String>,
    /// The line of multiboot2 in moddep.lst.
    pub(crate) deps: Vec<String>,
    /// Size of the distribution's own multiboot2.mod, in bytes.
    pub(crate) size: u64,
}

/// Returns the module folder of a platform that belongs to a version of GRUB: the installed one,
/// if it is of this version, or one from Debian's archive.
///
/// # Errors
///
/// If its package is not installed and cannot be fetched.
pub(crate) fn folder(grub: &Grub, platform: Platform) -> Result<PathBuf> {
    let installed = packages::installed(platform.stock_package());
    let folder = Path::new("/usr/lib/grub").join(platform.name());
    // Our own package puts GRUB's module there, and ours in its place.
    let diverted = folder.join("multiboot2.mod.distrib").exists();
    if installed.is_some_and(|version| version == grub.debian) && !diverted {
        return Ok(folder);
    }
    archive::modules(grub, platform)
}

impl Stock {
    /// Reads all modules of a folder except multiboot2 itself.
    ///
    /// # Errors
    ///
    /// If the folder or a module in it cannot be read.
    pub(crate) fn read(grub: &Grub, platform: Platform) -> Result<Self> {
        Self::of_folder(&folder(grub, platform)?)
    }

    /// Reads all modules of this folder except multiboot2 itself.
    ///
    /// # Errors
    ///
    /// If it or a module in it cannot be read.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self> {
        let size = fs::metadata(folder.join("multiboot2.mod"))
            .with_context(|| format!("{} has no multiboot2.mod", folder.display()))?
            .len();
        let list = fs::read_to_string(folder.join("moddep.lst"))?;
        let deps = deps_in(&list, "multiboot2")
            .with_context(|| format!("no multiboot2 in moddep.lst of {}", folder.display()))?;
        let mut stock = Self {
            defined: BTreeMap::new(),
            named: BTreeSet::new(),
            deps,
            size,
        };
        let mut modules: Vec<PathBuf> = fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        modules.sort();
        for path in modules
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "mod"))
        {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name != "multiboot2" {
                stock.add(&name, &fs::read(path)?)?;
            }
        }
        if stock.defined.is_empty() {
            bail!("{} holds no modules", folder.display());
        }
        Ok(stock)
    }

    /// Reads what lies where GRUB's make was run: its modules, and what its kernel offers.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read.
    pub(crate) fn of_build(folder: &Path) -> Result<Self> {
        let mut stock = Self::of_folder(folder)?;
        let path = folder.join("kernel_syms.lst");
        let list =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        stock.named.extend(kernel_names(&list));
        Ok(stock)
    }

    fn add(&mut self, module: &str, bytes: &[u8]) -> Result<()> {
        let file = object::File::parse(bytes).with_context(|| format!("{module}.mod"))?;
        for symbol in file.symbols().filter(|s| s.is_global()) {
            let name = symbol.name()?.to_owned();
            if !symbol.is_undefined() {
                self.defined.insert(name.clone(), module.to_owned());
            }
            self.named.insert(name);
        }
        Ok(())
    }
}

/// Returns the entry of a module in the text of moddep.lst.
fn deps_in(list: &str, module: &str) -> Option<Vec<String>> {
    let line = list
        .lines()
        .find_map(|line| line.strip_prefix(module)?.strip_prefix(':'))?;
    Some(line.split_whitespace().map(str::to_owned).collect())
}

/// Returns the names in the text of `kernel_syms.lst`.
fn kernel_names(list: &str) -> impl Iterator<Item = String> {
    list.lines()
        .filter_map(|line| line.strip_prefix("defined kernel "))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{deps_in, kernel_names};

    #[test]
    fn the_kernel_offers_what_its_list_defines() {
        let list = "defined kernel grub_errno\nundefined kernel abort\ndefined kernel grub_xputs\n";
        assert!(kernel_names(list).eq(["grub_errno", "grub_xputs"]));
    }

    #[test]
    fn a_longer_module_name_is_another_module() {
        let list = "multiboot: net\nmultiboot2: relocator boot\n";
        assert_eq!(deps_in(list, "multiboot"), Some(vec!["net".to_owned()]));
        assert_eq!(deps_in(list, "multiboot2").unwrap().len(), 2);
        assert_eq!(deps_in(list, "multi"), None);
    }
}
