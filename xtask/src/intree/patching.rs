// SPDX-License-Identifier: GPL-3.0-or-later
//! Tests `module-glue/patch-tree` with the files of a version of GRUB that it reads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::source::PLACE;
use crate::cmd::{output, system};
use crate::grub::Grub;
use crate::{root, tree};

/// The files of GRUB that it changes.
const CHANGED: [&str; 2] = ["grub-core/Makefile.core.def", "grub-core/Makefile.am"];

/// Other files by which it knows a tree.
const LOOKED_AT: [&str; 2] = ["autogen.sh", "gentpl.py"];

/// A tree that has nothing but these files.
struct Tree {
    folder: PathBuf,
    original: PathBuf,
}

/// Runs the script on a tree of this version: forth, again, back, and on trees that it has to
/// refuse.
///
/// # Errors
///
/// What it does otherwise than it should.
pub(crate) fn check(grub: &Grub) -> Result<()> {
    let tree = Tree {
        folder: root().join("target/xtask/patching").join(&grub.upstream),
        original: tree::source(grub)?,
    };
    tree.reset()?;
    tree.patch(&[])?;
    tree.means_ours()?;
    let patched = tree.state()?;
    tree.patch(&[])?;
    ensure!(tree.state()? == patched, "a second run changes something");
    tree.patch(&["--undo"])?;
    for name in CHANGED {
        let (now, before) = (tree.folder.join(name), tree.original.join(name));
        ensure!(
            fs::read(now)? == fs::read(before)?,
            "--undo leaves {name} changed"
        );
    }
    ensure!(
        !tree.folder.join(PLACE).is_symlink(),
        "--undo leaves the link"
    );
    tree.patch(&["--undo"])?;
    refusals(&tree)
}

/// Trees that are not as the script knows them.
fn refusals(tree: &Tree) -> Result<()> {
    let [blocks, makefile] = CHANGED;
    tree.refuses("has no module multiboot2", |folder| {
        edit(
            &folder.join(blocks),
            "name = multiboot2;",
            "name = multiboot3;",
        )
    })?;
    tree.refuses("not the one that this script knows", |folder| {
        edit(
            &folder.join(blocks),
            "  common = loader/multiboot_mbi2.c;\n",
            "  common = loader/multiboot_mbi2.c;\n  common = loader/more.c;\n",
        )
    })?;
    tree.refuses("does not include Makefile.core.am", |folder| {
        edit(
            &folder.join(makefile),
            "include $(srcdir)/Makefile.core.am\n",
            "",
        )
    })?;
    tree.refuses("is no source tree of GRUB", |folder| {
        Ok(fs::remove_file(folder.join("autogen.sh"))?)
    })?;
    tree.refuses("is another copy", |folder| {
        Ok(fs::create_dir(folder.join(PLACE))?)
    })?;
    tree.refuses("leads nowhere", |folder| {
        Ok(symlink("gone", folder.join(PLACE))?)
    })
}

fn edit(path: &Path, old: &str, new: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    ensure!(text.contains(old), "{} has no {old:?}", path.display());
    Ok(fs::write(path, text.replace(old, new))?)
}

impl Tree {
    /// Makes it as GRUB has it.
    fn reset(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(self.folder.join("grub-core"))?;
        for name in CHANGED.iter().chain(&LOOKED_AT) {
            fs::copy(self.original.join(name), self.folder.join(name))?;
        }
        Ok(())
    }

    fn patch(&self, args: &[&str]) -> Result<()> {
        let mut script = system(root().join("module-glue/patch-tree"));
        output(script.args(args).arg(&self.folder)).map(drop)
    }

    /// GRUB's own program has to find our sources in the changed file, without a complaint, and
    /// the C sources only for the platforms that keep them.
    fn means_ours(&self) -> Result<()> {
        let mut gentpl = system("python3");
        gentpl
            .arg("gentpl.py")
            .arg(CHANGED[0])
            .current_dir(&self.folder);
        let out = gentpl.output()?;
        let complaints = String::from_utf8_lossy(&out.stderr);
        ensure!(complaints.is_empty(), "gentpl.py says {complaints}");
        let text = String::from_utf8_lossy(&out.stdout);
        let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
        let (ours, theirs) = (
            "multiboot2_module_SOURCES  = multiboot2-rs/",
            "loader/multiboot_mbi2.c",
        );
        ensure!(
            count(ours) == 8,
            "{} platforms have our module",
            count(ours)
        );
        ensure!(
            count(theirs) == 3,
            "{} platforms have GRUB's",
            count(theirs)
        );
        Ok(())
    }

    /// Contents and times of the files, and where the link leads.
    fn state(&self) -> Result<Vec<(Vec<u8>, std::time::SystemTime)>> {
        let file = |name: &&str| {
            let path = self.folder.join(name);
            Ok((fs::read(&path)?, fs::metadata(&path)?.modified()?))
        };
        CHANGED.iter().map(file).collect()
    }

    /// The script has to end with this message and change nothing.
    fn refuses(&self, message: &str, spoil: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.reset()?;
        spoil(&self.folder)?;
        let before = self.state()?;
        let said = match self.patch(&[]) {
            Ok(()) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        };
        ensure!(
            said.contains(message),
            "instead of `{message}` it says: {said}"
        );
        ensure!(
            self.state()? == before,
            "it says `{message}` and changes files"
        );
        Ok(())
    }
}
