// SPDX-License-Identifier: GPL-3.0-or-later
//! All tests: rules and lints, host tests, the modules and their gates, and runs in QEMU.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::cmd::run;
use crate::grub::{Grub, Place};
use crate::intree::{Target, matrix, patching, record::Record};
use crate::job::{Job, Passed, Row, conclude, perform, perform_all};
use crate::platform::Platform;
use crate::versions::{self, Cell, Kind, Shows};
use crate::{
    bench, deny, host, lint, mb2check, module, oldest, packages, repro, root, rules, suite, table,
    toolchain, tree, ui,
};

/// The versions of GRUB that are tested besides the distribution's own.
const OTHERS: &[&str] = &["2.12", "2.14"];

/// Arguments of `test`.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Run only tests whose name contains this; can be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Platform for modules and machines; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// GRUB version for modules and machines; can be repeated; all of them when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Vec<String>,
    /// Run everything: with each version of GRUB all that runs with the distribution's own, and
    /// the builds inside GRUB even if they have passed with the same build files.
    #[arg(long)]
    full: bool,
    /// Write README.md's tables of what works; without this they are compared with the run.
    #[arg(long, conflicts_with_all = ["only", "platform", "grub"])]
    write_table: bool,
}

/// Runs the tests and prints the table.
///
/// # Errors
///
/// If something that all tests need cannot be prepared. Failing tests are no error here but an
/// exit status.
pub(crate) fn command(args: &TestArgs) -> Result<ExitCode> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::BOOT)?;
    toolchain::ensure_lints()?;
    let grubs = grubs(&args.grub)?;
    let versions: Vec<&str> = grubs.iter().map(|grub| grub.debian.as_str()).collect();
    ui::note(&format!("versions of GRUB: {}", versions.join(", ")));
    let platforms = Platform::or_all(&args.platform);
    let mut places = Vec::new();
    for grub in &grubs {
        tree::ensure_all(grub, &platforms)?;
        places.extend(platforms.iter().map(|platform| Place {
            grub: grub.clone(),
            platform: *platform,
        }));
    }

    let wanted = |job: &Job| {
        let name = job.label();
        let here = |target: Target| platforms.iter().any(|one| one.name() == target.name());
        let elsewhere = job
            .inside
            .as_ref()
            .is_some_and(|(_, target)| !here(*target));
        (args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str())))
            && (args.platform.is_empty() || !elsewhere)
    };
    let mut rows = Vec::new();
    for job in before_machines(&grubs, &places).into_iter().filter(wanted) {
        rows.push(perform(job));
    }
    let on_host = host::jobs(places.iter().filter(|place| place.grub.is_own()));
    rows.extend(perform_all(on_host.into_iter().filter(wanted).collect()));
    for job in benchmarks(&places).into_iter().filter(wanted) {
        rows.push(perform(job));
    }
    match suite::jobs(&places, args.full, &wanted) {
        Ok(jobs) => rows.extend(perform_all(jobs)),
        Err(error) => {
            rows.push(perform(Job::new("preparing the machines", None, || {
                Err(error)
            })));
        }
    }
    let narrowed = !args.platform.is_empty() || !args.grub.is_empty();
    let whole = args.only.is_empty() && !narrowed;
    let mut cells = Vec::new();
    if whole || args.full {
        let record = Record::of(&grubs)?;
        cells = match record.read().filter(|_| !args.full) {
            Some(known) => {
                ui::note("builds inside GRUB: passed before, and what they depend on is the same");
                known
            }
            None => {
                let cells = inside(&grubs, &wanted, &mut rows)?;
                let part = |only: &String| !matrix::NAME.starts_with(only.as_str());
                let entire = !narrowed && !args.only.iter().any(part);
                let passed = |row: &Row| row.inside.is_none() || row.outcome.is_ok();
                if entire && rows.iter().all(passed) {
                    record.write(&cells)?;
                }
                cells
            }
        };
    }
    if whole {
        for job in readme(&rows, cells, args.write_table) {
            rows.push(perform(job));
        }
    }
    Ok(conclude(&rows))
}

/// Finds the versions that were asked for, or all that are tested.
fn grubs(asked: &[String]) -> Result<Vec<Grub>> {
    if !asked.is_empty() {
        return asked.iter().map(|one| Grub::resolve(Some(one))).collect();
    }
    let mut all = vec![Grub::resolve(None)?];
    for other in OTHERS {
        let grub = Grub::resolve(Some(other))?;
        if !all.contains(&grub) {
            all.push(grub);
        }
    }
    Ok(all)
}

