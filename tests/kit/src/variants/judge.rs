// SPDX-License-Identifier: GPL-3.0-or-later
//! From transcripts to a verdict.

use super::{Expectation, Platform, Setting, Variant, Version, session};
use crate::dump::check::{Promise, check};
use crate::dump::compare::{Deviation, Rules, compare};
use crate::dump::{Dump, Entry, kind};
use crate::error::Result;

/// Exit status of QEMU when the kernel is content.
const PASS: i32 = 33;

/// What one boot left behind.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Everything on the serial line.
    pub transcript: &'a str,
    /// Exit status of QEMU, none if it had to be stopped.
    pub exit: Option<i32>,
}

/// Verdict over a variant on a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reference leaves the same.
    Identical,
    /// As promised; the reference differs in the named ways.
    Deviates(Vec<Deviation>),
    /// Every step of a session went as it has to.
    Kept,
    /// Something is wrong; each line says what.
    Wrong(Vec<String>),
}

impl Variant {
    /// Whether the reference has to be run at all.
    #[must_use]
    pub fn needs_reference(&self, version: Version) -> bool {
        match self.expectation {
            Expectation::Boots { until, .. } => until.is_none_or(|(since, _)| version < since),
            Expectation::BootsOursOnly { .. } | Expectation::Session { .. } => false,
        }
    }

    /// What may differ from the reference in a setting.
    fn deviations(&self, setting: Setting) -> Vec<Deviation> {
        let Setting { platform, version } = setting;
        let (deviations, until) = match &self.expectation {
            Expectation::Boots { deviations, until } => (deviations, until),
            Expectation::BootsOursOnly { deviation } => return vec![*deviation],
            Expectation::Session { .. } => return Vec::new(),
        };
        if let (Some((_, why)), false) = (until, self.needs_reference(version)) {
            return vec![*why];
        }
        let here = |d: &&Deviation| **d != Deviation::VbeInterface || platform == Platform::I386Pc;
        let mut list: Vec<_> = deviations.iter().filter(here).copied().collect();
        if version >= Version::OWN_PAGE_TABLES && platform == Platform::X86_64Efi {
            list.push(Deviation::PageTables);
        }
        list
    }

    /// State in which the kernel is entered on a platform.
    #[must_use]
    pub fn entry(&self, platform: Platform) -> Entry {
        match platform {
            Platform::X86_64Efi if self.image.efi64_entry => Entry::Efi64,
            Platform::I386Efi if self.image.efi32_entry => Entry::Efi32,
            _ => Entry::Plain32,
        }
    }

    /// Whether the kernel that boots was loaded with the option for that.
    fn modules_behind(&self) -> bool {
        let loads = |line: &&String| line.starts_with("multiboot2 ");
        let last = self.script.iter().rfind(loads);
        last.is_some_and(|line| line.contains(" --modules-after-kernel "))
    }

    /// Reads a run and holds it against what the image promises; `strict`
    /// is for the loader under test.
    ///
    /// # Errors
    ///
    /// As [`Dump::parse`], or [`crate::Error::Mbi`].
    pub fn examine(
        &self,
        platform: Platform,
        run: Run<'_>,
        strict: bool,
    ) -> Result<(Dump, Vec<String>)> {
        let dump = Dump::parse(run.transcript)?;
        let promise = Promise {
            image: &self.image,
            entry: self.entry(platform),
            cmdline: &self.cmdline,
            modules: &self.modules,
            zeroed_gaps: strict && self.image.relocatable.is_some(),
            zeroed_tails: strict,
            modules_behind: self.modules_behind(),
        };
        let mut findings = check(&dump, &promise)?;
        if run.exit != Some(PASS) {
            findings.push(format!("QEMU ended with {:?}", run.exit));
        }
        let present: Vec<u32> = dump.tags()?.iter().map(|tag| tag.kind).collect();
        let never = |tag: &u32| !strict && *tag == kind::SMBIOS;
        for tag in self.tags.iter().filter(|tag| !present.contains(tag)) {
            if never(tag) {
                continue; // the reference has no such tables
            }
            findings.push(format!("no boot information tag {tag}"));
        }
        if let Err(error) = dump.check_with_multiboot2_crate() {
            findings.push(format!("second reader: {error}"));
        }
        Ok((dump, findings))
    }

    /// Judges a run of the loader under test, with one of the reference if
    /// the variant needs it.
    #[must_use]
    pub fn judge(&self, setting: Setting, stock: Option<Run<'_>>, ours: Run<'_>) -> Outcome {
        let needs_reference = self.needs_reference(setting.version);
        let mut wrong = Vec::new();
        if let Expectation::Session { steps, rounds } = &self.expectation {
            wrong.extend(session::check(ours.transcript, steps));
            // What is counted is a heap of one size.
            let counted = rounds
                .iter()
                .filter(|_| setting.version < Version::HEAP_GROWS);
            let checks = counted.map(|r| r.check(ours.transcript, setting.platform));
            wrong.extend(checks.flatten());
        }
        let mut read = |run, strict: bool| match self.examine(setting.platform, run, strict) {
            Ok((dump, findings)) => {
                let who = if strict { "" } else { "reference: " };
                wrong.extend(findings.into_iter().map(|text| format!("{who}{text}")));
                Some(dump)
            }
            Err(error) => {
                let who = if strict { "" } else { "reference: " };
                wrong.push(format!("{who}{error}"));
                None
            }
        };
        let ours = read(ours, true);
        let stock = stock.filter(|_| needs_reference);
        let reference = stock.and_then(|run| read(run, false));
        let deviations = self.deviations(setting);
        let rules = Rules {
            deviations: &deviations,
        };
        match (needs_reference, reference, ours) {
            (true, Some(stock), Some(ours)) => match compare(&stock, &ours, &rules) {
                Ok(list) => wrong.extend(list.iter().map(ToString::to_string)),
                Err(error) => wrong.push(error.to_string()),
            },
            (true, None, Some(_)) if stock.is_none() => {
                wrong.push("no run of the reference".to_owned());
            }
            _ => {}
        }
        if !wrong.is_empty() {
            Outcome::Wrong(wrong)
        } else if matches!(self.expectation, Expectation::Session { .. }) {
            Outcome::Kept
        } else if deviations.is_empty() {
            Outcome::Identical
        } else {
            Outcome::Deviates(deviations)
        }
    }
}
