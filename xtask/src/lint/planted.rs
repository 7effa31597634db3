// SPDX-License-Identifier: GPL-3.0-or-later
//! Shows that the lint table means what it says: offences are planted, and each must be found.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cmd::run;
use crate::{root, toolchain, ui};

/// The offences; see there.
const OFFENCES: &str = include_str!("offences.rs");

/// In front of the names of the lints that must refuse a line.
const MARK: &str = "//~ ";

/// Groups of lints: single ones of them stand among the offences.
const GROUPS: &[&str] = &["clippy::all"];

/// A line, and a lint that refuses it.
type Finding = (u64, String);

/// Has clippy look at the planted offences, under the loader's own lint table and thresholds.
///
/// # Errors
///
/// Every offence that was not found, and every lint without an offence.
pub(crate) fn command() -> Result<()> {
    let step = ui::step("clippy over planted offences");
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))?.parse()?;
    let lints = manifest.get("lints").context("Cargo.toml has no lints")?;
    let mut complaints = without_offence(lints);
    let folder = root().join("target/xtask/planted");
    write(lints, &folder)?;
    complaints.extend(compare(&expected(), &found(&folder)?));
    if !complaints.is_empty() {
        bail!("the lints do not do their work:\n{}", complaints.join("\n"));
    }
    step.done();
    Ok(())
}

/// Writes a package of its own around the offences.
fn write(lints: &toml::Value, folder: &Path) -> Result<()> {
    let package = toml::toml! {
        [package]
        name = "offences"
        edition = "2024"
        [lib]
        path = "offences.rs"
        [workspace]
    };
    let mut manifest = package;
    manifest.insert("lints".to_owned(), lints.clone());
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Cargo.toml"), manifest.to_string())?;
    // Written anew, so that cargo never takes it for seen.
    Ok(fs::write(folder.join("offences.rs"), OFFENCES)?)
}

/// What clippy refuses.
fn found(folder: &Path) -> Result<BTreeSet<Finding>> {
    let log = folder.join("clippy.json");
    let mut cargo = toolchain::lint_cargo()?;
    cargo
        .args(["clippy", "--offline", "--message-format=json"])
        .env("CLIPPY_CONF_DIR", root())
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .current_dir(folder);
    if run(&mut cargo, &log).is_ok() {
        bail!("clippy let every planted offence pass");
    }
    let text = fs::read_to_string(&log)?;
    Ok(text.lines().filter_map(finding).collect())
}

/// Reads one of cargo's messages, if a lint speaks in it that denies something.
fn finding(line: &str) -> Option<Finding> {
    let message: Value = serde_json::from_str(line).ok()?;
    let message = message.get("message")?;
    if message.get("level")? != "error" {
        return None;
    }
    let lint = message.get("code")?.get("code")?.as_str()?;
    let spans = message.get("spans")?.as_array()?;
    let first = spans
        .iter()
        .find(|span| span.get("is_primary") == Some(&Value::Bool(true)))?;
    // This lint goes by the number of the error that it was made from.
    let lint = lint.replace("E0133", "unsafe_op_in_unsafe_fn");
    Some((first.get("line_start")?.as_u64()?, lint))
}

/// What the marks say.
fn expected() -> BTreeSet<Finding> {
    let lines = (1u64..).zip(OFFENCES.lines());
    let marked = lines.filter_map(|(number, line)| Some((number, line.split_once(MARK)?.1)));
    marked
        .flat_map(|(number, names)| names.split(' ').map(move |name| (number, name.to_owned())))
        .collect()
}

fn compare(expected: &BTreeSet<Finding>, found: &BTreeSet<Finding>) -> Vec<String> {
    let tell = |what: &'static str| {
        move |(line, lint): &Finding| format!("  offences.rs:{line}: {lint} {what}")
    };
    let missed = expected.difference(found).map(tell("has not refused it"));
    missed
        .chain(found.difference(expected).map(tell("is not expected")))
        .collect()
}

/// Names the lints of the table that no offence is marked with. Rustdoc's are not clippy's to find.
fn without_offence(lints: &toml::Value) -> Vec<String> {
    let marked: BTreeSet<String> = expected().into_iter().map(|(_, lint)| lint).collect();
    let names = |tool: &str| {
        let table = lints.get(tool).and_then(toml::Value::as_table);
        let prefix = if tool == "rust" {
            String::new()
        } else {
            format!("{tool}::")
        };
        let names = table.into_iter().flat_map(|table| table.keys());
        Vec::from_iter(names.map(|name| format!("{prefix}{name}")))
    };
    let all = ["rust", "clippy"].into_iter().flat_map(names);
    all.filter(|name| !marked.contains(name) && !GROUPS.contains(&name.as_str()))
        .map(|name| format!("  {name} is denied, but no offence shows it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_from_cargos_messages() {
        let message = |level: &str| {
            format!(
                r#"{{"reason":"compiler-message","message":{{"level":"{level}","code":{{"code":
                "clippy::panic"}},"spans":[{{"is_primary":false,"line_start":1}},
                {{"is_primary":true,"line_start":7}}]}}}}"#
            )
        };
        let panic = || (7, "clippy::panic".to_owned());
        assert_eq!(finding(&message("error")), Some(panic()));
        assert_eq!(finding(&message("warning")), None);
        assert_eq!(
            finding(r#"{"reason":"build-finished","success":false}"#),
            None
        );
        assert_eq!(finding("error: could not compile"), None);
    }

    #[test]
    fn offences_that_are_missed_and_findings_that_are_not_marked_are_told() {
        let set = |list: &[(u64, &str)]| list.iter().map(|(n, l)| (*n, (*l).to_owned())).collect();
        let marked = set(&[(1, "a"), (2, "b")]);
        assert!(compare(&marked, &marked).is_empty());
        assert_eq!(
            compare(&marked, &set(&[(1, "a"), (3, "b")])),
            [
                "  offences.rs:2: b has not refused it",
                "  offences.rs:3: b is not expected"
            ]
        );
    }

    #[test]
    fn a_lint_without_an_offence_is_told() {
        let table = "[clippy]\npanic = \"deny\"\nall = \"deny\"\ninvented = \"deny\"\n";
        let table: toml::Table = table.parse().unwrap();
        assert_eq!(
            without_offence(&table.into()),
            ["  clippy::invented is denied, but no offence shows it"]
        );
    }
}
