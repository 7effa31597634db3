// SPDX-License-Identifier: GPL-3.0-or-later
//! README's table of what works: made from a whole run of the machines, and compared with it.

use crate::platform::Platform;
use crate::readme::Part;

/// Where the table stands.
pub(crate) const PART: Part = Part::readme("table");

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Executables of both classes, fixed and movable.
    Elf,
    /// Images that say in their header where they go.
    Flat,
    /// Requests and other tags in the header of an image.
    Tags,
    /// Text consoles and framebuffers.
    Console,
    /// Modules and their command lines.
    Modules,
    /// Packed kernels and modules.
    Compressed,
    /// Kernels that take over from the firmware themselves.
    BootServices,
    /// What a network boot leaves behind.
    Network,
    /// Images that must not be booted.
    Refused,
    /// Commands that fail between others that do not, and memory before and after.
    Sessions,
    /// Debian's Xen as far as its banner.
    Xen,
    /// Debian's Xen as far as a process in its dom0.
    Dom0,
    /// What fits nowhere else.
    Other,
}

impl Group {
    const ALL: [Self; 13] = [
        Self::Elf,
        Self::Flat,
        Self::Tags,
        Self::Console,
        Self::Modules,
        Self::Compressed,
        Self::BootServices,
        Self::Network,
        Self::Refused,
        Self::Sessions,
        Self::Xen,
        Self::Dom0,
        Self::Other,
    ];

    /// What the table calls it.
    fn title(self) -> &'static str {
        match self {
            Self::Elf => "ELF images, fixed and relocatable",
            Self::Flat => "Flat images (address tag)",
            Self::Tags => "Header tags and command lines",
            Self::Console => "Console and framebuffer",
            Self::Modules => "Modules",
            Self::Compressed => "Compressed kernels and modules",
            Self::BootServices => "UEFI boot services and entries",
            Self::Network => "Network boot information",
            Self::Refused => "Refused images, in lists",
            Self::Sessions => "Sessions, and memory after them",
            Self::Xen => "Xen starts",
            Self::Dom0 => "Xen boots its Linux dom0",
            Self::Other => "Other",
        }
    }

    /// The group of a variant of the differential test; names begin with their theme.
    pub(crate) fn of_variant(name: &str) -> Self {
        // Whole words in front of the themes that would claim them.
        let themes: &[(Self, &[&str])] = &[
            (Self::Tags, &["entry-tag-twice", "module-alignment"]),
            (
                Self::BootServices,
                &["efi32", "efi64", "boot-services", "flat-efi32"],
            ),
            (Self::Refused, &["refused"]),
            (Self::Sessions, &["session-", "memory-"]),
            (Self::Compressed, &["gz-", "lzo-", "xz-", "zst-", "zstd-"]),
            (Self::Elf, &["elf32-", "elf64-"]),
            (Self::Flat, &["flat-"]),
            (Self::Console, &["console-", "framebuffer-"]),
            (Self::Modules, &["module-", "modules-", "second-kernel"]),
            (Self::Network, &["network"]),
            (
                Self::Tags,
                &["arguments", "many-tags", "request-", "smbios-", "unknown-"],
            ),
        ];
        if name.ends_with("-efi64") {
            return Self::BootServices;
        }
        let found = themes
            .iter()
            .find(|(_, starts)| starts.iter().any(|start| name.starts_with(start)));
        found.map_or(Self::Other, |(group, _)| *group)
    }
}

/// One test that has run, as far as the table wants to know.
#[derive(Clone, Copy)]
pub(crate) struct Ran {
    /// Its line.
    pub(crate) group: Group,
    /// Its column.
    pub(crate) platform: Platform,
    /// Whether it passed.
    pub(crate) passed: bool,
}

/// Makes the table.
pub(crate) fn render(ran: &[Ran]) -> String {
    let mut text = String::from("| Passed of run |");
    for platform in Platform::ALL {
        text.push_str(&format!(" {platform} |"));
    }
    text.push_str("\n|---|---|---|---|\n");
    for group in Group::ALL {
        let of_group: Vec<&Ran> = ran.iter().filter(|one| one.group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        text.push_str(&format!("| {} |", group.title()));
        for platform in Platform::ALL {
            let here = of_group.iter().filter(|one| one.platform == platform);
            let (all, passed) = (here.clone().count(), here.filter(|one| one.passed).count());
            match all {
                0 => text.push_str(" – |"),
                _ => text.push_str(&format!(" {passed} of {all} |")),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(group: Group, platform: Platform, passed: bool) -> Ran {
        Ran {
            group,
            platform,
            passed,
        }
    }

    #[test]
    fn variants_fall_into_the_group_of_their_theme() {
        for (name, group) in [
            ("elf32-narrow-entry-tag", Group::Elf),
            ("elf64-efi64", Group::BootServices),
            ("efi64-entry-elsewhere", Group::BootServices),
            ("flat-efi64", Group::BootServices),
            ("flat-efi32", Group::BootServices),
            ("session-low-memory-efi32", Group::Sessions),
            ("flat-lead-trail", Group::Flat),
            ("gz-modules", Group::Compressed),
            ("entry-tag-twice", Group::Tags),
            ("smbios-beside-services", Group::Tags),
            ("module-alignment", Group::Tags),
            ("module-empty", Group::Modules),
            ("modules-50", Group::Modules),
            ("framebuffer-800x600x16", Group::Console),
            ("refused-flat", Group::Refused),
            ("memory-refused", Group::Sessions),
            ("network", Group::Network),
            ("something-new", Group::Other),
        ] {
            assert_eq!(Group::of_variant(name), group, "{name}");
        }
    }

    #[test]
    fn cells_count_what_passed_of_what_ran() {
        let pc = Platform::I386Pc;
        let text = render(&[
            ran(Group::Flat, pc, true),
            ran(Group::Elf, pc, true),
            ran(Group::Elf, pc, false),
            ran(Group::Elf, Platform::I386Efi, true),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "| Passed of run | i386-pc | x86_64-efi | i386-efi |"
        );
        assert!(lines[2].ends_with("| 1 of 2 | – | 1 of 1 |"), "{text}");
        assert!(lines[3].ends_with("| 1 of 1 | – | – |"), "{text}");
        assert_eq!(lines.len(), 4);
    }
}
