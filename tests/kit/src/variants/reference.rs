// SPDX-License-Identifier: GPL-3.0-or-later
//! What a boot is compared with: GRUB's own module, which is not the same in
//! every version.

use super::Platform;

/// A version of GRUB, whose own module is the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32);

impl Version {
    /// The first that looks up counts in section 0, and so refuses an ELF file
    /// without a section table.
    pub const SECTION_TABLE_NEEDED: Self = Self(2, 12);

    /// The first whose heap asks the firmware for more when it is full.
    pub const HEAP_GROWS: Self = Self(2, 12);

    /// The first whose hand-over on 64-bit UEFI brings page tables of its own.
    pub const OWN_PAGE_TABLES: Self = Self(2, 14);

    /// Reads a version as in "2.06".
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// Where a boot happens.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The platform.
    pub platform: Platform,
    /// The version of GRUB.
    pub version: Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let read = |text| Version::parse(text).unwrap();
        assert!(read("2.06") < Version::SECTION_TABLE_NEEDED);
        assert!(read("2.12") >= Version::SECTION_TABLE_NEEDED);
        assert!(read("2.12") < Version::OWN_PAGE_TABLES);
        assert!(read("2.14") >= Version::OWN_PAGE_TABLES);
        assert_eq!(Version::parse("trixie"), None);
    }
}
