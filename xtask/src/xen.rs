// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian's Xen as a real image: fetched, never installed.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::apt;
use crate::cmd::{output, system};
use crate::job::Passed;
use crate::platform::Platform;
use crate::qemu::Next;
use crate::suite::tail;
use crate::{iso, packages};

/// The command line that makes Xen talk on the serial port.
pub(crate) const CMDLINE: &str = "console=com1 com1=115200,8n1";

/// The first module, which Xen wants before it looks at anything else.
pub(crate) const MODULE: &[u8] = b"no kernel for dom0\n";

/// What Xen says on 32-bit UEFI before it stops for ever, without an end of the line.
pub(crate) const REFUSAL: &str = "EFI IA-32 platforms are not supported!";

/// The load base has to be a multiple of this: Xen asks for it in its header.
pub(crate) const ALIGN: u64 = 2 << 20;

/// Returns Xen's compressed image; downloads Debian's package when needed.
///
/// # Errors
///
/// If apt knows no Xen or cannot get it.
pub(crate) fn image() -> Result<PathBuf> {
    let package = package()?;
    apt::boot_file(&package, "xen", |name| {
        name.starts_with("xen-") && name.ends_with(".gz")
    })
}

/// GRUB's commands that start Xen from [`files`].
pub(crate) fn script() -> Vec<String> {
    let load = format!("multiboot2 /xen {CMDLINE}");
    vec![load, "module2 /module".to_owned(), "boot".to_owned()]
}

/// The files that [`script`] names.
///
/// # Errors
///
/// If Xen cannot be had.
pub(crate) fn files() -> Result<Vec<(String, Vec<u8>)>> {
    Ok(vec![
        ("xen".to_owned(), std::fs::read(image()?)?),
        ("module".to_owned(), MODULE.to_vec()),
    ])
}

/// Names the newest package with Xen for PCs that apt knows.
fn package() -> Result<String> {
    let search = || -> Result<Option<String>> {
        let mut query = system("apt-cache");
        query.args([
            "search",
            "--names-only",
            "^xen-hypervisor-4\\.[0-9]+-amd64$",
        ]);
        let text = output(&mut query)?;
        let names = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Ok(names
            .max_by_key(|name| minor_version(name))
            .map(str::to_owned))
    };
    if let Some(name) = search()? {
        return Ok(name);
    }
    packages::refresh();
    search()?.context("apt knows no xen-hypervisor-4.*-amd64: run `apt-get update`")
}

fn minor_version(package: &str) -> u32 {
    let rest = package
        .strip_prefix("xen-hypervisor-4.")
        .unwrap_or_default();
    rest.split('-')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or_default()
}

/// Watches Xen's console for the two lines that prove a good start.
#[derive(Default)]
pub(crate) struct Watch {
    version: bool,
    /// The load base, once it was printed.
    pub(crate) base: Option<u64>,
    /// Xen was entered and says itself that it does not run on 32-bit UEFI.
    pub(crate) refused: bool,
    /// What went wrong.
    pub(crate) trouble: Option<String>,
}

impl Watch {
    /// Looks at one line.
    pub(crate) fn line(&mut self, line: &str) -> Next {
        if line.contains("Xen version 4.") {
            self.version = true;
        }
        if let Some((_, text)) = line.split_once("Xen image load base address: 0x") {
            let digits: String = text.chars().take_while(char::is_ascii_hexdigit).collect();
            self.base = u64::from_str_radix(&digits, 16).ok();
        }
        if iso::is_error(line) {
            self.trouble = Some(line.trim().to_owned());
        }
        self.refused |= line.contains(REFUSAL);
        let started = self.version && self.base.is_some();
        if started || self.refused || self.trouble.is_some() {
            Next::Stop
        } else {
            Next::Continue
        }
    }

    /// The verdict on a test, with the transcript's end where Xen has not started.
    ///
    /// # Errors
    ///
    /// What is missing or wrong.
    pub(crate) fn passed(&self, platform: Platform, transcript: &str) -> Result<Passed> {
        if platform == Platform::I386Efi && self.refused {
            // No loader can do better here: these are Xen's own words, so it was entered.
            return Ok(Passed::with("Xen runs and refuses 32-bit UEFI"));
        }
        let base = self.verdict().with_context(|| tail(transcript))?;
        Ok(Passed::with(format!("load base {base:#x}")))
    }

    /// The verdict.
    ///
    /// # Errors
    ///
    /// What is missing or wrong.
    pub(crate) fn verdict(&self) -> Result<u64> {
        if let Some(trouble) = &self.trouble {
            anyhow::bail!("GRUB says: {trouble}");
        }
        anyhow::ensure!(
            !self.refused,
            "Xen was started and says that it needs 64-bit UEFI"
        );
        anyhow::ensure!(self.version, "Xen has not printed its version");
        let base = self.base.context("Xen has not printed its load base")?;
        anyhow::ensure!(
            base != 0 && base.is_multiple_of(ALIGN),
            "load base {base:#x} is not at 2 MiB"
        );
        Ok(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "(XEN) Xen version 4.17.7 (Debian) (compiler)";

    fn verdict(lines: &[&str]) -> Result<u64> {
        let mut watch = Watch::default();
        for line in lines {
            if watch.line(line) == Next::Stop {
                break;
            }
        }
        watch.verdict()
    }

    #[test]
    fn version_and_aligned_base_are_a_good_start() {
        let base = "(XEN) Xen image load base address: 0x3f800000";
        assert_eq!(verdict(&[VERSION, base]).unwrap(), 0x3f80_0000);
        assert!(verdict(&[base]).is_err());
        assert!(verdict(&[VERSION]).is_err());
    }

    #[test]
    fn crooked_base_is_a_failure() {
        assert!(verdict(&[VERSION, "(XEN) Xen image load base address: 0x3f900000"]).is_err());
    }

    #[test]
    fn xens_own_refusal_is_no_good_start() {
        let mut watch = Watch::default();
        assert_eq!(
            watch.line("ERR: EFI IA-32 platforms are not supported!"),
            Next::Stop
        );
        assert!(watch.refused && watch.verdict().is_err());
    }

    #[test]
    fn grubs_error_line_is_a_failure() {
        let error = verdict(&["error: you need to load the kernel first."]).unwrap_err();
        assert!(error.to_string().contains("kernel first"));
    }

    #[test]
    fn newest_package_counts_by_number() {
        assert!(
            minor_version("xen-hypervisor-4.17-amd64") > minor_version("xen-hypervisor-4.9-amd64")
        );
    }
}
