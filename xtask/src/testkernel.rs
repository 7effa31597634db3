// SPDX-License-Identifier: GPL-3.0-or-later
//! Builds the kernel of tests/boot: the code that the kit wraps into test images.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mb2_testkit::linked::Recipe;
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
    let mut payload =
        Payload::from_elf(&narrow, &wide).context("the kit refuses the test kernel")?;
    for recipe in Recipe::all() {
        payload.linked.push(recipe.kernel(linked(recipe)?)?);
    }
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

/// Compiles and links one of the kernels that are used as the linker leaves them.
fn linked(recipe: Recipe) -> Result<Vec<u8>> {
    let sources = root().join("tests/boot/linked");
    let work = root()
        .join("target/xtask/kernel/linked")
        .join(recipe.name());
    fs::create_dir_all(&work)?;
    let mut objects = Vec::new();
    for source in ["start.S", "kernel.c"] {
        let object = work.join(source).with_extension("o");
        let mut compiler = system("gcc");
        compiler.args(recipe.compiler_args());
        compiler.arg("-c").arg(sources.join(source));
        compiler.arg("-o").arg(&object);
        run(&mut compiler, &work.join("compile.log"))?;
        objects.push(object);
    }
    let kernel = work.join("kernel.elf");
    let mut linker = system("ld");
    linker.args(recipe.linker_args());
    linker.arg("-T").arg(sources.join("link.ld"));
    linker.arg("-o").arg(&kernel).args(&objects);
    run(&mut linker, &work.join("link.log"))?;
    Ok(fs::read(kernel)?)
}
