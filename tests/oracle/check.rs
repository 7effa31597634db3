// SPDX-License-Identifier: GPL-3.0-or-later
//! A check beside the load that it is about.

use super::Judge;
use crate::common::Stored;
use crate::common::world::Fault;

/// How a check ended, and what it printed.
pub(super) type Checked = (Result<(), Fault>, Vec<String>);

impl Judge {
    /// `multiboot2 --check`, which changes nothing; what it says. A check comes
    /// before each load that no call is to fail in.
    pub(super) fn check(&mut self, words: &[&str], file: &Stored) -> Option<Checked> {
        self.fake.files.insert("/kernel".to_owned(), file.clone());
        if self.fake.world.fail_at.get().is_some() {
            return None;
        }
        let before = self.before();
        let modes = self.fake.payload_modes.clone();
        let loaded = self.fake.loaded.is_some();
        self.fake.printed.clear();
        let outcome = self.fake.multiboot2(&[&["--check"], words].concat());
        let world = &self.fake.world;
        assert_eq!(world.handed_out(), before.handed_out, "a check leaks");
        assert_eq!(world.granted.get(), before.granted, "a check takes memory");
        assert_eq!(self.fake.payload_modes, modes);
        assert_eq!(self.fake.loaded.is_some(), loaded);
        if file.sized {
            let n = file.bytes.len();
            let calls = world.calls.get() - before.calls;
            assert!(calls <= 32 + n / 3, "{calls} calls to check {n} bytes");
        }
        let printed = std::mem::take(&mut self.fake.printed);
        Some((outcome, printed))
    }

    /// A load, which does what the check before it has said.
    pub(super) fn load_as_checked(
        &mut self,
        words: &[&str],
        checked: Option<Checked>,
    ) -> Result<(), Fault> {
        let outcome = self.fake.multiboot2(words);
        let Some((checked, printed)) = checked else {
            return outcome;
        };
        match (checked, outcome) {
            // It holds what is to be relocated in the heap.
            (Err(Fault::Grub("full heap")), _) => {}
            (Ok(()), Ok(())) => {
                let kept = &self.fake.loaded.as_ref().expect("a session").kernel.loaded;
                let entry = format!("entry at {:#x}", kept.entry);
                assert!(printed.contains(&entry), "{entry}, but {printed:?}");
            }
            // What a firmware that stays gives away is known when it is asked.
            (_, Err(_)) if printed.iter().any(|line| line.ends_with(": kept")) => {}
            _ => assert_eq!(outcome, checked, "after {printed:?}"),
        }
        outcome
    }
}
