// SPDX-License-Identifier: GPL-3.0-or-later
//! The differential test: one kernel, once under the distribution's C module and once under
//! ours, in machines of the same kind. What each left in memory is compared.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use mb2_testkit::payload::Payload;
use mb2_testkit::variants::{self, Outcome, Run, Setting, Variant, Version};

use crate::grub::{Grub, Place};
use crate::iso::{self, Flavour};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::{self, End};
use crate::snapshot::{self, Snapshot, Test};
use crate::suite::{iso_path, tail};
use crate::table::Group;
use crate::trust;
use crate::versions::{Kind, Shows};

/// Returns a job for each variant in each place; in places of another GRUB than the
/// distribution's own for a selection of them, unless all are wanted.
///
/// # Errors
///
/// If the test kernel cannot be wrapped.
pub(crate) fn jobs(places: &[Place], full: bool, payload: &Payload) -> Result<Vec<Job>> {
    let variants: Vec<Arc<Variant>> = variants::all(payload)?.into_iter().map(Arc::new).collect();
    let mut jobs = Vec::new();
    let mut snapshots: Vec<Arc<Snapshot>> = Vec::new();
    for place in places {
        let all = full || place.grub.is_own();
        for variant in variants
            .iter()
            .filter(|v| v.platforms.contains(&in_kit(place.platform)))
            .filter(|v| all || v.is_representative())
        {
            let variant = variant.clone();
            let snapshot = snapshot_for(&variant.machine, place, &mut snapshots)?;
            let group = Group::of_variant(&variant.name);
            let job = Job::new(&variant.name.clone(), Some(place), move || {
                judge(&variant, &snapshot)
            });
            jobs.push(job.counts(group).shows(Kind::DropIn, Shows::Kernel));
        }
        if all {
            let signed = variants::signed(payload)?;
            let snapshot = snapshot_for(&signed.variant.machine, place, &mut snapshots)?;
            jobs.push(trust::signatures(place, signed, snapshot));
        }
    }
    Ok(jobs)
}

/// Finds or adds the kind of machine that a variant needs.
fn snapshot_for(
    machine: &variants::Machine,
    place: &Place,
    all: &mut Vec<Arc<Snapshot>>,
) -> Result<Arc<Snapshot>> {
    let kind = snapshot::Kind {
        place: place.clone(),
        memory: machine.memory_mib,
        extra: machine.qemu_args.clone(),
        counts: false,
    };
    if let Some(found) = all.iter().find(|snapshot| snapshot.is(&kind)) {
        return Ok(found.clone());
    }
    let added = Arc::new(Snapshot::new(kind, &all.len().to_string())?);
    all.push(added.clone());
    Ok(added)
}

/// The kit's name of a platform.
pub(crate) fn in_kit(platform: Platform) -> variants::Platform {
    match platform {
        Platform::I386Pc => variants::Platform::I386Pc,
        Platform::X86_64Efi => variants::Platform::X86_64Efi,
        Platform::I386Efi => variants::Platform::I386Efi,
    }
}

/// Runs a variant in the machines of a snapshot.
fn judge(variant: &Variant, snapshot: &Snapshot) -> Result<Passed> {
    let place = snapshot.place();
    let setting = setting(&place.grub, in_kit(place.platform))?;
    weigh(variant, setting, |flavour| boot(variant, flavour, snapshot))
}

/// Where the kit has to think that a variant runs.
///
/// # Errors
///
/// If the version does not begin with a number.
pub(crate) fn setting(grub: &Grub, platform: variants::Platform) -> Result<Setting> {
    Ok(Setting {
        platform,
        version: Version::parse(&grub.upstream).context("GRUB has no version")?,
    })
}

/// Runs a variant as often as it needs and lets the kit judge.
///
/// # Errors
///
/// What the kit finds, or what kept a machine from running.
pub(crate) fn weigh(
    variant: &Variant,
    setting: Setting,
    run: impl Fn(Flavour) -> Result<qemu::Outcome>,
) -> Result<Passed> {
    let stock = match variant.needs_reference(setting.version) {
        true => Some(run(Flavour::Stock)?),
        false => None,
    };
    let ours = run(Flavour::Ours)?;
    let remark = match variant.judge(setting, stock.as_ref().map(as_run), as_run(&ours)) {
        Outcome::Identical => "identical".to_owned(),
        Outcome::Kept => "as it has to be".to_owned(),
        Outcome::Deviates(deviations) => {
            let names: Vec<&str> = deviations.iter().map(|d| d.name()).collect();
            format!("deviates: {}", names.join(", "))
        }
        Outcome::Wrong(findings) => {
            let mut shown = findings;
            if ours.end != End::Exit(33) {
                shown.insert(0, tail(&ours.transcript));
            }
            return Err(anyhow!(shown.join("\n")));
        }
    };
    Ok(Passed::with(remark))
}

pub(crate) fn as_run(outcome: &qemu::Outcome) -> Run<'_> {
    let exit = match outcome.end {
        End::Exit(code) => Some(code),
        End::Stopped | End::TimedOut => None,
    };
    Run {
        transcript: &outcome.transcript,
        exit,
    }
}

/// Boots a variant under one of the two modules; keeps the transcript as a file.
pub(crate) fn boot(
    variant: &Variant,
    flavour: Flavour,
    snapshot: &Snapshot,
) -> Result<qemu::Outcome> {
    if variant.machine.network {
        bail!("there is no network boot yet");
    }
    let place = snapshot.place();
    let disk = iso_path(place, &variant.name, flavour).with_extension("img");
    let module = iso::folder_of(place, flavour).join("multiboot2.mod");
    let outcome = snapshot.go_on(&Test {
        module: &module,
        script: &variant.script,
        files: &iso::borrowed(&variant.files),
        disk: &disk,
        options: &[],
        limit: snapshot::WARM_LIMIT,
    })?;
    fs::write(disk.with_extension("txt"), &outcome.transcript)?;
    Ok(outcome)
}
