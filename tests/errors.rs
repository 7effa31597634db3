// SPDX-License-Identifier: GPL-3.0-or-later
//! `docs/errors.md` has every error that the module can print, and names for
//! each a test that makes it print that.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

use mb2::error::{Code, Kind};
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::{self, Expectation, Says};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What neither GRUB nor its module for Multiboot2 says: the tests' own
/// verifier, the command `linux`.
const OTHERS: [&str; 2] = ["the probe forbids this line", "invalid magic number"];

/// The text of a kind as the document writes it.
fn written(kind: Kind) -> String {
    let format = kind.text().to_str().unwrap();
    format
        .replace("%s", "NAME")
        .replace("%llx", "N")
        .replace("%llu", "N")
}

/// Whether `text` is all of what is written, with names and numbers for NAME
/// and N; it may begin behind the name of the file.
fn says(written: &str, text: &str) -> bool {
    let whole = |pattern| fits(pattern, text);
    whole(written) || written.strip_prefix("NAME: ").is_some_and(whole)
}

fn fits(pattern: &str, text: &str) -> bool {
    let (literal, rest) = pattern.split_at(pattern.find('N').unwrap_or(pattern.len()));
    let Some(text) = text.strip_prefix(literal) else {
        return false;
    };
    let behind = if let Some(rest) = rest.strip_prefix("NAME") {
        (rest, text.trim_start_matches(|c| c != ':' && c != '\''))
    } else if let Some(rest) = rest.strip_prefix('N') {
        (
            rest,
            text.trim_start_matches(|c: char| c.is_ascii_hexdigit()),
        )
    } else {
        return text.is_empty();
    };
    behind.1.len() < text.len() && fits(behind.0, behind.1)
}

/// Whether a part of an error line, numbers aside, stands in what is written.
fn is_part(written: &str, part: &str) -> bool {
    let unnamed = part
        .split_once(": ")
        .filter(|(name, _)| name.starts_with('/'));
    let words = unnamed.map_or(part, |(_, rest)| rest);
    let words = words.trim_end_matches("0x").trim_end_matches('/');
    let mut pieces = words.split("0x");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain += "0xN";
        plain += piece.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    let number = |c: char| c.is_ascii_digit();
    let [plain, written] = [&plain, written].map(|s| s.replace("4 GiB", "").replace(number, "N"));
    written.contains(plain.trim_end())
}

/// Error texts that sessions wait for, by `SESSION/STEP`.
fn sessions() -> BTreeMap<String, Vec<&'static str>> {
    let mut found: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for variant in variants::all(&Payload::dummy()).unwrap() {
        let Expectation::Session { steps, .. } = variant.expectation else {
            continue;
        };
        for step in steps {
            let errors = step.says.iter().filter_map(|says| match says {
                Says::Error(text) => Some(*text),
                Says::Text(_) => None,
            });
            found.insert(format!("{}/{}", variant.name, step.name), errors.collect());
        }
    }
    found
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A row of one of the document's tables.
struct Row {
    text: String,
    tests: Vec<String>,
}

/// The rows of both tables: what the module says, and what GRUB says.
fn tables() -> [Vec<Row>; 2] {
    let text = read("docs/errors.md");
    let (ours, grubs) = text.split_once("\n## What GRUB itself says\n").unwrap();
    [ours, grubs].map(|part| {
        let lines = part.lines().filter(|line| line.starts_with("| `"));
        lines.map(row).collect()
    })
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
    let [text, cause, cure, tests] = cells[..] else {
        panic!("not four cells: {line}");
    };
    assert!(cause.len() > 5 && cure.len() > 5, "{line}");
    Row {
        text: text.trim_matches([' ', '`']).to_owned(),
        tests: tests
            .split(", ")
            .map(|test| test.trim_matches([' ', '`']).to_owned())
            .collect(),
    }
}

/// The function of a source file, up to the line where it ends.
fn function(file: &str, name: &str) -> String {
    let place = if file.contains('/') {
        file.to_owned()
    } else {
        format!("tests/{file}")
    };
    let source = read(&place);
    let start = source
        .find(&format!("fn {name}("))
        .unwrap_or_else(|| panic!("no {name} in {file}"));
    let column = start - source[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = format!("\n{}}}\n", " ".repeat(column));
    source[start..].split(&end).next().unwrap().to_owned()
}

/// Whether a test makes the module print the text.
fn triggers(
    test: &str,
    row: &Row,
    kind: Option<Kind>,
    sessions: &BTreeMap<String, Vec<&str>>,
) -> bool {
    if let Some((file, name)) = test.split_once("::") {
        let body = function(file, name);
        let said = row.text.rsplit("NAME").next().unwrap_or_default();
        let by_kind = kind.is_some_and(|kind| body.contains(&format!("Kind::{kind:?}")));
        return by_kind || body.contains(said);
    }
    let said = sessions
        .get(test)
        .unwrap_or_else(|| panic!("no step {test}"));
    said.iter().any(|text| says(&row.text, text))
}

#[test]
fn every_error_stands_in_the_table_and_a_test_triggers_it() {
    let sessions = sessions();
    let [ours, _] = tables();
    for &kind in Kind::ALL.iter().filter(|kind| kind.code() != Code::None) {
        let text = written(kind);
        let rows: Vec<&Row> = ours.iter().filter(|row| row.text == text).collect();
        let [row] = rows[..] else {
            panic!(
                "docs/errors.md has {} rows for {kind:?}: {text}",
                rows.len()
            );
        };
        for test in &row.tests {
            let said = triggers(test, row, Some(kind), &sessions);
            assert!(said, "{test} does not make the module say all of {text:?}");
        }
    }
    for row in &ours {
        let known = Kind::ALL.iter().any(|&kind| written(kind) == row.text);
        assert!(known, "nothing says {:?}", row.text);
    }
}

#[test]
fn what_grub_says_itself_stands_in_the_second_table() {
    let sessions = sessions();
    let [ours, grubs] = tables();
    for row in &grubs {
        assert!(
            !ours.iter().any(|other| other.text == row.text),
            "{}",
            row.text
        );
        for test in &row.tests {
            let said = triggers(test, row, None, &sessions);
            assert!(said, "{test} does not make GRUB say {:?}", row.text);
        }
    }
    for (test, texts) in &sessions {
        for text in texts.iter().filter(|text| !OTHERS.contains(text)) {
            let module = ours
                .iter()
                .any(|row| says(&row.text, text) || is_part(&row.text, text));
            let grub = grubs.iter().any(|row| says(&row.text, text));
            assert!(
                module || grub,
                "{test} waits for {text:?}, which no table has"
            );
        }
    }
}

#[test]
fn a_text_is_told_from_another() {
    let written = "NAME: segment N: file size 0xN is above 0xN";
    assert!(says(written, "/x: segment 1: file size 0xff is above 0x1"));
    assert!(says(written, "segment 1: file size 0xff is above 0x1"));
    for other in [
        "/x: segment 1: file size 0xff is above 0x",
        "/x: segment 1: file size 0xff is above 0x1 or more",
        "/x: segment : file size 0xff is above 0x1",
        "segment 1: file size 0xff is below 0x1",
    ] {
        assert!(!says(written, other), "{other}");
    }
    assert!(is_part(written, ": file size 0x") && is_part(written, "0xff is above 0x"));
    assert!(!is_part(written, "0x1 is below 0x"));
    assert!(says("file `NAME' not found", "file `/missing' not found"));
}
