// SPDX-License-Identifier: GPL-3.0-or-later
//! Words for GRUB's command interpreter, and what its loaders make of them.

/// Writes one argument so that GRUB's interpreter takes it as it is.
#[must_use]
pub fn quote(argument: &str) -> String {
    // Nothing is special between single quotes but the quote itself.
    format!("'{}'", argument.replace('\'', r#"'"'"'"#))
}

/// All arguments, each with a space in front.
pub(super) fn typed(arguments: &[&str]) -> String {
    arguments
        .iter()
        .map(|word| format!(" {}", quote(word)))
        .collect()
}

/// The command line that a GRUB loader hands on: arguments joined by spaces,
/// quotes and backslashes escaped, arguments with a space in double quotes.
#[must_use]
pub fn join_arguments(arguments: &[&str]) -> String {
    let word = |word: &&str| {
        let mut out = String::new();
        for c in word.chars() {
            if matches!(c, '\\' | '\'' | '"') {
                out.push('\\');
            }
            out.push(c);
        }
        if word.contains(' ') {
            format!("\"{out}\"")
        } else {
            out
        }
    };
    arguments.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_joined_as_grub_does() {
        assert_eq!(join_arguments(&[]), "");
        assert_eq!(join_arguments(&["a", "b"]), "a b");
        assert_eq!(join_arguments(&["a b", "c"]), "\"a b\" c");
        assert_eq!(join_arguments(&[r#"x"y\z'"#]), r#"x\"y\\z\'"#);
        assert_eq!(quote("it's"), r#"'it'"'"'s'"#);
    }
}