/// Tests the builds inside GRUB; returns what README has to say about them.
fn inside(grubs: &[Grub], wanted: &dyn Fn(&Job) -> bool, rows: &mut Vec<Row>) -> Result<Vec<Cell>> {
    let jobs = matrix::jobs(grubs, wanted)?;
    rows.extend(perform_all(jobs.builds));
    rows.extend(perform_all(jobs.boots));
    let ran = rows.iter().filter_map(|row| {
        let (version, target) = row.inside.as_ref()?;
        let (kind, shows) = row.shows?;
        Some(versions::Ran {
            version: version.clone(),
            platform: target.name(),
            kind,
            shows,
            passed: row.outcome.is_ok(),
        })
    });
    Ok(versions::cells(&ran.collect::<Vec<_>>()))
}

/// Compares README's tables with what the machines gave, or writes them.
fn readme(rows: &[Row], inside: Vec<Cell>, write: bool) -> Vec<Job> {
    let (mut groups, mut versions) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(place) = &row.place else { continue };
        if let Some((kind, shows)) = row.shows {
            versions.push(versions::Ran {
                version: place.grub.upstream.clone(),
                platform: place.platform.name(),
                kind,
                shows,
                passed: row.outcome.is_ok(),
            });
        }
        if let (Some(group), true) = (row.group, place.grub.is_own()) {
            groups.push(table::Ran {
                group,
                platform: place.platform,
                passed: row.outcome.is_ok(),
            });
        }
    }
    let mut cells = versions::cells(&versions);
    cells.extend(inside);
    vec![
        job("table of what works in README.md", None, move || {
            table::PART.settle(write, |_| table::render(&groups))
        }),
        job("table of versions in README.md", None, move || {
            versions::PART.settle(write, |old| versions::with_cells(old, &cells))
        }),
    ]
}

/// Everything that needs no machine.
fn before_machines(grubs: &[Grub], places: &[Place]) -> Vec<Job> {
    let mut jobs = vec![
        job("rules", None, || lint::check_rules(rules::ALL)),
        job("rustfmt", None, lint::format),
        job("clippy", None, lint::clippy),
        job("rustdoc", None, lint::documentation),
        job("clippy over planted offences", None, lint::planted::command),
        Job::new("crates", None, deny::check),
        Job::new("host tests", None, host_tests),
        Job::new("mb2check as installed", None, mb2check::check),
    ];
    jobs.extend(oldest::job());
    for grub in grubs {
        let (name, grub) = (format!("patch-tree {}", grub.upstream), grub.clone());
        jobs.push(job(&name, None, move || patching::check(&grub)));
    }
    for place in places {
        let here = place.clone();
        let build = job("module and gates", Some(place), move || {
            module::build(&here.grub, here.platform).map(drop)
        });
        jobs.push(build.shows(Kind::DropIn, Shows::Built));
        if place.grub.is_own() {
            let here = place.clone();
            jobs.push(job("same module elsewhere", Some(place), move || {
                repro::check(&here.grub, here.platform)
            }));
        }
    }
    jobs
}

/// Compares counts and sizes with docs/performance.md; each uses all processors by itself.
fn benchmarks(places: &[Place]) -> Vec<Job> {
    let counted =
        |place: &&Place| place.grub.is_own() && bench::PLATFORMS.contains(&place.platform);
    let job_for = |place: &Place| {
        let here = place.clone();
        job("benchmark", Some(place), move || bench::check(&here))
    };
    places.iter().filter(counted).map(job_for).collect()
}

fn job(
    name: &str,
    place: Option<&Place>,
    run: impl FnOnce() -> Result<()> + Send + 'static,
) -> Job {
    Job::new(name, place, move || run().map(|()| Passed::default()))
}

/// Runs the tests of all crates on the host.
fn host_tests() -> Result<Passed> {
    let step = ui::step("host tests");
    let log = root().join("target/xtask/log/host-tests.log");
    let mut cargo = toolchain::host_cargo();
    cargo
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .current_dir(root());
    run(&mut cargo, &log)?;
    step.done();
    let text = std::fs::read_to_string(&log)?;
    let inside = count_passed(&text);
    if inside == 0 {
        bail!("no test ran, see {}", log.display());
    }
    Ok(Passed {
        remark: format!("{inside} tests"),
        inside,
    })
}

/// Adds up what cargo's test programs say they passed.
fn count_passed(text: &str) -> usize {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    lines
        .filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        .sum()
}

/// The time that any machine gets; only a machine that hangs needs it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_added_up() {
        let text = "test result: ok. 57 passed; 0 failed;\nx\ntest result: ok. 3 passed; 0 failed;";
        assert_eq!(count_passed(text), 60);
    }
}
