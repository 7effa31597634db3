// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands of this repository, started as `cargo xtask COMMAND`.
//!
//! Every command prepares by itself what it needs: packages, GRUB's source, configured trees and
//! the module. Things that are fetched or configured stay in a cache folder outside the
//! repository (see [`cache`]); things built from this repository stay in `target/`.

mod apt;
mod archive;
mod bench;
mod boot;
mod cache;
mod cmd;
mod cross;
mod deb;
mod deny;
mod dom0;
mod firmware;
mod fuzz;
mod gates;
mod glue;
mod grub;
mod guide;
mod host;
mod initrd;
mod install;
mod intree;
mod iso;
mod job;
mod lint;
mod mb2check;
mod moddeps;
mod module;
mod nx;
mod oldest;
mod packages;
mod platform;
mod probe;
mod qemu;
mod readme;
mod repro;
mod rescue;
mod resolve;
mod rooms;
mod rules;
mod snapshot;
mod sources;
mod stock;
mod suite;
mod table;
mod test;
mod testkernel;
mod toolchain;
mod tree;
mod trust;
mod ui;
mod variants;
mod verifier;
mod versions;
mod xen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::platform::Platform;

/// Builds, examines, boots and tests the Rust multiboot2 module for GRUB.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the Debian packages that are needed, fetches GRUB's source and configures it.
    Setup(SetupArgs),
    /// Builds the drop-in multiboot2.mod into target/modules/VERSION/PLATFORM/.
    Module(module::ModuleArgs),
    /// Examines built modules: relocations, symbols, instructions, stack frames, size.
    CheckModule(gates::CheckArgs),
    /// Boots an image through our module in QEMU, or Debian's Xen when no image is given.
    Boot(boot::BootArgs),
    /// Counts instructions, memory and bytes of our module and of GRUB's own, side by side.
    Bench(bench::BenchArgs),
    /// Compares our loader with GRUB's C loader on the host, over thousands of kernels.
    Differential(host::DifferentialArgs),
    /// Puts our module into an installed GRUB; what was there is kept.
    Install(install::InstallArgs),
    /// Puts back what `install` has kept.
    Uninstall(install::UninstallArgs),
    /// Makes Debian packages with our module into target/deb/.
    Deb(deb::DebArgs),
    /// Builds a whole GRUB with our module in it into target/grub/VERSION/PLATFORM/.
    Grub(intree::GrubArgs),
    /// Runs all tests: rules, lints, host tests, module gates, QEMU.
    Test(test::TestArgs),
    /// Fuzzes the loader on the host beside a slow reference, and counts what was reached.
    Fuzz(fuzz::FuzzArgs),
    /// Checks format, clippy's lints, offences planted for them, the documentation, and the rules of
    /// this repository.
    Lint,
    /// Checks licences, sources and known faults of the crates that are used.
    Deny,
    /// Checks that no type of src/wire turns foreign bytes into an enum, bool, char or reference.
    CheckWire,
    /// Checks that public items of src/wire and src/info name the section they come from.
    CheckCites,
    /// Checks the rules of this repository that a text search can check.
    CheckRules,
}

/// Arguments of `setup`.
#[derive(Args)]
struct SetupArgs {
    /// GRUB version as in "2.06"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Platform to configure; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
}

/// Returns the folder of the repository.
fn root() -> PathBuf {
    // Cargo says where this crate lies now; where it was compiled may be somewhere else.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_path_buf()
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup(args) => setup(&args).map(|()| ExitCode::SUCCESS),
        Command::Module(args) => module::command(&args).map(|()| ExitCode::SUCCESS),
        Command::CheckModule(args) => gates::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Boot(args) => boot::command(&args),
        Command::Bench(args) => bench::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Differential(args) => host::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Install(args) => install::install(&args).map(|()| ExitCode::SUCCESS),
        Command::Uninstall(args) => install::uninstall(&args).map(|()| ExitCode::SUCCESS),
        Command::Deb(args) => deb::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Grub(args) => intree::command(&args).map(|()| ExitCode::SUCCESS),
        Command::Test(args) => test::command(&args),
        Command::Fuzz(args) => fuzz::command(&args),
        Command::Lint => lint::command().map(|()| ExitCode::SUCCESS),
        Command::Deny => deny::check().map(|passed| {
            ui::note(&passed.remark);
            ExitCode::SUCCESS
        }),
        Command::CheckWire => lint::rules_command(&[rules::WIRE]).map(|()| ExitCode::SUCCESS),
        Command::CheckCites => lint::rules_command(&[rules::CITES]).map(|()| ExitCode::SUCCESS),
        Command::CheckRules => lint::rules_command(rules::ALL).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Prepares the machine: packages, GRUB's source, one configured tree per platform.
fn setup(args: &SetupArgs) -> anyhow::Result<()> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::BOOT)?;
    toolchain::find()?;
    toolchain::ensure_lints()?;
    let grub = grub::Grub::resolve(args.grub.as_deref())?;
    for tree in tree::ensure_all(&grub, &Platform::or_all(&args.platform))? {
        verifier::ensure(&grub, &tree)?;
    }
    rescue::ensure(&grub)?;
    ui::note("ready");
    Ok(())
}
