// SPDX-License-Identifier: GPL-3.0-or-later
//! The boots of the differential test.
//!
//! A [`Variant`] is everything that goes onto the boot medium, what is typed,
//! and what must come of it. Each theme has a file of its own.

mod bad;
mod bad_elf;
mod bad_flat;
mod bad_packed;
mod bad_place;
mod compressed;
mod console;
#[cfg(test)]
mod documents;
mod efi;
mod elf;
mod flat;
mod heavy;
mod judge;
mod linked;
mod memory;
mod modules;
mod network;
mod reference;
mod rounds;
mod script;
mod session;
mod sessions;
mod smbios;
mod tags;
mod trust;
mod unusual;

pub use judge::{Outcome, Run};
pub use reference::{Setting, Version};
pub use rounds::Rounds;
pub use script::{join_arguments, quote};
pub use session::{Says, Step};
pub use trust::{Measured, Signed, Signer, measured, signed};

use crate::bytes::fnv1a64;
use crate::dump::check::ExpectedModule;
use crate::dump::compare::Deviation;
use crate::error::Result;
use crate::kernel::{Expected, Kernel, KernelSpec};
use crate::payload::Payload;

/// Platforms, as GRUB names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// BIOS.
    I386Pc,
    /// 64-bit UEFI.
    X86_64Efi,
    /// 32-bit UEFI.
    I386Efi,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::I386Pc, Self::X86_64Efi, Self::I386Efi];
    /// Those with UEFI.
    pub const EFI: [Self; 2] = [Self::X86_64Efi, Self::I386Efi];

    /// GRUB's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::I386Pc => "i386-pc",
            Self::X86_64Efi => "x86_64-efi",
            Self::I386Efi => "i386-efi",
        }
    }
}

/// What must come of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It boots under both loaders, alike but for the named deviations.
    Boots {
        /// Known differences.
        deviations: Vec<Deviation>,
        /// The version of GRUB since which the reference does not boot it, and
        /// why.
        until: Option<(Version, Deviation)>,
    },
    /// It boots under the loader under test only.
    BootsOursOnly {
        /// The reason.
        deviation: Deviation,
    },
    /// Each step says what it has to, and the kernel that is loaded last boots.
    Session {
        /// The steps in the order of the script.
        steps: Vec<Step>,
        /// What is repeated and costs no memory.
        rounds: Vec<Rounds>,
    },
}

/// What the machine needs beside processor and firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Arguments for QEMU; the default is a machine without network.
    pub qemu_args: Vec<String>,
    /// Whether GRUB has to be started over the network on BIOS (where it gets
    /// at the network card through the boot firmware only).
    pub network: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            qemu_args: Vec::new(),
            network: false,
        }
    }
}

/// One boot.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Unique name: lower case, digits, hyphens.
    pub name: String,
    /// Where it applies.
    pub platforms: Vec<Platform>,
    /// Files for the root of the boot medium.
    pub files: Vec<(String, Vec<u8>)>,
    /// Lines of `grub.cfg`, `boot` included, without terminal set-up.
    pub script: Vec<String>,
    /// What must come of it.
    pub expectation: Expectation,
    /// The machine.
    pub machine: Machine,
    /// What the kernel that boots should report of its image.
    pub image: Expected,
    /// Its command line.
    pub cmdline: String,
    /// Its modules.
    pub modules: Vec<ExpectedModule>,
    /// Boot information tags without which the boot would prove nothing.
    pub tags: Vec<u32>,
}

