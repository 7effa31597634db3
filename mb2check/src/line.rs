// SPDX-License-Identifier: GPL-3.0-or-later
//! The error line that GRUB prints.

use mb2::error::Error;

/// Why a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The loader says so.
    Loader(Error),
    /// GRUB says so, in these words.
    Grub(&'static str),
}

impl Fault {
    /// What stands behind `error: `, without the full stop that GRUB adds; `name` is
    /// the file's.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        match self {
            Self::Grub(text) => (*text).to_owned(),
            Self::Loader(error) => fill(&error.kind.text().to_string_lossy(), name, &error.values),
        }
    }
}

/// What C's printf makes of a format of `%s`, `%llu` and `%llx`.
fn fill(format: &str, name: &str, numbers: &[u64]) -> String {
    let mut numbers = numbers.iter().copied();
    let mut parts = format.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut number = || numbers.next().unwrap_or_default();
        if let Some(rest) = part.strip_prefix("llx") {
            text += &format!("{:x}{rest}", number());
        } else if let Some(rest) = part.strip_prefix("llu") {
            text += &format!("{}{rest}", number());
        } else {
            text += name;
            text += part.strip_prefix('s').unwrap_or(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use mb2::error::Kind;

    #[test]
    fn numbers_and_the_name_take_their_places() {
        let error = Error::new(Kind::TagSize, &[6, 0x1010, 0]);
        let line = Fault::Loader(error).line("/boot/k");
        assert_eq!(line, "/boot/k: header tag 6 at 0x1010: wrong size 0x0");
        let error = Error::new(Kind::FileEnd, &[]);
        assert_eq!(Fault::Loader(error).line("k"), "premature end of file k");
    }

    #[test]
    fn every_text_is_filled_in() {
        for &kind in Kind::ALL {
            let line = Fault::Loader(Error::new(kind, &[1; 6])).line("k");
            assert!(!line.contains('%'), "{line}");
        }
    }
}
