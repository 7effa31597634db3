// SPDX-License-Identifier: GPL-3.0-or-later
//! Kernels that numbers choose, each loaded by GRUB's C loader and by ours on the same fake: the
//! same memory, or a reason from the kit's list.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use mb2_testkit::bytes::noise;
use mb2_testkit::differ::{self, Firmware, Oddity, Outcome, Terrain, Verdict};
use mb2_testkit::random::{self, Random};

use super::build::Programs;
use super::job::{Args, DIRECT, FREE, Job, Machine, SERVICES, Step, Stored, fact};
use super::player::{End, Player, Report, difference};
use crate::platform::Platform;
use crate::{root, ui};

/// Seed of the runs that everyone does.
pub(crate) const SEED: u64 = 0x6d62_325f_6469_6666;

/// Time of a processor that a loader gets for one kernel, in milliseconds; C may hang.
const LIMIT: u32 = 500;

/// How often our loader runs again with other bytes in fresh memory.
const AGAIN: u64 = 4;

/// How many unexplained fates are enough to stop.
const SHOWN: usize = 10;

/// What to run.
pub(crate) struct Wanted {
    pub(crate) platform: Platform,
    pub(crate) seed: u64,
    /// Numbers of the first kernel and behind the last one.
    pub(crate) numbers: std::ops::Range<u64>,
}

/// How many kernels met which fate.
#[derive(Default)]
pub(crate) struct Tally {
    kernels: usize,
    /// What the reference did.
    stock: BTreeMap<&'static str, usize>,
    /// What ours did.
    ours: BTreeMap<&'static str, usize>,
    same: usize,
    neither: usize,
    /// Reasons for everything else.
    pub(crate) reasons: BTreeMap<(&'static str, Oddity), usize>,
}

impl Tally {
    fn note(&mut self, verdict: &Verdict) {
        let mut reason = |what, odd| *self.reasons.entry((what, odd)).or_default() += 1;
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::NeitherStarts => self.neither += 1,
            Verdict::Stricter(odd) => reason("only C starts it", *odd),
            Verdict::ReferenceFails(odd) => reason("only ours starts it", *odd),
            Verdict::Deviates(odds) => {
                for odd in odds {
                    reason("both start it, not alike", *odd);
                }
            }
        }
    }

    fn of(&self, what: &str) -> usize {
        let kinds = self.reasons.iter().filter(|((kind, _), _)| *kind == what);
        kinds.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |map: &BTreeMap<&str, usize>| {
            let parts: Vec<String> = map.iter().map(|(what, n)| format!("{n} {what}")).collect();
            parts.join(", ")
        };
        write!(
            f,
            "{} kernels; C: {}; ours: {}; {} alike, {} started by neither, {} by C only, {} by ours only",
            self.kernels,
            list(&self.stock),
            list(&self.ours),
            self.same,
            self.neither,
            self.of("only C starts it"),
            self.of("only ours starts it"),
        )
    }
}

/// One kernel with its machine and its modules.
struct Case {
    job: Job,
    terrain: Terrain,
    kernel: Stored,
    modules: Vec<Stored>,
}

