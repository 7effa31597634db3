// SPDX-License-Identifier: GPL-3.0-or-later
//! All tests: rules and lints, host tests, the modules and their gates, and runs in QEMU.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::cmd::run;
use crate::grub::Grub;
use crate::platform::Platform;
use crate::table::{Group, Ran};
use crate::{lint, module, packages, repro, root, rules, suite, table, toolchain, tree, ui};

/// How many machines run at the same time.
const WORKERS: usize = 2;

/// Arguments of `test`.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Run only tests whose name contains this; can be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Platform for modules and machines; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// Write README.md's table of what works; without this it is compared with the run.
    #[arg(long, conflicts_with_all = ["only", "platform"])]
    write_table: bool,
}

/// One thing to be tested.
pub(crate) struct Job {
    /// What the table shows and `--only` selects.
    pub(crate) name: String,
    /// Where, if it is bound to a platform.
    pub(crate) platform: Option<Platform>,
    /// The line of README's table that counts it.
    pub(crate) group: Option<Group>,
    /// Does it; a remark for the table on success.
    pub(crate) run: Box<dyn FnOnce() -> Result<Passed> + Send>,
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
    platform: Option<Platform>,
    group: Option<Group>,
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
    let grub = Grub::resolve(None)?;
    let platforms = Platform::or_all(&args.platform);
    tree::ensure_all(&grub, &platforms)?;

    let wanted = |job: &Job| {
        let name = format!("{} {}", job.name, place(job.platform));
        args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    let mut rows = Vec::new();
    for job in before_machines(&grub, &platforms)
        .into_iter()
        .filter(wanted)
    {
        rows.push(perform(job));
        announce(rows.last(), None);
    }
    match suite::jobs(&grub, &platforms, &wanted) {
        Ok(jobs) => {
            rows.extend(perform_all(jobs));
            if args.only.is_empty() && platforms.len() == Platform::ALL.len() {
                rows.push(readme(&rows, args.write_table));
                announce(rows.last(), None);
            }
        }
        Err(error) => {
            let name = "preparing the machines".to_owned();
            rows.push(Row {
                name,
                platform: None,
                group: None,
                outcome: Err(error),
                took: Duration::ZERO,
            });
        }
    }
    Ok(conclude(&rows))
}

/// Compares README's table with what the machines gave, or writes it.
fn readme(rows: &[Row], write: bool) -> Row {
    let ran: Vec<Ran> = rows
        .iter()
        .filter_map(|row| {
            Some(Ran {
                group: row.group?,
                platform: row.platform?,
                passed: row.outcome.is_ok(),
            })
        })
        .collect();
    perform(job("table in README.md", None, move || match write {
        true => table::write(&ran),
        false => table::check(&ran),
    }))
}

/// Everything that needs no machine.
fn before_machines(grub: &Grub, platforms: &[Platform]) -> Vec<Job> {
    let mut jobs = vec![
        job("rules", None, || lint::check_rules(rules::ALL)),
        job("rustfmt", None, lint::format),
        job("clippy", None, lint::clippy),
        Job {
            name: "host tests".to_owned(),
            platform: None,
            group: None,
            run: Box::new(host_tests),
        },
    ];
    for platform in platforms.iter().copied() {
        let (for_build, for_repro) = (grub.clone(), grub.clone());
        jobs.push(job("module and gates", Some(platform), move || {
            module::build(&for_build, platform).map(drop)
        }));
        jobs.push(job("same module elsewhere", Some(platform), move || {
            repro::check(&for_repro, platform)
        }));
    }
    jobs
}

fn job(
    name: &str,
    platform: Option<Platform>,
    run: impl FnOnce() -> Result<()> + Send + 'static,
) -> Job {
    let run = Box::new(move || run().map(|()| Passed::default()));
    Job {
        name: name.to_owned(),
        platform,
        group: None,
        run,
    }
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
        platform: job.platform,
        group: job.group,
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
        place(row.platform)
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
            "{:width$}  {:10}  {verdict}  {remark}",
            row.name,
            place(row.platform)
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

fn place(platform: Option<Platform>) -> &'static str {
    platform.map_or("", Platform::name)
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
