// SPDX-License-Identifier: GPL-3.0-or-later
//! What is counted in machines, and what figures that gives.

use anyhow::{Context, Result};

use super::FLAVOURS;
use super::figures::{Aim, Figure, Unit};
use super::machine::{Answers, Run};
use super::work::{self, MIB, Packing, Shape};
use crate::iso::Flavour;

/// As many modules as the aim speaks of.
const MODULES: usize = 1000;

/// As many as are loaded, to see the cost of the last ones.
const MORE_MODULES: usize = 2000;

/// Modules whose costs are looked at one by one, and how many of their neighbours on each side:
/// one in many opens a chunk for those behind it, which the sum shows, not these.
const FIRST: usize = 10;
const NEIGHBOURS: usize = 5;

/// Bytes of a module.
const MODULE_LEN: usize = 4096;

/// Sizes of kernels for the plot, in MiB.
const SIZES: [usize; 5] = [1, 2, 4, 8, 16];

/// A kernel file.
struct Load {
    name: String,
    bytes: Vec<u8>,
    /// In MiB, before it was packed.
    mib: usize,
    /// Whether it is a line of the table.
    shown: bool,
}

/// Everything that runs.
pub(crate) struct Plan {
    loads: Vec<Load>,
    smallest: Vec<u8>,
    modules: usize,
    quick: bool,
}

impl Plan {
    /// Makes the files; when `quick`, only those of the fast check.
    ///
    /// # Errors
    ///
    /// If one cannot be made.
    pub(crate) fn new(quick: bool) -> Result<Self> {
        let mut loads = Vec::new();
        for shape in Shape::ALL {
            let kernel = work::kernel(shape, 16 * MIB)?;
            for packing in Packing::ALL {
                if quick && (shape != Shape::Sections || packing == Packing::Xz) {
                    continue;
                }
                loads.push(Load {
                    name: format!("{}, {}", shape.name(), packing.name()),
                    bytes: packing.pack(&kernel)?,
                    mib: 16,
                    shown: true,
                });
            }
        }
        for mib in SIZES.into_iter().filter(|_| !quick) {
            loads.push(Load {
                name: format!("{mib} MiB"),
                bytes: work::kernel(Shape::Sections, mib * MIB)?,
                mib,
                shown: false,
            });
        }
        Ok(Self {
            loads,
            smallest: work::smallest()?,
            modules: if quick { MODULES } else { MORE_MODULES },
            quick,
        })
    }