/// Runs kernels, all of them unless too many fates have no reason.
///
/// # Errors
///
/// What nothing explains, with the command that repeats it.
pub(crate) fn run(programs: &Programs, wanted: &Wanted) -> Result<Tally> {
    let Wanted { platform, seed, .. } = *wanted;
    let mut pair = Pair::new(programs, false)?;
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for number in wanted.numbers.clone() {
        let case = Case::new(platform, seed, number)?;
        let again = number % AGAIN == 0;
        match pair.judge(&case, again, &mut tally) {
            Ok(verdict) => tally.note(&verdict),
            Err(error) => wrong.push(format!(
                "kernel {number}: {error:#}; to see it: \
                 cargo xtask differential --platform {platform} --seed {seed:#x} --kernel {number}"
            )),
        }
        if wrong.len() == SHOWN {
            break;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A list of excuses is no test: most kernels are loaded, by both, and alike.
    ensure!(
        tally.same * 4 > tally.kernels || tally.kernels < 100,
        "too few kernels are loaded at all: {tally}"
    );
    Ok(tally)
}

/// Shows what happens to one kernel, and leaves it as a file.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn show(programs: &Programs, wanted: &Wanted) -> Result<()> {
    let number = wanted.numbers.start;
    let case = Case::new(wanted.platform, wanted.seed, number)?;
    let place: PathBuf = root().join(format!("target/xtask/host/kernel-{number}"));
    std::fs::write(&place, &case.kernel.bytes)?;
    ui::note(&format!("the kernel is {}", place.display()));
    ui::note(&format!("steps: {:?}", case.job.steps));
    ui::note(&format!("machine: {:x?}", case.job.machine));
    let mut pair = Pair::new(programs, true)?;
    pair.stock.send(&case.job)?;
    for (who, report) in [
        ("C", pair.stock.receive()?),
        ("ours", pair.ours.play(&case.job)?),
    ] {
        ui::note(&format!("{who}: {:?}\n{}", report.end, report.errors));
        for event in &report.events {
            ui::note(&format!("  {event}"));
        }
        for did in report.steps.iter().filter(|did| did.error != 0) {
            ui::note(&format!("  error {}: {}", did.error, did.text));
        }
        if let Some(start) = &report.start {
            ui::note(&format!("  registers {:x?}", start.registers));
            for chunk in &start.chunks {
                let len = chunk.bytes.len();
                ui::note(&format!(
                    "  {:#x} size {len:#x} in place {}",
                    chunk.target, chunk.in_place
                ));
            }
        }
    }
    for odd in differ::oddities(&case.for_kit(&case.module_bytes())) {
        ui::note(&format!("odd: {odd:?}: {}", odd.why()));
    }
    let verdict = pair.judge(&case, true, &mut Tally::default())?;
    ui::note(&format!("{verdict:?}"));
    Ok(())
}

impl Case {
    fn new(platform: Platform, seed: u64, number: u64) -> Result<Self> {
        let mut random = Random::new(seed, number);
        let (machine, ground) = Machine::random(&mut random, platform);
        let mut kernel = Stored::new("/kernel", random::kernel(&mut random, &ground)?);
        kernel.unsized_file = random.one_in(10);
        let words = ["a", "b c", "d\"e", "f\\g", "h'", ""];
        let line = |random: &mut Random, path: &str| {
            let mut args = vec![path.to_owned()];
            args.extend((0..random.below(4)).map(|_| random.pick(&words).to_owned()));
            Args::new(&args.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut steps = vec![Step::Multiboot2(line(&mut random, "/kernel"))];
        let mut modules = Vec::new();
        for index in 0..random.below(4) {
            let name = format!("/module{index}");
            let len = random.pick(&[0, 1, 0xfff, 0x1000, 0x3456, 0x1_0001]);
            modules.push(Stored::new(&name, noise(random.next(), len)));
            steps.push(Step::Module2(line(&mut random, &name)));
        }
        steps.push(Step::Boot);
        let terrain = terrain(&machine, platform);
        let job = Job {
            limit: LIMIT,
            files: [vec![kernel.clone()], modules.clone()].concat(),
            steps,
            ..Job::new(&machine)
        };
        Ok(Self {
            job,
            terrain,
            kernel,
            modules,
        })
    }

    fn module_bytes(&self) -> Vec<&[u8]> {
        self.modules.iter().map(|module| &*module.bytes).collect()
    }

    fn for_kit<'a>(&'a self, modules: &'a [&'a [u8]]) -> differ::Case<'a> {
        differ::Case {
            file: &self.kernel.bytes,
            sized: !self.kernel.unsized_file,
            modules,
            terrain: &self.terrain,
        }
    }
}

