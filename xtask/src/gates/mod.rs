// SPDX-License-Identifier: GPL-3.0-or-later
//! What every built object has to be like, examined in the object itself.
//!
//! A gate is a function over a parsed object that returns its complaints. Two kinds of object
//! are examined: `mb2rs.o`, which holds all Rust code, and the finished module.

mod code;
mod relocs;
mod shape;
mod stack;
mod symbols;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use object::{Architecture, Object};

use crate::cmd::{output, system};
use crate::grub::Grub;
use crate::module::{self, Built, LINKED};
use crate::platform::Platform;
use crate::stock::{self, Stock};
use crate::{root, tree, verifier};

/// How many complaints are printed; a broken build has hundreds.
const SHOWN: usize = 25;

/// Arguments of `check-module`.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// Modules (*.mod) or objects with the Rust code (*.o); what was built last when absent.
    files: Vec<PathBuf>,
    /// GRUB version that they were built for; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Platform of the files, where neither path nor processor tells.
    #[arg(long, value_enum)]
    platform: Option<Platform>,
    /// Folder grub-core of a build inside GRUB: what was made there is examined.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["files", "platform"])]
    grub_core: Option<PathBuf>,
}

/// An object that is examined.
pub(crate) struct Subject<'a> {
    /// The object.
    file: object::File<'a>,
    /// Its code, as `objdump -d` prints it.
    listing: String,
    /// Its size as a file, in bytes.
    len: u64,
}

/// Examines files, or all that were built.
///
/// # Errors
///
/// All complaints.
pub(crate) fn command(args: &CheckArgs) -> Result<()> {
    if let Some(folder) = &args.grub_core {
        for path in check_inside(folder)? {
            println!("{}: ok", path.display());
        }
        return Ok(());
    }
    let grub = Grub::resolve(args.grub.as_deref())?;
    if !args.files.is_empty() {
        for file in &args.files {
            check_file(file, args.platform, &grub)?;
        }
        return Ok(());
    }
    for platform in Platform::or_all(args.platform.as_slice()) {
        if !module::finished(&grub, platform).exists() {
            // Building examines it as well.
            module::build(&grub, platform)?;
            continue;
        }
        check_file(
            &module::work(&grub, platform).join("mb2rs.o"),
            Some(platform),
            &grub,
        )?;
        check_file(&module::finished(&grub, platform), Some(platform), &grub)?;
        show_stack(
            &module::work(&grub, platform),
            &stock::folder(&grub, platform)?,
        )?;
    }
    Ok(())
}

/// Examines one file by its kind.
fn check_file(path: &Path, platform: Option<Platform>, grub: &Grub) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let subject = Subject::parse(&bytes, path)?;
    let complaints = if path.extension().is_some_and(|e| e == "mod") {
        let platform = platform
            .or_else(|| guess_platform(path, &subject))
            .with_context(|| {
                format!(
                    "{}: say with --platform what it was built for",
                    path.display()
                )
            })?;
        let tree = tree::ensure(grub, platform)?;
        verifier::verify(&verifier::ensure(grub, &tree)?, path, platform)?;
        drop_in_complaints(&subject, &Stock::read(grub, platform)?)
    } else {
        rust_complaints(&subject, &exports()?)
    };
    report(path, complaints)?;
    println!("{}: ok", path.display());
    Ok(())
}

/// How deep the stack gets in a module, in bytes.
///
/// # Errors
///
/// If it cannot be read, or what makes a depth unknown.
pub(crate) fn depth(path: &Path) -> Result<i64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let ways = stack::ways(&object::File::parse(&*bytes)?)?;
    let deepest = ways.first().context("no function was found")?;
    Ok(deepest.depth())
}

/// Prints the deepest way through a module, and how deep GRUB's own gets.
fn show_stack(work: &Path, stock: &Path) -> Result<()> {
    let (linked, own) = (work.join(LINKED), stock.join("multiboot2.mod"));
    for (what, path) in [("stack", linked), ("stack of GRUB's own module", own)] {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let ways = stack::ways(&object::File::parse(&*bytes)?)?;
        let (deepest, others) = ways.split_first().context("no function was found")?;
        println!("{what}: {deepest}");
        let others: Vec<String> = others.iter().map(stack::Way::sum).collect();
        println!("  from other entries: {}", others.join(", "));
    }
    Ok(())
}

