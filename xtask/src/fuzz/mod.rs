// SPDX-License-Identifier: GPL-3.0-or-later
//! The fuzzer: builds the targets of `fuzz/`, makes their first inputs from real images, runs
//! them, and says what they did.
//!
//! All it makes lies in `target/fuzz`: `seeds` and `corpus` hold inputs, `findings` those that
//! went wrong, `log` what libFuzzer printed.

mod build;
mod coverage;
mod report;
mod run;
mod seeds;

use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{packages, root, ui};

/// Arguments of `fuzz`.
#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// How long each target runs, as in "90s", "30m" or "1h 30m".
    #[arg(long, value_name = "TIME", default_value = "1m")]
    time: humantime::Duration,
    /// Target to run; can be repeated; all of them when absent.
    #[arg(long, value_enum, value_name = "NAME")]
    target: Vec<Target>,
    /// How many targets run at the same time; one for each processor when absent.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Run one input of one target again instead, and show what it does.
    #[arg(long, value_name = "FILE")]
    repeat: Option<PathBuf>,
}

/// What is fuzzed; `fuzz/fuzz_targets` has a file for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// The header parser.
    Header,
    /// The ELF reader and the plan of an image.
    Elf,
    /// The address tag of flat files.
    Flat,
    /// Kernels with relocations.
    Relocate,
    /// Free memory and the choice of a place.
    Placement,
    /// The boot information and its writer.
    Information,
    /// Sessions of several commands on a fake machine.
    Load,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Elf => "elf",
            Self::Flat => "flat",
            Self::Relocate => "relocate",
            Self::Placement => "placement",
            Self::Information => "information",
            Self::Load => "load",
        }
    }

    /// Longest input, in bytes.
    fn max_len(self) -> usize {
        match self {
            Self::Header => seeds::WINDOW + 0x1000,
            Self::Elf | Self::Load => seeds::LONGEST + seeds::SCRIPT_LEN,
            Self::Flat => 64,
            Self::Placement | Self::Relocate => 0x400,
            Self::Information => 0x1000,
        }
    }

    /// A folder of its own.
    fn folder(self, sort: &str) -> PathBuf {
        folder().join(sort).join(self.name())
    }

    fn of_finding(file: &Path) -> Option<Self> {
        let name = file.parent()?.file_name()?.to_str()?;
        Self::from_str(name, false).ok()
    }
}

/// Where everything lies that is made here.
fn folder() -> PathBuf {
    root().join("target/fuzz")
}

/// Runs the targets and prints the table, or runs one input again.
///
/// # Errors
///
/// If something that all targets need cannot be prepared. Findings are no error here but an
/// exit status.
pub(crate) fn command(args: &FuzzArgs) -> Result<ExitCode> {
    packages::ensure(packages::FUZZ)?;
    let built = build::fuzzers()?;
    if let Some(file) = &args.repeat {
        return repeat(&built, file, &args.target);
    }
    seeds::make()?;
    let targets = match args.target.is_empty() {
        true => Target::value_variants(),
        false => &args.target,
    };
    let jobs = args.jobs.map_or_else(processors, NonZero::get);
    let outcomes = side_by_side(targets, jobs, |target| {
        run::target(*target, &built, args.time.into())
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    let reached = coverage::measure(targets);
    Ok(report::print(&outcomes, &reached))
}

/// Runs one input and shows everything that is printed.
fn repeat(built: &Path, file: &Path, targets: &[Target]) -> Result<ExitCode> {
    let of_folder = Target::of_finding(&fs::canonicalize(file).context("no such file")?);
    let Some(target) = targets.first().copied().or(of_folder) else {
        bail!("whose input is {}? Say --target NAME too", file.display());
    };
    let passed = run::again(target, built, file)?;
    let verdict = if passed { "passes" } else { "fails" };
    ui::note(&format!("{}: {} {verdict}", target.name(), file.display()));
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does something with each of a list, a few at the same time; keeps the order.
fn side_by_side<T: Sync, R: Send>(
    list: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = list.get(index) else {
                return done;
            };
            done.push((index, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(list.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .flat_map(|done| done.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The files of a folder that exists, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_a_file() {
        let fuzz = root().join("fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let declared = manifest.matches("[[bin]]").count();
        assert_eq!(declared, Target::value_variants().len());
        for target in Target::value_variants() {
            let line = format!("path = \"fuzz_targets/{}.rs\"", target.name());
            assert!(manifest.contains(&line), "{line}");
            assert!(
                fuzz.join("fuzz_targets")
                    .join(target.name())
                    .with_extension("rs")
                    .exists()
            );
        }
    }

    #[test]
    fn results_keep_the_order_of_the_list() {
        let doubled = side_by_side(&[1, 2, 3, 4, 5], 3, |n| n * 2);
        assert_eq!(doubled, [2, 4, 6, 8, 10]);
    }

    #[test]
    fn a_finding_lies_in_its_targets_folder() {
        let file = Target::Elf.folder("findings").join("crash-0");
        assert_eq!(Target::of_finding(&file), Some(Target::Elf));
        assert_eq!(Target::of_finding(Path::new("/tmp/crash-0")), None);
    }
}
