// SPDX-License-Identifier: GPL-3.0-or-later
//! What lies in a module folder, and how one file takes the place of another without a moment in
//! which there is none or half of one.
//!
//! Beside the module lie the one that was there before and the sums of both, in the form that
//! sha256sum writes and checks. The sums tell our module from any other, also from those of
//! earlier builds; grub-install leaves both files alone.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use crate::cmd::{output, system};

/// The module.
pub(super) const MODULE: &str = "multiboot2.mod";
/// What was in its place before.
pub(super) const BACKUP: &str = "multiboot2.mod.stock";
/// The sums of both.
pub(super) const SUMS: &str = "multiboot2.mod.sha256";

/// What a folder holds.
pub(super) struct Swap<'a> {
    folder: &'a Folder,
    module: Vec<u8>,
    backup: Option<Vec<u8>>,
    /// Whether the module is the one whose sum was written down; none if none was.
    recorded: Option<bool>,
}

/// What is to be done in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing, and why.
    Nothing(&'static str),
    /// A module comes in.
    Put {
        /// The module.
        ours: Vec<u8>,
        /// What is kept.
        kept: Kept,
    },
    /// What was kept comes back.
    Restore,
    /// The module stays as it is, and what was kept goes.
    Forget(&'static str),
}

/// What an installation keeps.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The module that is there: GRUB's own.
    Stock,
    /// The module that is there, whatever it is.
    Unknown,
    /// What an earlier installation has kept.
    Before,
    /// GRUB's own from its package, since what was there before is gone.
    Package(Vec<u8>),
}

impl<'a> Swap<'a> {
    /// Reads what a folder holds.
    ///
    /// # Errors
    ///
    /// If there is no module, or a file cannot be read.
    pub(super) fn read(folder: &'a Folder) -> Result<Self> {
        let path = folder.path.join(MODULE);
        let module = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let backup = fs::read(folder.path.join(BACKUP)).ok();
        let recorded = match fs::read_to_string(folder.path.join(SUMS)) {
            Ok(sums) => Some(sum_in(&sums, MODULE) == Some(sum(&path)?.as_str())),
            Err(_) => None,
        };
        Ok(Self {
            folder,
            module,
            backup,
            recorded,
        })
    }

    /// Decides how `ours` gets in where GRUB's own module is `own`.
    ///
    /// # Errors
    ///
    /// If the module that is there is neither, and must not be replaced.
    pub(super) fn install(self, ours: Vec<u8>, own: Vec<u8>, any: bool) -> Result<Change> {
        let kept = if self.module == ours || self.recorded == Some(true) {
            match self.backup {
                Some(_) if self.module == ours && self.recorded == Some(true) => {
                    return Ok(Change::Nothing("this module is installed already"));
                }
                Some(_) => Kept::Before,
                None => Kept::Package(own),
            }
        } else if self.module == own {
            Kept::Stock
        } else if any {
            Kept::Unknown
        } else {
            bail!(
                "{} is neither that of GRUB {} nor one that was installed with this command; \
                 --replace-unknown keeps it as {BACKUP} and replaces it",
                self.folder.path.join(MODULE).display(),
                self.folder.version
            )
        };
        Ok(Change::Put { ours, kept })
    }

    /// Decides how things become what they were.
    ///
    /// # Errors
    ///
    /// If nobody knows the module that is there, or what was kept is gone.
    pub(super) fn uninstall(self) -> Result<Change> {
        let path = self.folder.path.join(MODULE);
        match (self.recorded, self.backup) {
            (None, None) => Ok(Change::Nothing("nothing is installed")),
            (Some(true), Some(_)) => Ok(Change::Restore),
            (_, None) => bail!(
                "{BACKUP} is gone from {}: grub-install puts GRUB's own module back",
                self.folder.path.display()
            ),
            (_, Some(backup)) if backup == self.module => {
                Ok(Change::Forget("the module of before is back already"))
            }
            (_, Some(backup)) if !self.folder.is_of_version(&backup) => Ok(Change::Forget(
                "grub-install has put another version's own module there: it stays",
            )),
            (_, Some(_)) => bail!(
                "{} is not what was installed, nor what {BACKUP} keeps: \
                 remove the one that you do not want, by hand",
                path.display()
            ),
        }
    }
}

