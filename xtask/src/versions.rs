// SPDX-License-Identifier: GPL-3.0-or-later
//! README's table of GRUB's versions: how far our module gets with each, on each platform.
//!
//! A run knows some cells of the table. Those are compared or written; the others stay.

use std::collections::BTreeMap;

use crate::platform::Platform;
use crate::readme::Part;

/// Where the table stands.
pub(crate) const PART: Part = Part::readme("versions");

/// What an unknown cell holds.
const NOTHING: &str = "–";

/// How the module gets into GRUB: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As a file beside the distribution's other modules.
    DropIn,
    /// Built by GRUB's own makefiles.
    InTree,
}

impl Kind {
    /// All columns.
    const ALL: [Self; 2] = [Self::DropIn, Self::InTree];

    /// What stands above the column.
    fn title(self) -> &'static str {
        match self {
            Self::DropIn => "Drop-in",
            Self::InTree => "Built inside GRUB",
        }
    }
}

/// What a test shows when it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The module can be built, and GRUB's verifier takes it.
    Built,
    /// GRUB's own module is kept and can be built.
    BuiltReference,
    /// Our test kernel boots.
    Kernel,
    /// Xen boots.
    Xen,
    /// Xen is entered and says that it does not run on this firmware.
    XenRefuses,
}

/// A test that has run.
pub(crate) struct Ran {
    /// GRUB's version, as in "2.14".
    pub(crate) version: String,
    /// GRUB's name of the platform.
    pub(crate) platform: &'static str,
    /// Which module.
    pub(crate) kind: Kind,
    /// What it shows.
    pub(crate) shows: Shows,
    /// Whether it passed.
    pub(crate) passed: bool,
}

/// A cell of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// GRUB's version.
    pub(crate) version: String,
    /// GRUB's name of the platform.
    pub(crate) platform: String,
    /// The column.
    pub(crate) kind: Kind,
    /// What it says.
    pub(crate) status: String,
}

/// Turns tests into the cells that they are about.
pub(crate) fn cells(ran: &[Ran]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for one in ran {
        let of_cell = |other: &&Ran| {
            (other.version == one.version, other.platform, other.kind)
                == (true, one.platform, one.kind)
        };
        let cell = Cell {
            version: one.version.clone(),
            platform: one.platform.to_owned(),
            kind: one.kind,
            status: status(&ran.iter().filter(of_cell).collect::<Vec<_>>()).to_owned(),
        };
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

/// Puts all tests of a cell into words.
fn status(ran: &[&Ran]) -> &'static str {
    let shown = |what| ran.iter().any(|one| one.shows == what);
    if ran.iter().any(|one| !one.passed) {
        "fails"
    } else if shown(Shows::BuiltReference) {
        "keeps GRUB's C module; built and verified"
    } else if !shown(Shows::Kernel) {
        "built and verified"
    } else if shown(Shows::Xen) {
        "boots our kernel and Xen"
    } else if shown(Shows::XenRefuses) {
        "boots our kernel (Xen does not run on 32-bit UEFI)"
    } else {
        "boots our kernel"
    }
}

/// Puts cells into a table, in place of what it says about them.
pub(crate) fn with_cells(table: &str, cells: &[Cell]) -> String {
    let mut rows = rows(table);
    for cell in cells {
        let row = rows
            .entry(key(&cell.version, &cell.platform))
            .or_insert_with(|| [NOTHING.to_owned(), NOTHING.to_owned()]);
        for (kind, place) in Kind::ALL.iter().zip(row) {
            if *kind == cell.kind {
                cell.status.clone_into(place);
            }
        }
    }
    let [first, second] = Kind::ALL.map(Kind::title);
    let mut text = format!("| GRUB | Platform | {first} | {second} |\n|---|---|---|---|\n");
    for ((version, _, platform), [drop_in, in_tree]) in rows {
        text += &format!("| {version} | {platform} | {drop_in} | {in_tree} |\n");
    }
    text
}

/// Version and platform of a row, with what orders platforms between them.
type Key = (String, usize, String);

/// The rows of a table: drop-in and in-tree.
fn rows(table: &str) -> BTreeMap<Key, [String; 2]> {
    let lines = table.lines().skip(2).filter_map(|line| {
        let words = line.trim_matches('|').split('|').map(str::trim);
        let [version, platform, drop_in, in_tree] = words.collect::<Vec<_>>()[..] else {
            return None;
        };
        let row = [drop_in.to_owned(), in_tree.to_owned()];
        Some((key(version, platform), row))
    });
    lines.collect()
}

/// Versions by their name, our platforms in our order before all others.
fn key(version: &str, platform: &str) -> Key {
    let known = Platform::ALL.iter().position(|p| p.name() == platform);
    (
        version.to_owned(),
        known.unwrap_or(usize::MAX),
        platform.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(platform: &'static str, shows: Shows, passed: bool) -> Ran {
        Ran {
            version: "2.14".to_owned(),
            platform,
            kind: Kind::DropIn,
            shows,
            passed,
        }
    }

    fn statuses(ran: &[Ran]) -> Vec<String> {
        cells(ran).into_iter().map(|cell| cell.status).collect()
    }

    #[test]
    fn one_failure_spoils_its_cell_and_no_other() {
        let list = [
            ran("a", Shows::Built, true),
            ran("a", Shows::Kernel, true),
            ran("a", Shows::Kernel, false),
            ran("a", Shows::Xen, true),
            ran("b", Shows::Built, true),
        ];
        assert_eq!(statuses(&list), ["fails", "built and verified"]);
    }

    #[test]
    fn words_say_how_far_it_got() {
        let both = [ran("a", Shows::Kernel, true), ran("a", Shows::Xen, true)];
        assert_eq!(statuses(&both), ["boots our kernel and Xen"]);
        let refused = [
            ran("a", Shows::Kernel, true),
            ran("a", Shows::XenRefuses, true),
        ];
        assert!(statuses(&refused)[0].contains("32-bit UEFI"));
        assert_eq!(statuses(&both[..1]), ["boots our kernel"]);
    }

    #[test]
    fn known_cells_change_and_the_others_stay() {
        let cell = |version: &str, platform: &str, kind, status: &str| Cell {
            version: version.to_owned(),
            platform: platform.to_owned(),
            kind,
            status: status.to_owned(),
        };
        let first = [
            cell("2.14", "i386-efi", Kind::DropIn, "old"),
            cell("2.14", "mipsel-arc", Kind::InTree, "kept"),
            cell("2.14", "i386-pc", Kind::DropIn, "pc"),
            cell("2.06", "i386-efi", Kind::InTree, "tree"),
        ];
        let table = with_cells("", &first);
        assert_eq!(with_cells(&table, &[]), table);
        let next = [cell("2.14", "i386-efi", Kind::DropIn, "new")];
        let lines: Vec<String> = with_cells(&table, &next)
            .lines()
            .skip(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(
            lines,
            [
                "| 2.06 | i386-efi | – | tree |",
                "| 2.14 | i386-pc | pc | – |",
                "| 2.14 | i386-efi | new | – |",
                "| 2.14 | mipsel-arc | – | kept |",
            ]
        );
    }
}
