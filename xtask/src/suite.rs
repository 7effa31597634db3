// SPDX-License-Identifier: GPL-3.0-or-later
//! The tests that run in QEMU.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use crate::grub::Grub;
use crate::iso::{self, Flavour};
use crate::platform::Platform;
use crate::qemu::Machine;
use crate::table::Group;
use crate::test::{Job, LIMIT, Passed};
use crate::{dom0, module, root, variants, xen};

/// Memory of the machines, in MiB.
const MEMORY: u32 = 1024;

/// Prepares all tests that `wanted` selects.
///
/// # Errors
///
/// If a module was not built or an image cannot be made.
pub(crate) fn jobs(
    grub: &Grub,
    platforms: &[Platform],
    wanted: &dyn Fn(&Job) -> bool,
) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = platforms
        .iter()
        .map(|platform| xen_job(grub, *platform))
        .collect();
    let for_dom0 = platforms.iter().filter(|p| dom0::runs_on(**p));
    jobs.extend(for_dom0.map(|platform| dom0::job(grub, *platform)));
    jobs.extend(variants::jobs(grub, platforms)?);
    jobs.retain(|job| wanted(job));
    if jobs.is_empty() {
        return Ok(jobs);
    }
    // Fetched here, so that the machines do not wait for each other.
    xen::image()?;
    if jobs.iter().any(|job| job.group == Some(Group::Dom0)) {
        dom0::linux()?;
    }
    for platform in platforms {
        iso::module_folder(grub, *platform, None)?;
        let ours = module::to_run(grub, *platform)
            .with_context(|| format!("there is no module for {platform}"))?;
        iso::module_folder(grub, *platform, Some(&ours))?;
    }
    Ok(jobs)
}

/// Where the ISO of one test goes.
pub(crate) fn iso_path(grub: &Grub, name: &str, flavour: Flavour, platform: Platform) -> PathBuf {
    root()
        .join("target/xtask/suite")
        .join(&grub.upstream)
        .join(platform.name())
        .join(format!("{name}-{}.iso", flavour.name()))
}

/// Debian's Xen has to start and to have been put where it wants to be.
fn xen_job(grub: &Grub, platform: Platform) -> Job {
    let grub = grub.clone();
    let run = move || {
        let modules = iso::folder_of(&grub, Flavour::Ours, platform);
        let image = xen::image()?;
        let bytes = std::fs::read(&image)?;
        let iso = iso_path(&grub, "xen", Flavour::Ours, platform);
        let config = format!(
            "{}multiboot2 /xen {}\nmodule2 /module\nboot\n",
            iso::prologue(platform),
            xen::CMDLINE
        );
        iso::build(
            &modules,
            &config,
            &[("xen", &bytes), ("module", b"no kernel for dom0\n")],
            &iso,
        )?;
        let machine = Machine {
            stop_at: Some(xen::REFUSAL),
            ..Machine::new(platform, MEMORY, iso)
        };
        let mut watch = xen::Watch::default();
        let outcome = machine.run(LIMIT, |line| watch.line(line))?;
        if platform == Platform::I386Efi && watch.refused {
            // No loader can do better here: these are Xen's own words, so it was entered.
            return Ok(Passed::with("Xen runs and refuses 32-bit UEFI"));
        }
        let verdict = watch.verdict().map_err(|error| {
            anyhow!(
                "{}\n{:?}: {error:#}",
                tail(&outcome.transcript),
                outcome.end
            )
        });
        let base = verdict?;
        Ok(Passed::with(format!("load base {base:#x}")))
    };
    Job {
        name: "Xen".to_owned(),
        platform: Some(platform),
        // On 32-bit UEFI it refuses to go on, which is nothing to boast of.
        group: (platform != Platform::I386Efi).then_some(Group::Xen),
        run: Box::new(run),
    }
}

/// The end of a transcript, for a failure.
pub(crate) fn tail(transcript: &str) -> String {
    let lines: Vec<&str> = transcript
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
