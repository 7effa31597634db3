// SPDX-License-Identifier: GPL-3.0-or-later
//! The picture of the address space as SVG.

use svg::Document;
use svg::node::element::{Rectangle, Style, Text, Title};

use super::regions::{Class, Region, regions};
use super::size;
use crate::report::Report;

/// Geometry, in pixels.
const WIDTH: u32 = 560;
const LEFT: u32 = 110;
const BOX: u32 = 240;
const TOP: u32 = 48;

/// Draws the address space, the highest address on top. A piece is higher the larger it
/// is, but each has room for its name.
#[must_use]
pub fn render(report: &Report) -> String {
    let regions = regions(report);
    let total: u32 = regions.iter().map(height).sum();
    let title = match &report.refusal {
        None => format!("{}: taken ({})", report.file, report.machine.firmware),
        Some(refusal) => format!("{}: {}", report.file, refusal.line),
    };
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, TOP + total + 24))
        .set("width", WIDTH)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(Title::new(title.clone()))
        .add(Style::new(
            "text { fill: #202020 } .address { font-family: monospace; text-anchor: end }",
        ))
        .add(label(12, 24, &title).set("font-size", 15));
    let mut top = TOP;
    for region in regions.iter().rev() {
        document = document.add(address(top + 4, region.end));
        let rectangle = Rectangle::new()
            .set("x", LEFT)
            .set("y", top)
            .set("width", BOX)
            .set("height", height(region))
            .set("fill", color(region.class))
            .set("stroke", "#606060");
        let middle = top + height(region) / 2 + 4;
        let bytes = size(region.end - region.start);
        document = document
            .add(rectangle)
            .add(label(LEFT + 8, middle, &region.what))
            .add(label(LEFT + BOX + 10, middle, &bytes));
        top += height(region);
    }
    document.add(address(top + 4, 0)).to_string() + "\n"
}

fn height(region: &Region) -> u32 {
    let bytes = region.end - region.start;
    18 + 2 * bytes.ilog2().saturating_sub(12)
}

fn color(class: Class) -> &'static str {
    match class {
        Class::Loaded => "#f0b060",
        Class::Free => "#d8ecd0",
        Class::Kept => "#d8d8e4",
        Class::Nothing => "#ffffff",
    }
}

fn label(x: u32, y: u32, text: &str) -> Text {
    Text::new(text).set("x", x).set("y", y)
}

fn address(y: u32, value: u64) -> Text {
    label(LEFT - 8, y, &format!("{value:#x}")).set("class", "address")
}
