// SPDX-License-Identifier: GPL-3.0-or-later
//! Boot information as it has to be, written by hand (Multiboot2, 3.6).

use super::facts::{APM, NAME, RSDP_NEW, RSDP_OLD};

/// Collects tags.
pub(crate) struct Expected(Vec<u8>);

impl Expected {
    pub(crate) fn new() -> Self {
        Self(vec![0; 8])
    }

    /// A tag: its numbers of 32 bits, then bytes.
    pub(crate) fn tag(mut self, kind: u32, words: &[u32], bytes: &[u8]) -> Self {
        let size = 8 + 4 * words.len() + bytes.len();
        for word in [kind, size as u32].iter().chain(words) {
            self.0.extend(word.to_le_bytes());
        }
        self.0.extend(bytes);
        let len = self.0.len().next_multiple_of(8);
        self.0.resize(len, 0);
        self
    }

    /// Load base, command line, loader name: what comes first.
    pub(crate) fn start(self, load_base: u32, command_line: &[u8]) -> Self {
        self.tag(21, &[load_base], &[])
            .tag(1, &[], command_line)
            .tag(2, &[], NAME)
    }

    pub(crate) fn apm(self) -> Self {
        self.tag(10, &[], &APM)
    }

    pub(crate) fn memory_map(self, map: &[u8]) -> Self {
        self.tag(6, &[24, 0], map)
    }

    /// Memory below and above 1 MiB, as the fake has it.
    pub(crate) fn basic_memory(self) -> Self {
        self.tag(4, &[639, 64512], &[])
    }

    pub(crate) fn acpi(self) -> Self {
        self.tag(14, &[], RSDP_OLD).tag(15, &[], RSDP_NEW)
    }

    /// The end tag and the total size.
    pub(crate) fn end(self) -> Vec<u8> {
        let mut bytes = self.tag(0, &[], &[]).0;
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes
    }
}

/// Types of the tags in their order, read by the kit.
pub(crate) fn kinds(information: &[u8]) -> Vec<u32> {
    let tags = mb2_testkit::dump::Tags::new(information).expect("boot information");
    tags.map(|tag| tag.expect("a tag").kind).collect()
}

/// The bytes of the first tag of a type.
pub(crate) fn find(information: &[u8], kind: u32) -> &[u8] {
    let mut tags = mb2_testkit::dump::Tags::new(information).expect("boot information");
    let tag = tags.find(|tag| tag.as_ref().is_ok_and(|tag| tag.kind == kind));
    tag.expect("the tag").expect("a tag").bytes
}
