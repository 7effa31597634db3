// SPDX-License-Identifier: GPL-3.0-or-later
//! Modules as programs of the host: ours and GRUB's own, over one fake of GRUB in C, under the
//! sanitizers for addresses and for undefined behaviour.

mod boundary;
mod build;
mod job;
mod machines;
mod player;

use anyhow::Result;

use crate::grub::Grub;
use crate::platform::Platform;
use crate::test::{Job, Passed};

/// The jobs of `cargo xtask test`.
pub(crate) fn jobs(grub: &Grub, platforms: &[Platform]) -> Vec<Job> {
    let boundary = |platform: Platform| {
        let grub = grub.clone();
        Job {
            name: "boundary under sanitizers".to_owned(),
            platform: Some(platform),
            group: None,
            run: Box::new(move || boundary(&grub, platform)),
        }
    };
    platforms.iter().copied().map(boundary).collect()
}

fn boundary(grub: &Grub, platform: Platform) -> Result<Passed> {
    let programs = build::programs(grub, platform)?;
    let runs = boundary::Boundary::run(&programs, platform)?;
    Ok(Passed {
        remark: format!("{runs} runs"),
        inside: runs,
    })
}
