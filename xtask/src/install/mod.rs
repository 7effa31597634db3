// SPDX-License-Identifier: GPL-3.0-or-later
//! Puts our module into an installed GRUB, and takes it out again.
//!
//! Every folder is examined before the first one is changed, so that a refusal leaves all of them
//! as they were.

pub(crate) mod check;
mod disk;
mod folder;
mod swap;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::cmd::shown;
use crate::grub::Grub;
use crate::platform::Platform;
use crate::{module, packages, stock, ui};
use folder::Folder;
use swap::{Change, Swap};

/// Where a machine with UEFI says whether Secure Boot is on: four bytes of attributes, then one.
const SECURE_BOOT: &str =
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Which folders are meant.
#[derive(Args)]
pub(crate) struct Where {
    /// Folder that holds grub/PLATFORM or grub2/PLATFORM, as for grub-install.
    #[arg(long, value_name = "FOLDER", default_value = "/boot")]
    boot_directory: PathBuf,
    /// Platform; can be repeated; all that the folder has when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// Say what would be done and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `install`.
#[derive(Args)]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    at: Where,
    /// Install this module, instead of building one; for one platform.
    #[arg(long, value_name = "FILE")]
    drop_in: Option<PathBuf>,
    /// Replace even a multiboot2.mod that is neither GRUB's own nor ours; it is kept, too.
    #[arg(long)]
    replace_unknown: bool,
}

/// Arguments of `uninstall`.
#[derive(Args)]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    at: Where,
}

/// A folder, and what is to happen there.
struct Task {
    folder: Folder,
    change: Change,
    /// The module to be installed, for a process with more rights.
    drop_in: Option<PathBuf>,
}

/// Installs the module into all folders that are meant.
///
/// # Errors
///
/// If a folder is not of the GRUB that a module can be built for, holds a module that nobody
/// knows, or cannot be written.
pub(crate) fn install(args: &InstallArgs) -> Result<()> {
    let folders = args.at.folders()?;
    if args.drop_in.is_some() {
        ensure!(
            folders.len() == 1,
            "--drop-in is for one platform, and {} has {}: choose with --platform",
            args.at.boot_directory.display(),
            folders.len()
        );
    }
    let mut tasks = Vec::new();
    for folder in folders {
        let grub = grub_of(&folder)?;
        let package = stock::folder(&grub, folder.platform)?;
        folder.check_modules(&package)?;
        let drop_in = match &args.drop_in {
            Some(file) => file.clone(),
            None => module::build(&grub, folder.platform)?.module,
        };
        let ours =
            fs::read(&drop_in).with_context(|| format!("cannot read {}", drop_in.display()))?;
        folder
            .check_fit(&ours)
            .with_context(|| format!("{} does not fit", drop_in.display()))?;
        let own = fs::read(package.join(swap::MODULE))?;
        let change = Swap::read(&folder)?.install(ours, own, args.replace_unknown)?;
        tasks.push(Task {
            folder,
            change,
            drop_in: Some(drop_in),
        });
    }
    warn_of_secure_boot(&tasks);
    args.at.perform("install", tasks)
}

/// Gives back what was there before, in all folders that are meant.
///
/// # Errors
///
/// If a folder holds another module than the installed one, or cannot be written.
pub(crate) fn uninstall(args: &UninstallArgs) -> Result<()> {
    let mut tasks = Vec::new();
    for folder in args.at.folders()? {
        let change = Swap::read(&folder)?.uninstall()?;
        tasks.push(Task {
            folder,
            change,
            drop_in: None,
        });
    }
    args.at.perform("uninstall", tasks)
}

/// Finds the GRUB that a folder is of; only Debian's own builds are known to the byte.
fn grub_of(folder: &Folder) -> Result<Grub> {
    let unknown = || {
        format!(
            "{} is of GRUB {}, for which no module can be built",
            folder.path.display(),
            folder.version
        )
    };
    let grub = Grub::resolve(Some(&folder.version)).with_context(unknown)?;
    ensure!(
        grub.debian == folder.version,
        "{}: it is not Debian's {}",
        unknown(),
        grub.debian
    );
    Ok(grub)
}

impl Where {
    fn folders(&self) -> Result<Vec<Folder>> {
        Folder::find(&self.boot_directory, &self.platform)
    }

    /// Says what every task is and, unless this is only a try, does it.
    fn perform(&self, command: &str, tasks: Vec<Task>) -> Result<()> {
        for task in tasks {
            let place = task.folder.path.display();
            println!("{place}: GRUB {}", task.folder.version);
            for line in task.change.lines() {
                println!("  {line}");
            }
            if self.dry_run || task.change.is_nothing() {
                continue;
            }
            if task.folder.can_be_written() {
                task.change.apply(&task.folder.path)?;
            } else {
                self.with_more_rights(command, &task)?;
            }
        }
        if self.dry_run {
            println!("dry run: nothing was changed");
        }
        Ok(())
    }

    /// Has a process of root do one task. It examines the folder again.
    fn with_more_rights(&self, command: &str, task: &Task) -> Result<()> {
        let program = std::env::current_exe()?;
        let mut again = packages::as_root(&program)
            .with_context(|| format!("cannot write {}", task.folder.path.display()))?;
        again.arg(command).arg("--boot-directory");
        again.arg(std::path::absolute(&self.boot_directory)?);
        again.args(["--platform", task.folder.platform.name()]);
        if let Some(file) = &task.drop_in {
            again.arg("--drop-in").arg(file);
        }
        // An unknown module was allowed to be replaced, or there would be no task.
        if task.change.replaces_unknown() {
            again.arg("--replace-unknown");
        }
        let status = again.stdout(std::process::Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start {}", shown(&again)))?;
        if !status.success() {
            bail!("`{}` failed", shown(&again));
        }
        Ok(())
    }
}

/// Warns where GRUB will not load what lies in a file.
fn warn_of_secure_boot(tasks: &[Task]) {
    let efi = tasks.iter().any(|task| task.folder.platform.is_efi());
    if efi && is_on(fs::read(Path::new(SECURE_BOOT)).ok().as_deref()) {
        ui::warn(
            "Secure Boot is on: with it GRUB loads no module from a file, neither its own nor ours",
        );
    }
}

/// Reads the firmware's variable.
fn is_on(variable: Option<&[u8]>) -> bool {
    matches!(variable, Some([_, _, _, _, 1, ..]))
}

#[cfg(test)]
mod tests {
    use super::is_on;

    #[test]
    fn secure_boot_is_on_when_the_firmware_says_so() {
        assert!(is_on(Some(&[6, 0, 0, 0, 1])));
        assert!(!is_on(Some(&[6, 0, 0, 0, 0])));
        assert!(!is_on(Some(&[1])));
        assert!(!is_on(None));
    }
}
