// SPDX-License-Identifier: GPL-3.0-or-later
//! Runs one target and reads what libFuzzer says.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Target, files, folder, seeds};
use crate::cmd::{self, shown};
use crate::ui;

/// The longest that one input may take, in seconds.
const TIMEOUT: u32 = 25;

/// How long a finding is made smaller, in seconds.
const MINIMISE: u32 = 60;

/// How often those who see no terminal hear of the progress.
const NEWS: Duration = Duration::from_secs(60);

/// What a target did.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) target: Target,
    pub(super) numbers: Numbers,
    pub(super) findings: Vec<Finding>,
}

/// An input that went wrong.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) file: PathBuf,
    /// Its first words about it.
    pub(super) says: String,
}

/// What libFuzzer counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) executions: u64,
    pub(super) per_second: u64,
    pub(super) edges: u64,
    pub(super) instrumented: u64,
    /// The input that it stopped at, and why.
    written: Option<PathBuf>,
    says: Option<String>,
}

impl Numbers {
    /// Takes in a line.
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let behind = |mark: &str| {
            let at = words.iter().position(|word| *word == mark)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        if let Some(count) = words.first().and_then(|word| word.strip_prefix('#')) {
            self.executions = count.parse().unwrap_or(self.executions);
            self.edges = behind("cov:").unwrap_or(self.edges);
            self.per_second = behind("exec/s:").unwrap_or(self.per_second);
        } else if let Some(count) = behind("stat::number_of_executed_units:") {
            self.executions = count;
        } else if let Some(count) = behind("stat::average_exec_per_sec:") {
            self.per_second = count;
        } else if line.starts_with("INFO: Loaded") && line.contains("inline 8-bit counters") {
            let count = line
                .split_once('(')
                .and_then(|(_, rest)| rest.split(' ').next());
            self.instrumented = count.and_then(|n| n.parse().ok()).unwrap_or_default();
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            if !path.contains("slow-unit-") {
                self.written = Some(path.trim().into());
            }
        } else if self.says.as_deref().is_some_and(|says| says.ends_with(':')) {
            self.says = self
                .says
                .take()
                .map(|says| format!("{says} {}", line.trim()));
        } else if line.contains("panicked at ") || line.starts_with("SUMMARY: ") {
            self.says.get_or_insert_with(|| line.trim().to_owned());
        }
    }
}

/// Starts a target; the sanitizer finds the program that names lines.
fn start(target: Target, built: &Path) -> Command {
    let mut command = Command::new(built.join(target.name()));
    command
        .current_dir(super::root())
        .env(
            "ASAN_SYMBOLIZER_PATH",
            super::coverage::tool("llvm-symbolizer"),
        )
        .env("RUST_BACKTRACE", "0")
        .arg(format!("-timeout={TIMEOUT}"))
        .arg("-malloc_limit_mb=256")
        .stdin(Stdio::null());
    command
}

/// Runs a target for some time, old findings first.
///
/// # Errors
///
/// If it does not start. What it finds is no error.
pub(super) fn target(target: Target, built: &Path, time: Duration) -> Result<Outcome> {
    let corpus = target.folder("corpus");
    let findings = target.folder("findings");
    for dir in [&corpus, &findings] {
        fs::create_dir_all(dir)?;
    }
    let mut outcome = Outcome {
        target,
        numbers: Numbers::default(),
        findings: Vec::new(),
    };
    let mut whole = files(&findings)?;
    whole.extend(seeds::whole(target)?);
    for file in whole {
        let says = try_one(target, built, &file)?;
        outcome
            .findings
            .extend(says.map(|says| Finding { file, says }));
    }
    let mut command = start(target, built);
    command
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-max_len={}", target.max_len()))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args(["-print_final_stats=1", "-len_control=0", "-reload=0"])
        .arg(&corpus)
        .arg(target.folder("seeds"));
    let step = ui::step(format!(
        "fuzzing {} for {}",
        target.name(),
        shown_time(time)
    ));
    let (numbers, passed) = watch(target, &mut command, &step)?;
    outcome.numbers = numbers;
    if passed {
        step.done_with(&format!("{} executions", outcome.numbers.executions));
        return Ok(outcome);
    }
    drop(step);
    let says = outcome.numbers.says.clone();
    let Some(file) = outcome.numbers.written.clone() else {
        let says = says.unwrap_or_default();
        bail!("{} stopped without an input: {says}", target.name());
    };
    outcome.findings.push(Finding {
        file: smaller(target, built, &file).unwrap_or(file),
        says: says.unwrap_or_else(|| "it stopped".to_owned()),
    });
    Ok(outcome)
}

