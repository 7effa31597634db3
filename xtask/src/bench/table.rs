// SPDX-License-Identifier: GPL-3.0-or-later
//! The tables of docs/performance.md.

use anyhow::Result;

use super::figures::{Aim, Figure, Unit};
use crate::platform::Platform;
use crate::readme::Part;

/// How far a figure may be from what is written down.
const TOLERANCE: f64 = 0.03;

/// Where the table of a platform stands.
fn part(platform: Platform) -> Part {
    Part::of("docs/performance.md", platform.name())
}

/// Makes a table.
pub(crate) fn render(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| Work | ours : limit | C : limit | ours : C | aim | ours | C | limit |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let mut cells = vec![figure.name.clone()];
        let ratio = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |r| format!("{r:.3}"));
        cells.extend(figure.ratios().map(ratio));
        cells.push(match figure.aim {
            Aim::OfLimit(most) => format!("{most} of the limit"),
            Aim::OfStock(most) => format!("{most} of C"),
            Aim::Value(most) => format!("{most}"),
            Aim::Open => "–".to_owned(),
        });
        let value = |value: f64| match figure.unit {
            Unit::Instructions => format!("{:.2} M", value / 1e6),
            Unit::Bytes => format!("{value} bytes"),
            Unit::Ratio => format!("{value:.2}"),
        };
        cells.extend([figure.ours, figure.stock].map(value));
        cells.push(figure.limit.map_or("–".to_owned(), value));
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// Writes the table of a platform.
///
/// # Errors
///
/// If the file has no place for it.
pub(crate) fn write(platform: Platform, figures: &[Figure]) -> Result<()> {
    part(platform).settle(true, |_| render(figures))
}

/// Compares figures with the table of a platform and with their aims; lists what is wrong.
///
/// # Errors
///
/// If there is no table.
pub(crate) fn check(platform: Platform, figures: &[Figure]) -> Result<Vec<String>> {
    let written = part(platform).read()?;
    let missed = figures.iter().filter(|figure| !figure.reaches());
    let mut wrong: Vec<String> = missed
        .map(|figure| format!("{platform}, {}: does not reach its aim", figure.name))
        .collect();
    for line in render(figures).lines() {
        if !is_written(&written, line) {
            wrong.push(format!(
                "{platform}: docs/performance.md does not have this, give or take 3 %; \
                 `cargo xtask bench --write-table` puts it there\n{line}"
            ));
        }
    }
    Ok(wrong)
}

/// Whether a table has a line, with numbers that are nearly the same.
fn is_written(table: &str, line: &str) -> bool {
    let name = |line: &str| line.split(" | ").next().map(str::to_owned);
    table
        .lines()
        .filter(|written| name(written) == name(line))
        .any(|written| {
            let pairs = || written.split(" | ").zip(line.split(" | ")).skip(1);
            written.split(" | ").count() == line.split(" | ").count()
                && pairs().all(|(old, new)| nearly(old, new))
        })
}

/// Whether two cells are the same, or numbers that are nearly the same.
fn nearly(old: &str, new: &str) -> bool {
    let number = |cell: &str| {
        cell.split(' ')
            .next()
            .and_then(|word| word.parse::<f64>().ok())
    };
    match (number(old), number(new)) {
        (Some(old), Some(new)) => (old - new).abs() <= TOLERANCE * old.abs(),
        _ => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64) -> Figure {
        Figure {
            name: "load".to_owned(),
            unit: Unit::Instructions,
            ours,
            stock: 2e6,
            limit: Some(1e6),
            aim: Aim::OfLimit(1.05),
        }
    }

    #[test]
    fn a_figure_may_be_three_per_cent_off() {
        let table = render(&[figure(1e6)]);
        let near = render(&[figure(1.02e6)]);
        assert!(near.lines().all(|line| is_written(&table, line)));
        let far = render(&[figure(1.04e6)]);
        assert!(!far.lines().all(|line| is_written(&table, line)));
        assert!(!is_written(&table, "| another | 1 |"));
    }

    #[test]
    fn an_aim_is_reached_or_not() {
        assert!(figure(1.05e6).reaches());
        assert!(!figure(1.06e6).reaches());
        let of_stock = |ours| Figure {
            aim: Aim::OfStock(0.1),
            ..figure(ours)
        };
        assert!(of_stock(0.2e6).reaches() && !of_stock(0.21e6).reaches());
    }
}
