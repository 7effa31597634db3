// SPDX-License-Identifier: GPL-3.0-or-later
//! Compiles crates of this workspace for a machine without an operating system.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::run;
use crate::platform::Cpu;
use crate::toolchain::Toolchain;
use crate::{cache, root};

/// The same for code that runs on the host and has each of its accesses checked: by the address
/// sanitizer, and by the assertions of the core library about pointers and slices.
const SANITIZED: &str = "-Zsanitizer=address -Cdebug-assertions=on -Cdebuginfo=line-tables-only";

/// One cross build of one package.
pub(crate) struct Cross<'a> {
    /// The compiler.
    pub(crate) toolchain: &'a Toolchain,
    /// The workspace; not always this one (see [`crate::repro`]).
    pub(crate) workspace: &'a Path,
    /// Name of the package.
    pub(crate) package: &'a str,
    /// Processor family.
    pub(crate) cpu: Cpu,
    /// Preprocessor flags of a GRUB tree, for packages whose build script reads its headers.
    pub(crate) grub_cppflags: Option<String>,
}

impl Cross<'_> {
    /// Builds the package's static library and copies it to `to`.
    ///
    /// All cross builds share one target folder, so that the core library is compiled once per
    /// processor family. The copy is needed because builds for two platforms of one family
    /// leave their library at the same place.
    ///
    /// # Errors
    ///
    /// If the compiler fails.
    pub(crate) fn staticlib(&self, to: &Path) -> Result<()> {
        self.build(&self.description(), self.rustflags(), to)
    }

    /// Builds the package's static library for programs of the host that have the address
    /// sanitizer in them, and copies it to `to`.
    ///
    /// # Errors
    ///
    /// If the compiler fails.
    pub(crate) fn sanitized(&self, to: &Path) -> Result<()> {
        let text = fs::read_to_string(self.description())?;
        let mut description: serde_json::Value = serde_json::from_str(&text)?;
        // The sanitizer keeps its books where it does on Linux. The crate must not notice.
        description["llvm-target"] = match self.cpu {
            Cpu::I386 => "i686-unknown-linux-gnu",
            Cpu::X86_64 => "x86_64-unknown-linux-gnu",
        }
        .into();
        description["supported-sanitizers"] = vec!["address"].into();
        description["relocation-model"] = "pic".into();
        fs::create_dir_all(target_dir())?;
        let name = format!("{}-sanitized.json", self.cpu.rust_target());
        let changed = target_dir().join(name);
        fs::write(&changed, description.to_string())?;
        self.build(&changed, SANITIZED, to)
    }

    /// Compiler flags beyond what target description and profile say: the calling convention of
    /// `mb2_abi.h`, which is another one on i386 only, for packages that read that header.
    fn rustflags(&self) -> &'static str {
        match (self.cpu, &self.grub_cppflags) {
            (Cpu::I386, Some(_)) => "-Zregparm=3",
            _ => "",
        }
    }

    /// The description of the target that modules are built for.
    fn description(&self) -> PathBuf {
        let target = self.cpu.rust_target();
        self.workspace
            .join(format!("module-glue/targets/{target}.json"))
    }

    fn build(&self, description: &Path, rustflags: &str, to: &Path) -> Result<()> {
        let target_dir = target_dir();
        let _guard = cache::lock(&target_dir.join("xtask.lock"))?;
        let target = description
            .file_stem()
            .context("a target description has a name")?
            .to_string_lossy();
        let mut cargo = self.toolchain.cargo();
        cargo
            .current_dir(self.workspace)
            .env("RUSTC_BOOTSTRAP", "1")
            // The package is also an ordinary library, for tests. Cargo optimises across crates
            // only when a static library is all that it makes.
            .args(["rustc", "--lib", "--crate-type", "staticlib"])
            .args(["--release", "--locked", "-p", self.package, "--target"])
            .arg(description)
            .args(["-Zbuild-std=core", "-Zjson-target-spec", "--target-dir"])
            .arg(&target_dir)
            .env("RUSTFLAGS", rustflags);
        if let Some(flags) = &self.grub_cppflags {
            cargo.env("MB2_GRUB_CPPFLAGS", flags);
        }
        let log = root().join(format!(
            "target/xtask/log/cross-{}-{target}.log",
            self.package
        ));
        run(&mut cargo, &log)?;
        let library = format!("lib{}.a", self.package.replace('-', "_"));
        let built = target_dir.join(&*target).join("release").join(library);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&built, to).with_context(|| format!("cargo left no {}", built.display()))?;
        Ok(())
    }
}

/// The target folder of all cross builds.
fn target_dir() -> PathBuf {
    root().join("target/cross")
}
