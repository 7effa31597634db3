// SPDX-License-Identifier: GPL-3.0-or-later
//! `mb2check` as its users get it: installed by cargo, then run on real kernels.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{run, system};
use crate::job::Passed;
use crate::{dom0, guide, root, toolchain, ui, xen};

/// What cargo is told; README.md says the same.
const INSTALL: [&str; 4] = ["install", "--locked", "--path", "mb2check"];

/// Firmware that Xen starts on.
const FIRMWARE: [&str; 2] = ["bios", "efi64"];

/// Installs the program below `target/` and looks at Xen and the kernel for kernel authors, which
/// it has to take, and at Linux, which it has to refuse for what it is.
///
/// # Errors
///
/// What cargo says, or what the program says that it should not.
pub(crate) fn check() -> Result<Passed> {
    let step = ui::step("installing mb2check");
    let target = root().join("target");
    let place = target.join("xtask/mb2check");
    let mut cargo = toolchain::host_cargo();
    cargo
        .args(INSTALL)
        .args(["--force", "--no-track", "--root"]);
    cargo.arg(&place).arg("--target-dir").arg(&target);
    run(
        cargo.current_dir(root()),
        &target.join("xtask/log/mb2check.log"),
    )?;
    step.done();

    let program = place.join("bin/mb2check");
    let image = xen::image()?;
    for firmware in FIRMWARE {
        let report = report(&program, &["--firmware", firmware], &image, 0)?;
        let base = &report["placement"]["load_base"];
        if !base
            .as_u64()
            .is_some_and(|base| base > 0 && base.is_multiple_of(xen::ALIGN))
        {
            bail!("Xen lies at {base} on {firmware}, which is not what its header asks for");
        }
        if report["placement"]["keeps_services"] != (firmware == "efi64") {
            bail!("wrong entry of Xen on {firmware}");
        }
    }
    let (kernel, _) = guide::build()?;
    for firmware in ["bios", "efi64", "efi32"] {
        report(&program, &["--firmware", firmware], &kernel, 0)?;
    }
    let report = report(&program, &[], &dom0::linux()?, 1)?;
    let line = &report["refusal"]["line"];
    let near = report["near_misses"].to_string();
    if line != "error: no multiboot header found." || !near.contains("a Linux kernel") {
        bail!("Linux is refused with {line} and {near}");
    }
    Ok(Passed::with("Xen and our own kernel taken, Linux refused"))
}

/// Runs the program, which has to end with this status, and returns its report.
fn report(program: &Path, args: &[&str], image: &Path, status: i32) -> Result<serde_json::Value> {
    let mut command: Command = system(program);
    command.arg("--json").args(args).arg(image);
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if output.status.code() != Some(status) {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ends with {}: {complaint}",
            image.display(),
            output.status
        );
    }
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(reports[0].clone())
}
