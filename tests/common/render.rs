// SPDX-License-Identifier: GPL-3.0-or-later
//! The texts of the loader as the user reads them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code stops where it is surprised"
)]

/// What C's printf makes of a format of `%s`, `%llu` and `%llx`, and how many
/// numbers it takes.
pub(crate) fn render(format: &str, name: &str, numbers: &[u64]) -> (String, usize) {
    let mut parts = format.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut taken = 0;
    for part in parts {
        let rest = if let Some(rest) = part.strip_prefix('s') {
            text += name;
            rest
        } else {
            let number = numbers.get(taken).expect("as many numbers as formats");
            taken = taken.saturating_add(1);
            if let Some(rest) = part.strip_prefix("llx") {
                text += &format!("{number:x}");
                rest
            } else if let Some(rest) = part.strip_prefix("llu") {
                text += &number.to_string();
                rest
            } else {
                panic!("%{part} is a format that nobody promised");
            }
        };
        text += rest;
    }
    (text, taken)
}
