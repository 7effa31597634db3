// SPDX-License-Identifier: GPL-3.0-or-later
//! Our module under the sanitizers, driven through the callbacks that it registers: loads of
//! each kind, each call of GRUB failing in turn, arguments that no shell would give.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

use super::build::Programs;
use super::job::{Args, Job, Step};
use super::loads::{self, Load, module2, multiboot2};
use super::player::{Did, End, Player, Report, difference};
use crate::platform::Platform;

/// A call whose failure has another way: GRUB's choice of memory instead of the planned one.
const DISPENSABLE: &str = "chunk in a window";

/// How the fake starts the text of an error that it was told to make.
const MADE_TO_FAIL: &str = "error made to fail";

/// The test: returns how many runs it took.
pub(crate) struct Boundary {
    player: Player,
    platform: Platform,
    runs: usize,
}

impl Boundary {
    /// Runs everything.
    ///
    /// # Errors
    ///
    /// What went wrong, with the job's name.
    pub(crate) fn run(programs: &Programs, platform: Platform) -> Result<usize> {
        let mut test = Self {
            player: Player::new(&programs.ours, true)?,
            platform,
            runs: 0,
        };
        for (index, load) in loads::loads(platform)?.iter().enumerate() {
            test.load(load, index == 0).with_context(|| load.name)?;
        }
        Ok(test.runs)
    }

    fn load(&mut self, load: &Load, all: bool) -> Result<()> {
        self.starts(load)?;
        for (name, before, work) in loads::works(all) {
            self.fail_each(load, &before, &work).context(name)?;
        }
        self.odd_arguments(load).context("odd arguments")?;
        self.last_resorts(load).context("last resorts")?;
        self.misplaced(load).context("a misplaced chunk")?;
        if self.platform.is_efi() {
            self.map_grows(load).context("a growing map")?;
        }
        Ok(())
    }

    /// Plays a job; the module must not do what ends it.
    fn play(&mut self, job: &Job) -> Result<Report> {
        self.runs += 1;
        let report = self.player.play(job)?;
        match report.end {
            End::Done | End::Started | End::Halted => Ok(report),
            _ => bail!("{:?}\n{}", report.end, report.errors),
        }
    }

    /// It starts, reads its file front to back, and leaves nothing when it is unloaded. Memory
    /// that nobody wrote does not reach the kernel.
    fn starts(&mut self, load: &Load) -> Result<()> {
        let steps = vec![
            loads::load(),
            module2(&["/module"]),
            module2(&["/empty", "\"q\""]),
        ];
        let mut unload = load.job([steps.clone(), vec![Step::Unload, Step::Remove]].concat());
        for fill in [0xa5, 0x5a] {
            unload.fill = fill;
            let report = self.play(&unload)?;
            for did in &report.steps {
                succeeded(did)?;
            }
            let [.., unloaded, removed] = &report.steps[..] else {
                bail!("steps are missing");
            };
            self.nothing_left(unloaded)?;
            ensure!(removed.count.commands == 0, "commands stay registered");
            ensure!(
                unloaded.count.backward == 0,
                "the file is read back and forth"
            );
        }
        let mut boot = load.job([steps, vec![Step::Boot]].concat());
        let first = self.play(&boot)?.start.context("it does not start")?;
        boot.fill = 0x5a;
        let second = self.play(&boot)?.start.context("it does not start again")?;
        if let Some(at) = difference(&first, &second) {
            bail!("the kernel finds memory that nobody wrote at {at:#x}");
        }
        Ok(())
    }

