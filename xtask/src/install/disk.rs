// SPDX-License-Identifier: GPL-3.0-or-later
//! A disk in a file, with one partition and a GRUB that was installed there.
//!
//! The files of the partition also lie in a folder. It is changed as the folder of a running
//! system would be, and the file system is made from it again: GRUB finds its files by path, so
//! only what it has outside of the file system must stay.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cmd::{run, system};
use crate::packages;
use crate::platform::Platform;

/// Size of the disk, and where its partition begins; the file system is all the rest.
const LEN: u64 = 48 << 20;
const OFFSET: u64 = 1 << 20;

/// By these GRUB finds its partition.
const EXT4_UUID: &str = "6d623264-0000-4000-8000-696e7374616c";
const FAT_SERIAL: &str = "6d623264";

/// The part of a boot sector that is code; the table of partitions follows.
const BOOT_CODE: usize = 440;

/// The status of grub-install.sh where nothing can be mounted.
const NOT_ALLOWED: i32 = 42;

/// What makes the disk: file systems, their table, and GRUB's installer.
pub(crate) const PACKAGES: &[&str] = &[
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "grub2-common",
    "mount",
    "mtools",
];

/// Such a disk.
pub(super) struct Disk {
    /// The file.
    pub(super) image: PathBuf,
    /// The folder with the files of its partition.
    pub(super) tree: PathBuf,
    /// Who has put GRUB there.
    pub(super) installer: &'static str,
    /// What it boots on.
    pub(super) platform: Platform,
    work: PathBuf,
}

impl Disk {
    /// Makes a disk in the folder `work` and installs the distribution's GRUB there: on ext4
    /// for a BIOS, on an EFI system partition for UEFI.
    ///
    /// # Errors
    ///
    /// If a program fails.
    pub(super) fn make(work: &Path, platform: Platform) -> Result<Self> {
        if work.exists() {
            fs::remove_dir_all(work)?;
        }
        let mut disk = Self {
            image: work.join("disk.img"),
            tree: work.join("tree"),
            installer: "grub-install",
            platform,
            work: work.to_path_buf(),
        };
        fs::create_dir_all(disk.tree.join("boot"))?;
        File::create(&disk.image)?.set_len(LEN)?;
        let kind = if platform.is_efi() { "ef" } else { "83" };
        let table = disk.work.join("table");
        let start = OFFSET / 512;
        fs::write(&table, format!("start={start}, type={kind}, bootable\n"))?;
        let words = ["-c", "exec sfdisk -q \"$0\" < \"$1\""];
        disk.run(system("sh").args(words).arg(&disk.image).arg(&table))?;
        disk.write()?;
        if !disk.grub_install()? {
            disk.installer = "laid out by grub-mknetdir and grub-mkimage: this cannot be mounted";
            disk.without_devices()?;
        }
        Ok(disk)
    }

    /// Makes the file system from the folder.
    ///
    /// # Errors
    ///
    /// If a program fails.
    pub(super) fn write(&self) -> Result<()> {
        let blocks = format!("{}", (LEN - OFFSET) / 1024);
        if !self.platform.is_efi() {
            let mut make = system("mkfs.ext4");
            make.args(["-q", "-F", "-U", EXT4_UUID, "-d"])
                .arg(&self.tree);
            make.arg("-E").arg(format!("offset={OFFSET}"));
            return self.run(make.arg(&self.image).arg(format!("{blocks}k")));
        }
        let mut make = system("mkfs.vfat");
        make.args(["-F", "32", "-i", FAT_SERIAL, "--offset"]);
        make.arg((OFFSET / 512).to_string());
        self.run(make.arg(&self.image).arg(blocks))?;
        let mut copy = system("mcopy");
        copy.args(["-s", "-m", "-Q", "-i"]);
        copy.arg(format!("{}@@{OFFSET}", self.image.display()));
        for entry in fs::read_dir(&self.tree)? {
            copy.arg(entry?.path());
        }
        self.run(copy.arg("::"))
    }

    /// Installs GRUB as its users do, if this machine lets root use loop devices and mount this
    /// file system; many containers do not.
    fn grub_install(&self) -> Result<bool> {
        let place = self.work.join("mounted");
        fs::create_dir_all(&place)?;
        let Ok(mut script) = packages::as_root("unshare") else {
            return Ok(false);
        };
        script.args(["--mount", "bash", "-c", include_str!("grub-install.sh")]);
        script.arg("grub-install.sh").arg(&self.image);
        script.args([&OFFSET.to_string(), self.platform.name()]);
        let out = script.arg(place).arg(&self.tree).output()?;
        let said = [out.stdout, out.stderr].concat();
        match out.status.code() {
            Some(0) => Ok(true),
            Some(NOT_ALLOWED) => Ok(false),
            _ if String::from_utf8_lossy(&said).contains("unshare failed") => Ok(false),
            _ => bail!("grub-install fails:\n{}", String::from_utf8_lossy(&said)),
        }
    }

    /// Lays out the same files with programs of GRUB that ask for no device.
    fn without_devices(&self) -> Result<()> {
        let name = self.platform.name();
        let modules = Path::new("/usr/lib/grub").join(name);
        let mut netdir = system("grub-mknetdir");
        netdir.arg("-d").arg(&modules).arg("--net-directory");
        self.run(netdir.arg(&self.tree).args(["--subdir", "/boot/grub"]))?;
        let (uuid, own) = if self.platform.is_efi() {
            ("6D62-3264", &["fat"][..])
        } else {
            (EXT4_UUID, &["ext2", "biosdisk"][..])
        };
        let config = self.work.join("load.cfg");
        let text = format!("search.fs_uuid {uuid} root\nset prefix=($root)/boot/grub\n");
        fs::write(&config, text)?;
        let core = if self.platform.is_efi() {
            let folder = self.tree.join("EFI/BOOT");
            fs::create_dir_all(&folder)?;
            folder.join("BOOTX64.EFI")
        } else {
            self.work.join("core.img")
        };
        let mut image = system("grub-mkimage");
        image
            .args(["-O", name, "-p", "/boot/grub", "-c"])
            .arg(&config);
        image.arg("-d").arg(&modules).arg("-o").arg(&core);
        self.run(image.args(["part_msdos", "search_fs_uuid"]).args(own))?;
        if !self.platform.is_efi() {
            // What boot.img loads are the sectors behind it.
            let disk = File::options().write(true).open(&self.image)?;
            let boot = fs::read(modules.join("boot.img"))?;
            let code = boot.get(..BOOT_CODE).context("boot.img is too short")?;
            disk.write_all_at(code, 0)?;
            disk.write_all_at(&fs::read(&core)?, 512)?;
        }
        Ok(())
    }

    fn run(&self, command: &mut std::process::Command) -> Result<()> {
        run(command, &self.work.join("disk.log"))
    }
}