fn terrain(machine: &Machine, platform: Platform) -> Terrain {
    let of = |kinds: &[u32]| {
        let ranges = machine
            .ranges
            .iter()
            .filter(|(.., kind)| kinds.contains(kind));
        ranges.map(|(start, end, _)| (*start, *end)).collect()
    };
    Terrain {
        firmware: match platform {
            Platform::I386Pc => Firmware::Bios,
            Platform::I386Efi => Firmware::Efi32,
            Platform::X86_64Efi => Firmware::Efi64,
        },
        usable: of(&[FREE, SERVICES]),
        lasting: of(&[FREE]),
        direct: machine.has(fact::DIRECT).then_some(DIRECT),
        palette: machine.has(fact::SCREEN) && machine.has(fact::PALETTE),
        vbe_interface: machine.has(fact::VBE_INTERFACE),
    }
}

/// The two loaders.
struct Pair {
    stock: Player,
    ours: Player,
}

impl Pair {
    fn new(programs: &Programs, explain: bool) -> Result<Self> {
        Ok(Self {
            stock: Player::new(&programs.stock, explain)?,
            ours: Player::new(&programs.ours, explain)?,
        })
    }

    fn judge(&mut self, case: &Case, again: bool, tally: &mut Tally) -> Result<Verdict> {
        self.stock.send(&case.job)?;
        self.ours.send(&case.job)?;
        let (stock, ours) = (self.stock.receive()?, self.ours.receive()?);
        tally.kernels += 1;
        *tally.stock.entry(fate(&stock)).or_default() += 1;
        *tally.ours.entry(fate(&ours)).or_default() += 1;
        tidy(&ours)?;
        if again && let Some(start) = &ours.start {
            let job = Job {
                fill: 0x5a,
                ..case.job.clone()
            };
            let second = self.ours.play(&job)?;
            let second = second.start.context("it starts only once")?;
            if let Some(at) = difference(start, &second) {
                bail!("the kernel finds memory that nobody wrote at {at:#x}");
            }
        }
        let modules = case.module_bytes();
        let both = (outcome(&stock), outcome(&ours));
        differ::judge(&case.for_kit(&modules), &both.0, &both.1).map_err(|text| anyhow!("{text}"))
    }
}

/// In one word.
fn fate(report: &Report) -> &'static str {
    let beside = |report: &Report| {
        report
            .start
            .as_ref()
            .is_some_and(|s| s.registers.len() == 6)
    };
    match report.end {
        End::Started if error(report).is_none() && beside(report) => "started beside services",
        End::Started if error(report).is_none() => "started",
        End::Done | End::Started => "refused",
        End::TimedOut => "hung",
        End::Misused => "misused GRUB",
        End::Crashed | End::Fatal | End::Halted => "crashed",
    }
}

/// The text of the first error.
fn error(report: &Report) -> Option<&str> {
    let did = report.steps.iter().find(|did| did.error != 0);
    did.map(|did| did.text.as_str())
}

fn outcome(report: &Report) -> Outcome {
    match (&report.end, error(report), &report.start) {
        (End::Started, None, Some(start)) => Outcome::Started(start.clone()),
        (End::Done | End::Started, Some(text), _) => Outcome::Refused(text.to_owned()),
        (end, ..) => {
            // The sanitizer ends with a picture of its books.
            let errors = report
                .errors
                .split("Shadow bytes")
                .next()
                .unwrap_or_default();
            Outcome::Broke(format!("{end:?}\n{errors}"))
        }
    }
}

/// A kernel that our loader refuses leaves nothing behind.
fn tidy(report: &Report) -> Result<()> {
    for did in &report.steps {
        ensure!(
            did.result == did.error,
            "GRUB is told {}, not {}",
            did.result,
            did.error
        );
        ensure!(
            did.count.overwritten == 0,
            "one error took another one's place"
        );
    }
    if let Some(did) = report.steps.first().filter(|did| did.error != 0) {
        let mut count = did.count;
        // GRUB's relocator on UEFI cannot take back more than one chunk.
        count.relocators = 0;
        ensure!(
            !did.loaded && count.is_empty(),
            "something is left: {count:?}"
        );
    }
    Ok(())
}