fn shown_time(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

/// Follows a run to its end; tells whether it ended well.
fn watch(target: Target, command: &mut Command, step: &ui::Step) -> Result<(Numbers, bool)> {
    let log = folder()
        .join("log")
        .join(target.name())
        .with_extension("log");
    let mut copy = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let mut numbers = Numbers::default();
    let mut told = Instant::now();
    let lines = child.stderr.take().context("its standard error")?;
    for line in BufReader::new(lines).split(b'\n') {
        let line = line?;
        copy.write_all(&line)?;
        copy.write_all(b"\n")?;
        numbers.line(&String::from_utf8_lossy(&line));
        let news = format!("{} executions, {} edges", numbers.executions, numbers.edges);
        step.say(&news);
        if told.elapsed() > NEWS && !ui::alive() {
            told = Instant::now();
            ui::note(&format!("{}: {news}", target.name()));
        }
    }
    Ok((numbers, child.wait()?.success()))
}

/// Runs one input; returns the first words about what is wrong with it.
fn try_one(target: Target, built: &Path, file: &Path) -> Result<Option<String>> {
    let mut command = start(target, built);
    let out = command.arg(file).output();
    let out = out.with_context(|| format!("cannot start {}", shown(&command)))?;
    let mut numbers = Numbers::default();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    text.lines().for_each(|line| numbers.line(line));
    let says = numbers.says.unwrap_or_else(|| out.status.to_string());
    Ok((!out.status.success()).then_some(says))
}

/// Runs one input before the user's eyes; tells whether it passes.
///
/// # Errors
///
/// If the target does not start.
pub(super) fn again(target: Target, built: &Path, file: &Path) -> Result<bool> {
    let mut command = start(target, built);
    let file = fs::canonicalize(file)?;
    command.env("RUST_BACKTRACE", "1").arg(file);
    let status = command.status();
    Ok(status
        .with_context(|| format!("cannot start {}", shown(&command)))?
        .success())
}

/// Makes a finding smaller, if that can be done.
fn smaller(target: Target, built: &Path, file: &Path) -> Option<PathBuf> {
    let step = ui::step(format!("making the finding of {} smaller", target.name()));
    let small = file.with_file_name(format!("small-{}", file.file_name()?.to_str()?));
    let one = start(target, built);
    // It has no limit for all its tries together.
    let mut command = Command::new("timeout");
    command.arg(MINIMISE.to_string()).arg(one.get_program());
    command
        .args(one.get_args())
        .env("ASAN_OPTIONS", "symbolize=0");
    command
        .args(["-minimize_crash=1", &format!("-max_total_time={MINIMISE}")])
        .arg(format!("-exact_artifact_path={}", small.display()))
        .arg(file);
    let log = folder()
        .join("log")
        .join(format!("{}-smaller.log", target.name()));
    // It ends with an error when nothing smaller fails, and may leave what passes.
    let _ = cmd::run(&mut command, &log);
    step.done();
    if matches!(try_one(target, built, &small), Ok(Some(_))) {
        return Some(small);
    }
    let _ = fs::remove_file(&small);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as libFuzzer prints them.
    const LINES: &str = "\
INFO: Loaded 1 modules   (13407 inline 8-bit counters): 13407 [0x55, 0x56),
#229\tINITED cov: 2368 ft: 5773 corp: 174/1108Kb exec/s: 0 rss: 108Mb
#32768\tpulse  cov: 2400 ft: 6000 corp: 180/1108Kb lim: 41502 exec/s: 1638 rss: 108Mb
artifact_prefix='x/'; Test unit written to x/slow-unit-1
thread '<unnamed>' (7) panicked at src/../../tests/oracle/parts.rs:151:9:
assertion `left == right` failed
artifact_prefix='x/'; Test unit written to x/crash-4bb1
stat::number_of_executed_units: 33000
stat::average_exec_per_sec:     1650";

    #[test]
    fn numbers_are_read_from_libfuzzers_lines() {
        let mut numbers = Numbers::default();
        LINES.lines().for_each(|line| numbers.line(line));
        assert_eq!((numbers.executions, numbers.per_second), (33_000, 1650));
        assert_eq!((numbers.edges, numbers.instrumented), (2400, 13_407));
        assert_eq!(numbers.written, Some("x/crash-4bb1".into()));
        let says = numbers.says.unwrap();
        assert!(says.ends_with("parts.rs:151:9: assertion `left == right` failed"));
    }
}