    /// The machines that it takes.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut add =
            |name: &str, flavour, script: &[&str], files: Vec<(&'static str, Vec<u8>)>| {
                runs.push(Run {
                    name: name.to_owned(),
                    flavour,
                    script: script.iter().map(|&line| line.to_owned()).collect(),
                    files,
                });
            };
        let module = || ("module", vec![7; MODULE_LEN]);
        for flavour in FLAVOURS {
            let script = [
                "probe_memory start",
                "multiboot2 /kernel",
                "probe_memory kernel",
                &format!("probe_count {MODULES} probe_open /module"),
                &format!("probe_count {} module2 /module", self.modules),
                "probe_memory modules",
                "probe_count 1 boot",
            ];
            let files = vec![("kernel", self.smallest.clone()), module()];
            add("modules", flavour, &script, files);
            let script = [
                "multiboot2 /kernel",
                "probe_count 10 module2 /module",
                "probe_count 1 boot",
            ];
            let files = vec![("kernel", self.smallest.clone()), module()];
            add("hand-over", flavour, &script, files);
        }
        for load in &self.loads {
            for flavour in FLAVOURS {
                let files = vec![("kernel", load.bytes.clone())];
                let script = ["insmod xzio", "probe_count 1 multiboot2 /kernel"];
                add(&load.name, flavour, &script, files);
            }
            let script = [
                "insmod xzio",
                "multiboot2 /smallest",
                "probe_count 1 module2 /kernel",
            ];
            let files = vec![
                ("smallest", self.smallest.clone()),
                ("kernel", load.bytes.clone()),
            ];
            add(&limit_of(&load.name), Flavour::Stock, &script, files);
        }
        runs
    }

    /// Turns counts into figures.
    ///
    /// # Errors
    ///
    /// If something was not counted.
    pub(crate) fn figures(&self, seen: &Answers) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for load in self.loads.iter().filter(|load| load.shown) {
            let [stock, ours, limit] = self.cost_of(&load.name, seen)?;
            figures.push(Figure {
                name: format!("kernel of {} MiB: {}", load.mib, load.name),
                unit: Unit::Instructions,
                ours,
                stock,
                limit: Some(limit),
                aim: Aim::OfLimit(1.05),
            });
        }
        let mut both = |name: &str, unit, aim, of: &dyn Fn(Flavour) -> Result<f64>| -> Result<()> {
            figures.push(Figure {
                name: name.to_owned(),
                unit,
                ours: of(Flavour::Ours)?,
                stock: of(Flavour::Stock)?,
                limit: None,
                aim,
            });
            Ok(())
        };
        let count = Unit::Instructions;
        both(
            "1,000 modules of 4 KiB, beyond opening them",
            count,
            Aim::OfStock(0.1),
            &|flavour| {
                let costs = beyond_opening(seen, flavour, MODULES)?;
                Ok(costs.iter().sum::<f64>())
            },
        )?;
        both(
            "hand-over, 10 modules",
            count,
            Aim::OfStock(1.0),
            &|flavour| Ok(seen.of("hand-over", flavour)?.costs(11, 1)?[0] as f64),
        )?;
        if self.quick {
            return Ok(figures);
        }
        both(
            "the 2,000th module : the 10th",
            Unit::Ratio,
            Aim::Value(1.5),
            &|flavour| {
                let costs = beyond_opening(seen, flavour, MORE_MODULES)?;
                Ok(typical(&costs, MORE_MODULES - NEIGHBOURS) / typical(&costs, FIRST))
            },
        )?;
        both(
            "hand-over, 2,000 modules",
            count,
            Aim::OfStock(1.0),
            &|flavour| {
                let stamps = MODULES + 1 + MORE_MODULES + 1;
                Ok(seen.of("modules", flavour)?.costs(stamps, 1)?[0] as f64)
            },
        )?;
        for (name, what) in [
            ("heap for a kernel", "kernel"),
            ("heap with 2,000 modules", "modules"),
        ] {
            both(name, Unit::Bytes, Aim::OfStock(1.0), &|flavour| {
                let seen = seen.of("modules", flavour)?;
                Ok(seen.heap("start")? as f64 - seen.heap(what)? as f64)
            })?;
        }
        Ok(figures)
    }

    /// Cost of a load with GRUB's own module, with ours, and of reading the file.
    fn cost_of(&self, name: &str, seen: &Answers) -> Result<[f64; 3]> {
        let cost = |name: &str, flavour| -> Result<f64> {
            Ok(seen.of(name, flavour)?.costs(0, 1)?[0] as f64)
        };
        Ok([
            cost(name, Flavour::Stock)?,
            cost(name, Flavour::Ours)?,
            cost(&limit_of(name), Flavour::Stock)?,
        ])
    }

    /// For the plot over sizes: MiB, and the three costs.
    ///
    /// # Errors
    ///
    /// If something was not counted.
    pub(crate) fn over_size(&self, seen: &Answers) -> Result<Vec<(f64, [f64; 3])>> {
        let loads = self.loads.iter().filter(|load| !load.shown);
        loads
            .map(|load| Ok((load.mib as f64, self.cost_of(&load.name, seen)?)))
            .collect()
    }

    /// For the plot over modules: the cost of each.
    ///
    /// # Errors
    ///
    /// If something was not counted.
    pub(crate) fn over_modules(&self, seen: &Answers, flavour: Flavour) -> Result<Vec<f64>> {
        beyond_opening(seen, flavour, self.modules)
    }
}

/// Name of the run that only reads a file.
fn limit_of(name: &str) -> String {
    format!("reading {name}")
}

/// What each of the first `count` modules costs, beyond opening and closing its file.
fn beyond_opening(seen: &Answers, flavour: Flavour, count: usize) -> Result<Vec<f64>> {
    let seen = seen.of("modules", flavour)?;
    let open = seen.costs(0, MODULES)?.iter().sum::<u64>() as f64 / MODULES as f64;
    let costs = seen.costs(MODULES + 1, count)?;
    Ok(costs.iter().map(|&cost| cost as f64 - open).collect())
}

/// The median of a module and its neighbours; counted from 1.
fn typical(costs: &[f64], number: usize) -> f64 {
    let mut near = costs[number - 1 - NEIGHBOURS..number + NEIGHBOURS].to_vec();
    near.sort_by(f64::total_cmp);
    near[NEIGHBOURS]
}

impl Answers {
    /// What one run gave.
    fn of(&self, name: &str, flavour: Flavour) -> Result<&super::machine::Seen> {
        let key = (name.to_owned(), flavour);
        self.0
            .get(&key)
            .with_context(|| format!("{name} did not run"))
    }
}