    /// Each call fails in turn; reading fails twice, with an error and in silence.
    fn fail_each(&mut self, load: &Load, before: &[Step], work: &[Step]) -> Result<()> {
        let after = [
            Step::Disarm,
            Step::Unload,
            multiboot2(&["/bad"]),
            loads::load(),
            Step::Boot,
        ];
        let steps = [before, &[Step::Arm], work, &after].concat();
        let armed = before.len() + 1..before.len() + 1 + work.len();
        let mut job = load.job(steps);
        for call in 0.. {
            job.fail_at = Some(call);
            job.fail_short = false;
            let report = self.play(&job)?;
            let Some(failed) = report.failed.first() else {
                // The work has fewer calls.
                ensure!(report.end == End::Started && call > 0, "it does not start");
                break;
            };
            let place = || format!("call {call}, {failed}");
            self.failed(&report, armed.clone()).with_context(place)?;
            if failed == "read" {
                job.fail_short = true;
                let report = self.play(&job)?;
                self.failed(&report, armed.clone())
                    .with_context(|| format!("call {call}, a short read"))?;
            }
        }
        Ok(())
    }

    /// After a failure: an error, nothing left, and the next kernel starts.
    fn failed(&self, report: &Report, work: Range<usize>) -> Result<()> {
        let is = |name| report.failed.iter().any(|failed| failed == name);
        let told = report
            .events
            .iter()
            .any(|event| event.starts_with(MADE_TO_FAIL));
        // On UEFI GRUB is told the address of what has a choice, too.
        let addressed = is("chunk") && self.platform.is_efi();
        // With eight modules and more, small ones open pools, or do without.
        let pool = report.steps.len() > 8 && (is("heap") || is("chunk") || is("memory map"));
        let dispensable = told || is(DISPENSABLE) || addressed || pool;
        match report.end {
            End::Started => {}
            // The firmware is gone: there is nobody to tell.
            End::Halted if is("jump") && self.platform.is_efi() => return Ok(()),
            _ => bail!("{:?} after {} steps", report.end, report.steps.len()),
        }
        let Some(did) = report.steps.get(work).filter(|steps| !steps.is_empty()) else {
            // The work itself has started the kernel.
            ensure!(dispensable, "a failed call is ignored");
            return Ok(());
        };
        let errors: Vec<&Did> = did.iter().filter(|did| did.error != 0).collect();
        ensure!(errors.len() <= 1, "{} commands fail", errors.len());
        ensure!(
            !errors.is_empty() || dispensable,
            "a failed call is ignored"
        );
        for did in errors {
            ensure!(
                did.result == did.error,
                "GRUB is told {}, not {}",
                did.result,
                did.error
            );
            ensure!(!did.text.is_empty(), "nobody says why");
            if !did.loaded {
                self.nothing_left(did)?;
            }
        }
        let [.., unloaded, bad, good] = &report.steps[..] else {
            bail!("steps are missing");
        };
        self.nothing_left(unloaded)?;
        ensure!(bad.error != 0 && !bad.loaded, "a bad file is loaded");
        succeeded(good)?;
        let count = good.count;
        ensure!(count.overwritten == 0, "one error took another one's place");
        Ok(())
    }

    /// GRUB has everything back, but for what its relocator on UEFI cannot take.
    fn nothing_left(&self, did: &Did) -> Result<()> {
        let mut count = did.count;
        if self.platform.is_efi() {
            count.relocators = 0;
        }
        ensure!(
            !did.loaded && count.is_empty(),
            "something is left: {count:?}"
        );
        Ok(())
    }