impl Variant {
    /// Boots a kernel on all platforms, without arguments or modules.
    #[must_use]
    pub fn boots(name: &str, kernel: Kernel) -> Self {
        Self {
            name: name.to_owned(),
            platforms: Platform::ALL.to_vec(),
            files: vec![("kernel".to_owned(), kernel.bytes)],
            script: vec!["multiboot2 /kernel".to_owned(), "boot".to_owned()],
            expectation: Expectation::Boots {
                deviations: Vec::new(),
                until: None,
            },
            machine: Machine::default(),
            image: kernel.expected,
            cmdline: String::new(),
            modules: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// Builds a kernel and boots it.
    ///
    /// # Errors
    ///
    /// As [`KernelSpec::build`].
    pub fn of(name: &str, spec: &KernelSpec, payload: &Payload) -> Result<Self> {
        Ok(Self::boots(name, spec.build(payload)?))
    }

    /// Restricts it to some platforms.
    #[must_use]
    pub fn on(mut self, platforms: &[Platform]) -> Self {
        self.platforms = platforms.to_vec();
        self
    }

    /// Demands a boot information tag.
    #[must_use]
    pub fn shows(mut self, tag: u32) -> Self {
        self.tags.push(tag);
        self
    }

    /// Names a difference to expect.
    #[must_use]
    pub fn deviates(mut self, deviation: Deviation) -> Self {
        match &mut self.expectation {
            Expectation::Boots { deviations, .. } => deviations.push(deviation),
            Expectation::BootsOursOnly { .. } | Expectation::Session { .. } => {}
        }
        self
    }

    /// Says since when the reference cannot boot it.
    #[must_use]
    pub fn until(mut self, version: Version, why: Deviation) -> Self {
        match &mut self.expectation {
            Expectation::Boots { until, .. } => *until = Some((version, why)),
            Expectation::BootsOursOnly { .. } | Expectation::Session { .. } => {}
        }
        self
    }

    /// Says that the reference cannot boot it.
    #[must_use]
    pub fn ours_only(mut self, deviation: Deviation) -> Self {
        self.expectation = Expectation::BootsOursOnly { deviation };
        self
    }

    /// Passes arguments to the kernel.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        let line = format!("multiboot2 /kernel{}", script::typed(arguments));
        if let Some(old) = self
            .script
            .iter_mut()
            .find(|l| l.starts_with("multiboot2 "))
        {
            *old = line;
        }
        self.cmdline = join_arguments(arguments);
        self
    }

    /// Gives `multiboot2` an option, and the word behind the file that is none.
    #[must_use]
    pub fn option(self, option: &str) -> Self {
        let mut variant = self
            .arguments(&[option])
            .ours_only(Deviation::ReferenceFails);
        for line in &mut variant.script {
            *line = line.replace("multiboot2 /", &format!("multiboot2 {option} /"));
        }
        variant
    }

    /// Adds a module whose bytes arrive as they are stored.
    #[must_use]
    pub fn module(self, arguments: &[&str], bytes: Vec<u8>) -> Self {
        let arrives = (bytes.len(), fnv1a64(&bytes));
        self.add_module("module2", arguments, (bytes, arrives))
    }

    /// Adds a module that GRUB unpacks.
    #[must_use]
    pub fn packed_module(self, arguments: &[&str], packed: Vec<u8>, unpacked: &[u8]) -> Self {
        let arrives = (unpacked.len(), fnv1a64(unpacked));
        self.add_module("module2", arguments, (packed, arrives))
    }

    /// Adds a module that GRUB would unpack and is told not to.
    #[must_use]
    pub fn nounzip_module(self, arguments: &[&str], packed: Vec<u8>) -> Self {
        let arrives = (packed.len(), fnv1a64(&packed));
        self.add_module("module2 --nounzip", arguments, (packed, arrives))
    }

    /// Takes the stored bytes, and length and checksum of what arrives.
    fn add_module(
        mut self,
        command: &str,
        arguments: &[&str],
        (stored, (len, fnv)): (Vec<u8>, (usize, u64)),
    ) -> Self {
        let file = format!("module{}", self.modules.len());
        let line = format!("{command} /{file}{}", script::typed(arguments));
        let boot = self.script.iter().rposition(|line| line == "boot");
        self.script.insert(boot.unwrap_or(self.script.len()), line);
        self.files.push((file, stored));
        self.modules.push(ExpectedModule {
            len: len as u32,
            fnv,
            cmdline: join_arguments(arguments),
        });
        self
    }

    /// Whether it stands for others.
    #[must_use]
    pub fn is_representative(&self) -> bool {
        REPRESENTATIVE.contains(&self.name.as_str())
    }

    /// Adds a line in front of everything.
    #[must_use]
    pub fn before(mut self, line: &str) -> Self {
        self.script.insert(0, line.to_owned());
        self
    }
}

/// Boots that stand for the others: each kind of image, of placement, of entry and of boot
/// information once. Where there is no time for all, these are run.
pub const REPRESENTATIVE: [&str; 16] = [
    "elf32-fixed",
    "elf32-high-entry-tag",
    "elf32-symbols",
    "elf64-low",
    "elf64-high-half",
    "flat-lead-trail",
    "flat-relocatable-high",
    "arguments-special",
    "request-everything",
    "modules-3",
    "gz-kernel",
    "framebuffer-or-text",
    "elf64-efi64",
    "efi64-high",
    "boot-services-without-entry-efi",
    "refused-elf64",
];

/// The whole list.
///
/// # Errors
///
/// Only if an image description contradicts itself, which a test excludes.
pub fn all(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = Vec::new();
    for theme in [
        elf::variants,
        unusual::variants,
        linked::variants,
        flat::variants,
        tags::variants,
        console::variants,
        efi::variants,
        modules::variants,
        network::variants,
        smbios::variants,
        compressed::variants,
        bad::variants,
        bad_elf::variants,
        bad_place::variants,
        bad_flat::variants,
        bad_packed::variants,
        sessions::variants,
        memory::variants,
        heavy::variants,
    ] {
        list.extend(theme(payload)?);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::OnceLock;

    /// The whole list, made once.
    pub(super) fn list() -> &'static [Variant] {
        static LIST: OnceLock<Vec<Variant>> = OnceLock::new();
        LIST.get_or_init(|| all(&Payload::dummy()).unwrap())
    }

    #[test]
    fn names_are_unique_and_plain() {
        let list = list();
        let names: BTreeSet<_> = list.iter().map(|variant| &variant.name).collect();
        assert_eq!(names.len(), list.len());
        for name in names {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(plain), "{name}");
        }
    }