impl Change {
    /// Says in words what it does.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Nothing(why) => vec![(*why).to_owned()],
            Self::Put { ours, kept } => vec![
                match kept {
                    Kept::Stock => format!("GRUB's own {MODULE} is kept as {BACKUP}"),
                    Kept::Unknown => format!("a {MODULE} of unknown origin is kept as {BACKUP}"),
                    Kept::Before => format!("{BACKUP} stays what it is"),
                    Kept::Package(_) => format!("GRUB's own {MODULE} is kept as {BACKUP}, anew"),
                },
                format!("{MODULE} becomes ours, {} bytes", ours.len()),
            ],
            Self::Restore => vec![format!("{BACKUP} becomes {MODULE} again")],
            Self::Forget(why) => vec![(*why).to_owned(), format!("{BACKUP} is removed")],
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }

    /// Whether a module goes that nobody knows.
    pub(super) fn replaces_unknown(&self) -> bool {
        matches!(
            self,
            Self::Put {
                kept: Kept::Unknown,
                ..
            }
        )
    }

    /// Does it. Wherever it is interrupted, GRUB finds a whole module, and doing it again works.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(super) fn apply(self, folder: &Path) -> Result<()> {
        let module = folder.join(MODULE);
        let backup = folder.join(BACKUP);
        match self {
            Self::Nothing(_) => return Ok(()),
            Self::Put { ours, kept } => {
                let data = fs::metadata(&module)?;
                match kept {
                    Kept::Stock | Kept::Unknown => {
                        let time = Some(data.modified()?);
                        let bytes = fs::read(&module)?;
                        Part::write(&backup, &bytes, (data.permissions(), time))?.finish()?;
                    }
                    Kept::Package(own) => {
                        Part::write(&backup, &own, (data.permissions(), None))?.finish()?;
                    }
                    Kept::Before => {}
                }
                let part = Part::write(&module, &ours, (data.permissions(), None))?;
                // Before the module, so that it is never there without its sum.
                let sums = format!(
                    "{}  {MODULE}\n{}  {BACKUP}\n",
                    sum(&part.path)?,
                    sum(&backup)?
                );
                let data = (data.permissions(), None);
                Part::write(&folder.join(SUMS), sums.as_bytes(), data)?.finish()?;
                part.finish()?;
            }
            Self::Restore => {
                fs::rename(&backup, &module)
                    .with_context(|| format!("cannot write {}", module.display()))?;
                remove(&folder.join(SUMS))?;
            }
            Self::Forget(_) => {
                remove(&backup)?;
                remove(&folder.join(SUMS))?;
            }
        }
        // Renaming is on the disk only with the folder.
        Ok(File::open(folder)?.sync_all()?)
    }
}

/// A file that is whole and on the disk, but not yet in its place.
struct Part {
    path: PathBuf,
    place: PathBuf,
}

impl Part {
    fn write(
        place: &Path,
        bytes: &[u8],
        (permissions, time): (Permissions, Option<SystemTime>),
    ) -> Result<Self> {
        let mut name = place.file_name().unwrap_or_default().to_os_string();
        name.push(".part");
        let part = Self {
            path: place.with_file_name(name),
            place: place.to_path_buf(),
        };
        let write = || {
            let mut file = File::create(&part.path)?;
            file.write_all(bytes)?;
            // A file system without permissions may refuse; it has none to lose.
            let _ = file.set_permissions(permissions);
            if let Some(time) = time {
                file.set_times(FileTimes::new().set_modified(time))?;
            }
            file.sync_all()
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&part.path);
            return Err(error).with_context(|| format!("cannot write {}", place.display()));
        }
        Ok(part)
    }

    fn finish(self) -> Result<()> {
        fs::rename(&self.path, &self.place)
            .with_context(|| format!("cannot write {}", self.place.display()))
    }
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the SHA-256 of a file.
fn sum(path: &Path) -> Result<String> {
    let text = output(system("sha256sum").arg("--").arg(path))?;
    let word = text.split_whitespace().next().unwrap_or_default();
    Ok(word.to_owned())
}

/// Returns the sum of a file in a list that sha256sum could have written.
fn sum_in<'a>(sums: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = sums.lines().filter_map(|line| line.split_once("  "));
    lines.find_map(|(sum, of)| (of == name).then_some(sum))
}
