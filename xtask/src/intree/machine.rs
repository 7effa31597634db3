// SPDX-License-Identifier: GPL-3.0-or-later
//! How the GRUB of a build gets into a machine, with files and commands for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::boots;
use super::build::{Build, Extent};
use super::reference;
use super::target::Start;
use crate::cmd::{run, system};
use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::platform::Platform;
use crate::qemu::Machine;
use crate::snapshot::GIVE_UP;
use crate::{rescue, stock};

/// Memory of the machines, in MiB.
const MEMORY: u32 = 512;

/// What a core image holds that finds no module outside itself.
const INSIDE: &[&str] = &[
    "boot",
    "echo",
    "gzio",
    "iorw",
    "memdisk",
    "multiboot2",
    "normal",
    "serial",
    "tar",
    "terminal",
    "test",
];

/// What a machine is to do.
pub(super) struct Guest<'a> {
    /// For file names.
    pub(super) name: &'a str,
    /// Commands for GRUB.
    pub(super) script: Vec<String>,
    /// Files for the root of what it starts from.
    pub(super) files: Vec<(&'a str, &'a [u8])>,
}

impl Guest<'_> {
    /// All that GRUB reads.
    fn config(&self, platform: Platform) -> String {
        let lines: String = self.script.iter().map(|line| format!("{line}\n")).collect();
        format!("{}{lines}{GIVE_UP}", iso::prologue(platform))
    }
}

/// A build and the two module folders that its images are made of.
pub(super) struct Bench {
    pub(super) build: Build,
    stock: PathBuf,
}

impl Bench {
    /// Prepares what the images need.
    ///
    /// # Errors
    ///
    /// If GRUB's C module cannot be made.
    pub(super) fn new(build: Build) -> Result<Self> {
        let stock = reference::modules(&build)?;
        let bench = Self { build, stock };
        fs::create_dir_all(bench.folder())?;
        Ok(bench)
    }

    /// Where images and transcripts go.
    pub(super) fn folder(&self) -> PathBuf {
        self.build.work.join("machines")
    }

    /// Makes the images for a guest.
    ///
    /// # Errors
    ///
    /// If one of GRUB's programs fails, or nothing can start such images.
    pub(super) fn machine(&self, flavour: Flavour, guest: &Guest<'_>) -> Result<Machine> {
        let start = self.build.target.start();
        if start == Start::Nowhere {
            bail!("no machine runs {}", self.build);
        }
        let platform = boots::platform(start);
        let to = self
            .folder()
            .join(format!("{}-{}.iso", guest.name, flavour.name()));
        if self.build.extent == Extent::Whole {
            let maker = Maker {
                rescue: self.build.program("grub-mkrescue"),
                modules: self.modules(flavour),
            };
            iso::build(&maker, &guest.config(platform), &guest.files, &to)?;
            return Ok(Machine::new(platform, MEMORY, to));
        }
        if let Start::Firmware(_) = start {
            let disk = to.with_extension("disk");
            self.core(flavour, guest, &efi_file(&disk, platform)?)?;
            return Ok(Machine::of_folder(platform, MEMORY, &disk));
        }
        let core = to.with_extension("core");
        self.core(flavour, guest, &core)?;
        if start == Start::Rom {
            return Ok(Machine {
                iso: None,
                extra: vec!["-bios".to_owned(), core.display().to_string()],
                ..Machine::new(platform, MEMORY, to)
            });
        }
        // QEMU cannot load it by itself: docs/grub-builders.md says why.
        let place = Place {
            grub: self.build.grub.clone(),
            platform,
        };
        let maker = Maker {
            rescue: rescue::ensure(&place.grub)?,
            modules: stock::folder(&place.grub, platform)?,
        };
        let config = format!("{}multiboot /core\nboot\n", iso::prologue(platform));
        iso::build(&maker, &config, &[("core", &fs::read(&core)?)], &to)?;
        Ok(Machine::new(platform, MEMORY, to))
    }

    /// Makes one file for 64-bit UEFI that holds everything, and a disk with nothing else.
    ///
    /// # Errors
    ///
    /// If grub-mkstandalone fails.
    pub(super) fn standalone(&self, guest: &Guest<'_>) -> Result<Machine> {
        let platform = Platform::X86_64Efi;
        let disk = self.folder().join("standalone");
        let inside = disk.with_extension("files");
        let config = guest.config(platform);
        let mut files = guest.files.clone();
        files.push(("boot/grub/grub.cfg", config.as_bytes()));
        iso::write_files(&inside, &files)?;
        let to = efi_file(&disk, platform)?;
        let mut make = system(self.build.program("grub-mkstandalone"));
        make.args(["-O", platform.name(), "--modules=multiboot2", "-d"])
            .arg(self.modules(Flavour::Ours))
            .args(["--fonts=", "--locales=", "--themes=", "-o"])
            .arg(to)
            .args(
                files
                    .iter()
                    .map(|(name, _)| format!("/{name}={}", inside.join(name).display())),
            );
        run(&mut make, &disk.with_extension("log"))?;
        Ok(Machine::of_folder(platform, MEMORY, &disk))
    }

    fn modules(&self, flavour: Flavour) -> PathBuf {
        match flavour {
            Flavour::Stock => self.stock.clone(),
            Flavour::Ours => self.build.modules(),
        }
    }

    /// Makes a core image that brings all modules and files along.
    fn core(&self, flavour: Flavour, guest: &Guest<'_>, to: &Path) -> Result<()> {
        let tree = self.folder().join(format!("{}.memdisk", guest.name));
        let platform = boots::platform(self.build.target.start());
        let config = guest.config(platform);
        let mut all = guest.files.clone();
        all.push(("run.cfg", config.as_bytes()));
        iso::write_files(&tree, &all)?;
        let archive = tree.with_extension("tar");
        let mut tar = system("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(&tree).arg(".");
        run(&mut tar, &tree.with_extension("log"))?;
        let first = tree.with_extension("cfg");
        fs::write(&first, "set root=(memdisk)\nnormal (memdisk)/run.cfg\n")?;
        let mut image = system(self.build.program("grub-mkimage"));
        image
            .args(["-O", self.build.target.name(), "-p", "(memdisk)/", "-d"])
            .arg(self.modules(flavour))
            .arg("-m")
            .arg(&archive)
            .arg("-c")
            .arg(&first)
            .arg("-o")
            .arg(to)
            .args(INSIDE)
            .args(platform.is_efi().then_some("all_video"));
        run(&mut image, &tree.with_extension("log"))
    }
}

/// Where UEFI looks for the only file of a disk that is made anew.
fn efi_file(disk: &Path, platform: Platform) -> Result<PathBuf> {
    let name = match platform {
        Platform::I386Efi => "BOOTIA32.EFI",
        Platform::I386Pc | Platform::X86_64Efi => "BOOTX64.EFI",
    };
    iso::write_files(disk, &[])?;
    let folder = disk.join("EFI/BOOT");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}
