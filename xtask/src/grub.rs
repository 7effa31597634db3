// SPDX-License-Identifier: GPL-3.0-or-later
//! Which GRUB is meant: its upstream version and Debian's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt::Apt;
use crate::platform::Platform;
use crate::{archive, cache, packages, ui};

/// A version of GRUB as Debian has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grub {
    /// As in "2.06".
    pub(crate) upstream: String,
    /// As in "2.06-13+deb12u2".
    pub(crate) debian: String,
}

/// A version of GRUB on a platform: where tests run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The version.
    pub(crate) grub: Grub,
    /// The platform.
    pub(crate) platform: Platform,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{} {}", self.grub.upstream, self.platform))
    }
}

impl Place {
    /// A folder of this place below `folder`.
    pub(crate) fn below(&self, folder: impl AsRef<Path>) -> PathBuf {
        folder
            .as_ref()
            .join(&self.grub.upstream)
            .join(self.platform.name())
    }
}

impl Grub {
    /// Finds a version by its upstream number or its Debian version, or the distribution's own.
    ///
    /// A module fits only the GRUB whose headers it was built with, so the distribution's own is
    /// exactly the installed package. Of another one it is the newest whose files can be had;
    /// which one that is, is remembered in the cache.
    ///
    /// # Errors
    ///
    /// If GRUB is neither installed nor known to apt, or no suite has the version that is asked
    /// for.
    pub(crate) fn resolve(asked: Option<&str>) -> Result<Self> {
        let own = Self::own();
        match asked {
            None => own.context("missing grub-common: apt-get install grub-common"),
            Some(asked) => match own {
                Some(own) if own.is_meant_by(asked) => Ok(own),
                _ => Self::other(asked),
            },
        }
    }

    /// The distribution's own.
    fn own() -> Option<Self> {
        let debian =
            packages::installed("grub-common").or_else(|| packages::candidate("grub-common"))?;
        Some(Self::of_debian(&debian))
    }

    /// Says whether this is the distribution's own.
    pub(crate) fn is_own(&self) -> bool {
        Self::own().is_some_and(|own| own == *self)
    }

    fn of_debian(debian: &str) -> Self {
        Self {
            upstream: upstream_of(debian).to_owned(),
            debian: debian.to_owned(),
        }
    }

    /// Says whether somebody who asks for this version can get this one.
    fn is_meant_by(&self, asked: &str) -> bool {
        asked == self.upstream || asked == self.debian
    }

    /// Finds a version in the cache or in Debian's archive.
    fn other(asked: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".+~-".contains(c);
        if !asked.starts_with(|c: char| c.is_ascii_digit()) || !asked.chars().all(plain) {
            bail!("{asked:?} is no version of GRUB: try \"2.12\"");
        }
        let memory = cache::folder()?.join("grub/resolved");
        let _guard = cache::lock(&memory.join(format!("{asked}.lock")))?;
        let memory = memory.join(asked);
        if let Ok(debian) = fs::read_to_string(&memory) {
            return Ok(Self::of_debian(debian.trim()));
        }
        let found = Self::newest_whole(asked, &archive::apt_for(false)?)?;
        fs::write(&memory, format!("{}\n", found.debian))?;
        Ok(found)
    }

    /// Fetches the newest listed version of which both source and modules can be had.
    fn newest_whole(asked: &str, apt: &Apt) -> Result<Self> {
        let listed: Vec<Self> = apt
            .source_versions(archive::SOURCE)?
            .iter()
            .map(|debian| Self::of_debian(debian))
            .collect();
        let mut skipped = Vec::new();
        for grub in listed.iter().filter(|grub| grub.is_meant_by(asked)) {
            match grub.fetch() {
                Ok(()) => {
                    if !skipped.is_empty() {
                        let skipped = skipped.join(", ");
                        ui::note(&format!(
                            "GRUB {asked}: taking {}, since the mirror lacks files of {skipped}",
                            grub.debian
                        ));
                    }
                    return Ok(grub.clone());
                }
                Err(error) => {
                    ui::note(&error.to_string());
                    skipped.push(grub.debian.as_str());
                }
            }
        }
        if !skipped.is_empty() {
            bail!(
                "GRUB {asked}: the mirror lacks files of {}",
                skipped.join(", ")
            );
        }
        let listed: Vec<&str> = listed.iter().map(|grub| grub.debian.as_str()).collect();
        bail!(
            "no suite has a GRUB {asked}: listed are {}",
            listed.join(", ")
        )
    }

    /// Fetches all that has to come from Debian's archive.
    fn fetch(&self) -> Result<()> {
        archive::source(self)?;
        for platform in Platform::ALL {
            archive::modules(self, platform)?;
        }
        Ok(())
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
    use super::*;

    #[test]
    fn upstream_version_has_neither_epoch_nor_revision() {
        assert_eq!(upstream_of("2.06-13+deb12u2"), "2.06");
        assert_eq!(upstream_of("1:2.12-9"), "2.12");
        assert_eq!(upstream_of("2.14"), "2.14");
    }

    #[test]
    fn both_numbers_name_a_version_and_nothing_else_does() {
        let grub = Grub::of_debian("2.12-9+deb13u2");
        assert!(grub.is_meant_by("2.12") && grub.is_meant_by("2.12-9+deb13u2"));
        assert!(!grub.is_meant_by("2.1") && !grub.is_meant_by("2.12-9"));
    }

    #[test]
    fn a_version_that_leaves_the_cache_is_refused() {
        for asked in ["", "..", "2.12/../x", "latest", "2.12 "] {
            let error = Grub::other(asked).unwrap_err().to_string();
            assert!(error.contains("no version of GRUB"), "{error}");
        }
    }
}
