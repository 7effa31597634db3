// SPDX-License-Identifier: GPL-3.0-or-later
//! UEFI firmware for the machines.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::Apt;
use crate::platform::Platform;
use crate::{cache, ui};

/// Where Debian's packages put it.
const FOLDER: &str = "usr/share/OVMF";

/// The suite whose firmware can keep code from being written and data from being run.
const STRICT_SUITE: &str = "trixie";

/// A firmware as two files: code, and the variables that a new machine starts with.
pub(crate) struct Firmware {
    /// The code.
    pub(crate) code: PathBuf,
    /// The variables; each machine gets a copy.
    pub(crate) variables: PathBuf,
    /// Whether the code runs only with system management mode.
    pub(crate) needs_smm: bool,
}

/// Returns what is installed for a platform; none for one with a BIOS.
pub(crate) fn usual(platform: Platform) -> Option<Firmware> {
    let folder = Path::new("/").join(FOLDER);
    match platform {
        Platform::I386Pc => None,
        Platform::X86_64Efi => Some(Firmware {
            code: folder.join("OVMF_CODE_4M.fd"),
            variables: folder.join("OVMF_VARS_4M.fd"),
            needs_smm: false,
        }),
        Platform::I386Efi => Some(Firmware {
            code: folder.join("OVMF32_CODE_4M.secboot.fd"),
            variables: folder.join("OVMF32_VARS_4M.fd"),
            needs_smm: true,
        }),
    }
}

/// Returns firmware for x86_64-efi with Secure Boot on, which trusts Debian's key for tests.
pub(crate) fn secure_boot() -> Firmware {
    let folder = Path::new("/").join(FOLDER);
    Firmware {
        code: folder.join("OVMF_CODE_4M.snakeoil.fd"),
        variables: folder.join("OVMF_VARS_4M.snakeoil.fd"),
        needs_smm: true,
    }
}

/// Returns firmware with the protocol by which a loader sets the permissions of its pages, and
/// which then enforces them; fetches it when needed. None for a platform with a BIOS.
///
/// # Errors
///
/// If apt cannot get the package.
pub(crate) fn strict_nx(platform: Platform) -> Result<Option<Firmware>> {
    let (package, name) = match platform {
        Platform::I386Pc => return Ok(None),
        Platform::X86_64Efi => ("ovmf", "OVMF"),
        Platform::I386Efi => ("ovmf-ia32", "OVMF32"),
    };
    let shelf = cache::folder()?.join("firmware");
    let dir = shelf.join(format!("{package}-{STRICT_SUITE}"));
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("fetching {package} of {STRICT_SUITE}"));
        let whole = part.join("whole");
        Apt::open(&[STRICT_SUITE])?.unpack(package, &whole)?;
        for kind in ["CODE_4M.secboot.strictnx", "VARS_4M"] {
            let file = format!("{name}_{kind}.fd");
            fs::rename(whole.join(FOLDER).join(&file), part.join(&file))
                .with_context(|| format!("{package} of {STRICT_SUITE} holds no {file}"))?;
        }
        fs::remove_dir_all(&whole)?;
        step.done();
        Ok(())
    })?;
    Ok(Some(Firmware {
        code: dir.join(format!("{name}_CODE_4M.secboot.strictnx.fd")),
        variables: dir.join(format!("{name}_VARS_4M.fd")),
        needs_smm: true,
    }))
}
