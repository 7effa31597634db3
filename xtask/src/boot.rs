// SPDX-License-Identifier: GPL-3.0-or-later
//! Boots an image through our module, with the guest's serial port on the terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::grub::{Grub, Place};
use crate::iso::{Flavour, Maker};
use crate::platform::Platform;
use crate::qemu::{End, Machine, Next};
use crate::{iso, module, packages, root, ui, xen};

/// Xen has to show its lines in this time; it needs a tenth of it.
const XEN_LIMIT: Duration = Duration::from_secs(120);
/// As good as none: an image of the user's runs until it ends or the user has enough.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Arguments of `boot`.
#[derive(Args)]
pub(crate) struct BootArgs {
    /// Platform to boot on.
    #[arg(long, value_enum, default_value = "i386-pc")]
    platform: Platform,
    /// GRUB version as in "2.12"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Image for the multiboot2 command; Debian's Xen when absent.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// File for the module2 command; can be repeated.
    #[arg(long, value_name = "FILE")]
    module: Vec<PathBuf>,
    /// Arguments of the image.
    #[arg(long, value_name = "TEXT")]
    cmdline: Option<String>,
    /// Module to boot with, instead of building ours; for comparisons with the distribution's.
    #[arg(long, value_name = "FILE")]
    drop_in: Option<PathBuf>,
    /// Memory of the machine in MiB.
    #[arg(long, value_name = "MiB", default_value_t = 1024)]
    memory: u32,
}

/// Boots what the arguments say.
///
/// The exit status is success when Xen has printed its load base, and for the user's own image
/// when its machine ended without an error line of GRUB.
///
/// # Errors
///
/// If something is missing, GRUB prints an error, or Xen does not start.
pub(crate) fn command(args: &BootArgs) -> Result<ExitCode> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::BOOT)?;
    let place = Place {
        grub: Grub::resolve(args.grub.as_deref())?,
        platform: args.platform,
    };
    let drop_in = match &args.drop_in {
        Some(file) => file.clone(),
        None => module::build(&place.grub, place.platform)?.module,
    };
    iso::module_folder(&place, Some(&drop_in))?;
    let maker = Maker::of(&place, Flavour::Ours)?;
    let step = ui::step("making the ISO");
    let iso = place
        .below(root().join("target/xtask/boot"))
        .join("boot.iso");
    make_iso(args, &maker, &iso)?;
    step.done();
    let machine = Machine {
        stop_at: args.image.is_none().then_some(xen::REFUSAL),
        echo: true,
        ..Machine::new(args.platform, args.memory, iso)
    };
    if args.image.is_some() {
        run_image(&machine)
    } else {
        run_xen(&machine)
    }
}

/// Makes an ISO that boots without being asked.
fn make_iso(args: &BootArgs, maker: &Maker, iso: &Path) -> Result<()> {
    let image = match &args.image {
        Some(path) => path.clone(),
        None => xen::image()?,
    };
    let default = if args.image.is_some() {
        ""
    } else {
        xen::CMDLINE
    };
    let cmdline = args.cmdline.as_deref().unwrap_or(default);
    let mut config = format!(
        "{}multiboot2 /image {cmdline}\n",
        iso::prologue(args.platform)
    );
    let mut files = vec![("image".to_owned(), read(&image)?)];
    for (number, path) in args.module.iter().enumerate() {
        let name = format!("module{number}");
        config += &format!("module2 /{name}\n");
        files.push((name, read(path)?));
    }
    if args.image.is_none() && args.module.is_empty() {
        config += "module2 /module0\n";
        files.push(("module0".to_owned(), xen::MODULE.to_vec()));
    }
    config += "boot\n";
    iso::build(maker, &config, &iso::borrowed(&files), iso)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs Xen until it has shown what counts.
fn run_xen(machine: &Machine) -> Result<ExitCode> {
    let mut watch = xen::Watch::default();
    let outcome = machine.run(XEN_LIMIT, |line| watch.line(line))?;
    println!();
    let base = watch.verdict().with_context(|| ended(outcome.end))?;
    ui::note(&format!(
        "Xen started, load base {base:#x}, {:.1} s",
        outcome.took.as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Runs the user's image until its machine ends.
fn run_image(machine: &Machine) -> Result<ExitCode> {
    let mut trouble = None;
    let outcome = machine.run(NO_LIMIT, |line| {
        if iso::is_error(line) {
            trouble = Some(line.trim().to_owned());
            return Next::Stop;
        }
        Next::Continue
    })?;
    println!();
    if let Some(trouble) = trouble {
        bail!("GRUB says: {trouble}");
    }
    ui::note(&ended(outcome.end));
    Ok(ExitCode::SUCCESS)
}

/// Says in words why a machine ended.
fn ended(end: End) -> String {
    match end {
        End::Exit(code) if code & 1 == 1 => {
            format!(
                "the guest ended the machine with the value {:#x}",
                code >> 1
            )
        }
        End::Exit(code) => format!("the machine ended ({code})"),
        End::Stopped => "the machine was ended".to_owned(),
        End::TimedOut => format!("the machine was ended after {} s", XEN_LIMIT.as_secs()),
    }
}
