// SPDX-License-Identifier: GPL-3.0-or-later
//! The programs that hold a module and the fake of GRUB in tests/fake, with sanitizers.
//!
//! One holds our glue and our Rust code, the other GRUB's own C loader from the fetched tree.
//! Both are compiled against the headers of a configured tree, for the processor of that tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd::{run, system};
use crate::cross::Cross;
use crate::grub::Grub;
use crate::platform::{Cpu, Platform};
use crate::tree::Tree;
use crate::{cache, glue, module, packages, root, toolchain, tree, ui};

/// The fake; `machine_pc.c` only with a BIOS.
const FAKE: &[&str] = &["heap.c", "file.c", "relocator.c", "machine.c", "player.c"];

/// GRUB's Multiboot2 loader, below grub-core.
const STOCK: &[&str] = &["loader/multiboot.c", "loader/multiboot_mbi2.c"];

/// What both modules use and the fake leaves to GRUB, below grub-core.
const SHARED: &[&str] = &["lib/cmdline.c"];

/// The programs of one platform.
pub(crate) struct Programs {
    /// With our module.
    pub(crate) ours: PathBuf,
    /// With GRUB's.
    pub(crate) stock: PathBuf,
}

/// Compiles and links the programs.
///
/// # Errors
///
/// If a compiler or the linker fails.
pub(crate) fn programs(grub: &Grub, platform: Platform) -> Result<Programs> {
    packages::ensure(packages::BUILD)?;
    let tree = tree::ensure(grub, platform)?;
    let place = root()
        .join("target/xtask/host")
        .join(&grub.upstream)
        .join(platform.name());
    let _guard = cache::lock(&place.with_extension("lock"))?;
    fs::create_dir_all(&place)?;
    let step = ui::step(format!("building modules for the host, {platform}"));
    let build = Build { tree, place };
    let common = build.common()?;
    let programs = Programs {
        ours: build.link("ours", &common, &build.ours()?)?,
        stock: build.link("stock", &common, &build.stock()?)?,
    };
    step.done();
    Ok(programs)
}

/// The work on one platform.
struct Build {
    tree: Tree,
    place: PathBuf,
}

impl Build {
    /// The fake, and the parts of GRUB behind it.
    fn common(&self) -> Result<Vec<PathBuf>> {
        let fake = root().join("tests/fake");
        let bios = (!self.tree.platform.is_efi()).then_some("machine_pc.c");
        let strict = [
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-missing-field-initializers",
        ];
        let mut objects = Vec::new();
        for source in FAKE.iter().copied().chain(bios) {
            objects.push(self.compile(&fake.join(source), &strict)?);
        }
        for source in SHARED {
            objects.push(self.compile_grub(source)?);
        }
        Ok(objects)
    }

    /// GRUB's own module.
    fn stock(&self) -> Result<Vec<PathBuf>> {
        let objects = STOCK.iter().map(|source| self.compile_grub(source));
        objects.collect()
    }

    /// Our module: its glue, and its Rust code with the names of the C library taken away.
    fn ours(&self) -> Result<Vec<PathBuf>> {
        let glue = root().join("module-glue");
        let mut objects = Vec::new();
        let sources = glue::sources(&self.tree);
        for source in sources.into_iter().filter(|&source| source != glue::START) {
            objects
                .push(self.compile(&glue.join(source), &["-Wall", "-Werror", "-ffreestanding"])?);
        }
        let library = self.place.join("libmb2.a");
        Cross {
            toolchain: &toolchain::find()?,
            workspace: &root(),
            package: "mb2",
            cpu: self.tree.platform.cpu(),
            grub_cppflags: Some(self.tree.clang_flags()),
        }
        .sanitized(&library)?;
        let object = self.place.join("mb2rs.o");
        let exports = glue.join("exports.txt");
        let mut link = system("ld");
        link.args(["-m", self.tree.platform.cpu().emulation(), "-r"]);
        for name in module::read_exports(&exports)? {
            link.args(["-u", &name]);
        }
        link.arg("-o").arg(&object).arg(&library);
        run(&mut link, &self.place.join("link-rust.log"))?;
        let mut localise = system("objcopy");
        localise
            .arg(format!("--keep-global-symbols={}", exports.display()))
            .arg(&object);
        run(&mut localise, &self.place.join("localise.log"))?;
        objects.push(object);
        Ok(objects)
    }

    /// GRUB's C as it is: its warnings are none of our business, and it means to read numbers
    /// where they are not aligned.
    fn compile_grub(&self, source: &str) -> Result<PathBuf> {
        let flags = [
            "-w",
            "-ffreestanding",
            "-fno-sanitize=alignment",
            "-DGRUB_USE_MULTIBOOT2=1",
        ];
        self.compile(&self.tree.source.join("grub-core").join(source), &flags)
    }

    fn compile(&self, source: &Path, flags: &[&str]) -> Result<PathBuf> {
        let name = source.file_name().context("a source has a name")?;
        let object = self.place.join(name).with_extension("o");
        let mut cc = self.compiler();
        cc.args(["-std=gnu99", "-O1", "-g", "-fno-omit-frame-pointer"])
            // The calling convention of i386-pc is none for programs with a C library.
            .args(self.preprocessor())
            .args(self.tree.own_includes())
            .arg(format!("-I{}", root().join("grub-headers").display()))
            .args(["-DGRUB_FILE=\"module\"", "-DMB2_HOST"])
            // What GRUB calls when it loads and removes the module.
            .arg("-DGRUB_MOD_INIT(name)=void fake_module_init (grub_dl_t mod)")
            .arg("-DGRUB_MOD_FINI(name)=void fake_module_fini (void)")
            .args(flags)
            .arg("-c")
            .arg(source)
            .arg("-o")
            .arg(&object);
        run(&mut cc, &object.with_extension("log"))
            .with_context(|| format!("{} does not compile", source.display()))?;
        Ok(object)
    }

    fn compiler(&self) -> Command {
        let mut cc = system("gcc");
        cc.arg(match self.tree.platform.cpu() {
            Cpu::I386 => "-m32",
            Cpu::X86_64 => "-m64",
        });
        cc.args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
        ]);
        cc
    }

    /// The tree's flags without those that hide the C library.
    fn preprocessor(&self) -> Vec<&str> {
        let mut kept = Vec::new();
        let mut flags = self.tree.flags.cppflags.iter();
        while let Some(flag) = flags.next() {
            match flag.as_str() {
                "-nostdinc" => {}
                "-isystem" => drop(flags.next()),
                warning if warning.starts_with("-W") => {}
                other => kept.push(other),
            }
        }
        kept
    }

    fn link(&self, name: &str, common: &[PathBuf], objects: &[PathBuf]) -> Result<PathBuf> {
        let program = self.place.join(name);
        let mut link = self.compiler();
        link.arg("-o").arg(&program).args(common).args(objects);
        run(&mut link, &self.place.join(format!("link-{name}.log")))?;
        Ok(program)
    }
}
