// SPDX-License-Identifier: GPL-3.0-or-later
//! A report for people.

pub mod regions;
pub mod svg;
pub mod text;

/// A size as people read it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let value = format!("{value:.1}");
    format!("{} {}", value.trim_end_matches(".0"), UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_have_a_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (3 << 30, "3 GiB"),
            (5 << 40, "5120 GiB"),
        ] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
