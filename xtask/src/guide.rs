// SPDX-License-Identifier: GPL-3.0-or-later
//! The kernel that docs/kernel-authors.md shows, built and booted as the page says.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cmd::{run, system};
use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::job::{Job, Passed};
use crate::qemu::{Machine, Next};
use crate::suite::{MEMORY, iso_path, tail};
use crate::test::LIMIT;
use crate::{cache, root};

const PAGE: &str = "docs/kernel-authors.md";

/// What its first block of each language becomes.
const FILES: [(&str, &str); 3] = [("c", "kernel.c"), ("ld", "link.ld"), ("sh", "build.sh")];

/// What the kernel prints in front of a number in hexadecimal digits.
const SAYS: &str = "I run at my load base ";

/// Where it is linked to, and the lowest address that it asks for.
const LINKED: u64 = 0x10_0000;
const LEAST: u64 = 0x20_0000;

/// Boots the kernel of the page.
pub(crate) fn job(place: &Place) -> Job {
    let here = place.clone();
    Job::new("kernel of kernel-authors.md", Some(place), move || {
        boot(&here)
    })
}

/// Cuts the kernel out of the page and builds it with the commands that stand there; returns the
/// file and what is in it.
///
/// # Errors
///
/// If a block is missing or the commands fail.
pub(crate) fn build() -> Result<(PathBuf, Vec<u8>)> {
    let page = fs::read_to_string(root().join(PAGE))?;
    let work = root().join("target/xtask/guide");
    let _guard = cache::lock(&work.join("lock"))?;
    for (language, file) in FILES {
        fs::write(work.join(file), block(&page, language)?)?;
    }
    let mut shell = system("sh");
    shell.args(["-e", "build.sh"]).current_dir(&work);
    run(&mut shell, &work.join("build.log"))?;
    let kernel = work.join("kernel.elf");
    let bytes = fs::read(&kernel)?;
    Ok((kernel, bytes))
}

/// The first block of a language.
fn block<'a>(page: &'a str, language: &str) -> Result<&'a str> {
    let start = format!("\n```{language}\n");
    let (_, rest) = page
        .split_once(&start)
        .with_context(|| format!("{PAGE} has no block ```{language}"))?;
    let end = rest.find("\n```").context("a block has no end")?;
    Ok(&rest[..=end])
}

fn boot(place: &Place) -> Result<Passed> {
    let (_, kernel) = build()?;
    let iso = iso_path(place, "guide", Flavour::Ours);
    let config = format!(
        "{}multiboot2 /kernel.elf\nboot\n",
        iso::prologue(place.platform)
    );
    let maker = Maker::of(place, Flavour::Ours)?;
    iso::build(&maker, &config, &[("kernel.elf", &kernel)], &iso)?;
    let mut said = None;
    let machine = Machine::new(place.platform, MEMORY, iso);
    let outcome = machine.run(LIMIT, |line| {
        said = line
            .split_once(SAYS)
            .map(|(_, number)| number.trim().to_owned());
        match said.is_some() || iso::is_error(line) {
            true => Next::Stop,
            false => Next::Continue,
        }
    })?;
    let said = said.with_context(|| tail(&outcome.transcript))?;
    let base = u64::from_str_radix(&said, 16).with_context(|| said.clone())?;
    ensure!(
        base >= LEAST && base != LINKED && base.is_multiple_of(0x1000),
        "it was not moved, but runs at {base:#x}"
    );
    Ok(Passed::with(format!("load base {base:#x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_has_as_many_lines_as_the_page_says() {
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        let lines = |language| block(&page, language).unwrap().lines().count();
        let all = lines("c") + lines("ld");
        assert!(all <= 60, "{all}");
        assert!(page.contains(&format!("in {all} lines\n")), "{all}");
    }

    #[test]
    fn a_block_ends_where_its_mark_stands() {
        let page = "x\n```c\na\n\nb\n```\n```c\nz\n```\n";
        assert_eq!(block(page, "c").unwrap(), "a\n\nb\n");
        assert!(block(page, "ld").is_err());
    }
}
