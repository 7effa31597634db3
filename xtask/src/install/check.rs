// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands on a GRUB that was really installed: on a disk, which then boots.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::{self as kit, Variant};

use super::disk::Disk;
pub(crate) use super::disk::PACKAGES;
use super::swap::{BACKUP, MODULE, SUMS};
use crate::grub::Place;
use crate::iso::{self, Flavour};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::{self, Machine, Next};
use crate::suite::{MEMORY, tail};
use crate::test::LIMIT;
use crate::{cmd, module, root, variants};

/// Name of the test.
pub(crate) const NAME: &str = "install";

/// The kernel that is booted, with its modules.
const VARIANT: &str = "modules-3";

/// A line that our module answers and GRUB's own takes for the name of a file.
const QUESTION: &str = "multiboot2 --whose-module";
const ANSWERS: [(Flavour, &str); 2] = [
    (Flavour::Ours, "error: unknown argument `--whose-module'."),
    (Flavour::Stock, "error: invalid file name `--whose-module'."),
];

/// Where disks are made: the distribution's own installer knows its own modules only.
fn runs_in(place: &Place) -> bool {
    place.grub.is_own() && place.platform != Platform::I386Efi
}

/// The tests, one for each kind of firmware.
///
/// # Errors
///
/// If the kernel cannot be wrapped.
pub(crate) fn jobs(places: &[Place], payload: &Payload) -> Result<Vec<Job>> {
    let mut all = kit::all(payload)?.into_iter();
    let variant = Arc::new(all.find(|one| one.name == VARIANT).context(VARIANT)?);
    let here = places.iter().filter(|place| runs_in(place));
    let job = |place: &Place| {
        let (here, variant) = (place.clone(), variant.clone());
        Job::new(NAME, Some(place), move || check(&here, &variant))
    };
    Ok(here.map(job).collect())
}

/// Files by their names: time and contents.
type Files = BTreeMap<PathBuf, (std::time::SystemTime, Vec<u8>)>;

fn check(place: &Place, variant: &Variant) -> Result<Passed> {
    let work = place.below(root().join("target/xtask/install"));
    let disk = Disk::make(&work, place.platform)?;
    let boot = disk.tree.join("boot");
    let folder = boot.join("grub").join(place.platform.name());
    for (name, bytes) in &variant.files {
        fs::write(disk.tree.join(name), bytes)?;
    }
    let script = variant.script.join("\n");
    let config = format!("{}{QUESTION}\n{script}\n", iso::prologue(place.platform));
    fs::write(boot.join("grub/grub.cfg"), config)?;
    let drop_in = module::to_run(&place.grub, place.platform).context("there is no module")?;
    let before = files(&disk.tree)?;

    let tool = Tool { boot: &boot };
    let ours = drop_in.to_str().context("a path of this repository")?;
    tool.says(
        "install",
        &["--dry-run", "--drop-in", ours],
        "nothing was changed",
    )?;
    ensure!(files(&disk.tree)? == before, "--dry-run changes something");
    refusals(&tool, &folder, (ours, place.platform))?;
    ensure!(files(&disk.tree)? == before, "a refusal changes something");

    tool.says("install", &["--drop-in", ours], "becomes ours")?;
    let after = files(&disk.tree)?;
    let added = [MODULE, BACKUP, SUMS].map(|name| folder.join(name));
    for path in before.keys().chain(after.keys()) {
        let same = before.get(path) == after.get(path);
        ensure!(
            same != added.contains(path),
            "install touches {}",
            path.display()
        );
    }
    ensure!(
        fs::read(folder.join(MODULE))? == fs::read(&drop_in)?,
        "not our module"
    );
    let mut sums = cmd::system("sha256sum");
    cmd::output(sums.args(["--check", SUMS]).current_dir(&folder))?;
    tool.says("install", &["--drop-in", ours], "installed already")?;
    ensure!(
        files(&disk.tree)? == after,
        "a second install changes something"
    );

    let setting = variants::setting(&place.grub, variants::in_kit(place.platform))?;
    let first = boots(&disk, Flavour::Ours)?;
    tool.says("uninstall", &["--dry-run"], "nothing was changed")?;
    ensure!(
        files(&disk.tree)? == after,
        "--dry-run of uninstall changes something"
    );
    tool.says("uninstall", &[], "becomes multiboot2.mod again")?;
    ensure!(
        files(&disk.tree)? == before,
        "uninstall does not restore all files"
    );
    tool.says("uninstall", &[], "nothing is installed")?;
    let second = boots(&disk, Flavour::Stock)?;
    renewed(&tool, &folder, ours)?;

    let (first, second) = (
        std::cell::Cell::new(Some(first)),
        std::cell::Cell::new(Some(second)),
    );
    let judged = variants::weigh(variant, setting, |flavour| {
        let run = if flavour == Flavour::Ours {
            &first
        } else {
            &second
        };
        run.take().context("each machine has run once")
    })?;
    Ok(Passed::with(format!(
        "{}; {}",
        judged.remark, disk.installer
    )))
}

