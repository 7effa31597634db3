// SPDX-License-Identifier: GPL-3.0-or-later
//! The benchmark: what loads cost in instructions, memory and bytes, with our module and with
//! the distribution's own, side by side. docs/performance.md explains the figures.

mod counts;
mod figures;
mod machine;
mod plot;
mod table;
mod work;

use anyhow::{Result, bail};
use clap::Args;

use self::figures::Figure;
use crate::grub::{Grub, Place};
use crate::iso::{self, Flavour};
use crate::module;
use crate::packages;
use crate::platform::Platform;
use crate::stock;
use crate::ui;

/// The platforms whose figures are in docs/performance.md.
pub(crate) const PLATFORMS: [Platform; 2] = [Platform::I386Pc, Platform::X86_64Efi];

/// Arguments of `bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Platform to measure; can be repeated; i386-pc and x86_64-efi when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// GRUB version as in "2.12"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Compare the figures with docs/performance.md, and with what they have to reach.
    #[arg(long)]
    check: bool,
    /// Only what `cargo xtask test` checks; draws nothing.
    #[arg(long)]
    quick: bool,
    /// Write the tables of docs/performance.md.
    #[arg(long, conflicts_with_all = ["check", "quick", "grub"])]
    write_table: bool,
}

/// Measures, prints and draws.
///
/// # Errors
///
/// If something cannot be measured; with `--check`, if a figure is not as it is written down.
pub(crate) fn command(args: &BenchArgs) -> Result<()> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::BOOT)?;
    let grub = Grub::resolve(args.grub.as_deref())?;
    let mut platforms = args.platform.clone();
    if platforms.is_empty() {
        platforms = PLATFORMS.to_vec();
    }
    let mut wrong = Vec::new();
    let mut json = serde_json::Map::new();
    for platform in platforms {
        let place = Place {
            grub: grub.clone(),
            platform,
        };
        module::build(&grub, platform)?;
        let figures = measure(&place, args.quick)?;
        if args.json {
            let all: Vec<_> = figures.iter().map(Figure::json).collect();
            json.insert(platform.name().to_owned(), all.into());
        } else {
            println!("\n{place}\n\n{}", table::render(&figures));
        }
        if args.write_table {
            table::write(platform, &figures)?;
        }
        if args.check {
            wrong.extend(table::check(platform, &figures)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&json)?);
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Checks what can be measured fast, with modules that were built before.
///
/// # Errors
///
/// All figures that are not as they are written down.
pub(crate) fn check(place: &Place) -> Result<()> {
    let wrong = table::check(place.platform, &measure(place, true)?)?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn measure(place: &Place, quick: bool) -> Result<Vec<Figure>> {
    let built = module::finished(&place.grub, place.platform);
    iso::module_folder(place, None)?;
    iso::module_folder(place, Some(&built))?;
    let plan = counts::Plan::new(quick)?;
    let seen = machine::all(place, plan.runs())?;
    if !quick {
        for file in plot::draw(place, &plan, &seen)? {
            ui::note(&format!("drawn: {}", file.display()));
        }
    }
    let mut figures = plan.figures(&seen)?;
    figures.extend(figures::of_files(
        &stock::folder(&place.grub, place.platform)?,
        place,
    )?);
    Ok(figures)
}

/// Both modules, ours last.
const FLAVOURS: [Flavour; 2] = [Flavour::Stock, Flavour::Ours];
