// SPDX-License-Identifier: GPL-3.0-or-later
//! Format, clippy and the repository's own rules.

pub(crate) mod planted;

use anyhow::{Result, bail};

use crate::cmd::run;
use crate::rules::{self, Rule, Texts};
use crate::{root, toolchain, ui};

/// The fuzz targets are a workspace of their own.
const FUZZ: &str = "fuzz/Cargo.toml";
/// All workspaces.
pub(crate) const WORKSPACES: [&str; 2] = ["Cargo.toml", FUZZ];

/// Builds the documentation of all crates.
///
/// # Errors
///
/// What rustdoc warns of: a link that leads nowhere, a public item without a word.
pub(crate) fn documentation() -> Result<()> {
    let step = ui::step("rustdoc");
    let mut cargo = toolchain::host_cargo();
    cargo.args([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ]);
    cargo.env("RUSTDOCFLAGS", "-D warnings").current_dir(root());
    run(&mut cargo, &root().join("target/xtask/log/rustdoc.log"))?;
    step.done();
    Ok(())
}

/// Runs everything that looks at sources without running them.
///
/// # Errors
///
/// The first kind of check that finds something.
pub(crate) fn command() -> Result<()> {
    rules_command(rules::ALL)?;
    format()?;
    planted::command()?;
    clippy()?;
    documentation()
}

/// Checks some rules and prints the verdict.
///
/// # Errors
///
/// All offences.
pub(crate) fn rules_command(rules: &[Rule]) -> Result<()> {
    check_rules(rules)?;
    ui::note(&format!("{} rules kept", rules.len()));
    Ok(())
}

/// Checks some rules.
///
/// # Errors
///
/// All offences.
pub(crate) fn check_rules(rules: &[Rule]) -> Result<()> {
    let texts = Texts::read(&root())?;
    let mut report = Vec::new();
    for rule in rules {
        let offences = (rule.check)(&texts);
        let head = format!("rule {}, {}:", rule.number, rule.name);
        report.extend((!offences.is_empty()).then_some(head));
        report.extend(offences.iter().map(|offence| format!("  {offence}")));
    }
    if !report.is_empty() {
        bail!("rules of this repository are broken\n{}", report.join("\n"));
    }
    Ok(())
}

/// Checks that all sources are formatted.
///
/// # Errors
///
/// What rustfmt would change.
pub(crate) fn format() -> Result<()> {
    let step = ui::step("rustfmt");
    for workspace in WORKSPACES {
        let mut cargo = toolchain::lint_cargo()?;
        cargo.args(["fmt", "--all", "--check", "--manifest-path"]);
        cargo.arg(workspace).current_dir(root());
        run(&mut cargo, &root().join("target/xtask/log/fmt.log"))?;
    }
    step.done();
    Ok(())
}

/// Runs clippy over all crates and their tests.
///
/// # Errors
///
/// Clippy's complaints.
pub(crate) fn clippy() -> Result<()> {
    let step = ui::step("clippy");
    for workspace in WORKSPACES {
        let mut cargo = toolchain::lint_cargo()?;
        cargo.args(["clippy", "--workspace", "--all-targets", "--locked"]);
        // libFuzzer itself is for those who fuzz.
        cargo.args((workspace == FUZZ).then_some("--no-default-features"));
        cargo.args(["--target-dir", "target", "--manifest-path", workspace]);
        cargo.args(["--", "-D", "warnings"]).current_dir(root());
        run(&mut cargo, &root().join("target/xtask/log/clippy.log"))?;
    }
    step.done();
    Ok(())
}
