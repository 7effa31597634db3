// SPDX-License-Identifier: GPL-3.0-or-later
//! Rule 5: a type that lies over foreign bytes holds integers, arrays of them, and other such
//! types. An enum, a bool, a char or a reference has values that no byte may take; a file that
//! holds one anyway would make the program's behaviour undefined.

use super::{Texts, without_comment, words};

/// Returns the offences in src/wire.
pub(crate) fn check(texts: &Texts) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts.under("src/wire/", ".rs") {
        found.extend(offences(path, text));
    }
    found
}

/// Looks at every item that is marked `repr(C)` or `repr(transparent)`.
fn offences(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(without_comment).enumerate();
    while let Some((index, line)) = lines.next() {
        let attribute = words(line);
        let fixed = attribute.first() == Some(&"#")
            && attribute.contains(&"repr")
            && (attribute.contains(&"C") || attribute.contains(&"transparent"));
        if !fixed {
            continue;
        }
        // The item goes on until its brackets are closed or a semicolon stands outside of them.
        let (mut depth, mut begun) = (0_i32, false);
        for (_, line) in lines.by_ref() {
            let words = words(line);
            if !begun && words.first() == Some(&"#") {
                continue;
            }
            for word in words {
                let bad = match word {
                    "enum" | "union" | "bool" | "char" => Some(word),
                    "&" => Some("a reference"),
                    _ => None,
                };
                if let Some(what) = bad {
                    found.push(format!("{path}:{}: {what} over foreign bytes", index + 1));
                }
                match word {
                    "{" | "(" | "[" => depth += 1,
                    "}" | ")" | "]" => depth -= 1,
                    _ => {}
                }
                begun = true;
                if depth == 0 && (word == ";" || word == "}") {
                    break;
                }
            }
            let last = line.trim_end();
            if begun && depth == 0 && (last.ends_with(';') || last.ends_with('}')) {
                break;
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
    fn integers_pass() {
        let text = "/// A & B as bool.\n#[repr(C)]\n#[derive(Clone)]\npub struct A {\n    a: u32,\n    \
                    b: [u8; 4],\n}\nfn f(a: &A) -> bool { true }\n#[repr(transparent)]\n\
                    pub(crate) struct B(pub u16);\npub enum C { D }\n";
        assert_eq!(count(text), 0);
    }

    #[test]
    fn each_kind_of_narrow_type_is_an_offence() {
        assert_eq!(count("#[repr(C)]\npub enum A { B }\n"), 1);
        assert_eq!(count("#[repr(C)]\nstruct A {\n    b: bool,\n}\n"), 1);
        assert_eq!(count("#[repr(transparent)]\nstruct A(char);\n"), 1);
        assert_eq!(
            count("#[repr(C, packed)]\nstruct A<'a> {\n    b: &'a u8,\n}\n"),
            1
        );
    }

    #[test]
    fn other_folders_may_hold_them() {
        assert!(check(&one("src/plan/a.rs", "#[repr(C)]\nenum A { B }\n")).is_empty());
    }
}
