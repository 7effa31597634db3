// SPDX-License-Identifier: GPL-3.0-or-later
//! Documents that name tests name those that there are.

use super::tests::list;
use super::{Expectation, Says};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Everything between backquotes, line breaks included.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A name that stands for both classes, as two.
fn classes(name: &str) -> Vec<String> {
    match name.contains("NN") {
        true => ["32", "64"].map(|class| name.replace("NN", class)).to_vec(),
        false => vec![name.to_owned()],
    }
}

/// What each step of each session has to say.
fn steps() -> BTreeMap<String, Vec<Says>> {
    let mut found = BTreeMap::new();
    for variant in list() {
        if let Expectation::Session { steps, .. } = &variant.expectation {
            for step in steps {
                let name = format!("{}/{}", variant.name, step.name);
                found.insert(name, step.says.clone());
            }
        }
    }
    found
}

/// Checks that there is a test with this name, in a file in `tests`.
fn check_host_test(file: &str, test: &str) {
    let source = read(&format!("tests/{file}"));
    let there = source.contains(&format!("#[test]\nfn {test}() {{"));
    assert!(there, "there is no test {file}::{test}");
}

/// Checks that every test that a document names exists; returns the names of
/// the steps of sessions.
fn steps_of_document(name: &str) -> BTreeSet<String> {
    let text = read(name);
    let variants: BTreeSet<&String> = list().iter().map(|variant| &variant.name).collect();
    let steps = steps();
    let mut named = BTreeSet::new();
    for name in quoted(&text) {
        if let Some((file, test)) = name.split_once("::") {
            check_host_test(file, test);
        } else if ["tests", "xtask", "src"].contains(&name.split('/').next().unwrap_or_default()) {
            assert!(root().join(name).exists(), "there is no {name}");
        } else if name.contains('/') && !name.contains(['.', ' ']) {
            for name in classes(name) {
                assert!(steps.contains_key(&name), "no session has {name}");
                named.insert(name);
            }
        } else if name.contains('-') && !name.contains([' ', '*']) {
            for name in classes(name) {
                assert!(variants.contains(&name), "there is no boot {name}");
            }
        }
    }
    named
}

#[test]
fn the_table_of_defects_names_tests_that_exist_and_every_bad_image() {
    let named = steps_of_document("docs/defects.md");
    assert!(named.len() > 100, "{}", named.len());
    let steps = steps();
    let bad = steps.keys().filter(|name| name.starts_with("refused-"));
    let missing: Vec<&String> = bad.filter(|name| !named.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/defects.md lacks {missing:?}");
    let text = read("docs/defects.md");
    for number in 1..=26 {
        assert!(text.contains(&format!("\n## D{number}: ")), "D{number}");
    }
}

#[test]
fn the_promises_name_tests_that_exist() {
    assert!(steps_of_document("docs/security.md").len() > 2);
}

/// All documents.
fn documents() -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    found.extend(
        [
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "tests/README.md",
        ]
        .map(str::to_owned),
    );
    found
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let anchor = |heading: &str| {
        let plain = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let text: String = heading.to_lowercase().chars().filter(plain).collect();
        text.trim().replace(' ', "-")
    };
    for name in documents() {
        let text = read(&name);
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{file}")
            };
            let place = root().join(path.trim_start_matches('/'));
            assert!(place.exists(), "{name} links to {target}");
            let there = |line: &str| {
                line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading
            };
            let found = heading.is_empty() || fs::read_to_string(place).unwrap().lines().any(there);
            assert!(found, "{name} links to {target}");
        }
    }
}

#[test]
fn paths_in_documents_exist() {
    for name in documents() {
        let text = read(&name);
        // Between blocks, and what names a file of ours.
        let prose = text
            .split("\n```")
            .step_by(2)
            .collect::<Vec<_>>()
            .join("\n");
        for path in quoted(&prose) {
            let ours = [
                "src",
                "tests",
                "xtask",
                "module-glue",
                "grub-headers",
                "mb2check",
                "docs",
            ];
            let first = path.split('/').next().unwrap_or_default();
            let plain = path.contains('/') && !path.contains([' ', '*', ':', '…']);
            if plain && ours.contains(&first) {
                assert!(root().join(path).exists(), "{name}: there is no {path}");
            }
        }
    }
}

#[test]
fn the_map_of_a_load_names_functions_that_exist() {
    let text = read("docs/architecture.md");
    let mut steps = 0;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, file, function, _] = cells[..] else {
            continue;
        };
        let (file, function) = (
            file.trim_matches(['`', ' ']),
            function.trim_matches(['`', ' ']),
        );
        if !file.contains('/') || function.is_empty() {
            continue;
        }
        let source = read(file);
        let rust = ["fn NAME(", "fn NAME<", "\nNAME ("].map(|form| form.replace("NAME", function));
        let there = rust.iter().any(|form| source.contains(form));
        assert!(there, "{file} has no function {function}");
        steps += 1;
    }
    assert!(steps > 15, "{steps}");
}

/// The rows of a table of README.md.
fn rows_of_readme(name: &str) -> Vec<String> {
    let text = read("README.md");
    let (_, rest) = text.split_once(&format!("<!-- {name}: begin -->")).unwrap();
    let (table, _) = rest.split_once(&format!("<!-- {name}: end -->")).unwrap();
    table.lines().skip(3).map(str::to_owned).collect()
}

#[test]
fn the_comparison_of_loaders_names_tests_that_exist() {
    let variants: BTreeSet<&String> = list().iter().map(|variant| &variant.name).collect();
    let rows = rows_of_readme("capabilities");
    assert!(rows.len() > 7);
    for row in &rows {
        let tests = quoted(row.split('|').nth(3).unwrap());
        assert!(!tests.is_empty(), "{row}");
        for name in tests {
            match name.split_once("::") {
                Some((file, test)) => check_host_test(file, test),
                None => assert!(variants.contains(&name.to_owned()), "no boot {name}"),
            }
        }
    }
}

#[test]
fn readme_shows_the_error_lines_of_steps_that_exist() {
    let steps = steps();
    let rows = rows_of_readme("bad input");
    assert!(rows.len() > 10);
    for row in rows {
        // A line of GRUB may have a backquote in it.
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, line, test] = cells[..] else {
            panic!("{row}");
        };
        let line = line.trim_matches('`').trim();
        let test = test.trim_matches(['`', ' ']);
        let says = steps.get(test).unwrap_or_else(|| panic!("no step {test}"));
        let shown = says.iter().any(|says| match says {
            Says::Error(text) => line == format!("error: {text}."),
            Says::Text(_) => false,
        });
        assert!(shown, "{test} does not say {line:?} but {says:?}");
    }
}
