// SPDX-License-Identifier: GPL-3.0-or-later
//! The chain of trust: what GRUB's verifiers see of kernels, modules and command lines, and what
//! they refuse, has to be the same under the C module and under ours.

mod chip;
mod image;
mod keys;
mod measured;
mod secure_boot;
mod signatures;

use anyhow::{Result, ensure};
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

/// Printed by GRUB before what is compared.
const BEGIN: &str = "mb2t begin";

/// Printed by GRUB when no command follows.
const END: &str = "mb2t end";

/// What the test kernel prints in front of each line.
const KERNEL: &str = "mb2k";

/// What GRUB has said from [`BEGIN`] on until it ended or a kernel spoke. Its terminal breaks long
/// lines at a space, so all space is alike.
fn said(transcript: &str) -> String {
    let (_, said) = transcript.split_once(BEGIN).unwrap_or_default();
    let before = |text| said.split(text).next().unwrap_or_default();
    let said = [before(KERNEL), before(END)]
        .into_iter()
        .min_by_key(|said| said.len());
    let words: Vec<&str> = said.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

/// Fails unless GRUB has said the same under both modules, and anything at all.
fn same(stock: &str, ours: &str) -> Result<()> {
    let (stock, ours) = (said(stock), said(ours));
    ensure!(
        stock == ours && !stock.is_empty(),
        "GRUB says with its own module:\n{stock}\nand with ours:\n{ours}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grub_says_ends_where_a_kernel_speaks() {
        assert_eq!(said("x\nmb2t begin\r\na\r\nb\nmb2k begin\nmb2t end"), "a b");
        assert_eq!(said("mb2t begin\na\nmb2t end\ngrub> mb2k"), "a");
        assert!(same("mb2t begin a b", "mb2t begin a\nb").is_ok());
        assert!(same("mb2t begin a b", "mb2t begin a c").is_err());
        assert!(same("nothing", "nothing").is_err());
    }
}
