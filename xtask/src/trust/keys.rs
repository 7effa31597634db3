// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys of gpg for one test, in a folder of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use mb2_testkit::variants::Signer;
use tempfile::TempDir;

use crate::cmd::{output, system};

/// Two key pairs. Short names: a path to gpg's socket may not be long.
pub(super) struct Keys(TempDir);

impl Keys {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// If gpg fails.
    pub(super) fn new() -> Result<Self> {
        let keys = Self(tempfile::Builder::new().prefix("mb2-keys").tempdir()?);
        for signer in [Signer::Trusted, Signer::Foreign] {
            let kind = [
                "--quick-generate-key",
                name(signer),
                "rsa2048",
                "sign",
                "never",
            ];
            output(keys.gpg().args(["--passphrase", ""]).args(kind))?;
        }
        Ok(keys)
    }

    /// Returns the public half of the key that GRUB is to trust.
    ///
    /// # Errors
    ///
    /// If gpg fails.
    pub(super) fn public(&self) -> Result<Vec<u8>> {
        let to = self.path().join("public");
        output(
            self.gpg()
                .arg("--output")
                .arg(&to)
                .args(["--export", name(Signer::Trusted)]),
        )?;
        Ok(fs::read(to)?)
    }

    /// Returns a detached signature.
    ///
    /// # Errors
    ///
    /// If gpg fails.
    pub(super) fn sign(&self, bytes: &[u8], signer: Signer) -> Result<Vec<u8>> {
        let (from, to) = (self.path().join("file"), self.path().join("file.sig"));
        fs::write(&from, bytes)?;
        let mut gpg = self.gpg();
        gpg.args([
            "--yes",
            "--digest-algo",
            "SHA256",
            "--local-user",
            name(signer),
        ]);
        output(gpg.arg("--output").arg(&to).arg("--detach-sign").arg(&from))?;
        Ok(fs::read(to)?)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn gpg(&self) -> Command {
        let mut gpg = system("gpg");
        gpg.args(["--batch", "--quiet", "--homedir"])
            .arg(self.path());
        gpg
    }
}

impl Drop for Keys {
    /// Ends the agent, which gpg starts by itself.
    fn drop(&mut self) {
        let mut end = system("gpgconf");
        let _ = output(
            end.arg("--homedir")
                .arg(self.path())
                .args(["--kill", "all"]),
        );
    }
}

fn name(signer: Signer) -> &'static str {
    match signer {
        Signer::Trusted => "trusted",
        Signer::Foreign => "foreign",
    }
}
