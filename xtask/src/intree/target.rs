// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's platforms that have the module multiboot2, and what becomes of each.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::platform::Platform;

/// A platform of GRUB that has the module multiboot2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target(&'static str);

/// How a core image of a platform is started in a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// From an ISO, by the firmware of one of the platforms that have drop-ins.
    Firmware(Platform),
    /// By another GRUB, as a Multiboot kernel.
    Multiboot,
    /// As the firmware itself.
    Rom,
    /// Not at all: it is built and examined.
    Nowhere,
}

impl Target {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 11] = [
        Self("i386-pc"),
        Self("x86_64-efi"),
        Self("i386-efi"),
        Self("i386-multiboot"),
        Self("i386-qemu"),
        Self("i386-coreboot"),
        Self("i386-xen_pvh"),
        Self("i386-ieee1275"),
        Self("mipsel-qemu_mips"),
        Self("mipsel-loongson"),
        Self("mips-arc"),
    ];

    /// Reads a name on the command line.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        PossibleValuesParser::new(Self::ALL.map(Self::name))
            .map(|name| Self::ALL.into_iter().find(|one| one.0 == name))
            .map(|found| found.unwrap_or(Self::ALL[0]))
    }

    /// GRUB's name.
    pub(crate) fn name(self) -> &'static str {
        self.0
    }

    fn parts(self) -> (&'static str, &'static str) {
        self.0.split_once('-').unwrap_or((self.0, ""))
    }

    /// What `configure --with-platform` calls it.
    pub(crate) fn firmware(self) -> &'static str {
        self.parts().1
    }

    /// What `configure --target` calls its processor; for a foreign one this is also the name
    /// of the compiler.
    pub(crate) fn cpu(self) -> &'static str {
        match self.parts().0 {
            "mips" => "mips-linux-gnu",
            "mipsel" => "mipsel-linux-gnu",
            own => own,
        }
    }

    /// Whether the compiler of this machine makes no code for it.
    pub(crate) fn is_foreign(self) -> bool {
        self.cpu().contains("-linux-")
    }

    /// Whether the module is ours there. On MIPS it is GRUB's: see `docs/grub-builders.md`.
    pub(crate) fn has_ours(self) -> bool {
        !self.is_foreign()
    }

    /// Whether its kernel brings its own font, which configure then demands.
    pub(crate) fn needs_font(self) -> bool {
        ["qemu", "coreboot", "qemu_mips", "loongson"].contains(&self.firmware())
    }

    /// How it is started.
    pub(crate) fn start(self) -> Start {
        match self.0 {
            "i386-multiboot" => Start::Multiboot,
            "i386-qemu" => Start::Rom,
            name => Platform::from_name(name).map_or(Start::Nowhere, Start::Firmware),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_configure_wants_them() {
        let parts = |name| {
            let one = Target::ALL.into_iter().find(|t| t.name() == name).unwrap();
            (one.cpu(), one.firmware(), one.has_ours())
        };
        assert_eq!(parts("x86_64-efi"), ("x86_64", "efi", true));
        assert_eq!(parts("i386-xen_pvh"), ("i386", "xen_pvh", true));
        assert_eq!(parts("mips-arc"), ("mips-linux-gnu", "arc", false));
    }

    #[test]
    fn every_platform_with_a_drop_in_is_one() {
        for platform in Platform::ALL {
            let found = Target::ALL
                .into_iter()
                .find(|t| t.name() == platform.name());
            assert_eq!(found.unwrap().start(), Start::Firmware(platform));
        }
    }
}
