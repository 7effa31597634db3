// SPDX-License-Identifier: GPL-3.0-or-later
//! Modules as programs of the host: ours and GRUB's own, over one fake of GRUB in C, under the
//! sanitizers for addresses and for undefined behaviour.

mod boundary;
mod build;
mod differential;
mod job;
mod loads;
mod machines;
mod player;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use clap::Args;

use crate::grub::{Grub, Place};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::ui;
use build::Programs;
use differential::{SEED, Wanted};

/// Kernels for each platform that every run of the tests compares.
const KERNELS: u64 = 2000;

/// Arguments of `differential`.
#[derive(Args)]
pub(crate) struct DifferentialArgs {
    /// Platform to compare on; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// How many kernels on each platform.
    #[arg(long, value_name = "N", default_value_t = KERNELS)]
    kernels: u64,
    /// Seed of the sequence of kernels.
    #[arg(long, value_name = "SEED", default_value_t = SEED, value_parser = seed)]
    seed: u64,
    /// Only this kernel of the sequence, with all that the two loaders did.
    #[arg(long, value_name = "NUMBER", conflicts_with = "kernels")]
    kernel: Option<u64>,
}

/// Reads a number, hexadecimal behind 0x.
fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

/// Compares our loader with GRUB's C loader.
///
/// # Errors
///
/// The first difference that nothing explains.
pub(crate) fn command(args: &DifferentialArgs) -> Result<()> {
    let grub = Grub::resolve(None)?;
    for platform in Platform::or_all(&args.platform) {
        let programs = build::programs(&grub, platform)?;
        let first = args.kernel.unwrap_or(0);
        let wanted = Wanted {
            platform,
            seed: args.seed,
            numbers: first..first + args.kernels,
        };
        if args.kernel.is_some() {
            differential::show(&programs, &wanted)?;
            continue;
        }
        let step = ui::step(format!("comparing {} kernels, {platform}", args.kernels));
        let tally = differential::run(&programs, &wanted)?;
        step.done();
        println!("{platform}: {tally}");
        for ((what, odd), count) in &tally.reasons {
            println!("{count:7}  {what}: {odd:?}, {}", odd.why());
        }
    }
    Ok(())
}

/// What a job does with the programs of a platform.
type Run = fn(&Programs, Platform) -> Result<Passed>;

/// The jobs of `cargo xtask test`.
pub(crate) fn jobs<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<Job> {
    let both: [(&str, Run); 2] = [
        ("boundary under sanitizers", boundary),
        ("comparison with C on the host", differential),
    ];
    let mut jobs = Vec::new();
    for place in places {
        // Whoever comes first builds them for both.
        let programs = Arc::new(Mutex::new(None));
        for (name, run) in both {
            let (here, programs) = (place.clone(), programs.clone());
            jobs.push(Job::new(name, Some(place), move || {
                let programs = once(&programs, &here.grub, here.platform)?;
                run(&programs, here.platform)
            }));
        }
    }
    jobs
}

/// Returns the programs; builds them if nobody has.
fn once(
    slot: &Mutex<Option<Arc<Programs>>>,
    grub: &Grub,
    platform: Platform,
) -> Result<Arc<Programs>> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = &*slot {
        return Ok(programs.clone());
    }
    let programs = Arc::new(build::programs(grub, platform)?);
    *slot = Some(programs.clone());
    Ok(programs)
}

fn boundary(programs: &Programs, platform: Platform) -> Result<Passed> {
    let step = ui::step(format!("failing each call of GRUB, {platform}"));
    let runs = boundary::Boundary::run(programs, platform)?;
    step.done();
    Ok(Passed {
        remark: format!("{runs} runs"),
        inside: runs,
    })
}

fn differential(programs: &Programs, platform: Platform) -> Result<Passed> {
    let step = ui::step(format!("comparing {KERNELS} kernels, {platform}"));
    let wanted = Wanted {
        platform,
        seed: SEED,
        numbers: 0..KERNELS,
    };
    let tally = differential::run(programs, &wanted)?;
    step.done();
    Ok(Passed::with(tally.to_string()))
}
