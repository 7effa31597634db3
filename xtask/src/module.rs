// SPDX-License-Identifier: GPL-3.0-or-later
//! From Rust and C sources to a `multiboot2.mod` that a distribution's GRUB loads.
//!
//! Rust becomes one object whose only global symbols are the entries that the glue calls; the
//! glue is compiled as GRUB compiles its modules; both are linked, named and resolved (see
//! [`crate::resolve`]). Then the result is examined (see [`crate::gates`]) and shown to GRUB's own
//! verifier.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use object::{Object, ObjectSymbol};

use crate::cmd::{run, system};
use crate::cross::Cross;
use crate::grub::Grub;
use crate::platform::Platform;
use crate::stock::Stock;
use crate::toolchain::Toolchain;
use crate::tree::Tree;
use crate::{
    cache, gates, glue, moddeps, packages, resolve, rooms, root, toolchain, tree, ui, verifier,
};

/// Name of the module, among the files between, when its functions still have names.
pub(crate) const LINKED: &str = "linked.o";

/// Arguments of `module`.
#[derive(Args)]
pub(crate) struct ModuleArgs {
    /// Platform to build for; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// GRUB version as in "2.06"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
    /// Print what each room of the code costs, as docs/design.md has it.
    #[arg(long)]
    rooms: bool,
}

/// Builds and examines the modules that were asked for.
///
/// # Errors
///
/// The first thing that fails.
pub(crate) fn command(args: &ModuleArgs) -> Result<()> {
    let grub = Grub::resolve(args.grub.as_deref())?;
    let mut measured = Vec::new();
    for platform in Platform::or_all(&args.platform) {
        let built = build(&grub, platform)?;
        println!("{}", built.module.display());
        measured.push((platform, rooms::measure(&built.module, &built.linked)?));
    }
    if args.rooms {
        println!("{}", rooms::table(&measured));
    }
    Ok(())
}

/// A finished module and the object that holds all its Rust code.
pub(crate) struct Built {
    /// The module.
    pub(crate) module: PathBuf,
    /// `mb2rs.o`, before it was linked with the glue.
    pub(crate) rust_object: PathBuf,
    /// The module when its functions still had names.
    pub(crate) linked: PathBuf,
}

/// Where a finished module is put.
pub(crate) fn finished(grub: &Grub, platform: Platform) -> PathBuf {
    root()
        .join("target/modules")
        .join(&grub.upstream)
        .join(platform.name())
        .join("multiboot2.mod")
}

/// Returns the module to run: the finished one, or else one that was built and refused, so that
/// machines show what it does all the same.
pub(crate) fn to_run(grub: &Grub, platform: Platform) -> Option<PathBuf> {
    let refused = work(grub, platform).join("multiboot2.mod");
    [finished(grub, platform), refused]
        .into_iter()
        .find(|path| path.exists())
}

/// Where the steps between leave their files.
pub(crate) fn work(grub: &Grub, platform: Platform) -> PathBuf {
    root()
        .join("target/xtask/module")
        .join(&grub.upstream)
        .join(platform.name())
}

/// Prepares what is needed, then builds and examines the module of one platform.
///
/// # Errors
///
/// The first thing that fails; then there is no finished module.
pub(crate) fn build(grub: &Grub, platform: Platform) -> Result<Built> {
    packages::ensure(packages::BUILD)?;
    let toolchain = toolchain::find()?;
    let tree = tree::ensure(grub, platform)?;
    let verifier = verifier::ensure(grub, &tree)?;
    let stock = Stock::read(grub, platform)?;
    let _guard = cache::lock(&root().join("target/xtask/module.lock"))?;

    let step = ui::step(format!(
        "building multiboot2.mod for GRUB {} {platform}",
        grub.upstream
    ));
    let finished = finished(grub, platform);
    if finished.exists() {
        fs::remove_file(&finished)?;
    }
    let job = Job {
        toolchain: &toolchain,
        tree: &tree,
        stock: &stock,
        workspace: &root(),
    };
    let (built, deps) = job.make(&work(grub, platform))?;
    if let Some(added) = moddeps::added(&stock, &deps) {
        ui::warn(&format!(
            "{platform}: this needs more modules than the distribution's multiboot2 does \
             ({added}): its line in moddep.lst has to name them too"
        ));
    }
    gates::check_built(&built, &stock)?;
    verifier::verify(&verifier, &built.module, platform)?;
    if let Some(folder) = finished.parent() {
        fs::create_dir_all(folder)?;
    }
    let size = fs::copy(&built.module, &finished)?;
    let percent = size * 100 / stock.size;
    step.done_with(&format!(
        "{size} bytes, stock has {} ({percent} %)",
        stock.size
    ));
    Ok(Built {
        module: finished,
        rust_object: built.rust_object,
        linked: built.linked,
    })
}

