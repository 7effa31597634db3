// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};
use mb2::params::Firmware;

/// What the exit status means, and examples: the end of `--help` and of the manual.
const AFTER: &str = "\
Exit status:
  0  every image is taken
  1  an image is refused
  2  the command line is wrong, or a file cannot be read

Memory maps (--map) have a range in each line, as GRUB's lsmmap prints them, as Linux
prints them at its start (BIOS-e820: …), as in /proc/iomem, or like
  0x100000-0x7fffffff available
with reserved, acpi, nvs, bad, boot-services or type 0x14 instead.

Examples:
  mb2check kernel.elf
  mb2check --firmware efi64 --memory 512M --module 'initrd.img root=/dev/ram' xen.gz
  mb2check --quiet kernel.elf && cp kernel.elf /boot";

/// Says what GRUB's Multiboot2 loader makes of a kernel image, and why it refuses one.
///
/// The loader itself runs, over a machine that has the given memory map and nothing else. The
/// files may be packed by gzip, xz or zstd.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER, max_term_width = 100)]
pub struct Cli {
    /// Kernel images
    #[arg(value_name = "FILE", required_unless_present = "generate")]
    pub files: Vec<PathBuf>,

    /// Firmware of the machine
    #[arg(long, value_enum, default_value_t = FirmwareArg::Bios)]
    pub firmware: FirmwareArg,

    /// Memory of the machine, arranged as firmware usually does it
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "2G")]
    pub memory: u64,

    /// Memory map of the machine, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "memory")]
    pub map: Option<PathBuf>,

    /// Load a module, too, as module2 does; can be repeated
    #[arg(
        long,
        value_name = "[--nounzip ]FILE[ ARGUMENTS]",
        allow_hyphen_values = true
    )]
    pub module: Vec<String>,

    /// Load modules behind the kernel, as multiboot2 does with this option
    #[arg(long)]
    pub modules_after_kernel: bool,

    /// Command line of the kernel
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub command_line: String,

    /// Print a JSON array with an object for each image
    #[arg(long, conflicts_with_all = ["svg", "quiet"])]
    pub json: bool,

    /// Print a picture of the address space, of one image
    #[arg(long, conflicts_with = "quiet")]
    pub svg: bool,

    /// Print nothing but errors; the exit status says it
    #[arg(short, long)]
    pub quiet: bool,

    /// Most bytes that a file may have, unpacked
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1G")]
    pub limit: u64,

    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,

    /// Print the manual page or a shell's completions
    #[arg(long, value_enum, value_name = "WHAT", exclusive = true)]
    pub generate: Option<Generate>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Firmware below GRUB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FirmwareArg {
    /// A PC BIOS
    Bios,
    /// 64-bit UEFI
    Efi64,
    /// 32-bit UEFI
    Efi32,
}

impl From<FirmwareArg> for Firmware {
    fn from(arg: FirmwareArg) -> Self {
        match arg {
            FirmwareArg::Bios => Self::Bios,
            FirmwareArg::Efi64 => Self::Efi64,
            FirmwareArg::Efi32 => Self::Efi32,
        }
    }
}

/// What comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The manual page
    Man,
    /// Completions for bash
    Bash,
    /// Completions for elvish
    Elvish,
    /// Completions for fish
    Fish,
    /// Completions for PowerShell
    Powershell,
    /// Completions for zsh
    Zsh,
}

/// A size with a unit of 1024.
fn size(text: &str) -> Result<u64, parse_size::Error> {
    parse_size::Config::new().with_binary().parse_size(text)
}

/// Writes what comes with the program.
///
/// # Errors
///
/// If it cannot be written.
pub fn generate(what: Generate, out: &mut impl std::io::Write) -> std::io::Result<()> {
    use clap_complete::Shell;
    let mut command = Cli::command();
    let shell = match what {
        Generate::Man => return clap_mangen::Man::new(command).render(out),
        Generate::Bash => Shell::Bash,
        Generate::Elvish => Shell::Elvish,
        Generate::Fish => Shell::Fish,
        Generate::Powershell => Shell::PowerShell,
        Generate::Zsh => Shell::Zsh,
    };
    clap_complete::generate(shell, &mut command, "mb2check", out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("2G").unwrap(), 2 << 30);
        assert_eq!(size("512 KiB").unwrap(), 512 << 10);
        assert!(size("much").is_err());
    }
}
