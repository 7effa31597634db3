// SPDX-License-Identifier: GPL-3.0-or-later
//! What Debian's archive has of one version of GRUB: its source package and its modules.
//!
//! Both are fetched into the cache, never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::{self, Apt};
use crate::grub::Grub;
use crate::platform::Platform;
use crate::{cache, ui};

/// Debian's name of GRUB's source package.
pub(crate) const SOURCE: &str = "grub2";

/// The suites that a version is looked for in, besides the machine's own.
const SUITES: &[&str] = &["bookworm", "trixie", "forky"];

/// Packages that the mirror has but that no list names any more, though one names their source:
/// version, package and SHA-256. Our tests run with these.
const UNLISTED: &[(&str, &str, &str)] = &[
    (
        "2.12-9+deb13u2",
        "grub-efi-amd64-bin",
        "d486d62c83aa197f83c1dd0560ffd96d91c896f4d58485164eb7e1623e7bfde2",
    ),
    (
        "2.12-9+deb13u2",
        "grub-efi-ia32-bin",
        "c2b4145cadb645ec97b0cdf0a73c566414a479fc166d312a6ef8c8e6afc7fb7c",
    ),
    (
        "2.12-9+deb13u2",
        "grub-pc-bin",
        "ebeaa7a12f6a96127dec15d2a64a6d3d8278b9a8bc5531185d990e1c97a4728d",
    ),
    (
        "2.14-3",
        "grub-efi-amd64-bin",
        "100398d04dc5a475fb25c861364f9e2cbded742203edec4886e38069d0e64e40",
    ),
    (
        "2.14-3",
        "grub-efi-ia32-bin",
        "ebcf491c4ade69b82c25d1c4edfc1962c1d6a9474f12391d84c7cb0dd0486156",
    ),
    (
        "2.14-3",
        "grub-pc-bin",
        "39b0aaf159f9ae29dd891ca1a6fba7cdf9b993649ed8e904a83528e73dc4c6d6",
    ),
];

/// Opens the apt root that knows a version of GRUB: the machine's own, or one for all others.
///
/// # Errors
///
/// Those of [`Apt::open`].
pub(crate) fn apt_for(own: bool) -> Result<Apt> {
    if own {
        Apt::open(&[&apt::own_suite()?])
    } else {
        Apt::open(SUITES)
    }
}

/// Returns the folder with the files of the source package; fetches them when needed.
///
/// # Errors
///
/// If the mirror does not have it whole.
pub(crate) fn source(grub: &Grub) -> Result<PathBuf> {
    let dir = grub.cache()?.join("archive");
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("fetching the source of GRUB {}", grub.debian));
        apt_for(grub.is_own())?.download_source(SOURCE, &grub.debian, part)?;
        step.done();
        Ok(())
    })?;
    Ok(dir)
}

/// Returns Debian's module folder of a platform; fetches it when needed.
///
/// # Errors
///
/// If the mirror does not have its package, in exactly this version.
pub(crate) fn modules(grub: &Grub, platform: Platform) -> Result<PathBuf> {
    let dir = grub.cache()?.join("stock").join(platform.name());
    cache::ensure(&dir, |part| {
        let package = platform.stock_package();
        let step = ui::step(format!("fetching {package} {}", grub.debian));
        let whole = part.join("whole");
        unpack(grub, package, &whole)?;
        let folder = whole.join("usr/lib/grub").join(platform.name());
        for entry in
            fs::read_dir(&folder).with_context(|| format!("{package} holds no module folder"))?
        {
            let entry = entry?;
            fs::rename(entry.path(), part.join(entry.file_name()))?;
        }
        fs::remove_dir_all(&whole)?;
        step.done();
        Ok(())
    })?;
    Ok(dir)
}

/// Unpacks a package of exactly this version.
fn unpack(grub: &Grub, package: &str, into: &Path) -> Result<()> {
    let apt = apt_for(grub.is_own())?;
    let listed = apt.unpack(&format!("{package}={}", grub.debian), into);
    let known = UNLISTED
        .iter()
        .find(|(version, name, _)| *version == grub.debian && *name == package);
    let (Err(_), Some((version, _, sha256))) = (&listed, known) else {
        return listed;
    };
    let folder = apt.pool_folder(SOURCE, version)?;
    let uri = format!(
        "{folder}/{package}_{}_amd64.deb",
        version.replace('+', "%2b")
    );
    apt.unpack_known(&uri, sha256, into)
}
