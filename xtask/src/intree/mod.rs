// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole builds of GRUB with our module in it.
//!
//! What is done here is what `docs/grub-builders.md` tells a person to do. More is only what
//! makes many builds cheap: ccache, one folder for all crates, no manuals, no translations.

mod boots;
mod build;
mod foreign;
mod machine;
mod makefile;
pub(crate) mod matrix;
pub(crate) mod patching;
pub(crate) mod record;
mod reference;
mod source;
mod target;

use anyhow::Result;
use clap::Args;

use crate::grub::Grub;
use build::{Build, Extent};
pub(crate) use target::Target;

/// Arguments of `grub`.
#[derive(Args)]
pub(crate) struct GrubArgs {
    /// GRUB version as in "2.06"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Platform to build for; can be repeated.
    #[arg(long, required = true, value_parser = Target::parser())]
    platform: Vec<Target>,
}

/// Builds and installs what was asked for.
///
/// # Errors
///
/// The first step that fails.
pub(crate) fn command(args: &GrubArgs) -> Result<()> {
    let grub = Grub::resolve(args.grub.as_deref())?;
    for target in &args.platform {
        println!(
            "{}",
            Build::ensure(&grub, *target, Extent::Whole)?
                .prefix
                .display()
        );
    }
    Ok(())
}