/// Examines what GRUB's make has left in a folder; returns the files. Its own verifier has run by
/// then.
///
/// # Errors
///
/// All complaints.
pub(crate) fn check_inside(folder: &Path) -> Result<[PathBuf; 2]> {
    let modules = Stock::of_build(folder)?;
    let files = ["mb2rs.o", "multiboot2.mod"].map(|name| folder.join(name));
    for path in &files {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let subject = Subject::parse(&bytes, path)?;
        let complaints = match path.extension().is_some_and(|e| e == "mod") {
            true => module_complaints(&subject, &modules),
            false => rust_complaints(&subject, &exports()?),
        };
        report(path, complaints)?;
    }
    Ok(files)
}

/// Finds the platform in the path, or by the processor where that is enough.
fn guess_platform(path: &Path, subject: &Subject<'_>) -> Option<Platform> {
    let named = path
        .components()
        .rev()
        .find_map(|c| Platform::from_name(c.as_os_str().to_str()?));
    let wide = subject.file.architecture() == Architecture::X86_64;
    named.or_else(|| wide.then_some(Platform::X86_64Efi))
}

/// Examines what a build has made.
///
/// # Errors
///
/// All complaints.
pub(crate) fn check_built(built: &Built, stock: &Stock) -> Result<()> {
    let bytes = fs::read(&built.rust_object)?;
    let subject = Subject::parse(&bytes, &built.rust_object)?;
    report(&built.rust_object, rust_complaints(&subject, &exports()?))?;
    let bytes = fs::read(&built.linked)?;
    let named = Subject::parse(&bytes, &built.linked)?;
    report(&built.linked, stack::shallow(&named))?;
    let bytes = fs::read(&built.module)?;
    let subject = Subject::parse(&bytes, &built.module)?;
    report(&built.module, drop_in_complaints(&subject, stock))
}

fn exports() -> Result<Vec<String>> {
    module::read_exports(&root().join("module-glue/exports.txt"))
}

/// All gates of `mb2rs.o`.
fn rust_complaints(subject: &Subject<'_>, exports: &[String]) -> Vec<String> {
    [
        relocs::types(subject),
        symbols::only_contract(subject),
        symbols::globals_are(subject, exports),
        symbols::no_panic_machinery(subject),
        symbols::one_static(subject),
        relocs::no_fatal_edge(subject),
        code::no_vector_or_float(subject),
        code::no_later_instruction(subject),
        code::small_frames(subject),
        shape::rust_sections(subject),
    ]
    .concat()
}

/// All gates of a drop-in.
fn drop_in_complaints(subject: &Subject<'_>, stock: &Stock) -> Vec<String> {
    [
        module_complaints(subject, stock),
        // GRUB's link keeps wrappers that nothing calls, the one of grub_fatal too. There it is
        // `mb2rs.o` that shows that none leads to it.
        symbols::no_way_out(subject),
        shape::size(subject, stock.size),
    ]
    .concat()
}

/// All gates of a module, wherever it was made.
fn module_complaints(subject: &Subject<'_>, stock: &Stock) -> Vec<String> {
    [
        relocs::types(subject),
        symbols::types(subject),
        symbols::known_to(subject, stock),
        symbols::not_taken_from(subject, stock),
        code::no_vector_or_float(subject),
        code::no_trap(subject),
        code::small_frames(subject),
        stack::shallow(subject),
        shape::module_sections(subject),
    ]
    .concat()
}

fn report(path: &Path, complaints: Vec<String>) -> Result<()> {
    if complaints.is_empty() {
        return Ok(());
    }
    let mut list: Vec<String> = complaints
        .iter()
        .take(SHOWN)
        .map(|c| format!("  {c}"))
        .collect();
    if complaints.len() > SHOWN {
        list.push(format!("  and {} more", complaints.len() - SHOWN));
    }
    bail!("{} must not be used:\n{}", path.display(), list.join("\n"))
}

impl<'a> Subject<'a> {
    /// Reads an object and has its code listed.
    fn parse(bytes: &'a [u8], path: &Path) -> Result<Self> {
        let file = object::File::parse(bytes)
            .with_context(|| format!("{} is no object", path.display()))?;
        let mut objdump = system("objdump");
        objdump.args(["-d", "-w", "--no-show-raw-insn"]).arg(path);
        let len = u64::try_from(bytes.len())?;
        Ok(Self {
            file,
            listing: output(&mut objdump)?,
            len,
        })
    }

    /// Says whether the object is for the 64-bit processors.
    fn is_64(&self) -> bool {
        self.file.architecture() == Architecture::X86_64
    }
}
