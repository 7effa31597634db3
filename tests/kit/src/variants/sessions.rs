// SPDX-License-Identifier: GPL-3.0-or-later
//! Commands one after another: what each leaves for the next.

use super::bad_packed::{cut, damaged, sized};
use super::rounds::Rounds;
use super::session::{ACCEPTED, NO_KERNEL, REFUSED, Says, Session, tried};
use super::{Platform, Variant};
use crate::bytes::noise;
use crate::compress::{gzip, lzop, xz};
use crate::error::Result;
use crate::header::Relocatable;
use crate::image::{Class, Segment};
use crate::kernel::{BASE, Flat, KernelSpec};
use crate::payload::Payload;

const FILTERS: [&str; 3] = ["insmod gzio", "insmod xzio", "insmod lzopio"];
const NO_HEADER: &str = "no multiboot header found";
const NOT_FOUND: &str = "file `/missing' not found";
const NO_NAME: &str = "filename expected";
const FORBIDDEN: &str = "the probe forbids this line";
const ABOVE_MEMORY: &str = "/half.gz: no free memory for 0x30000000 bytes in 0x1000-0xffffffff";
const NO_ROOM: &str = "no free memory for 0x";

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let mut list = vec![
        kernels(payload)?,
        modules(payload)?,
        other_loaders(payload)?,
        unpinned(payload)?,
        root_device(payload)?,
        boot_returns(payload)?,
        check(payload)?,
    ];
    list.extend(low_memory(payload)?);
    Ok(list)
}

/// Another kernel than the one that boots at the end.
fn other(payload: &Payload) -> Result<Vec<u8>> {
    let spec = KernelSpec {
        sections: true,
        base: BASE + 0x80_0000,
        ..KernelSpec::elf(Class::Elf64)
    };
    Ok(spec.build(payload)?.bytes)
}

/// Good kernels and bad ones take turns.
fn kernels(payload: &Payload) -> Result<Variant> {
    let kernel = Variant::of("session-kernels", &KernelSpec::elf(Class::Elf32), payload)?;
    let flat = KernelSpec::flat(Flat::default()).build(payload)?.bytes;
    let session = Session::of(
        kernel
            .arguments(&["last"])
            .module(&["kept"], noise(81, 500)),
    )
    .file("other", other(payload)?)
    .file("flat", flat)
    .file("noise", noise(82, 40_000))
    .file("gone", noise(83, 7000));
    let session = session
        .step("boot-first", &["boot"], &[NO_KERNEL])
        .fails(
            "module-first",
            "module2 /gone",
            "you need to load the kernel first",
        )
        .fails("no-name", "multiboot2", NO_NAME)
        .fails("missing", "multiboot2 /missing", NOT_FOUND)
        .works("good", "multiboot2 /other first")
        .works("its-module", "module2 /gone first")
        .fails("bad-after-good", "multiboot2 /noise", NO_HEADER)
        .step("nothing-left", &["boot"], &[NO_KERNEL])
        .fails(
            "no-module-either",
            "module2 /gone",
            "you need to load the kernel first",
        )
        .works("good-again", "multiboot2 /other again")
        .fails("missing-after-good", "multiboot2 /missing", NOT_FOUND)
        .step("again-nothing-left", &["boot"], &[NO_KERNEL])
        .works("flat", "multiboot2 /flat flat")
        .works("flat-module", "module2 /gone flat")
        .works("elf-after-flat", "multiboot2 /other elf")
        .fails("no-name-after-good", "multiboot2", NO_NAME)
        .step("really-nothing-left", &["boot"], &[NO_KERNEL])
        .works("flat-again", "multiboot2 /flat")
        .fails("forbidden", "multiboot2 /other forbidden", FORBIDDEN)
        .step("forbidden-leaves-nothing", &["boot"], &[NO_KERNEL])
        .works("before-last", "multiboot2 /flat");
    Ok(session.finish())
}

