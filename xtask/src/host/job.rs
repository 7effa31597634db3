// SPDX-License-Identifier: GPL-3.0-or-later
//! What a module is made to do in one run, as tests/fake/player.c reads it.

use std::sync::Arc;

/// Facts of the machine, as tests/fake/fake.h numbers them.
pub(crate) mod fact {
    /// ACPI's old root pointer.
    pub(crate) const ACPI_OLD: u32 = 0x1;
    /// ACPI's new root pointer.
    pub(crate) const ACPI_NEW: u32 = 0x2;
    /// A network card with an address.
    pub(crate) const NETWORK: u32 = 0x4;
    /// An APM BIOS.
    pub(crate) const APM: u32 = 0x8;
    /// The root device is a disk of the BIOS.
    pub(crate) const DISK: u32 = 0x10;
    /// The root device is a partition of it.
    pub(crate) const PARTITION: u32 = 0x20;
    /// The root device is a partition of a partition.
    pub(crate) const NESTED_PARTITION: u32 = 0x40;
    /// A screen driver is active.
    pub(crate) const SCREEN: u32 = 0x80;
    /// The screen has a palette.
    pub(crate) const PALETTE: u32 = 0x100;
    /// VBE answers.
    pub(crate) const VBE: u32 = 0x200;
    /// VBE is in a graphics mode.
    pub(crate) const VBE_MODE: u32 = 0x400;
    /// VBE has a protected-mode interface.
    pub(crate) const VBE_INTERFACE: u32 = 0x800;
    /// Free memory can be used where it is.
    pub(crate) const DIRECT: u32 = 0x1000;
}

/// Where memory lies that can be used where it is; the end is not inside.
pub(crate) const DIRECT: (u64, u64) = (0x1000_0000, 0x1100_0000);

/// Types of memory: GRUB's, and the fake's own for boot services.
pub(crate) const FREE: u32 = 1;
pub(crate) const RESERVED: u32 = 2;
pub(crate) const NVS: u32 = 4;
pub(crate) const SERVICES: u32 = 0xb5;

/// The machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// Start, end (not inside) and type, in order and apart.
    pub(crate) ranges: Vec<(u64, u64, u32)>,
    /// Of [`fact`].
    pub(crate) facts: u32,
    /// Where the relocator puts what it should have put into a window.
    pub(crate) misplaced: Option<u32>,
    /// How often the firmware's map grows while services end.
    pub(crate) efi_map_grows: u32,
}

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) bytes: Arc<[u8]>,
    /// The file system does not tell its size.
    pub(crate) unsized_file: bool,
    /// Reading ends here, whatever the size says.
    pub(crate) readable: usize,
}

impl Stored {
    /// An ordinary file.
    pub(crate) fn new(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.to_owned(),
            readable: bytes.len(),
            bytes,
            unsized_file: false,
        }
    }
}

/// The arguments of a command, as odd as C can hand them over.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// How many there are said to be.
    pub(crate) argc: i32,
    /// The array, or NULL, of strings, or NULL.
    pub(crate) argv: Option<Vec<Option<String>>>,
}

impl Args {
    /// Ordinary ones.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self {
            argc: i32::try_from(args.len()).unwrap_or(i32::MAX),
            argv: Some(args.iter().map(|arg| Some((*arg).to_owned())).collect()),
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The command `multiboot2`.
    Multiboot2(Args),
    /// The command `module2`.
    Module2(Args),
    /// The command `boot`.
    Boot,
    /// Another loader takes over.
    Unload,
    /// Calls are counted, and fail, from here on.
    Arm,
    /// And no longer.
    Disarm,
    /// The module is removed.
    Remove,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What stands in memory that nobody has written.
    pub(crate) fill: u8,
    /// Time of a processor that it gets, in milliseconds.
    pub(crate) limit: u32,
    /// The number of the counted call that fails.
    pub(crate) fail_at: Option<u32>,
    /// Reading fails in silence.
    pub(crate) fail_short: bool,
    pub(crate) machine: Machine,
    pub(crate) files: Vec<Stored>,
    pub(crate) steps: Vec<Step>,
}

impl Job {
    /// A run on a machine.
    pub(crate) fn new(machine: &Machine) -> Self {
        Self {
            fill: 0xa5,
            limit: 5000,
            fail_at: None,
            fail_short: false,
            machine: machine.clone(),
            files: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Writes it down for the player.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out(Vec::new());
        let machine = &self.machine;
        out.number(self.fill.into());
        out.number(self.limit);
        out.number(self.fail_at.unwrap_or(u32::MAX));
        out.number(self.fail_short.into());
        out.number(machine.facts);
        out.number(machine.misplaced.unwrap_or(0));
        out.number(machine.efi_map_grows);
        out.length(machine.ranges.len());
        for (start, end, kind) in &machine.ranges {
            out.0.extend(start.to_le_bytes());
            out.0.extend(end.to_le_bytes());
            out.number(*kind);
        }
        out.length(self.files.len());
        for file in &self.files {
            out.text(file.name.as_bytes());
            out.number(file.unsized_file.into());
            out.length(file.readable);
            out.text(&file.bytes);
        }
        out.length(self.steps.len());
        for step in &self.steps {
            out.step(step);
        }
        out.0
    }
}

struct Out(Vec<u8>);

impl Out {
    fn number(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// A length; -1 is NULL's.
    fn length(&mut self, len: usize) {
        self.number(u32::try_from(len).unwrap_or(u32::MAX - 1));
    }

    fn text(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    fn step(&mut self, step: &Step) {
        let (number, args) = match step {
            Step::Multiboot2(args) => (0, Some(args)),
            Step::Module2(args) => (1, Some(args)),
            Step::Boot => (2, None),
            Step::Unload => (3, None),
            Step::Arm => (4, None),
            Step::Disarm => (5, None),
            Step::Remove => (6, None),
        };
        self.number(number);
        let Some(args) = args else { return };
        self.0.extend(args.argc.to_le_bytes());
        let Some(argv) = &args.argv else {
            return self.number(u32::MAX);
        };
        self.length(argv.len());
        for arg in argv {
            match arg {
                Some(text) => self.text(text.as_bytes()),
                None => self.number(u32::MAX),
            }
        }
    }
}
