// SPDX-License-Identifier: GPL-3.0-or-later
//! The whole way: Xen gets Debian's Linux and an initial RAM disk as modules and starts them as
//! its dom0, until a program of ours runs there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cmd::{output, run, system};
use crate::grub::Place;
use crate::initrd::Archive;
use crate::iso::{self, Flavour, Maker};
use crate::job::{Job, Passed};
use crate::platform::Platform;
use crate::qemu::{End, Machine, Next};
use crate::suite::{iso_path, tail};
use crate::table::Group;
use crate::{apt, packages, root, xen};

/// Debian's package that depends on the newest kernel. (That of the cloud flavour, which has
/// another name, cannot be dom0.)
const METAPACKAGE: &str = "linux-image-amd64";

/// The command line of Linux.
const CMDLINE: &str = "console=hvc0 panic=-1";

/// What Linux's first process says; its text is in `init/init.S`.
const SIGN: &str = "mb2 dom0: init runs";

/// Memory of the machine, in MiB, of which dom0 gets half.
const MEMORY: u32 = 1024;

/// Only a machine that hangs needs it; otherwise it is ten to twenty seconds.
const LIMIT: Duration = Duration::from_secs(240);

/// Where a dom0 can run: Xen needs 64-bit firmware or BIOS.
pub(crate) fn runs_on(platform: Platform) -> bool {
    platform != Platform::I386Efi
}

/// Returns Linux's image; downloads Debian's package when needed.
///
/// # Errors
///
/// If apt knows no kernel or cannot get it.
pub(crate) fn linux() -> Result<PathBuf> {
    let package = match package()? {
        Some(package) => package,
        None => {
            packages::refresh();
            package()?
                .with_context(|| format!("apt knows no {METAPACKAGE}: run `apt-get update`"))?
        }
    };
    apt::boot_file(&package, "linux", |name| name.starts_with("vmlinuz-"))
}

/// Asks apt which package the metapackage stands for.
fn package() -> Result<Option<String>> {
    let mut query = system("apt-cache");
    query.args(["depends", "--important", METAPACKAGE]);
    // For a package that it does not know it fails.
    Ok(output(&mut query).ok().and_then(|text| dependency(&text)))
}

/// Finds the kernel in the answer of `apt-cache depends`.
fn dependency(answer: &str) -> Option<String> {
    let mut needed = answer
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let found = needed.find(|name| name.starts_with("linux-image-"))?;
    Some(found.to_owned())
}

/// Assembles the first process and packs it up with the console that it writes to.
fn initrd(work: &Path) -> Result<Vec<u8>> {
    let program = work.join("init");
    let mut gcc = system("gcc");
    gcc.args(["-m64", "-nostdlib", "-static", "-no-pie", "-s"])
        .args(["-Wl,--build-id=none", "-o"])
        .arg(&program)
        .arg(root().join("xtask/init/init.S"));
    run(&mut gcc, &work.join("init.log")).context("missing gcc? apt-get install gcc")?;
    Ok(Archive::default()
        .folder("dev")
        .device("dev/console", 5, 1)
        .program("init", &fs::read(&program)?)
        .finish())
}

/// Boots Xen with Linux as its dom0; the first process has to run there, and the machine has to
/// turn itself off.
pub(crate) fn job(place: &Place) -> Job {
    let here = place.clone();
    Job::new("Xen boots its dom0", Some(place), move || boot(&here)).counts(Group::Dom0)
}

fn boot(place: &Place) -> Result<Passed> {
    let iso = iso_path(place, "dom0", Flavour::Ours);
    let work = iso.with_extension("work");
    fs::create_dir_all(&work)?;
    let config = format!(
        "{}multiboot2 /xen {} dom0_mem=512M\nmodule2 /linux {CMDLINE}\nmodule2 /initrd\nboot\n",
        iso::prologue(place.platform),
        xen::CMDLINE
    );
    iso::build(
        &Maker::of(place, Flavour::Ours)?,
        &config,
        &[
            ("xen", &fs::read(xen::image()?)?),
            ("linux", &fs::read(linux()?)?),
            ("initrd", &initrd(&work)?),
        ],
        &iso,
    )?;
    let machine = Machine::new(place.platform, MEMORY, iso);
    let mut watch = Watch::default();
    let outcome = machine.run(LIMIT, |line| watch.line(line))?;
    fs::write(work.join("transcript.txt"), &outcome.transcript)?;
    if let Err(error) = watch.verdict(outcome.end) {
        bail!("{}\n{error:#}", tail(&outcome.transcript));
    }
    let seconds = outcome.took.as_secs_f64();
    Ok(Passed::with(format!("init runs, off after {seconds:.0} s")))
}

/// Watches the console for our process and for whatever makes it useless to wait.
#[derive(Default)]
struct Watch {
    ran: bool,
    trouble: Option<String>,
}

impl Watch {
    fn line(&mut self, line: &str) -> Next {
        self.ran |= line.contains(SIGN);
        let hopeless = ["Kernel panic", "Panic on CPU"];
        if iso::is_error(line) || hopeless.iter().any(|text| line.contains(text)) {
            self.trouble = Some(line.trim().to_owned());
            return Next::Stop;
        }
        Next::Continue
    }

    fn verdict(&self, end: End) -> Result<()> {
        if let Some(trouble) = &self.trouble {
            bail!("the machine says: {trouble}");
        }
        ensure!(self.ran, "dom0 has not started our first process ({end:?})");
        ensure!(
            end == End::Exit(0),
            "dom0 ran, but the machine did not turn itself off ({end:?})"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_what_the_metapackage_depends_on() {
        let answer = "linux-image-amd64\n  Depends: linux-image-6.1.0-1-amd64\n";
        assert_eq!(dependency(answer).unwrap(), "linux-image-6.1.0-1-amd64");
        assert_eq!(dependency("linux-image-amd64\n"), None);
    }

    #[test]
    fn the_sign_and_the_end_are_both_needed() {
        let mut watch = Watch::default();
        assert!(watch.verdict(End::Exit(0)).is_err());
        assert_eq!(watch.line("mb2 dom0: init runs"), Next::Continue);
        assert!(watch.verdict(End::Exit(0)).is_ok());
        assert!(watch.verdict(End::TimedOut).is_err());
        assert_eq!(watch.line("[ 1.0] Kernel panic - not syncing"), Next::Stop);
        assert!(watch.verdict(End::Exit(0)).is_err());
    }

    #[test]
    fn the_first_process_says_the_sign() {
        let text = fs::read_to_string(root().join("xtask/init/init.S")).unwrap();
        assert!(text.contains(SIGN));
    }
}
