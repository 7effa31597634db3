// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user sees while something takes long: one progress line per step.
//!
//! On a terminal the line is alive and shows the time; otherwise a step prints one plain line
//! when it starts and, if it took longer than a second, one when it ends.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All progress lines that are alive, so that several steps can run side by side.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A step that is under way. Dropping it without [`Step::done`] marks it as failed.
pub(crate) struct Step {
    label: String,
    started: Instant,
    bar: Option<ProgressBar>,
    finished: bool,
}

/// Says whether progress may be drawn over itself.
pub(crate) fn alive() -> bool {
    std::io::stderr().is_terminal()
}

/// Starts a step and shows its name.
pub(crate) fn step(label: impl Into<String>) -> Step {
    let label = label.into();
    let bar = alive().then(|| {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = BARS
            .add(ProgressBar::new_spinner())
            .with_style(style)
            .with_message(label.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    if bar.is_none() {
        note(&format!("{label} …"));
    }
    Step {
        label,
        started: Instant::now(),
        bar,
        finished: false,
    }
}

impl Step {
    /// Adds news to the line while the step goes on.
    pub(crate) fn say(&self, news: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {news}", self.label));
        }
    }

    /// Ends the step.
    pub(crate) fn done(mut self) {
        self.finish("");
    }

    /// Ends the step and adds a remark to its line.
    pub(crate) fn done_with(mut self, remark: &str) {
        self.finish(remark);
    }

    fn finish(&mut self, remark: &str) {
        self.finished = true;
        let took = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if took >= Duration::from_secs(1) || !remark.is_empty() {
            let gap = if remark.is_empty() { "" } else { ": " };
            note(&format!(
                "{}{gap}{remark} ({:.1} s)",
                self.label,
                took.as_secs_f64()
            ));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            if let Some(bar) = &self.bar {
                bar.finish_and_clear();
            }
            let took = self.started.elapsed().as_secs_f64();
            note(&format!("{}: failed ({took:.1} s)", self.label));
        }
    }
}

/// Prints a line without disturbing the progress lines.
pub(crate) fn note(text: &str) {
    BARS.suspend(|| eprintln!("{text}"));
}

/// Prints a warning.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}
