// SPDX-License-Identifier: GPL-3.0-or-later
//! What our module is made to load while calls fail: a kernel of each kind.

use anyhow::Result;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Relocatable, Tag};
use mb2_testkit::image::{Class, FlatBuilder, ImageBuilder, Section, Segment};

use super::job::{Args, Job, Machine, Step, Stored, fact};
use crate::platform::Platform;

/// Where the plain machine's kernels are linked, and the other's.
const BASE: u32 = 0x20_0000;
const DIRECT_BASE: u32 = 0x1020_0000;

/// A kernel and its machine.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    machine: Machine,
    kernel: Vec<u8>,
}

/// What is done with a load: a name, what comes before, and the work itself.
pub(crate) type Work = (&'static str, Vec<Step>, Vec<Step>);

/// Two segments with a gap, and sections that no segment holds.
fn elf(class: Class, base: u32, header: HeaderBuilder) -> Result<Vec<u8>> {
    let mut first = noise(7, 0x1808);
    let header = header.build();
    first[..header.len()].copy_from_slice(&header);
    let base = u64::from(base);
    let mut image = ImageBuilder::new(class)
        .segment(Segment::load(base, first).mem_len(0x2400))
        .segment(Segment::load(base + 0x4000, noise(8, 0x855)).mem_len(0x1003))
        .section(Section::loose(".symtab", noise(11, 720)).align(8))
        .section(Section::nobits(".later", 0, 0x40_0000))
        .section(Section::loose(".debug", noise(13, 5000)).align(64));
    image.entry = base + 0x1010;
    image.numbering.names = true;
    Ok(image.build()?.bytes)
}

/// A kernel of each kind for a platform.
///
/// # Errors
///
/// If a kernel cannot be made.
pub(crate) fn loads(platform: Platform) -> Result<Vec<Load>> {
    let movable = |preference| {
        Tag::Relocatable(Relocatable {
            min: 0x10_0000,
            max: u32::MAX,
            align: 0x1000,
            preference,
        })
    };
    let plain = HeaderBuilder::new().tag(Tag::ModuleAlignment);
    let framebuffer = plain.clone().tag(Tag::Framebuffer(1024, 768, 32));
    let mut flat = FlatBuilder::new(plain.clone().tag(Tag::Entry(BASE + 0x400)), BASE)
        .part(0, noise(9, 0xa345));
    flat.mem_len = Some(0x1_0000);
    let mut far =
        ImageBuilder::new(Class::Elf64).segment(Segment::load(BASE.into(), plain.build()));
    far.entry = BASE.into();
    far.phdr_at = Some(0x1_8000);
    let mut graphics = Machine::plain(platform);
    graphics.facts |= fact::SCREEN | fact::PALETTE | fact::VBE | fact::VBE_MODE;
    let mut loads = vec![
        Load {
            name: "fixed ELF32",
            machine: Machine::plain(platform),
            kernel: elf(Class::Elf32, BASE, plain.clone())?,
        },
        Load {
            name: "movable ELF64 with a screen",
            machine: graphics,
            kernel: elf(Class::Elf64, BASE, framebuffer.tag(movable(2)))?,
        },
        Load {
            name: "movable ELF32 that stays",
            machine: Machine::direct(platform),
            kernel: elf(Class::Elf32, BASE, plain.clone().tag(movable(1)))?,
        },
        Load {
            name: "flat file",
            machine: Machine::plain(platform),
            kernel: flat.build(),
        },
        Load {
            name: "tables far behind",
            machine: Machine::plain(platform),
            kernel: far.build()?.bytes,
        },
    ];
    if platform.is_efi() {
        let keeping = plain
            .tag(Tag::EfiBootServices)
            .tag(Tag::EntryEfi32(DIRECT_BASE + 0x1018))
            .tag(Tag::EntryEfi64(DIRECT_BASE + 0x1020));
        loads.push(Load {
            name: "beside boot services",
            machine: Machine::direct(platform),
            kernel: elf(Class::Elf64, DIRECT_BASE, keeping)?,
        });
    }
    Ok(loads)
}

impl Load {
    /// A run with this kernel, two modules and a file that is none.
    pub(crate) fn job(&self, steps: Vec<Step>) -> Job {
        let files = [
            ("/kernel", self.kernel.clone()),
            ("/module", noise(1, 5000)),
            ("/empty", Vec::new()),
            ("/bad", noise(2, 5000)),
        ];
        Job {
            files: files.map(|(name, bytes)| Stored::new(name, bytes)).into(),
            steps,
            ..Job::new(&self.machine)
        }
    }
}

/// The command `multiboot2`.
pub(crate) fn multiboot2(args: &[&str]) -> Step {
    Step::Multiboot2(Args::new(args))
}

/// The command `module2`.
pub(crate) fn module2(args: &[&str]) -> Step {
    Step::Module2(Args::new(args))
}

/// The kernel with a line.
pub(crate) fn load() -> Step {
    multiboot2(&["/kernel", "a", "b c", "d\"e\\"])
}

/// What is done with each load while calls fail; `all` adds what takes long and is the same for
/// each kernel.
pub(crate) fn works(all: bool) -> Vec<Work> {
    let module = || module2(&["/module", "x"]);
    let stored = || module2(&["--nounzip", "/empty"]);
    let mut works = vec![
        ("multiboot2", vec![], vec![load()]),
        ("multiboot2 again", vec![load(), module()], vec![load()]),
        ("module2", vec![load()], vec![module()]),
        ("module2 --nounzip", vec![load()], vec![stored()]),
        ("boot", vec![load(), module()], vec![Step::Boot]),
    ];
    if all {
        // So many that lists have to grow.
        works.push(("many modules", vec![load()], vec![module(); 40]));
    }
    works
}
