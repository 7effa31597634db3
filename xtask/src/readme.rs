// SPDX-License-Identifier: GPL-3.0-or-later
//! The parts of README.md and other documents that a run writes or checks. Each stands between
//! two lines with its name.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::root;

/// A part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    file: &'static str,
    name: &'static str,
}

impl Part {
    /// A part of README.md.
    pub(crate) const fn readme(name: &'static str) -> Self {
        Self::of("README.md", name)
    }

    /// A part of another document.
    pub(crate) const fn of(file: &'static str, name: &'static str) -> Self {
        Self { file, name }
    }

    fn begin(self) -> String {
        format!("<!-- {}: begin -->\n", self.name)
    }

    fn end(self) -> String {
        format!("<!-- {}: end -->", self.name)
    }

    /// Hands on what stands before the part, in it, and behind it.
    fn load<T>(self, then: impl FnOnce((&str, &str, &str)) -> Result<T>) -> Result<T> {
        let path = root().join(self.file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        then(self.split(&text).with_context(|| {
            let (begin, end) = (self.begin(), self.end());
            format!(
                "{} lacks the lines `{}` and `{end}`",
                self.file,
                begin.trim()
            )
        })?)
    }

    /// What stands there.
    ///
    /// # Errors
    ///
    /// If there is no such part.
    pub(crate) fn read(self) -> Result<String> {
        self.load(|(_, part, _)| Ok(part.to_owned()))
    }

    /// Splits a text into what stands before the part, the part, and what follows it.
    fn split(self, text: &str) -> Option<(&str, &str, &str)> {
        let begin = text.find(&self.begin())? + self.begin().len();
        let end = begin + text[begin..].find(&self.end())?;
        Some((&text[..begin], &text[begin..end], &text[end..]))
    }

    /// Lets `make` turn the part into what it has to be: then that is written, or, without
    /// `write`, compared with what stands there.
    ///
    /// # Errors
    ///
    /// If the document has no such part, cannot be written, or says something else. The text is
    /// what it should say.
    pub(crate) fn settle(self, write: bool, make: impl FnOnce(&str) -> String) -> Result<()> {
        self.load(|(before, old, after)| {
            let new = make(old);
            if write {
                let path = root().join(self.file);
                return fs::write(&path, format!("{before}{new}{after}"))
                    .with_context(|| format!("cannot write {}", path.display()));
            }
            if new != old {
                bail!(
                    "{}: {} is not what this run gives: run `cargo xtask test --write-table`, \
                     or put this between its markers\n{new}",
                    self.file,
                    self.name
                );
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_stands_between_its_own_lines() {
        let text =
            "a\n<!-- x: begin -->\none\n<!-- x: end -->\n<!-- y: begin -->\n<!-- y: end -->\n";
        let (before, old, after) = Part::readme("x").split(text).unwrap();
        assert_eq!(old, "one\n");
        assert_eq!(format!("{before}{old}{after}"), text);
        assert_eq!(Part::readme("y").split(text).unwrap().1, "");
        assert_eq!(Part::readme("z").split(text), None);
    }

    #[test]
    fn every_part_is_in_readme() {
        let text = fs::read_to_string(root().join("README.md")).unwrap();
        for part in [crate::table::PART, crate::versions::PART] {
            assert!(part.split(&text).is_some(), "{}", part.name);
        }
    }
}
