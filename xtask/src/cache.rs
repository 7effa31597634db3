// SPDX-License-Identifier: GPL-3.0-or-later
//! The cache folder: `$XDG_CACHE_HOME/grub-multiboot2`, by default `~/.cache/grub-multiboot2`.
//!
//! It holds what is fetched or configured: GRUB's source, configured trees, Xen. A folder in it
//! is either whole or absent: work happens in a sibling that ends in `.part` and is renamed at
//! the end. A lock file beside each folder keeps two xtasks from making it at the same time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::ui;

/// Returns the cache folder, which need not exist yet.
///
/// # Errors
///
/// If neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn folder() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|v| Path::new(v).is_absolute()) {
        Some(base) => PathBuf::from(base),
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .context("no cache folder: set XDG_CACHE_HOME or HOME")?
            .join(".cache"),
    };
    Ok(base.join("grub-multiboot2"))
}

/// Takes the lock at `path`; waits, and says so, while another process holds it.
///
/// # Errors
///
/// If the lock file cannot be made.
pub(crate) fn lock(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let step = ui::step(format!("waiting for another xtask ({})", path.display()));
            file.lock()?;
            step.done();
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    Ok(file)
}

/// Returns `dir`; makes it with `fill` if it is not there.
///
/// `fill` gets an empty folder beside `dir`, which becomes `dir` when `fill` succeeds.
///
/// # Errors
///
/// Those of `fill`, and failures to make or rename the folder.
pub(crate) fn ensure(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let guard = lock(&sibling(dir, ".lock")?)?;
    let outcome = fill_once(dir, fill);
    drop(guard);
    outcome
}

/// Returns the path beside `dir` that has `ending` appended to its name.
fn sibling(dir: &Path, ending: &str) -> Result<PathBuf> {
    let mut name = dir
        .file_name()
        .context("a cache folder has a name")?
        .to_os_string();
    name.push(ending);
    Ok(dir.with_file_name(name))
}

/// The part of [`ensure`] that needs the lock.
fn fill_once(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let part = sibling(dir, ".part")?;
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::create_dir_all(&part)
        .with_context(|| format!("cannot make the folder {}", part.display()))?;
    fill(&part)?;
    fs::rename(&part, dir).with_context(|| format!("cannot rename {}", part.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("mb2-cache-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn an_interrupted_fill_leaves_no_finished_folder() {
        let base = scratch("interrupted");
        let dir = base.join("thing");
        let failed = fill_once(&dir, |part| {
            fs::write(part.join("half"), "x")?;
            anyhow::bail!("power cut")
        });
        assert!(failed.is_err());
        assert!(!dir.exists());
        fill_once(&dir, |part| {
            assert!(!part.join("half").exists(), "rest of the first try");
            Ok(fs::write(part.join("whole"), "x")?)
        })
        .unwrap();
        assert!(dir.join("whole").exists());
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_finished_folder_is_not_filled_again() {
        let base = scratch("finished");
        fill_once(&base.join("thing"), |_| Ok(())).unwrap();
        fill_once(&base.join("thing"), |_| panic!("filled twice")).unwrap();
        fs::remove_dir_all(base).unwrap();
    }
}
