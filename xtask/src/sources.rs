// SPDX-License-Identifier: GPL-3.0-or-later
//! The sources of this repository: every file that git knows or would add.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cmd::{output, system};
use crate::root;

/// Names of all sources below `root`, deleted ones too.
///
/// # Errors
///
/// If git fails.
pub(crate) fn names(root: &Path) -> Result<Vec<String>> {
    let mut list = system("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let names = output(list.current_dir(root)).context("missing git: apt-get install git")?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}

/// Makes `to` a copy of the sources and of nothing else. A file that is the same already keeps
/// its time, so that make does not take it for changed.
///
/// # Errors
///
/// If files cannot be read or written.
pub(crate) fn copy(to: &Path) -> Result<()> {
    let root = root();
    let mut wanted = BTreeSet::new();
    for name in names(&root)? {
        let (from, into) = (root.join(&name), to.join(&name));
        if !from.is_file() {
            continue;
        }
        copy_file(&from, &into)?;
        wanted.insert(into);
    }
    remove_others(to, &|path| wanted.contains(path)).map(drop)
}

fn copy_file(from: &Path, into: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mode = |path: &Path| fs::metadata(path).map(|data| data.permissions().mode());
    if fs::read(into).is_ok_and(|old| old == bytes) && mode(from)? == mode(into)? {
        return Ok(());
    }
    if let Some(folder) = into.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, into).with_context(|| format!("cannot write {}", into.display()))?;
    Ok(())
}

/// Removes the files below a folder that are not wanted, and folders that hold none; returns
/// whether something is left.
fn remove_others(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<bool> {
    let mut left = false;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            if remove_others(&path, wanted)? {
                left = true;
            } else {
                fs::remove_dir(&path)?;
            }
        } else if wanted(&path) {
            left = true;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_copy_follows_the_sources_and_leaves_the_same_files_alone() {
        let to = std::env::temp_dir().join(format!("mb2-sources-{}", std::process::id()));
        fs::create_dir_all(to.join("gone/deep")).unwrap();
        fs::write(to.join("gone/deep/file"), "x").unwrap();
        fs::write(to.join("build.rs"), "old").unwrap();
        copy(&to).unwrap();
        assert!(!to.join("gone").exists());
        let same =
            |name: &str| fs::read(to.join(name)).unwrap() == fs::read(root().join(name)).unwrap();
        assert!(same("build.rs") && same(".cargo/config.toml"));
        let mode = fs::metadata(to.join("module-glue/patch-tree")).unwrap();
        assert!(mode.permissions().mode() & 0o100 != 0);

        let early = SystemTime::UNIX_EPOCH;
        fs::File::open(to.join("build.rs"))
            .unwrap()
            .set_modified(early)
            .unwrap();
        copy(&to).unwrap();
        assert_eq!(
            fs::metadata(to.join("build.rs"))
                .unwrap()
                .modified()
                .unwrap(),
            early
        );
        fs::remove_dir_all(to).unwrap();
    }
}
