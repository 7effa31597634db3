// SPDX-License-Identifier: GPL-3.0-or-later
//! All tests: rules and lints, host tests, the modules and their gates, and runs in QEMU.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::cmd::run;
use crate::grub::{Grub, Place};
use crate::platform::Platform;
use crate::table::{self, Group};
use crate::versions::{self, Kind, Shows};
use crate::{
    host, lint, mb2check, module, packages, repro, root, rules, suite, toolchain, tree, ui,
};

/// How many machines run at the same time.
const WORKERS: usize = 2;

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
    /// Run everything: with each version of GRUB all that runs with the distribution's own.
    #[arg(long)]
    full: bool,
    /// Write README.md's tables of what works; without this they are compared with the run.
    #[arg(long, conflicts_with_all = ["only", "platform", "grub"])]
    write_table: bool,
}

/// One thing to be tested.
pub(crate) struct Job {
    /// What the table shows and `--only` selects.
    pub(crate) name: String,
    /// Where, if it is bound to a GRUB on a platform.
    pub(crate) place: Option<Place>,
    /// The line of README's first table that counts it.
    pub(crate) group: Option<Group>,
    /// What it says in README's table of versions.
    pub(crate) shows: Option<(Kind, Shows)>,
    /// Does it; a remark for the table on success.
    pub(crate) run: Box<dyn FnOnce() -> Result<Passed> + Send>,
}

impl Job {
    /// A job that README's tables do not know.
    pub(crate) fn new(
        name: &str,
        place: Option<&Place>,
        run: impl FnOnce() -> Result<Passed> + Send + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            place: place.cloned(),
            group: None,
            shows: None,
            run: Box::new(run),
        }
    }

    /// Lets a line of the first table count it.
    pub(crate) fn counts(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// Lets a cell of the table of versions rest on it.
    pub(crate) fn shows(mut self, kind: Kind, what: Shows) -> Self {
        self.shows = Some((kind, what));
        self
    }
}

/// A success.
#[derive(Default)]
pub(crate) struct Passed {
    /// For the table.
    pub(crate) remark: String,
    /// How many tests were inside, where a job is a set of them.
    pub(crate) inside: usize,
}

impl Passed {
    /// One test, with something to say.
    pub(crate) fn with(remark: impl Into<String>) -> Self {
        Self {
            remark: remark.into(),
            inside: 0,
        }
    }
}

/// One line of the table.
struct Row {
    name: String,
    place: Option<Place>,
    group: Option<Group>,
    shows: Option<(Kind, Shows)>,
    outcome: Result<Passed>,
    took: Duration,
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
        let name = format!("{} {}", job.name, shown(job.place.as_ref()));
        args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    let mut rows = Vec::new();
    for job in before_machines(&places).into_iter().filter(wanted) {
        rows.push(perform(job));
        announce(rows.last(), None);
    }
    let on_host = host::jobs(places.iter().filter(|place| place.grub.is_own()));
    rows.extend(perform_all(on_host.into_iter().filter(wanted).collect()));
    match suite::jobs(&places, args.full, &wanted) {
        Ok(jobs) => {
            rows.extend(perform_all(jobs));
            if args.only.is_empty() && args.platform.is_empty() && args.grub.is_empty() {
                for job in readme(&rows, args.write_table) {
                    rows.push(perform(job));
                    announce(rows.last(), None);
                }
            }
        }
        Err(error) => {
            rows.push(perform(Job::new("preparing the machines", None, || {
                Err(error)
            })));
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

/// Compares README's tables with what the machines gave, or writes them.
fn readme(rows: &[Row], write: bool) -> Vec<Job> {
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
    let cells = versions::cells(&versions);
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
fn before_machines(places: &[Place]) -> Vec<Job> {
    let mut jobs = vec![
        job("rules", None, || lint::check_rules(rules::ALL)),
        job("rustfmt", None, lint::format),
        job("clippy", None, lint::clippy),
        job("clippy over planted offences", None, lint::planted::command),
        Job::new("host tests", None, host_tests),
        Job::new("mb2check as installed", None, mb2check::check),
    ];
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

fn perform(job: Job) -> Row {
    let started = Instant::now();
    let outcome = (job.run)();
    Row {
        name: job.name,
        place: job.place,
        group: job.group,
        shows: job.shows,
        outcome,
        took: started.elapsed(),
    }
}

/// Runs jobs, a few at the same time; the rows come back in the order of the jobs.
fn perform_all(jobs: Vec<Job>) -> Vec<Row> {
    let total = jobs.len();
    let queue: Mutex<VecDeque<(usize, Job)>> = Mutex::new(jobs.into_iter().enumerate().collect());
    let (sender, receiver) = mpsc::channel();
    let mut rows: Vec<(usize, Row)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some((index, job)) = next else { return };
                    if sender.send((index, perform(job))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, row) in receiver {
            rows.push((index, row));
            let counter = format!("[{}/{total}] ", rows.len());
            announce(rows.last().map(|(_, row)| row), Some(&counter));
        }
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Prints one line about a test that has just ended.
fn announce(row: Option<&Row>, counter: Option<&str>) {
    let Some(row) = row else { return };
    let verdict = if row.outcome.is_ok() {
        "passed"
    } else {
        "FAILED"
    };
    let counter = counter.unwrap_or_default();
    let took = row.took.as_secs_f64();
    ui::note(&format!(
        "{counter}{} {}: {verdict} ({took:.1} s)",
        row.name,
        shown(row.place.as_ref())
    ));
    if let Err(error) = &row.outcome {
        ui::note(&format!("{error:#}"));
    }
}

/// Prints the table and the sum.
fn conclude(rows: &[Row]) -> ExitCode {
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or_default();
    println!();
    let (mut passed, mut failed) = (0, 0);
    for row in rows {
        let (verdict, remark) = match &row.outcome {
            Ok(success) => {
                passed += success.inside.max(1);
                ("passed", success.remark.clone())
            }
            Err(error) => {
                failed += 1;
                let text = format!("{error:#}");
                (
                    "FAILED",
                    text.lines().next_back().unwrap_or_default().to_owned(),
                )
            }
        };
        let line = format!(
            "{:width$}  {:15}  {verdict}  {remark}",
            row.name,
            shown(row.place.as_ref())
        );
        println!("{}", line.trim_end());
    }
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn shown(place: Option<&Place>) -> String {
    place.map(Place::to_string).unwrap_or_default()
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

    #[test]
    fn rows_keep_the_order_of_the_jobs() {
        let jobs = (0..9).map(|n| {
            job(&n.to_string(), None, move || {
                if n == 4 { bail!("four") } else { Ok(()) }
            })
        });
        let rows = perform_all(jobs.collect());
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!(names.concat(), "012345678");
        assert_eq!(rows.iter().filter(|row| row.outcome.is_err()).count(), 1);
    }
}
