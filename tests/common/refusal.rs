// SPDX-License-Identifier: GPL-3.0-or-later
//! Files that every machine refuses.

use super::{Fake, images};
use mb2::error::Kind;
use mb2_testkit::header::HeaderBuilder;
use mb2_testkit::image::{Class, Patch};

/// A machine of each kind refuses the file.
#[track_caller]
pub(crate) fn refuse(file: &[u8], kind: Kind) {
    for mut fake in [Fake::bios, Fake::efi32, Fake::efi64].map(|new| new()) {
        fake.refuses(file, kind);
    }
}

/// The good ELF kernel after some patches.
#[track_caller]
pub(crate) fn refuse_patched(class: Class, patches: &[Patch], kind: Kind) {
    let mut image = images::elf(class, &HeaderBuilder::new());
    image.patches = patches.to_vec();
    refuse(&images::bytes(&image), kind);
}
