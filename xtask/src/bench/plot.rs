// SPDX-License-Identifier: GPL-3.0-or-later
//! The pictures: cost over the number of modules and over the size of the kernel.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::counts::Plan;
use super::machine::Answers;
use crate::grub::Place;
use crate::iso::Flavour;
use crate::root;

/// A line: what it shows, its colour, its points.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// Draws all pictures and returns where they are.
///
/// # Errors
///
/// If something was not counted or cannot be written.
pub(crate) fn draw(place: &Place, plan: &Plan, seen: &Answers) -> Result<Vec<PathBuf>> {
    let shelf = root().join("target/bench");
    fs::create_dir_all(&shelf)?;
    let file = |what: &str| {
        shelf.join(format!(
            "{what}-{}-{}.svg",
            place.grub.upstream, place.platform
        ))
    };
    let sum = |flavour| -> Result<Vec<(f64, f64)>> {
        let mut sum = 0.0;
        let costs = plan.over_modules(seen, flavour)?;
        let points = costs.iter().enumerate().map(|(number, cost)| {
            sum += cost / 1e6;
            ((number + 1) as f64, sum)
        });
        Ok(points.collect())
    };
    let modules = [
        ("GRUB's own module", RED, sum(Flavour::Stock)?),
        ("ours", BLUE, sum(Flavour::Ours)?),
    ];
    let sizes = plan.over_size(seen)?;
    let over = |column: usize| {
        sizes
            .iter()
            .map(move |(mib, costs)| (*mib, costs[column] / 1e6))
    };
    let sizes = [
        ("GRUB's own module", RED, over(0).collect()),
        ("ours", BLUE, over(1).collect()),
        ("reading the file once", BLACK, over(2).collect()),
    ];
    let pictures = [
        (file("modules"), "modules of 4 KiB", &modules[..]),
        (file("sizes"), "MiB of a kernel in 8 sections", &sizes[..]),
    ];
    pictures
        .into_iter()
        .map(|(path, label, lines)| {
            picture(&path, &format!("{place}"), label, lines)
                .map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
            Ok(path)
        })
        .collect()
}

fn picture(
    path: &PathBuf,
    title: &str,
    label: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..right, 0.0..top * 1.05)?;
    chart
        .configure_mesh()
        .x_desc(label)
        .y_desc("million instructions")
        .draw()?;
    for (name, color, points) in lines {
        let style = *color;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
