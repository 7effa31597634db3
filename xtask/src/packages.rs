// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian packages: which ones each part needs, and how they get installed.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{output, run, system};
use crate::{cache, root, ui};

/// For configuring GRUB and for building the module.
pub(crate) const BUILD: &[&str] = &[
    "autoconf",
    "automake",
    "autopoint",
    "binutils",
    "bison",
    "dpkg-dev",
    "flex",
    "gawk",
    "gcc",
    "gcc-multilib",
    "gettext",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-efi-ia32-bin",
    "grub-pc-bin",
    "help2man",
    "libc6-dev",
    "libclang-dev",
    "libtool",
    "make",
    "patch",
    "pkg-config",
    "python3",
    "texinfo",
    "xz-utils",
];

/// For making an ISO and starting it in a machine.
pub(crate) const BOOT: &[&str] = &[
    "grub-common",
    "mtools",
    "ovmf",
    "ovmf-ia32",
    "qemu-system-x86",
    "xorriso",
];

/// LLVM's programs for counting lines and for naming them in a sanitizer's report.
pub(crate) const LLVM: &str = "llvm-19";

/// For fuzzing, beside what building the test kernel takes.
pub(crate) const FUZZ: &[&str] = &["binutils", "g++", "gcc", LLVM];

/// A Rust compiler with the source of its library.
pub(crate) const RUST: &[&str] = &["cargo-web", "rust-web-src", "rustc-web"];

/// Clippy and rustfmt, where cargo has none of its own.
pub(crate) const LINTS: &[&str] = &["rust-web-clippy", "rustfmt-web"];

/// Sees to it that all `packages` are installed; fast when they are.
///
/// # Errors
///
/// If they are missing and cannot be installed; the text is the command that would do it.
pub(crate) fn ensure(packages: &[&str]) -> Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let Some(admin) = Admin::find() else {
        bail!("missing {names}: run `sudo apt-get install {names}`, then this command again");
    };
    let step = ui::step(format!("installing {names}"));
    if !missing.iter().all(|name| known(name)) {
        admin.update();
    }
    if admin.install(&missing).is_err() {
        // The machine's lists may be older than what the mirror still has.
        admin.update();
        admin.install(&missing).with_context(|| {
            format!("missing {names}: `apt-get install {names}` failed, see above")
        })?;
    }
    step.done();
    Ok(())
}

/// Returns those of `packages` that are not installed.
fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut query = system("dpkg-query");
    query
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(packages);
    // It fails when a package is unknown and answers for the others all the same.
    let out = query
        .output()
        .context("cannot start dpkg-query: these commands need Debian or a system made from it")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let installed: HashSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(packages
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect())
}

/// Says whether apt knows where to get a package.
fn known(package: &str) -> bool {
    candidate(package).is_some()
}

/// Returns the version that apt would install.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let text = output(system("apt-cache").args(["policy", package])).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

/// Returns the version that is installed.
pub(crate) fn installed(package: &str) -> Option<String> {
    let mut query = system("dpkg-query");
    query.args([
        "--show",
        "--showformat",
        "${db:Status-Status} ${Version}",
        package,
    ]);
    output(&mut query)
        .ok()?
        .strip_prefix("installed ")
        .map(str::to_owned)
}

/// Refreshes apt's lists if this user may, and says so if not.
pub(crate) fn refresh() {
    match Admin::find() {
        Some(admin) => admin.update(),
        None => ui::warn("apt's lists may be old: run `sudo apt-get update`"),
    }
}

/// Returns a command that runs a program as root, with our cache.
///
/// # Errors
///
/// If this user has not the right to.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    let Some(admin) = Admin::find() else {
        bail!("this needs root or sudo");
    };
    let shelf = cache::folder()?;
    let base = shelf.parent().context("the cache folder has a parent")?;
    Ok(admin.command(program, ("XDG_CACHE_HOME", base.as_os_str())))
}

/// The right to act as root.
enum Admin {
    /// This process has it.
    Root,
    /// `sudo` gives it, perhaps after asking for a password.
    Sudo,
}

impl Admin {
    fn find() -> Option<Self> {
        let id = output(system("id").arg("-u")).unwrap_or_default();
        if id.trim() == "0" {
            return Some(Self::Root);
        }
        if output(system("sudo").args(["-n", "true"])).is_ok() {
            return Some(Self::Sudo);
        }
        // A password can be asked for only where somebody can type it: before the progress line.
        let someone = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let granted = someone
            && Command::new("sudo")
                .arg("-v")
                .status()
                .is_ok_and(|s| s.success());
        granted.then_some(Self::Sudo)
    }

    /// Returns a program as a command with these rights and one variable set.
    fn command(&self, program: impl AsRef<OsStr>, (key, value): (&str, &OsStr)) -> Command {
        match self {
            Self::Root => {
                let mut command = system(program);
                command.env(key, value);
                command
            }
            Self::Sudo => {
                let mut set = OsString::from(key);
                set.push("=");
                set.push(value);
                let mut sudo = system("sudo");
                sudo.args(["-n", "env"]).arg(set).arg(program);
                sudo
            }
        }
    }

    fn apt_get(&self) -> Command {
        let quiet = ("DEBIAN_FRONTEND", OsStr::new("noninteractive"));
        let mut command = self.command("apt-get", quiet);
        command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300"]);
        command
    }

    /// Refreshes the lists. A source that cannot be read is no reason to stop: others may do.
    fn update(&self) {
        let log = root().join("target/xtask/log/apt-update.log");
        if let Err(error) = run(self.apt_get().arg("update"), &log) {
            ui::warn(&format!("{error:#}"));
        }
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        let log = root().join("target/xtask/log/apt-install.log");
        run(
            self.apt_get()
                .args(["install", "--no-install-recommends"])
                .args(packages),
            &log,
        )
    }
}
