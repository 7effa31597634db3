// SPDX-License-Identifier: GPL-3.0-or-later
//! Rule 10: whoever reads a fact about foreign bytes can look it up.
//!
//! Each public item of src/wire and src/info names the section it comes from, in its own
//! documentation or in that of its module, and always in the same form.

use super::Texts;

/// How a citation begins.
const FORMS: &[&str] = &["(Multiboot2, ", "(ELF, ", "(UEFI ", "(GRUB, "];

/// Returns the offences.
pub(crate) fn check(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["src/wire/", "src/info/"] {
        for (path, text) in texts.under(folder, ".rs") {
            found.extend(uncited(path, text));
            found.extend(malformed(path, text));
        }
    }
    found
}

/// Returns the public items without citation.
fn uncited(path: &str, text: &str) -> Vec<String> {
    let cites = |doc: &str| FORMS.iter().any(|form| doc.contains(form));
    let module: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    if cites(&module) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut doc = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if let Some(more) = line.strip_prefix("///") {
            doc += more;
        } else if !line.starts_with("#[") {
            if is_item(line) && !cites(&doc) {
                found.push(format!(
                    "{path}:{}: names no source: {}",
                    index + 1,
                    line.trim_end()
                ));
            }
            doc.clear();
        }
    }
    found
}

/// Says whether a line begins a public item; methods and fields belong to one.
fn is_item(line: &str) -> bool {
    let rest = line
        .strip_prefix("pub(crate) ")
        .or_else(|| line.strip_prefix("pub "));
    let kinds = [
        "struct ", "enum ", "const ", "static ", "trait ", "type ", "union ",
    ];
    rest.is_some_and(|rest| {
        // A name with `$` is a macro's: its users cite.
        !rest.starts_with("const fn")
            && !rest.contains('$')
            && kinds.iter().any(|k| rest.starts_with(k))
    })
}

/// Returns the citations of the specification that do not name a section by its number.
fn malformed(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        // A citation may go on in the next line of its comment.
        let next = lines.peek().map_or("", |(_, next)| next.trim_start());
        let both = format!("{line} {}", next.trim_start_matches(['/', '!', ' ']));
        let mut at = 0;
        while let Some(begin) = line.get(at..).and_then(|rest| rest.find("(Multiboot2")) {
            at += begin + "(Multiboot2".len();
            let number = both[at..]
                .strip_prefix(", ")
                .and_then(|text| text.chars().next());
            if !number.is_some_and(|c| c.is_ascii_digit()) {
                found.push(format!("{path}:{}: write (Multiboot2, 3.1.6)", index + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::one;
    use super::*;

    fn count(text: &str) -> usize {
        check(&one("src/wire/a.rs", text)).len()
    }

    #[test]
    fn item_or_module_may_cite() {
        assert_eq!(
            count("/// A (Multiboot2, 3.1.6).\n#[derive(Clone)]\npub struct A;\n"),
            0
        );
        assert_eq!(
            count("//! Tags (Multiboot2, 3.1).\n\n/// A.\npub struct A;\n"),
            0
        );
        assert_eq!(count("/// A.\nstruct Private;\n"), 0);
    }

    #[test]
    fn item_without_source_is_an_offence() {
        assert_eq!(count("/// A.\npub struct A;\n"), 1);
        assert_eq!(
            count("/// A (ELF, 1-4).\npub struct A;\n/// B.\npub const B: u8 = 1;\n"),
            1
        );
    }

    #[test]
    fn citation_may_be_broken_into_two_lines() {
        assert_eq!(count("//! Tags (Multiboot2,\n//! 3.1).\n"), 0);
    }

    #[test]
    fn other_form_is_an_offence() {
        assert_eq!(count("//! Tags (Multiboot2, section 3.1).\n"), 1);
        assert_eq!(count("//! Tags (Multiboot2 3.1).\n"), 1);
    }
}
