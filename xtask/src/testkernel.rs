// SPDX-License-Identifier: GPL-3.0-or-later
//! Builds the kernel of tests/boot: the code that the kit wraps into test images.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mb2_testkit::payload::{self, Payload};

use crate::cmd::{run, system};
use crate::cross::Cross;
use crate::platform::Cpu;
use crate::toolchain::Toolchain;
use crate::{cache, root, ui};

/// Compiles and links the kernel for both processor families.
///
/// # Errors
///
/// If compiler or linker fail, or the kit does not accept what they made.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Payload> {
    let _guard = cache::lock(&root().join("target/xtask/kernel.lock"))?;
    let step = ui::step("building the test kernel");
    let narrow = fs::read(link(toolchain, Cpu::I386)?)?;
    let wide = fs::read(link(toolchain, Cpu::X86_64)?)?;
    let payload = Payload::from_elf(&narrow, &wide).context("the kit refuses the test kernel")?;
    step.done();
    Ok(payload)
}

fn link(toolchain: &Toolchain, cpu: Cpu) -> Result<PathBuf> {
    let root = root();
    let work = root.join("target/xtask/kernel").join(cpu.name());
    let library = work.join("libmb2_test_kernel.a");
    let cross = Cross {
        toolchain,
        workspace: &root,
        package: "mb2-test-kernel",
        cpu,
        grub_cppflags: None,
    };
    cross.staticlib(&library)?;
    let kernel = work.join("kernel.elf");
    let mode = match cpu {
        Cpu::I386 => payload::Cpu::I386,
        Cpu::X86_64 => payload::Cpu::X86_64,
    };
    let mut linker = system("ld");
    linker
        .args(mode.link_args())
        .arg("-T")
        .arg(root.join("tests/boot/kernel/link.ld"));
    linker.arg("-o").arg(&kernel).arg(&library);
    run(&mut linker, &work.join("link.log"))?;
    Ok(kernel)
}
