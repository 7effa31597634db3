// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's platforms, as far as this repository builds and boots them.

use clap::ValueEnum;

/// A platform that the module is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Platform {
    /// PC with BIOS.
    #[value(name = "i386-pc")]
    I386Pc,
    /// 64-bit UEFI.
    #[value(name = "x86_64-efi")]
    X86_64Efi,
    /// 32-bit UEFI.
    #[value(name = "i386-efi")]
    I386Efi,
}

/// A processor family: everything that the Rust half of the module depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cpu {
    /// 32 bit, i386 and later.
    I386,
    /// 64 bit.
    X86_64,
}

impl Platform {
    /// All platforms, the order in which tables print them.
    pub(crate) const ALL: [Self; 3] = [Self::I386Pc, Self::X86_64Efi, Self::I386Efi];

    /// Returns the platforms that were asked for, or all when none was.
    pub(crate) fn or_all(asked: &[Self]) -> Vec<Self> {
        if asked.is_empty() {
            Self::ALL.to_vec()
        } else {
            asked.to_vec()
        }
    }

    /// GRUB's name of the platform, which is also the name of its module folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::I386Pc => "i386-pc",
            Self::X86_64Efi => "x86_64-efi",
            Self::I386Efi => "i386-efi",
        }
    }

    /// Finds the platform with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// What `configure --with-platform` and the module verifier call the firmware.
    pub(crate) fn firmware(self) -> &'static str {
        if self.is_efi() { "efi" } else { "pc" }
    }

    /// Processor family.
    pub(crate) fn cpu(self) -> Cpu {
        match self {
            Self::I386Pc | Self::I386Efi => Cpu::I386,
            Self::X86_64Efi => Cpu::X86_64,
        }
    }

    /// Says whether the firmware is UEFI.
    pub(crate) fn is_efi(self) -> bool {
        !matches!(self, Self::I386Pc)
    }

    /// Debian's name of the platform, in the names of GRUB's packages.
    pub(crate) fn debian_name(self) -> &'static str {
        self.stock_package().trim_end_matches("-bin")
    }

    /// Debian's package with the stock modules of this platform.
    pub(crate) fn stock_package(self) -> &'static str {
        match self {
            Self::I386Pc => "grub-pc-bin",
            Self::X86_64Efi => "grub-efi-amd64-bin",
            Self::I386Efi => "grub-efi-ia32-bin",
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Cpu {
    /// GRUB's name, as in `configure --target`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::I386 => "i386",
            Self::X86_64 => "x86_64",
        }
    }

    /// What GNU ld calls the output format.
    pub(crate) fn emulation(self) -> &'static str {
        match self {
            Self::I386 => "elf_i386",
            Self::X86_64 => "elf_x86_64",
        }
    }

    /// Name of our target description, without its ending; also cargo's output folder.
    pub(crate) fn rust_target(self) -> &'static str {
        match self {
            Self::I386 => "i386-grub",
            Self::X86_64 => "x86_64-grub",
        }
    }

    /// The target that libclang has to assume when it reads GRUB's headers.
    pub(crate) fn clang_target(self) -> &'static str {
        match self {
            Self::I386 => "i386-unknown-none-elf",
            Self::X86_64 => "x86_64-unknown-none-elf",
        }
    }
}