/// Modules that fail between others that load.
fn modules(payload: &Payload) -> Result<Variant> {
    let variant = Variant::of("session-modules", &KernelSpec::elf(Class::Elf64), payload)?;
    let mut packed = noise(91, 100_000);
    packed.resize(300_000, 0x5a);
    let (first, last) = (noise(92, 5000), noise(93, 100_001));
    let mut session =
        Session::of(variant.module(&["first"], first).module(&["last"], last)).commands(&FILTERS);
    // The kernel and its first module, then what fails, then the rest.
    session = session.begins(2);
    for (name, file) in [
        ("cut.xz", cut(xz(&packed)?)),
        ("damaged.xz", damaged(xz(&packed)?)),
        ("damaged.lzo", damaged(lzop(&packed))),
        ("half.gz", sized(gzip(&packed)?, 0x3000_0000)),
        ("large.gz", sized(gzip(&packed)?, u32::MAX)),
    ] {
        session = session.file(name, file);
    }
    let session = session
        .fails("missing", "module2 /missing middle", NOT_FOUND)
        .fails("no-name", "module2", NO_NAME)
        .fails("no-name-but-option", "module2 --nounzip", NO_NAME)
        .fails(
            "damaged-xz",
            "module2 /damaged.xz middle",
            "xz file corrupted or unsupported block options",
        )
        .fails(
            "damaged-lzo",
            "module2 /damaged.lzo middle",
            "lzop file corrupted",
        )
        .fails("above-memory", "module2 /half.gz middle", ABOVE_MEMORY)
        .fails("near-4gib", "module2 /large.gz middle", NO_ROOM)
        .fails("forbidden", "module2 /module0 forbidden", FORBIDDEN);
    Ok(session.finish())
}

/// Commands of other loaders drop our kernel, or leave it alone.
fn other_loaders(payload: &Payload) -> Result<Variant> {
    let session = Session::new("session-other-loaders", payload)?
        .file("other", other(payload)?)
        .file("noise", noise(84, 40_000))
        .works("kernel", "multiboot2 /other")
        .fails("multiboot-drops-it", "multiboot /noise", NO_HEADER)
        .step("dropped", &["boot"], &[NO_KERNEL])
        .works("kernel-again", "multiboot2 /other")
        .fails("linux-fails", "linux /noise", "invalid magic number")
        .works("module-all-the-same", "module2 /noise after linux");
    Ok(session.finish())
}

/// A module that failed to load a kernel is not in use: it goes and returns.
fn unpinned(payload: &Payload) -> Result<Variant> {
    let again = "insmod /multiboot2.mod";
    let session = Session::new("session-unpinned", payload)?
        .file("noise", noise(85, 40_000))
        .fails("bad", "multiboot2 /noise", NO_HEADER)
        .works("gone-after-bad", "rmmod multiboot2")
        .commands(&[again])
        .works("good", "multiboot2 /kernel")
        .fails(
            "in-use",
            "rmmod multiboot2",
            "cannot unload referenced module",
        )
        .fails("bad-after-good", "multiboot2 /noise", NO_HEADER)
        .works("gone-after-good", "rmmod multiboot2")
        .commands(&[again])
        .fails("forbidden", "multiboot2 /kernel forbidden", FORBIDDEN)
        .works("gone-after-forbidden", "rmmod multiboot2")
        .commands(&[again]);
    Ok(session.finish())
}

/// On a BIOS the root device has to open, since the kernel is told about it.
fn root_device(payload: &Payload) -> Result<Variant> {
    let session = Session::new("session-root-device", payload)?
        .commands(&["set root=hd7"])
        .fails(
            "no-such-root",
            "multiboot2 (hd0)/kernel",
            "hd7 cannot get C/H/S values",
        )
        .step("nothing-left", &["boot"], &[NO_KERNEL])
        .commands(&["set root=hd0"]);
    Ok(session.finish().on(&[Platform::I386Pc]))
}

