// SPDX-License-Identifier: GPL-3.0-or-later
//! Which lines of `src/` the inputs reach: the same targets, built to count lines, run them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Target, build, files, folder};
use crate::cmd::{output, run};
use crate::{packages, root, ui};

/// Inputs for one run of a program.
const AT_ONCE: usize = 400;

/// Lines with code, each with a word on whether it was reached, by file.
pub(super) type Lines = BTreeMap<String, BTreeMap<u32, bool>>;

/// Returns the path of one of LLVM's programs.
pub(super) fn tool(name: &str) -> PathBuf {
    Path::new("/usr/lib")
        .join(packages::LLVM)
        .join("bin")
        .join(name)
}

/// Counts the lines of each target; says why when that cannot be done.
pub(super) fn measure(targets: &[Target]) -> Vec<Option<Lines>> {
    let built = match build::counters() {
        Ok(built) => built,
        Err(error) => {
            ui::warn(&format!("lines are not counted: {error:#}"));
            return Vec::new();
        }
    };
    let step = ui::step("counting the lines that were reached");
    let all = targets.iter().map(|target| {
        let lines = lines(*target, &built);
        let lines = lines.inspect_err(|error| {
            ui::warn(&format!(
                "lines of {} are not counted: {error:#}",
                target.name()
            ));
        });
        lines.ok()
    });
    let all = all.collect();
    step.done();
    all
}

fn lines(target: Target, built: &Path) -> Result<Lines> {
    let work = target.folder("coverage");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let program = built.join(target.name());
    let mut inputs = files(&target.folder("corpus"))?;
    inputs.extend(files(&target.folder("seeds"))?);
    for (number, inputs) in inputs.chunks(AT_ONCE).enumerate() {
        let mut command = Command::new(&program);
        let profile = work.join(format!("{number}.profraw"));
        command.env("LLVM_PROFILE_FILE", profile).args(inputs);
        run(command.stdin(Stdio::null()), &work.join("run.log"))?;
    }
    let profile = work.join("all.profdata");
    let mut merge = Command::new(tool("llvm-profdata"));
    merge.args(["merge", "--sparse", "-o"]).arg(&profile);
    for number in 0..inputs.chunks(AT_ONCE).len() {
        merge.arg(work.join(format!("{number}.profraw")));
    }
    run(&mut merge, &work.join("merge.log"))?;
    let mut export = Command::new(tool("llvm-cov"));
    export.args(["export", "--format=lcov", "--skip-functions"]);
    export.arg("--instr-profile").arg(&profile).arg(&program);
    export.arg("--sources").arg(root().join("src"));
    let text = output(&mut export)?;
    fs::write(work.join("lines.info"), &text)?;
    Ok(parse(&text, &root().join("src")))
}

/// Reads the format of lcov as far as it tells of lines.
fn parse(text: &str, src: &Path) -> Lines {
    let mut lines = Lines::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let path = Path::new(path).strip_prefix(src).ok();
            file = path.map(|path| path.display().to_string());
        } else if let Some((number, count)) = line
            .strip_prefix("DA:")
            .and_then(|rest| rest.split_once(','))
            && let (Some(file), Ok(number)) = (&file, number.parse())
        {
            let reached = lines.entry(file.clone()).or_default().entry(number);
            *reached.or_default() |= count != "0";
        }
    }
    lines
}

/// Joins what several targets reach.
pub(super) fn together<'a>(all: impl Iterator<Item = &'a Lines>) -> Lines {
    let mut together = Lines::new();
    for (file, lines) in all.flatten() {
        let known = together.entry(file.clone()).or_default();
        for (number, reached) in lines {
            *known.entry(*number).or_default() |= reached;
        }
    }
    together
}

/// How many lines were reached, and how many there are.
pub(super) fn sum(lines: &Lines) -> (usize, usize) {
    let all = lines.values().flat_map(BTreeMap::values);
    (all.clone().filter(|reached| **reached).count(), all.count())
}

/// Writes the lines that nothing has reached into a file, with their text.
///
/// # Errors
///
/// If a source cannot be read or the file not be written.
pub(super) fn write_unreached(lines: &Lines) -> Result<PathBuf> {
    let mut text = String::new();
    for (file, lines) in lines {
        let source = fs::read_to_string(root().join("src").join(file))
            .with_context(|| format!("cannot read src/{file}"))?;
        let unreached: BTreeSet<u32> = lines
            .iter()
            .filter_map(|(number, reached)| (!reached).then_some(*number))
            .collect();
        for (number, line) in (1..).zip(source.lines()) {
            if unreached.contains(&number) {
                text += &format!("src/{file}:{number}: {}\n", line.trim());
            }
        }
    }
    let path = folder().join("unreached.txt");
    fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_src_are_read_and_joined() {
        let one = "SF:/r/src/a.rs\nDA:1,5\nDA:2,0\nend_of_record\nSF:/other/b.rs\nDA:1,1\n";
        let two = "SF:/r/src/a.rs\nDA:1,0\nDA:2,0\nDA:3,1\nSF:/r/src/wire/c.rs\nDA:9,0\n";
        let all = [one, two].map(|text| parse(text, Path::new("/r/src")));
        assert_eq!(sum(&all[0]), (1, 2));
        let together = together(all.iter());
        assert_eq!(sum(&together), (2, 4));
        assert!(together.contains_key("wire/c.rs"));
    }
}
