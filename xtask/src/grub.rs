// SPDX-License-Identifier: GPL-3.0-or-later
//! Which GRUB is meant: its upstream version, Debian's version and the suite that has it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{apt, cache, packages};

/// A GRUB version of a Debian suite.
#[derive(Clone, Debug)]
pub(crate) struct Grub {
    /// As in "2.06".
    pub(crate) upstream: String,
    /// As in "2.06-13+deb12u2".
    pub(crate) debian: String,
    /// As in "bookworm".
    pub(crate) suite: String,
}

impl Grub {
    /// Finds the version with this upstream number, or the distribution's own.
    ///
    /// A module fits only the GRUB whose headers it was built with, so the distribution's own is
    /// exactly the installed package.
    ///
    /// # Errors
    ///
    /// If GRUB is neither installed nor known to apt, or another version is asked for.
    pub(crate) fn resolve(upstream: Option<&str>) -> Result<Self> {
        let debian = packages::installed("grub-common")
            .or_else(|| packages::candidate("grub-common"))
            .context("missing grub-common: apt-get install grub-common")?;
        let own = Self {
            upstream: upstream_of(&debian).to_owned(),
            debian,
            suite: apt::own_suite()?,
        };
        match upstream {
            Some(asked) if asked != own.upstream && asked != own.debian => bail!(
                "GRUB {asked} is not available: this distribution has {} ({})",
                own.upstream,
                own.debian
            ),
            _ => Ok(own),
        }
    }

    /// Folder in the cache for everything of this version.
    ///
    /// # Errors
    ///
    /// If there is no cache folder.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        Ok(cache::folder()?.join("grub").join(&self.debian))
    }
}

/// Cuts epoch and Debian revision off a version.
fn upstream_of(debian: &str) -> &str {
    let version = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let end = version.find(['-', '~', '+']).unwrap_or(version.len());
    &version[..end]
}

#[cfg(test)]
mod tests {
    use super::upstream_of;

    #[test]
    fn upstream_version_has_neither_epoch_nor_revision() {
        assert_eq!(upstream_of("2.06-13+deb12u2"), "2.06");
        assert_eq!(upstream_of("1:2.12-9"), "2.12");
        assert_eq!(upstream_of("2.14"), "2.14");
    }
}