/// Everything that one build of the module depends on.
pub(crate) struct Job<'a> {
    /// The compiler for the Rust half.
    pub(crate) toolchain: &'a Toolchain,
    /// The configured tree of GRUB.
    pub(crate) tree: &'a Tree,
    /// The modules that it has to fit to.
    pub(crate) stock: &'a Stock,
    /// The folder with our sources.
    pub(crate) workspace: &'a Path,
}

impl Job<'_> {
    /// Makes the module in the folder `work`; returns it and its dependencies.
    ///
    /// # Errors
    ///
    /// The first step that fails.
    pub(crate) fn make(&self, work: &Path) -> Result<(Built, Vec<String>)> {
        if work.exists() {
            fs::remove_dir_all(work)?;
        }
        fs::create_dir_all(work)?;
        let rust_object = self.rust_object(work)?;
        let module = work.join("multiboot2.mod");
        let mut link = self.linker();
        // Wrappers that the Rust half does not call stay out; what GRUB itself
        // calls is kept by the script.
        link.args(["-r", "-d", "--gc-sections"])
            .args(["-e", "mb2_rs_boot", "-T"])
            .arg(self.workspace.join("module-glue/merge.ld"))
            .arg("-o")
            .arg(&module);
        link.args(glue::compile(self.tree, self.workspace, work)?)
            .arg(&rust_object);
        run(&mut link, &work.join("link-module.log"))?;
        let linked = work.join(LINKED);
        fs::copy(&module, &linked)?;
        let deps = dependencies(self.stock, &module)?;
        if deps.is_empty() {
            bail!("the module needs no other module: the glue cannot be complete");
        }
        name(&module, ("multiboot2", &deps), work)?;
        resolve::file(&module)?;
        Ok((
            Built {
                module,
                rust_object,
                linked,
            },
            deps,
        ))
    }

    fn linker(&self) -> std::process::Command {
        let mut linker = system("ld");
        linker.args(["-m", self.tree.platform.cpu().emulation()]);
        linker
    }

    /// Turns the static library into one object of which only the entries can be seen.
    fn rust_object(&self, work: &Path) -> Result<PathBuf> {
        let library = work.join("libmb2.a");
        let cross = Cross {
            toolchain: self.toolchain,
            workspace: self.workspace,
            package: "mb2",
            cpu: self.tree.platform.cpu(),
            grub_cppflags: Some(self.tree.clang_flags()),
        };
        cross.staticlib(&library)?;
        let glue = self.workspace.join("module-glue");
        let exports = glue.join("exports.txt");
        let names = read_exports(&exports)?;
        let first = names.first().context("exports.txt is empty")?;
        let object = work.join("mb2rs.o");
        let mut link = self.linker();
        link.args(["-r", "--gc-sections", "-e", first]);
        for name in &names {
            link.args(["-u", name]);
        }
        link.arg("-T")
            .arg(glue.join("merge.ld"))
            .arg("-o")
            .arg(&object)
            .arg(&library);
        run(&mut link, &work.join("link-rust.log"))?;
        let mut localise = system("objcopy");
        localise
            .arg(format!("--keep-global-symbols={}", exports.display()))
            .arg(&object);
        run(&mut localise, &work.join("localise.log"))?;
        Ok(object)
    }
}

/// Computes the modules that have to be loaded before this one.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn dependencies(stock: &Stock, module: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(module)?;
    let file = object::File::parse(&*bytes)?;
    let undefined: Vec<&str> = file
        .symbols()
        .filter(|s| s.is_undefined())
        .filter_map(|s| s.name().ok())
        .collect();
    Ok(moddeps::compute(stock, undefined.into_iter()))
}

/// Reads the names of the Rust functions that the glue calls.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn read_exports(path: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Adds what GRUB reads before it loads a module: its name and those of the modules that it needs.
///
/// # Errors
///
/// If objcopy fails.
pub(crate) fn name(module: &Path, (name, deps): (&str, &[String]), work: &Path) -> Result<()> {
    let name_file = work.join("modname");
    let deps_file = work.join("moddeps");
    fs::write(&name_file, format!("{name}\0"))?;
    fs::write(
        &deps_file,
        deps.iter()
            .map(|dep| format!("{dep}\0"))
            .collect::<String>(),
    )?;
    let mut objcopy = system("objcopy");
    objcopy
        .arg(format!("--add-section=.modname={}", name_file.display()))
        .arg(format!("--add-section=.moddeps={}", deps_file.display()))
        .arg(module);
    run(&mut objcopy, &work.join("names.log"))
}
