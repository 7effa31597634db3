// SPDX-License-Identifier: GPL-3.0-or-later
//! Tests as jobs: what each is about, and how they are run and reported.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::grub::{Grub, Place};
use crate::intree::Target;
use crate::table::Group;
use crate::ui;
use crate::versions::{Kind, Shows};

/// How many machines run at the same time.
const WORKERS: usize = 2;

/// One thing to be tested.
pub(crate) struct Job {
    /// What the table shows and `--only` selects.
    pub(crate) name: String,
    /// Where, if it is bound to a GRUB on a platform.
    pub(crate) place: Option<Place>,
    /// Version and platform, if it is about a build inside GRUB.
    pub(crate) inside: Option<(String, Target)>,
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
            inside: None,
            group: None,
            shows: None,
            run: Box::new(run),
        }
    }

    /// A job about a build inside GRUB.
    pub(crate) fn inside(
        name: &str,
        grub: &Grub,
        target: Target,
        run: impl FnOnce() -> Result<Passed> + Send + 'static,
    ) -> Self {
        Self {
            inside: Some((grub.upstream.clone(), target)),
            ..Self::new(name, None, run)
        }
    }

    /// Its name and where it runs, for `--only`.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.name, self.shown())
    }

    /// Version and platform, as they are printed.
    fn shown(&self) -> String {
        match (&self.place, &self.inside) {
            (Some(place), _) => place.to_string(),
            (None, Some((version, target))) => format!("{version} {target}"),
            (None, None) => String::new(),
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

/// A test that has run: one line of what is printed in the end.
pub(crate) struct Row {
    name: String,
    shown: String,
    /// Where, if it is bound to a GRUB on a platform.
    pub(crate) place: Option<Place>,
    /// Version and platform, if it is about a build inside GRUB.
    pub(crate) inside: Option<(String, Target)>,
    /// The line of README's first table that counts it.
    pub(crate) group: Option<Group>,
    /// What it says in README's table of versions.
    pub(crate) shows: Option<(Kind, Shows)>,
    /// What came of it.
    pub(crate) outcome: Result<Passed>,
    took: Duration,
}

/// Runs a job and says how it ended.
pub(crate) fn perform(job: Job) -> Row {
    let row = run(job);
    announce(&row, "");
    row
}

fn run(job: Job) -> Row {
    let started = Instant::now();
    let shown = job.shown();
    let outcome = (job.run)();
    Row {
        name: job.name,
        shown,
        place: job.place,
        inside: job.inside,
        group: job.group,
        shows: job.shows,
        outcome,
        took: started.elapsed(),
    }
}

/// Runs jobs, a few at the same time; the rows come back in the order of the jobs.
pub(crate) fn perform_all(jobs: Vec<Job>) -> Vec<Row> {
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
                    if sender.send((index, run(job))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, row) in receiver {
            announce(&row, &format!("[{}/{total}] ", rows.len() + 1));
            rows.push((index, row));
        }
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Prints one line about a test that has just ended.
fn announce(row: &Row, counter: &str) {
    let verdict = if row.outcome.is_ok() {
        "passed"
    } else {
        "FAILED"
    };
    let took = row.took.as_secs_f64();
    ui::note(&format!(
        "{counter}{} {}: {verdict} ({took:.1} s)",
        row.name, row.shown
    ));
    if let Err(error) = &row.outcome {
        ui::note(&format!("{error:#}"));
    }
}

/// Prints the table and the sum.
pub(crate) fn conclude(rows: &[Row]) -> ExitCode {
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
        let line = format!("{:width$}  {:15}  {verdict}  {remark}", row.name, row.shown);
        println!("{}", line.trim_end());
    }
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn rows_keep_the_order_of_the_jobs() {
        let jobs = (0..9).map(|n| {
            Job::new(&n.to_string(), None, move || match n {
                4 => bail!("four"),
                _ => Ok(Passed::default()),
            })
        });
        let rows = perform_all(jobs.collect());
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!(names.concat(), "012345678");
        assert_eq!(rows.iter().filter(|row| row.outcome.is_err()).count(), 1);
    }
}
