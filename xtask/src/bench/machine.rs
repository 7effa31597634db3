// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines that count instructions.
//!
//! With `-icount shift=0` the time of a machine is the number of its instructions, and the time
//! stamp counter tells it to the last one. All start from one saved state, so each
//! begins with an empty disk cache and differs from the others only in what it loads.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::grub::Place;
use crate::iso::{self, Flavour};
use crate::snapshot::{Kind, Snapshot, Test};
use crate::suite::{self, tail};
use crate::{probe, root, ui};

/// How many machines run at the same time.
const WORKERS: usize = 2;

/// The time that one gets: 2,000 modules take GRUB's own loader a minute.
const LIMIT: Duration = Duration::from_secs(900);

/// Something to be counted in a machine of its own.
pub(crate) struct Run {
    /// For progress and file names.
    pub(crate) name: String,
    /// Whose module it runs.
    pub(crate) flavour: Flavour,
    /// Commands for GRUB; `probe_count` counts.
    pub(crate) script: Vec<String>,
    /// Files for the root of the disk.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// What a run gave.
pub(crate) struct Seen {
    /// Stamps of `probe_count` and of the kernel, in instructions.
    pub(crate) stamps: Vec<u64>,
    /// All that GRUB printed.
    pub(crate) transcript: String,
}

impl Seen {
    /// The differences of `count` stamps that follow each other, from stamp `first` on.
    ///
    /// # Errors
    ///
    /// If there are not so many.
    pub(crate) fn costs(&self, first: usize, count: usize) -> Result<Vec<u64>> {
        let stamps = self
            .stamps
            .get(first..=first + count)
            .with_context(|| format!("too few counts:\n{}", tail(&self.transcript)))?;
        Ok(stamps.windows(2).map(|two| two[1] - two[0]).collect())
    }

    /// Free bytes of GRUB's heap as `probe_memory NAME` printed it.
    ///
    /// # Errors
    ///
    /// If it did not.
    pub(crate) fn heap(&self, name: &str) -> Result<u64> {
        let key = format!("mb2t memory {name} heap=");
        let text = self.transcript.split(&key).nth(1);
        let digits = text.and_then(|text| text.split(' ').next());
        let digits = digits.with_context(|| format!("no memory {name} was counted"))?;
        Ok(u64::from_str_radix(digits, 16)?)
    }
}

/// Name and module of a run.
pub(crate) type Key = (String, Flavour);

/// What all runs gave.
pub(crate) struct Answers(pub(crate) BTreeMap<Key, Seen>);

/// Runs all of them in one kind of machine.
///
/// # Errors
///
/// The first run that GRUB complains about.
pub(crate) fn all(place: &Place, runs: Vec<Run>) -> Result<Answers> {
    probe::build(place)?;
    let kind = Kind {
        place: place.clone(),
        memory: suite::MEMORY,
        extra: Vec::new(),
        counts: true,
    };
    let snapshot = Snapshot::new(kind, "bench")?;
    let step = ui::step(format!("counting instructions on {place}"));
    let total = runs.len();
    let queue: Mutex<VecDeque<(usize, Run)>> = Mutex::new(runs.into_iter().enumerate().collect());
    let answers: Mutex<Vec<Result<(Key, Seen)>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).pop_front();
                    let Some((number, run)) = next else { return };
                    step.say(&format!("{} of {total}, {}", number + 1, run.name));
                    let seen = one(&snapshot, &run)
                        .with_context(|| format!("{place}, {}, {}", run.name, run.flavour.name()));
                    let key = (run.name, run.flavour);
                    lock(&answers).push(seen.map(|seen| (key, seen)));
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let answers: Result<_> = answers.into_iter().collect();
    step.done_with(&format!("{total} machines"));
    answers.map(Answers)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one(snapshot: &Snapshot, run: &Run) -> Result<Seen> {
    let place = snapshot.place();
    let shelf = place.below(root().join("target/xtask/bench"));
    fs::create_dir_all(&shelf)?;
    let name = format!(
        "{}-{}",
        run.name.replace([' ', ',', ':'], "-"),
        run.flavour.name()
    );
    let console = shelf.join(format!("{name}.stamps"));
    let files: Vec<(&str, &[u8])> = run
        .files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    let outcome = snapshot.go_on(&Test {
        module: &iso::folder_of(place, run.flavour).join("multiboot2.mod"),
        script: &run.script,
        files: &files,
        disk: &shelf.join(format!("{name}.img")),
        options: &[
            "-debugcon".to_owned(),
            format!("file:{}", console.display()),
        ],
        limit: LIMIT,
    })?;
    if outcome.transcript.lines().any(iso::is_error) {
        bail!("GRUB complains:\n{}", tail(&outcome.transcript));
    }
    let bytes = fs::read(&console)
        .map_err(|error| anyhow!("{error}: nothing was counted ({:?})", outcome.end))?;
    let (stamps, _) = bytes.as_chunks::<8>();
    Ok(Seen {
        stamps: stamps
            .iter()
            .map(|stamp| u64::from_le_bytes(*stamp))
            .collect(),
        transcript: outcome.transcript,
    })
}
