// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether the builds inside GRUB have to be tested again.
//!
//! They take as long as all other tests together and depend on few files. So a pass is written
//! down in the cache under a digest of these files; while the digest is the same, the record
//! stands for a run. The Rust sources are no part of it: the drop-ins test those.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mb2_testkit::bytes::fnv1a64;

use crate::grub::Grub;
use crate::versions::{Cell, Kind};
use crate::{cache, root, sources};

/// What decides how GRUB is built with our module in it: files, and folders with a slash.
const INPUTS: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Makefile.am",
    "build.rs",
    "grub-headers/",
    "module-glue/",
    "xtask/src/intree/",
    "xtask/src/sources.rs",
    "xtask/src/tree.rs",
];

/// The place for the record of a pass in the present state.
pub(crate) struct Record(PathBuf);

impl Record {
    /// Finds it for these versions.
    ///
    /// # Errors
    ///
    /// If a source cannot be read.
    pub(crate) fn of(grubs: &[Grub]) -> Result<Self> {
        let root = root();
        let names = sources::names(&root)?;
        let digest = digest(&names, &|name| fs::read(root.join(name)), grubs)?;
        Ok(Self(cache::folder()?.join("inside").join(digest)))
    }

    /// What it says, if there is one.
    pub(crate) fn read(&self) -> Option<Vec<Cell>> {
        parse(&fs::read_to_string(&self.0).ok()?)
    }

    /// Writes it down.
    ///
    /// # Errors
    ///
    /// If that cannot be done.
    pub(crate) fn write(&self, cells: &[Cell]) -> Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.0, render(cells))
            .with_context(|| format!("cannot write {}", self.0.display()))
    }
}

/// Whether builds depend on a file. What is only read by people counts for nothing.
fn counts(name: &str) -> bool {
    let is = |input: &&str| match input.ends_with('/') {
        true => name.starts_with(*input),
        false => name == *input,
    };
    INPUTS.iter().any(is) && Path::new(name).extension().is_none_or(|e| e != "md")
}

fn digest(
    names: &[String],
    read: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
    grubs: &[Grub],
) -> Result<String> {
    let mut all = Vec::new();
    let mut names: Vec<&String> = names.iter().filter(|name| counts(name)).collect();
    names.sort();
    for name in names {
        // A file that git knows and that is gone is one without contents.
        let bytes = read(name).unwrap_or_default();
        all.extend(format!("{name} {:016x}\n", fnv1a64(&bytes)).into_bytes());
    }
    for grub in grubs {
        all.extend(format!("GRUB {}\n", grub.debian).into_bytes());
    }
    Ok(format!("{:016x}", fnv1a64(&all)))
}

fn render(cells: &[Cell]) -> String {
    let line = |cell: &Cell| format!("{}\t{}\t{}\n", cell.version, cell.platform, cell.status);
    cells.iter().map(line).collect()
}

fn parse(text: &str) -> Option<Vec<Cell>> {
    let cell = |line: &str| {
        let [version, platform, status] = line.split('\t').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Cell {
            version: version.to_owned(),
            platform: platform.to_owned(),
            kind: Kind::InTree,
            status: status.to_owned(),
        })
    };
    let cells: Option<Vec<Cell>> = text.lines().map(cell).collect();
    cells.filter(|cells| !cells.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grub(debian: &str) -> Grub {
        Grub {
            upstream: "2.14".to_owned(),
            debian: debian.to_owned(),
        }
    }

    /// The digest of a repository in which one file has other contents than the rest.
    fn with(changed: &str, debian: &str) -> String {
        let names = [
            "Makefile.am",
            "README.md",
            "grub-headers/mb2_abi.h",
            "src/lib.rs",
        ]
        .into_iter()
        .chain([
            "module-glue/shims.c",
            "module-glue/README.md",
            "xtask/src/intree/build.rs",
        ])
        .map(str::to_owned)
        .collect::<Vec<_>>();
        let read = |name: &str| Ok(if name == changed { b"new" } else { b"old" }.to_vec());
        digest(&names, &read, &[grub(debian)]).unwrap()
    }

    #[test]
    fn a_changed_build_file_glue_header_or_version_calls_for_a_run() {
        let usual = with("nothing", "2.14-3");
        for changed in [
            "Makefile.am",
            "grub-headers/mb2_abi.h",
            "module-glue/shims.c",
            "xtask/src/intree/build.rs",
        ] {
            assert_ne!(with(changed, "2.14-3"), usual, "{changed}");
        }
        assert_ne!(with("nothing", "2.14-4"), usual);
    }

    #[test]
    fn changed_loader_and_documents_do_not() {
        let usual = with("nothing", "2.14-3");
        for changed in ["src/lib.rs", "README.md", "module-glue/README.md"] {
            assert_eq!(with(changed, "2.14-3"), usual, "{changed}");
        }
    }

    #[test]
    fn every_input_is_a_source() {
        let names = sources::names(&root()).unwrap();
        for input in INPUTS {
            let known = |name: &String| name.starts_with(input) && counts(name);
            assert!(names.iter().any(known), "{input}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let cells = parse("2.14\ti386-qemu\tboots our kernel\n").unwrap();
        assert_eq!(cells[0].platform, "i386-qemu");
        assert_eq!(parse(&render(&cells)).unwrap(), cells);
        assert!(parse("").is_none() && parse("half a line").is_none());
    }
}
