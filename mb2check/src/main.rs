// SPDX-License-Identifier: GPL-3.0-or-later
//! `mb2check`: says what GRUB's Multiboot2 loader makes of a kernel image.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use mb2check::check::{Commands, Module, check};
use mb2check::cli::{Cli, Color, generate};
use mb2check::host::Setup;
use mb2check::input::Input;
use mb2check::memory::Map;
use mb2check::report::Report;
use mb2check::show;

/// An image is refused.
const REFUSED: u8 = 1;

/// The command line is wrong, or a file cannot be read; as clap has it.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(&cli);
    match outcome {
        Ok(status) => status.into(),
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            UNUSABLE.into()
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn complain(error: &anyhow::Error) {
    eprintln!("mb2check: {error:#}");
}

fn run(cli: &Cli) -> Result<u8> {
    let choice = match cli.color {
        Color::Auto => AutoStream::choice(&io::stdout()),
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let mut out = AutoStream::new(io::stdout().lock(), choice);
    if let Some(what) = cli.generate {
        generate(what, &mut out)?;
        return Ok(0);
    }
    if cli.svg && cli.files.len() > 1 {
        bail!("--svg draws one image");
    }
    let setup = setup(cli)?;
    let modules = cli.module.iter().map(|text| module(text, cli.limit));
    let commands = Commands {
        line: cli.command_line.clone(),
        modules_after_kernel: cli.modules_after_kernel,
        modules: modules.collect::<Result<_>>()?,
    };
    let mut status = 0;
    let mut reports = Vec::new();
    for (index, file) in cli.files.iter().enumerate() {
        let report = match Input::read(file, cli.limit) {
            Ok(image) => check(&image, &setup, &commands),
            Err(error) => {
                complain(&error);
                status = UNUSABLE;
                continue;
            }
        };
        if !report.loads {
            status = status.max(REFUSED);
        }
        if cli.json {
            reports.push(report);
        } else {
            print(cli, index, &report, &mut out)?;
        }
    }
    if cli.json {
        let text = serde_json::to_string_pretty(&reports).context("JSON")?;
        writeln!(out, "{text}")?;
    }
    Ok(status)
}

fn print(cli: &Cli, index: usize, report: &Report, out: &mut dyn Write) -> Result<()> {
    if cli.svg {
        write!(out, "{}", show::svg::render(report))?;
    } else if !cli.quiet {
        if index > 0 {
            writeln!(out)?;
        }
        show::text::write(report, out)?;
    }
    Ok(())
}

/// The machine that was asked for.
fn setup(cli: &Cli) -> Result<Setup> {
    let firmware = cli.firmware.into();
    let map = match &cli.map {
        None => Map::of(cli.memory, firmware),
        Some(path) => {
            let input = Input::read(path, cli.limit)?;
            let name = &input.name;
            let text = std::str::from_utf8(&input.bytes);
            let text = text.map_err(|_| anyhow!("{name}: no text, so no memory map"))?;
            Map::parse(text).map_err(|error| anyhow!("{name}: {error}"))?
        }
    };
    Ok(Setup { firmware, map })
}

/// A module as the command line has it: `[--nounzip ]FILE[ ARGUMENTS]`.
fn module(text: &str, limit: u64) -> Result<Module> {
    let (text, stored) = match text.strip_prefix("--nounzip ") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (name, line) = text.split_once(' ').unwrap_or((text, ""));
    let path = Path::new(name);
    let file = match stored {
        true => Input::stored(path, limit)?,
        false => Input::read(path, limit)?,
    };
    Ok(Module {
        file,
        stored,
        line: line.to_owned(),
    })
}
