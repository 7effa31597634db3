// SPDX-License-Identifier: GPL-3.0-or-later
//! The tests of builds inside GRUB: each version on each platform is built and examined, and
//! booted where a machine can do that.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use mb2_testkit::variants::{self, Variant};

use super::boots;
use super::build::{Build, Extent};
use super::machine::Bench;
use super::makefile;
use super::target::{Start, Target};
use crate::grub::Grub;
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::variants::in_kit;
use crate::versions::{Kind, Shows};
use crate::{gates, testkernel, toolchain, xen};

/// What the names of these jobs begin with.
pub(crate) const NAME: &str = "inside GRUB, ";

/// A version on a platform.
#[derive(Clone)]
struct Site {
    grub: Grub,
    target: Target,
    extent: Extent,
    /// The build, once it is there.
    bench: Arc<OnceLock<Bench>>,
}

/// The jobs in the order in which they have to run.
pub(crate) struct Jobs {
    /// They keep all processors busy.
    pub(crate) builds: Vec<Job>,
    /// Machines, which may run side by side when all builds are there.
    pub(crate) boots: Vec<Job>,
}

/// Returns the jobs for these versions that `wanted` selects, and the builds that they need.
///
/// # Errors
///
/// If the test kernel cannot be built.
pub(crate) fn jobs(grubs: &[Grub], wanted: &dyn Fn(&Job) -> bool) -> Result<Jobs> {
    let payload = testkernel::build(&toolchain::find()?)?;
    xen::image()?;
    let mut kernels = variants::all(&payload)?;
    kernels.retain(|variant| boots::KERNELS.contains(&variant.name.as_str()));
    let kernels: Vec<Arc<Variant>> = kernels.into_iter().map(Arc::new).collect();
    let mut all = Jobs {
        builds: Vec::new(),
        boots: Vec::new(),
    };
    for grub in grubs {
        for target in Target::ALL {
            let site = Site {
                grub: grub.clone(),
                target,
                extent: extent(target, Some(grub) == grubs.last()),
                bench: Arc::default(),
            };
            let build = site.build();
            let mut boots = site.boots(&kernels);
            boots.retain(|job| wanted(job));
            let needed = !boots.is_empty() || wanted(&build);
            all.builds.extend(needed.then_some(build));
            all.boots.extend(boots);
        }
        // Automake packs all versions in the same way; one is enough.
        let with_tarball = Some(grub) == grubs.last();
        let make = makefile::job(&format!("{NAME}make"), grub, with_tarball);
        all.builds.extend(Some(make).filter(|job| wanted(job)));
    }
    Ok(all)
}

/// How much of GRUB is made: all of it once for each version, and for UEFI with the last one. The
/// rest of GRUB is the same with our module and without it, and the time of a run has a limit.
fn extent(target: Target, last: bool) -> Extent {
    match target.start() {
        Start::Firmware(Platform::I386Pc) => Extent::Whole,
        Start::Firmware(Platform::X86_64Efi) if last => Extent::Whole,
        _ => Extent::Few,
    }
}

impl Site {
    /// Builds, installs and examines.
    fn build(&self) -> Job {
        let site = self.clone();
        let target = self.target;
        let job = Job::inside(&format!("{NAME}build"), &self.grub, target, move || {
            let build = Build::ensure(&site.grub, target, site.extent)?;
            if !target.has_ours() {
                return Ok(Passed::with("GRUB's C module"));
            }
            gates::check_inside(&build.work.join("grub-core"))?;
            if target.start() != Start::Nowhere {
                // Only this job fills it, and it runs once.
                let _ = site.bench.set(Bench::new(build)?);
            }
            Ok(Passed::default())
        });
        job.shows(
            Kind::InTree,
            match target.has_ours() {
                true => Shows::Built,
                false => Shows::BuiltReference,
            },
        )
    }

    /// Everything that is booted.
    fn boots(&self, kernels: &[Arc<Variant>]) -> Vec<Job> {
        let start = self.target.start();
        let mut jobs = Vec::new();
        if start == Start::Nowhere {
            return jobs;
        }
        let platform = in_kit(boots::platform(start));
        for variant in kernels.iter().filter(|v| v.platforms.contains(&platform)) {
            let (name, variant) = (variant.name.clone(), variant.clone());
            let kernel = self.boot(&name, move |bench| boots::kernel(bench, &variant));
            jobs.push(kernel.shows(Kind::InTree, Shows::Kernel));
        }
        let shows = match start {
            // Xen needs a BIOS or UEFI.
            Start::Rom | Start::Nowhere => return jobs,
            Start::Firmware(Platform::I386Efi) => Shows::XenRefuses,
            Start::Firmware(_) | Start::Multiboot => Shows::Xen,
        };
        jobs.push(self.boot("Xen", boots::xen).shows(Kind::InTree, shows));
        if self.extent == Extent::Whole && start == Start::Firmware(Platform::X86_64Efi) {
            let whole = self.boot("Xen from one file", boots::standalone);
            jobs.push(whole.shows(Kind::InTree, shows));
        }
        jobs
    }

    fn boot(&self, name: &str, run: impl FnOnce(&Bench) -> Result<Passed> + Send + 'static) -> Job {
        let bench = self.bench.clone();
        Job::inside(
            &format!("{NAME}{name}"),
            &self.grub,
            self.target,
            move || run(bench.get().context("it was not built")?),
        )
    }
}