    /// What no shell gives to a command: an error each time, and the next command works.
    fn odd_arguments(&mut self, load: &Load) -> Result<()> {
        let some = |argc, argv: &[Option<&str>]| Args {
            argc,
            argv: Some(argv.iter().map(|arg| arg.map(str::to_owned)).collect()),
        };
        let long = "%s%n%llx/".repeat(2000);
        let odd = [
            Args {
                argc: 0,
                argv: None,
            },
            Args {
                argc: 3,
                argv: None,
            },
            some(0, &[]),
            some(0, &[Some("/kernel")]),
            some(-1, &[Some("/kernel")]),
            some(i32::MIN, &[]),
            some(1, &[None]),
            some(2, &[None, Some("x")]),
            some(1, &[Some("")]),
            some(1, &[Some("--nounzip")]),
            some(2, &[Some("--nounzip"), Some("")]),
            some(2, &[Some("--nounzip"), None]),
            some(2, &[Some("--"), Some("/kernel")]),
            some(1, &[Some(&long)]),
            some(2, &[Some(&long), Some(&long)]),
        ];
        let mut steps = Vec::new();
        for args in odd {
            steps.push(Step::Module2(args.clone()));
            steps.push(Step::Multiboot2(args.clone()));
            // A line ends where a string is NULL.
            let ends = [Some("/kernel"), Some("a"), None, Some("b")];
            steps.push(Step::Multiboot2(some(4, &ends)));
            steps.push(Step::Module2(args));
            steps.push(module2(&["/module", &long]));
            steps.push(Step::Unload);
        }
        let report = self.play(&load.job(steps))?;
        for six in report.steps.chunks(6) {
            for (index, did) in six.iter().enumerate() {
                match index {
                    0 | 1 | 3 => ensure!(did.error != 0 && did.result == did.error, "accepted"),
                    _ => succeeded(did)?,
                }
            }
            self.nothing_left(&six[1])?;
            self.nothing_left(&six[5])?;
        }
        Ok(())
    }

    /// What GRUB should never do: fail without an error, call a command inside a command.
    fn last_resorts(&mut self, load: &Load) -> Result<()> {
        let steps = vec![
            multiboot2(&["/silent"]),
            loads::load(),
            module2(&["/again"]),
            Step::Boot,
        ];
        let report = self.play(&load.job(steps))?;
        let [silent, ..] = &report.steps[..] else {
            bail!("steps are missing");
        };
        ensure!(silent.text == "/silent: unexplained failure", "{silent:?}");
        let busy = "inside: /again: busy".to_owned();
        ensure!(report.events.contains(&busy), "{:?}", report.events);
        ensure!(report.end == End::Started, "{:?}", report.end);
        Ok(())
    }

    /// The relocator puts chunks where they must not be, as GRUB's does after a collision: the
    /// kernel is refused, or `boot` is, unless it never chooses.
    fn misplaced(&mut self, load: &Load) -> Result<()> {
        for target in [0x9_fc00, 0xa0_0000, 0xffff_f000] {
            let steps = vec![
                loads::load(),
                module2(&["/module"]),
                Step::Boot,
                Step::Unload,
            ];
            let mut job = load.job(steps);
            job.machine.misplaced = Some(target);
            let report = self.play(&job)?;
            if let Some(start) = &report.start {
                // It can where GRUB was told each address.
                let led_astray = start
                    .chunks
                    .iter()
                    .any(|chunk| chunk.target == u64::from(target));
                ensure!(!led_astray, "it starts with memory at {target:#x}");
                continue;
            }
            let [.., booted, unloaded] = &report.steps[..] else {
                bail!("steps are missing");
            };
            ensure!(booted.error != 0, "boot returns without an error");
            self.nothing_left(unloaded)?;
        }
        Ok(())
    }

    /// The firmware's map outgrows its room: three times are one too few to give up.
    fn map_grows(&mut self, load: &Load) -> Result<()> {
        for grows in [1, 2, 3, 9] {
            let mut job = load.job(vec![loads::load(), Step::Boot, Step::Unload]);
            job.machine.efi_map_grows = grows;
            let report = self.play(&job)?;
            let beside = report
                .start
                .as_ref()
                .is_some_and(|s| s.registers.len() == 6);
            let expected = if grows < 4 || beside {
                End::Started
            } else {
                End::Done
            };
            ensure!(report.end == expected, "{grows} times: {:?}", report.end);
            if let [_, booted, unloaded] = &report.steps[..] {
                ensure!(booted.error != 0 && booted.loaded, "the kernel is gone");
                self.nothing_left(unloaded)?;
            }
        }
        Ok(())
    }
}

fn succeeded(did: &Did) -> Result<()> {
    let good = did.result == 0 && did.error == 0;
    ensure!(good, "error {}: {}", did.error, did.text);
    Ok(())
}
