// SPDX-License-Identifier: GPL-3.0-or-later
//! The table at the end.

use std::process::ExitCode;

use super::coverage::{self, Lines};
use super::run::Outcome;
use crate::{root, ui};

/// Prints what every target did and found.
pub(super) fn print(outcomes: &[Outcome], reached: &[Option<Lines>]) -> ExitCode {
    let columns = [
        "target",
        "executions",
        "per second",
        "edges",
        "lines of src/",
        "findings",
    ];
    let mut rows = vec![columns.map(str::to_owned)];
    for (number, outcome) in outcomes.iter().enumerate() {
        let numbers = &outcome.numbers;
        rows.push([
            outcome.target.name().to_owned(),
            numbers.executions.to_string(),
            numbers.per_second.to_string(),
            format!("{} of {}", numbers.edges, numbers.instrumented),
            reached
                .get(number)
                .and_then(Option::as_ref)
                .map_or("?".to_owned(), of),
            outcome.findings.len().to_string(),
        ]);
    }
    println!();
    print!("{}", aligned(&rows));
    let together = coverage::together(reached.iter().flatten());
    if !together.is_empty() {
        let rest = match coverage::write_unreached(&together) {
            Ok(path) => format!("the others stand in {}", below_root(&path)),
            Err(error) => format!("{error:#}"),
        };
        println!("\nall together: {} lines of src/; {rest}", of(&together));
    }
    let findings: Vec<_> = outcomes.iter().flat_map(|o| &o.findings).collect();
    for finding in &findings {
        ui::note(&format!("\n{}", finding.says));
        let file = below_root(&finding.file);
        ui::note(&format!("  once more: cargo xtask fuzz --repeat {file}"));
    }
    match findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn of(lines: &Lines) -> String {
    let (reached, all) = coverage::sum(lines);
    format!("{reached} of {all}")
}

fn below_root(path: &std::path::Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Lays out rows: names to the left, numbers to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].len()).max();
            let width = width.unwrap_or_default();
            text += &match column {
                0 => format!("{cell:width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "10"], ["bcd", "7"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a    10\nbcd   7\n");
    }
}
