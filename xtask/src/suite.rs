// SPDX-License-Identifier: GPL-3.0-or-later
//! The tests that run in QEMU.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::Machine;
use crate::table::Group;
use crate::test::LIMIT;
use crate::versions::{Kind, Shows};
use crate::{
    deb, dom0, firmware, guide, install, module, nx, packages, probe, rescue, root, testkernel,
    toolchain, trust, variants, xen,
};

/// Memory of the machines, in MiB.
pub(crate) const MEMORY: u32 = 1024;

/// Prepares all tests that `wanted` selects.
///
/// In places of another GRUB than the distribution's own the test kernel runs with a selection
/// of its images, unless `full` is said.
///
/// # Errors
///
/// If a module was not built or an image cannot be made.
pub(crate) fn jobs(
    places: &[Place],
    full: bool,
    wanted: &dyn Fn(&Job) -> bool,
) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = places.iter().map(xen_job).collect();
    let for_dom0 = places.iter().filter(|place| dom0::runs_on(place.platform));
    jobs.extend(
        for_dom0
            .filter(|place| full || place.grub.is_own())
            .map(dom0::job),
    );
    jobs.extend(
        places
            .iter()
            .filter(|place| place.grub.is_own())
            .map(guide::job),
    );
    let payload = testkernel::build(&toolchain::find()?)?;
    for place in places.iter().filter(|place| full || !place.grub.is_own()) {
        jobs.extend(nx::jobs(place, &payload)?);
    }
    for place in places.iter().filter(|place| full || place.grub.is_own()) {
        jobs.extend(trust::jobs(place, &payload)?);
    }
    jobs.extend(install::check::jobs(places, &payload)?);
    let own = places.iter().filter(|place| place.grub.is_own());
    jobs.extend(own.map(deb::check::job));
    jobs.extend(variants::jobs(places, full, &payload)?);
    jobs.retain(|job| wanted(job));
    if jobs.is_empty() {
        return Ok(jobs);
    }
    // Fetched here, so that the machines do not wait for each other.
    xen::image()?;
    if jobs.iter().any(|job| job.group == Some(Group::Dom0)) {
        dom0::linux()?;
    }
    if jobs.iter().any(|job| job.name.starts_with(trust::NAME)) {
        packages::ensure(trust::PACKAGES)?;
    }
    for (name, needed) in [
        (install::check::NAME, install::check::PACKAGES),
        (deb::check::NAME, deb::PACKAGES),
    ] {
        if jobs.iter().any(|job| job.name == name) {
            packages::ensure(needed)?;
        }
    }
    for job in jobs.iter().filter(|job| job.name.starts_with(nx::NAME)) {
        if let Some(place) = &job.place {
            firmware::strict_nx(place.platform)?;
        }
    }
    let used = |place: &&Place| jobs.iter().any(|job| job.place.as_ref() == Some(*place));
    for place in places.iter().filter(used) {
        rescue::ensure(&place.grub)?;
        iso::module_folder(place, None)?;
        let ours = module::to_run(&place.grub, place.platform)
            .with_context(|| format!("there is no module for {place}"))?;
        iso::module_folder(place, Some(&ours))?;
        probe::build(place)?;
    }
    Ok(jobs)
}

/// Where the ISO of one test goes.
pub(crate) fn iso_path(place: &Place, name: &str, flavour: Flavour) -> PathBuf {
    place
        .below(root().join("target/xtask/suite"))
        .join(format!("{name}-{}.iso", flavour.name()))
}

/// Debian's Xen has to start and to have been put where it wants to be.
fn xen_job(place: &Place) -> Job {
    let here = place.clone();
    let job = Job::new("Xen", Some(place), move || boot_xen(&here));
    if place.platform == Platform::I386Efi {
        // On 32-bit UEFI it refuses to go on, which is nothing to boast of.
        return job.shows(Kind::DropIn, Shows::XenRefuses);
    }
    job.counts(Group::Xen).shows(Kind::DropIn, Shows::Xen)
}

fn boot_xen(place: &Place) -> Result<Passed> {
    let platform = place.platform;
    let iso = iso_path(place, "xen", Flavour::Ours);
    let config = format!("{}{}\n", iso::prologue(platform), xen::script().join("\n"));
    iso::build(
        &Maker::of(place, Flavour::Ours)?,
        &config,
        &iso::borrowed(&xen::files()?),
        &iso,
    )?;
    let machine = Machine {
        stop_at: Some(xen::REFUSAL),
        ..Machine::new(platform, MEMORY, iso)
    };
    let mut watch = xen::Watch::default();
    let outcome = machine.run(LIMIT, |line| watch.line(line))?;
    watch.passed(platform, &outcome.transcript)
}

/// The end of a transcript, for a failure.
pub(crate) fn tail(transcript: &str) -> String {
    let lines: Vec<&str> = transcript
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
