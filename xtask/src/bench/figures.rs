// SPDX-License-Identifier: GPL-3.0-or-later
//! One figure of the benchmark: ours, GRUB's own, and the limit.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::grub::Place;
use crate::{gates, module};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Instructions.
    Instructions,
    /// Bytes.
    Bytes,
    /// How often one fits into the other.
    Ratio,
}

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// Ours is at most so many times the limit.
    OfLimit(f64),
    /// Ours is at most so many times GRUB's own.
    OfStock(f64),
    /// Ours is at most this.
    Value(f64),
    /// Nothing is asked here.
    Open,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// What is measured.
    pub(crate) name: String,
    /// In what.
    pub(crate) unit: Unit,
    /// With our module.
    pub(crate) ours: f64,
    /// With GRUB's own.
    pub(crate) stock: f64,
    /// What no loader can do without.
    pub(crate) limit: Option<f64>,
    /// What it has to reach.
    pub(crate) aim: Aim,
}

impl Figure {
    /// Ours over the limit, GRUB's own over the limit, ours over GRUB's own.
    pub(crate) fn ratios(&self) -> [Option<f64>; 3] {
        [
            self.limit.map(|limit| self.ours / limit),
            self.limit.map(|limit| self.stock / limit),
            Some(self.ours / self.stock),
        ]
    }

    /// Whether it reaches what it has to.
    pub(crate) fn reaches(&self) -> bool {
        match self.aim {
            Aim::OfLimit(most) => self.limit.is_some_and(|limit| self.ours <= most * limit),
            Aim::OfStock(most) => self.ours <= most * self.stock,
            Aim::Value(most) => self.ours <= most,
            Aim::Open => true,
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let unit = match self.unit {
            Unit::Instructions => "instructions",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
        };
        let [of_limit, stock_of_limit, of_stock] = self.ratios();
        json!({
            "name": self.name,
            "ours_of_limit": of_limit,
            "stock_of_limit": stock_of_limit,
            "ours_of_stock": of_stock,
            "unit": unit,
            "ours": self.ours,
            "stock": self.stock,
            "limit": self.limit,
            "reaches_its_aim": self.reaches(),
        })
    }
}

/// What the files of both modules show without being run.
///
/// # Errors
///
/// If one of them cannot be read.
pub(crate) fn of_files(stock: &Path, place: &Place) -> Result<Vec<Figure>> {
    let work = module::work(&place.grub, place.platform);
    let own = stock.join("multiboot2.mod");
    let size = |path: &Path| -> Result<f64> {
        let data = fs::metadata(path).with_context(|| format!("no {}", path.display()))?;
        Ok(data.len() as f64)
    };
    let figure = |name: &str, ours, stock, aim| Figure {
        name: name.to_owned(),
        unit: Unit::Bytes,
        ours,
        stock,
        limit: None,
        aim,
    };
    let finished = module::finished(&place.grub, place.platform);
    Ok(vec![
        figure(
            "deepest stack",
            gates::depth(&work.join(module::LINKED))? as f64,
            gates::depth(&own)? as f64,
            Aim::Open,
        ),
        figure("multiboot2.mod", size(&finished)?, size(&own)?, Aim::Open),
    ])
}
