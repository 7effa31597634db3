// SPDX-License-Identifier: GPL-3.0-or-later
//! The chain of trust: what GRUB's verifiers see of kernels, modules and command lines, and what
//! they refuse, has to be the same under the C module and under ours.

mod chip;
mod keys;
mod measured;
mod secure_boot;
mod signatures;

use anyhow::Result;
use mb2_testkit::payload::Payload;

use crate::grub::Place;
use crate::job::Job;

pub(crate) use signatures::job as signatures;

/// What names of these jobs begin with.
pub(crate) const NAME: &str = "trust, ";

/// Debian packages: gpg, the emulator of a chip that measures, and for Secure Boot what signs,
/// and the first of the programs that are signed.
pub(crate) const PACKAGES: &[&str] = &[
    "gpg",
    "gpg-agent",
    "openssl",
    "sbsigntool",
    "shim-unsigned",
    "swtpm",
];

/// Returns the jobs for a place that need a machine of their own.
///
/// # Errors
///
/// If the test kernel cannot be wrapped.
pub(crate) fn jobs(place: &Place, payload: &Payload) -> Result<Vec<Job>> {
    if !place.platform.is_efi() {
        return Ok(Vec::new());
    }
    let mut jobs = vec![measured::job(place, payload)?];
    jobs.extend(secure_boot::jobs(place, payload)?);
    Ok(jobs)
}