    #[test]
    fn representatives_exist_on_every_platform() {
        let list = all(&Payload::dummy()).unwrap();
        for name in REPRESENTATIVE {
            assert!(list.iter().any(|variant| variant.name == name), "{name}");
        }
        for platform in Platform::ALL {
            let here = list
                .iter()
                .filter(|v| v.is_representative() && v.platforms.contains(&platform));
            assert!(here.count() >= 12, "{}", platform.name());
        }
    }

    #[test]
    fn steps_of_a_session_are_unique() {
        for variant in list() {
            if let Expectation::Session { steps, rounds } = &variant.expectation {
                let names: BTreeSet<_> = steps.iter().map(|step| &step.name).collect();
                assert_eq!(names.len(), steps.len(), "{}", variant.name);
                let names: BTreeSet<_> = rounds.iter().map(|r| &r.name).collect();
                assert_eq!(names.len(), rounds.len(), "{}", variant.name);
            }
        }
    }

    #[test]
    fn scripts_end_with_boot_and_name_files_that_exist() {
        for variant in list() {
            assert_eq!(variant.script.last().map(String::as_str), Some("boot"));
            let files: BTreeSet<_> = variant.files.iter().map(|(name, _)| name).collect();
            assert_eq!(files.len(), variant.files.len(), "{}", variant.name);
            for line in &variant.script {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                let ours = |word: &str| ["multiboot2", "module2"].contains(&word);
                for (index, _) in words.iter().enumerate().filter(|(_, word)| ours(word)) {
                    let file = words[index + 1..]
                        .iter()
                        .find(|word| !word.starts_with("--"));
                    let file = file.and_then(|word| word.strip_prefix('/'));
                    let Some(file) = file.map(|word| word.trim_end_matches(';')) else {
                        continue;
                    };
                    let there = files.contains(&file.to_owned());
                    assert_eq!(there, file != "missing", "{}: {line}", variant.name);
                }
            }
        }
    }
}