/// `boot` returns when the heap is full; the kernel stays loaded and boots
/// when there is room again.
fn boot_returns(payload: &Payload) -> Result<Variant> {
    let kernel = Variant::of(
        "session-boot-returns",
        &KernelSpec::elf(Class::Elf64),
        payload,
    )?;
    let returns = format!("probe_hold; {}; probe_release", tried("boot"));
    let says = [Says::Error("out of memory"), REFUSED];
    let kernel = kernel.module(&["before"], noise(86, 3000));
    let session = Session::of(kernel.module(&["after"], noise(87, 3000)))
        .begins(2)
        .step("returns", &[&returns], &says)
        .step("returns-again", &[&returns], &says);
    Ok(session.finish())
}

/// A check says where everything would go, costs nothing, and leaves a loaded
/// kernel and its module alone.
fn check(payload: &Payload) -> Result<Variant> {
    let kernel = Variant::of("session-check", &KernelSpec::elf(Class::Elf32), payload)?;
    let kernel = kernel
        .arguments(&["last"])
        .module(&["kept"], noise(89, 5000));
    let movable = KernelSpec {
        relocatable: Some(Relocatable {
            min: 0x20_0000,
            max: u32::MAX,
            align: 0x1000,
            preference: 2,
        }),
        sections: true,
        ..KernelSpec::elf(Class::Elf64)
    };
    let flat = KernelSpec::flat(Flat::default()).build(payload)?.bytes;
    let mut session = Session::of(kernel)
        .begins(2)
        .file("movable", movable.build(payload)?.bytes)
        .file("flat", flat)
        .file("noise", noise(82, 40_000));
    let says = |texts: &[&'static str]| {
        let texts = texts.iter().map(|text| Says::Text(text));
        texts.chain([ACCEPTED]).collect::<Vec<_>>()
    };
    for (name, command, texts) in [
        (
            "movable",
            "multiboot2 --check /movable a",
            &[
                "header at 0x",
                "relocatable: min 0x200000, max 0xffffffff, align 0x1000, preference 2",
                "the highest free address",
                "segment 0: file 0x",
                "entry at 0x",
                "sections: ",
                "relocations: 0, from 0x",
                "no fault found",
            ][..],
        ),
        (
            "flat",
            "multiboot2 --check --no-elf-relocs /flat",
            &[
                "address: header 0x",
                "not relocatable: stays at 0x",
                "no fault",
            ],
        ),
    ] {
        session = session.step(name, &[&tried(command)], &says(texts));
    }
    session = session
        .fails("noise", "multiboot2 --check /noise", NO_HEADER)
        .fails("no-name", "multiboot2 --check", NO_NAME);
    for (name, searches) in [("movable", 1), ("flat", 1), ("noise", 0)] {
        let rounds = Rounds {
            searches,
            ..Rounds::twenty(name, 0, 0)
        };
        session = session.rounds(rounds, &[&format!("multiboot2 --check /{name}")]);
    }
    Ok(session.finish())
}

/// On UEFI `boot` looks for the memory of its last step before it is too late.
fn low_memory(payload: &Payload) -> Result<Vec<Variant>> {
    // Firmware of one machine has a part of it for itself.
    const WHOLE: &[(u64, u64)] = &[(0x1000, 0x9_9000)];
    const PARTS: &[(u64, u64)] = &[(0x1000, 0x2_f000), (0x5_0000, 0x4_a000)];
    let mut list = Vec::new();
    for (name, platform, taken) in [
        ("session-low-memory", Platform::X86_64Efi, WHOLE),
        ("session-low-memory-efi32", Platform::I386Efi, PARTS),
    ] {
        let spec = KernelSpec::elf(Class::Elf64);
        let (mut image, _) = spec.elf_builder(payload)?;
        for &(start, len) in taken {
            image
                .segments
                .push(Segment::load(start, Vec::new()).mem_len(len));
        }
        let boot = tried("boot");
        let error = "no free memory for 0x200 bytes in 0x1000-0x99fff";
        let says = [Says::Error(error), REFUSED];
        let session = Session::new(name, payload)?
            .file("low", image.build()?.bytes)
            .file("module", noise(88, 3000))
            .works("low", "multiboot2 /low")
            .step("returns", &[&boot], &says)
            .works("still-loaded", "module2 /module")
            .step("returns-again", &[&boot], &says);
        list.push(session.finish().on(&[platform]));
    }
    Ok(list)
}
