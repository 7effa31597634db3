// SPDX-License-Identifier: GPL-3.0-or-later
//! The rules of this repository that no compiler and no lint checks.
//!
//! A rule is a small function over the texts of the repository. Its number is that of the list
//! in CONTRIBUTING.md.

mod cites;
mod source;
mod wire;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::sources;

/// The text files of the repository, as (path, contents), in the order of their paths.
pub(crate) struct Texts(Vec<(String, String)>);

/// One rule.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// What it demands, for the report.
    pub(crate) name: &'static str,
    /// Its number in the list.
    pub(crate) number: u8,
    /// Returns the offences.
    pub(crate) check: fn(&Texts) -> Vec<String>,
}

/// Rule 5, which has a command of its own.
pub(crate) const WIRE: Rule = Rule {
    name: "bytes from outside stay integers",
    number: 5,
    check: wire::check,
};

/// Rule 10, which has a command of its own.
pub(crate) const CITES: Rule = Rule {
    name: "facts name their source",
    number: 10,
    check: cites::check,
};

/// All rules.
pub(crate) const ALL: &[Rule] = &[
    Rule {
        name: "unsafe code stands in src/ffi",
        number: 1,
        check: source::unsafe_in_ffi,
    },
    Rule {
        name: "Rust calls shims, never GRUB",
        number: 2,
        check: source::no_direct_call,
    },
    Rule {
        name: "one contract for both sides",
        number: 3,
        check: source::one_contract,
    },
    WIRE,
    Rule {
        name: "pure code knows no effects",
        number: 7,
        check: source::pure_code,
    },
    Rule {
        name: "addresses have their own type",
        number: 9,
        check: source::typed_addresses,
    },
    CITES,
    Rule {
        name: "entries hold no loop",
        number: 12,
        check: source::short_entries,
    },
    Rule {
        name: "what C hands over is checked",
        number: 12,
        check: source::checked_entries,
    },
    Rule {
        name: "one static",
        number: 14,
        check: source::one_static,
    },
    Rule {
        name: "no alloc crate",
        number: 16,
        check: source::no_alloc,
    },
    Rule {
        name: "layouts are asserted",
        number: 17,
        check: source::asserted_layouts,
    },
    Rule {
        name: "nothing documents panics",
        number: 20,
        check: source::no_panics_section,
    },
    Rule {
        name: "freestanding is the target's",
        number: 22,
        check: source::no_cfg_not_test,
    },
    Rule {
        name: "nothing sleeps",
        number: 23,
        check: source::no_sleep,
    },
    Rule {
        name: "licence line first",
        number: 25,
        check: source::licence_lines,
    },
    Rule {
        name: "files are short",
        number: 25,
        check: source::short_files,
    },
];

impl Texts {
    /// Reads all files that git knows or would add.
    ///
    /// # Errors
    ///
    /// If git fails or a file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut texts = Vec::new();
        for name in sources::names(root)? {
            // Deleted but not yet committed files are listed too; binary files have no rules.
            if let Ok(text) = fs::read_to_string(root.join(&name)) {
                texts.push((name, text));
            }
        }
        texts.sort();
        Ok(Self(texts))
    }

    /// All files.
    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files below a folder ("src/") with an ending (".rs").
    fn under<'a>(&'a self, folder: &str, ending: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all()
            .filter(move |(path, _)| path.starts_with(folder) && path.ends_with(ending))
    }

    /// Lines of code below a folder, without comments, as (place, line).
    fn code<'a>(&'a self, folder: &str) -> impl Iterator<Item = (String, &'a str)> {
        self.under(folder, ".rs").flat_map(|(path, text)| {
            let lines = text.lines().enumerate();
            lines.map(move |(index, line)| (format!("{path}:{}", index + 1), without_comment(line)))
        })
    }
}

/// Cuts a comment off a line of Rust. Good enough for lines that contain no `//` in a text.
fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

/// Splits a line into words: identifiers and single other characters.
fn words(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let end = if part(first) {
            rest.find(|c| !part(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of one file.
    pub(super) fn one(path: &str, text: &str) -> Texts {
        Texts(vec![(path.to_owned(), text.to_owned())])
    }

    #[test]
    fn words_are_identifiers_and_signs() {
        assert_eq!(
            words("unsafe  { a_b(1) }"),
            ["unsafe", "{", "a_b", "(", "1", ")", "}"]
        );
    }

    #[test]
    fn this_repository_can_be_read() {
        let texts = Texts::read(&crate::root()).unwrap();
        assert!(
            texts
                .all()
                .any(|(path, _)| path == "xtask/src/rules/mod.rs")
        );
    }
}
