// SPDX-License-Identifier: GPL-3.0-or-later
//! Detached signatures, demanded by `check_signatures=enforce`.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use mb2_testkit::variants::{Outcome, Signed};

use super::keys::Keys;
use super::{BEGIN, NAME, same};
use crate::grub::Place;
use crate::iso::Flavour;
use crate::job::{Job, Passed};
use crate::snapshot::Snapshot;
use crate::suite::tail;
use crate::variants::{as_run, boot, in_kit, setting};

/// Returns the job for the place of this snapshot.
pub(crate) fn job(place: &Place, signed: Signed, snapshot: Arc<Snapshot>) -> Job {
    let name = format!("{NAME}signatures");
    Job::new(&name, Some(place), move || compare(signed, &snapshot))
}

/// Runs the session under both modules. Ours has to keep to it, and GRUB has to say the same.
fn compare(signed: Signed, snapshot: &Snapshot) -> Result<Passed> {
    let keys = Keys::new()?;
    let mut session = signed.variant.before(&format!("echo {BEGIN}"));
    session.files.push(("key.pub".to_owned(), keys.public()?));
    for (file, bytes, signer) in signed.signatures {
        let signature = keys.sign(&bytes, signer)?;
        session.files.push((format!("{file}.sig"), signature));
    }
    let place = snapshot.place();
    let setting = setting(&place.grub, in_kit(place.platform))?;
    let stock = boot(&session, Flavour::Stock, snapshot)?;
    let ours = boot(&session, Flavour::Ours, snapshot)?;
    if let Outcome::Wrong(findings) = session.judge(setting, None, as_run(&ours)) {
        let (end, found) = (tail(&ours.transcript), findings.join("\n"));
        return Err(anyhow!("{end}\n{found}"));
    }
    same(&stock.transcript, &ours.transcript)?;
    Ok(Passed::with("good boots, all else is refused, as with C"))
}