/// What must be refused, and leave all as it was. `ours` is what would be installed.
fn refusals(tool: &Tool<'_>, folder: &Path, (ours, platform): (&str, Platform)) -> Result<()> {
    let install = ["--drop-in", ours];
    for (name, from, to, answer) in [
        (
            "modinfo.sh",
            "package_version=\"",
            "package_version=\"x",
            "for which no module can be built",
        ),
        (
            "modinfo.sh",
            "target_cpu=",
            "target_cpu=mips",
            "holds modules for mips",
        ),
        (
            "moddep.lst",
            "multiboot2:",
            "multiboot2: x\nold:",
            "moddep.lst",
        ),
        ("command.lst", "module2:", "module3:", "command.lst"),
        (
            "normal.mod",
            "GRUB",
            "BURG",
            "normal.mod is not that of GRUB",
        ),
        ("multiboot2.mod", "GRUB", "BURG", "--replace-unknown"),
    ] {
        let path = folder.join(name);
        with_changed(&path, (from, to), || {
            tool.refuses("install", &install, answer)
        })?;
    }
    let other = match platform {
        Platform::I386Pc => Platform::X86_64Efi,
        Platform::X86_64Efi | Platform::I386Efi => Platform::I386Pc,
    };
    tool.refuses(
        "install",
        &["--platform", other.name()],
        "GRUB is not installed for",
    )?;
    let strange = folder.join("normal.mod");
    let strange = strange.to_str().context("a path of this repository")?;
    tool.refuses("install", &["--drop-in", strange], "does not fit")
}

/// What becomes of an installation when grub-install or a stranger replaces the module.
fn renewed(tool: &Tool<'_>, folder: &Path, ours: &str) -> Result<()> {
    let path = folder.join(MODULE);
    let own = fs::read(&path)?;
    tool.says("install", &["--drop-in", ours], "becomes ours")?;
    fs::write(&path, &own)?;
    tool.says(
        "install",
        &["--drop-in", ours],
        "GRUB's own multiboot2.mod is kept",
    )?;
    fs::write(&path, &own)?;
    tool.says("uninstall", &[], "is back already")?;
    ensure!(
        !folder.join(BACKUP).exists() && fs::read(&path)? == own,
        "something stays"
    );

    let strange = [own.as_slice(), b"changed"].concat();
    fs::write(&path, &strange)?;
    let words = ["--replace-unknown", "--drop-in", ours];
    tool.says("install", &words, "of unknown origin is kept")?;
    tool.says("uninstall", &[], "again")?;
    ensure!(
        fs::read(&path)? == strange,
        "a strange module does not come back"
    );
    tool.says("install", &words, "of unknown origin is kept")?;
    fs::write(&path, &own)?;
    tool.refuses("uninstall", &[], "is not what was installed")?;
    // As after an upgrade of GRUB: what was kept is of no use any more.
    let next = ("package_string=\"GRUB ", "package_string=\"GRUB 9.");
    with_changed(&folder.join("modinfo.sh"), next, || {
        tool.says("uninstall", &[], "another version's own module")
    })?;
    let left = [BACKUP, SUMS].map(|name| folder.join(name).exists());
    ensure!(
        left == [false; 2] && fs::read(&path)? == own,
        "an upgrade of GRUB leaves something"
    );
    Ok(())
}

/// Does something while a text in a file is another one.
fn with_changed(
    path: &Path,
    (from, to): (&str, &str),
    then: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (bytes, data) = (fs::read(path)?, fs::metadata(path)?);
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
    let at = at.with_context(|| format!("{} has no {from}", path.display()))?;
    let changed = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
    fs::write(path, changed)?;
    let outcome = then();
    fs::write(path, bytes)?;
    fs::File::options()
        .write(true)
        .open(path)?
        .set_modified(data.modified()?)?;
    outcome
}

/// The commands as a user starts them, for one boot folder.
struct Tool<'a> {
    boot: &'a Path,
}

impl Tool<'_> {
    fn run(&self, command: &str, words: &[&str]) -> Result<(bool, String)> {
        let mut tool = Command::new(std::env::current_exe()?);
        tool.arg(command)
            .arg("--boot-directory")
            .arg(self.boot)
            .args(words);
        let out = tool.output()?;
        let text = [out.stdout, out.stderr].concat();
        Ok((out.status.success(), String::from_utf8(text)?))
    }

    fn says(&self, command: &str, words: &[&str], answer: &str) -> Result<()> {
        match self.run(command, words)? {
            (true, text) if text.contains(answer) => Ok(()),
            (_, text) => bail!("{command} {words:?} does not say {answer:?}:\n{text}"),
        }
    }

    /// The error is one line, and the last.
    fn refuses(&self, command: &str, words: &[&str], answer: &str) -> Result<()> {
        let (success, text) = self.run(command, words)?;
        let last = text.lines().next_back().unwrap_or_default();
        if success || !last.starts_with("error: ") || !last.contains(answer) {
            bail!("{command} {words:?} is not refused with {answer:?}:\n{text}");
        }
        Ok(())
    }
}

/// Boots the disk as it is now; whose module it has must show.
fn boots(disk: &Disk, flavour: Flavour) -> Result<qemu::Outcome> {
    disk.write()?;
    let drive = format!("format=raw,snapshot=on,file={}", disk.image.display());
    let machine = Machine {
        iso: None,
        extra: vec!["-drive".to_owned(), drive],
        ..Machine::new(disk.platform, MEMORY, PathBuf::new())
    };
    let outcome = machine.run(LIMIT, |_| Next::Continue)?;
    for (whose, answer) in ANSWERS {
        if outcome.transcript.contains(answer) != (whose == flavour) {
            let name = flavour.name();
            bail!(
                "this is not the module of {name}:\n{}",
                tail(&outcome.transcript)
            );
        }
    }
    Ok(outcome)
}

/// Reads all files below a folder.
fn files(folder: &Path) -> Result<Files> {
    let mut found = Files::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                let time = fs::metadata(&path)?.modified()?;
                found.insert(path.clone(), (time, fs::read(&path)?));
            }
        }
    }
    Ok(found)
}
