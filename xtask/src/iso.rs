// SPDX-License-Identifier: GPL-3.0-or-later
//! Makes bootable ISO files out of a module folder, a grub.cfg and some files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::{run, system};
use crate::grub::Place;
use crate::platform::Platform;
use crate::{rescue, root, stock};

/// Whose multiboot2.mod an ISO gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Flavour {
    /// The distribution's, written in C.
    Stock,
    /// Ours.
    Ours,
}

impl Flavour {
    /// Name for folders and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Ours => "ours",
        }
    }
}

/// Returns the first lines of a grub.cfg: everything is said on the serial port, and the video
/// drivers are there, as a distribution's own grub.cfg has it.
pub(crate) fn prologue(platform: Platform) -> String {
    let video = if platform.is_efi() {
        "insmod all_video\n"
    } else {
        ""
    };
    format!(
        "serial --unit=0 --speed=115200\n\
         terminal_input serial\n\
         terminal_output serial\n{video}"
    )
}

/// Says whether a line on the serial port is an error of GRUB after which it does not boot.
pub(crate) fn is_error(line: &str) -> bool {
    let line = line.trim_start();
    // Without a video mode it says so and boots.
    line.starts_with("error: ") && !line.contains("no suitable video mode")
}

/// What ISOs are made of and with: a module folder and the grub-mkrescue that fits it.
pub(crate) struct Maker {
    /// The program.
    pub(crate) rescue: PathBuf,
    /// The folder.
    pub(crate) modules: PathBuf,
}

impl Maker {
    /// The one for a module folder that [`module_folder`] has made.
    ///
    /// # Errors
    ///
    /// If there is no grub-mkrescue of this version and it cannot be made.
    pub(crate) fn of(place: &Place, flavour: Flavour) -> Result<Self> {
        Ok(Self {
            rescue: rescue::ensure(&place.grub)?,
            modules: folder_of(place, flavour),
        })
    }
}

/// Where [`module_folder`] leaves its copy.
pub(crate) fn folder_of(place: &Place, flavour: Flavour) -> PathBuf {
    place.below(root().join("target/xtask/modules").join(flavour.name()))
}

/// Makes a copy of the distribution's module folder, with our module in it if that is given.
///
/// # Errors
///
/// If the stock modules are missing or files cannot be written.
pub(crate) fn module_folder(place: &Place, ours: Option<&Path>) -> Result<()> {
    let flavour = match ours {
        Some(_) => Flavour::Ours,
        None => Flavour::Stock,
    };
    let to = folder_of(place, flavour);
    copy_modules(&stock::folder(&place.grub, place.platform)?, &to, ours)
}

/// Makes `to` a copy of a module folder, with another multiboot2.mod if one is given.
///
/// # Errors
///
/// If files cannot be read or written.
pub(crate) fn copy_modules(from: &Path, to: &Path, other: Option<&Path>) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?;
        if path.is_file() {
            fs::copy(&path, to.join(name))?;
        }
    }
    if let Some(module) = other {
        fs::copy(module, to.join("multiboot2.mod"))
            .with_context(|| format!("cannot copy {}", module.display()))?;
    }
    Ok(())
}

/// Names and contents as the functions here take them.
pub(crate) fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    let files = files.iter();
    files
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect()
}

/// Makes a folder that holds nothing but these files.
///
/// # Errors
///
/// If they cannot be written.
pub(crate) fn write_files(folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let path = folder.join(name.trim_start_matches('/'));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Makes an ISO at `to`.
///
/// `files` are names below the root of the ISO, without leading slash, and contents.
///
/// # Errors
///
/// If grub-mkrescue fails.
pub(crate) fn build(maker: &Maker, config: &str, files: &[(&str, &[u8])], to: &Path) -> Result<()> {
    let tree = to.with_extension("root");
    let mut all = files.to_vec();
    all.push(("boot/grub/grub.cfg", config.as_bytes()));
    write_files(&tree, &all)?;
    let mut rescue = system(&maker.rescue);
    rescue
        // Where a program that is not installed finds the font of the installed ones.
        .env("pkgdatadir", "/usr/share/grub")
        .arg("-d")
        .arg(&maker.modules)
        .args(["--fonts=", "--locales=", "--themes=", "-o"])
        .arg(to)
        .arg(&tree);
    run(&mut rescue, &to.with_extension("log")).context(
        "missing grub-common, xorriso or mtools? apt-get install grub-common xorriso mtools",
    )?;
    // Without mtools it leaves the EFI part away and succeeds.
    Ok(fs::remove_dir_all(&tree)?)
}
