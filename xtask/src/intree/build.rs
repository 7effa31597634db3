// SPDX-License-Identifier: GPL-3.0-or-later
//! `configure`, `make` and `make install` of a patched tree for one platform.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::foreign;
use super::source;
use super::target::Target;
use crate::cmd::{output, run, system};
use crate::grub::Grub;
use crate::{cache, packages, root, toolchain, tree, ui};

/// What is needed besides the packages for a drop-in.
const PACKAGES: &[&str] = &["ccache", "libfreetype-dev", "xfonts-unifont"];

/// The modules of a build in which little is made: ours with all that it needs, and what the
/// images of our tests hold. GRUB's makefiles stop if one is missing that another one needs.
const FEW: &[&str] = &[
    "acpi",
    "all_video",
    "archelp",
    "bli",
    "boot",
    "bufio",
    "crypto",
    "cryptodisk",
    "datetime",
    "echo",
    "efi_gop",
    "efi_uga",
    "elf",
    "extcmd",
    "gcry_crc",
    "gcry_hwfeatures",
    "gettext",
    "gzio",
    "iorw",
    "key_protector",
    "linux",
    "memdisk",
    "mmap",
    "multiboot2",
    "net",
    "normal",
    "part_gpt",
    "pci",
    "priority_queue",
    "procfs",
    "relocator",
    "serial",
    "tar",
    "terminal",
    "terminfo",
    "test",
    "tpm",
    "verifiers",
    "video",
    "video_bochs",
    "video_cirrus",
    "video_fb",
];

/// How much of GRUB is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All, and it is installed.
    Whole,
    /// GRUB's kernel and [`FEW`] modules.
    Few,
}

/// A GRUB that was built.
pub(crate) struct Build {
    /// Its version.
    pub(crate) grub: Grub,
    /// Its platform.
    pub(crate) target: Target,
    /// The source with our module in it, one for all platforms of a version.
    pub(crate) source: PathBuf,
    /// Where it was made.
    pub(crate) work: PathBuf,
    /// Where it is installed.
    pub(crate) prefix: PathBuf,
    /// Where the output of all steps goes.
    logs: PathBuf,
    /// How much of it there is.
    pub(crate) extent: Extent,
    /// How many programs make may run at the same time.
    jobs: usize,
}

impl Build {
    /// Builds, or brings up to date.
    ///
    /// # Errors
    ///
    /// The first step that fails.
    pub(crate) fn ensure(grub: &Grub, target: Target, extent: Extent) -> Result<Self> {
        packages::ensure(packages::BUILD)?;
        packages::ensure(PACKAGES)?;
        let place = root().join("target/xtask/grub").join(&grub.debian);
        let logs = place.join("log");
        let build = Self {
            grub: grub.clone(),
            target,
            source: source::ensure(grub, place.join("source"), &logs)?,
            work: place.join(target.name()),
            prefix: root()
                .join("target/grub")
                .join(&grub.upstream)
                .join(target.name()),
            logs: logs.join(target.name()),
            extent,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let _guard = cache::lock(&build.work.with_extension("lock"))?;
        build.configure()?;
        match extent {
            Extent::Whole => {
                build.make(&[])?;
                build.make(&["install"])?;
            }
            Extent::Few => build.make_few()?,
        }
        Ok(build)
    }

    /// Makes [`FEW`] modules, and the program that makes an image of them.
    fn make_few(&self) -> Result<()> {
        let step = ui::step(format!("{self}: make, few modules"));
        // As make would do first: under `-f` it cannot always bring its own files up to date.
        for goals in [vec!["am--refresh"], vec!["-C", "grub-core", "Makefile"]] {
            let mut make = self.make_command()?;
            run(make.args(goals), &self.logs.join("make-refresh.log"))?;
        }
        // The lists of GRUB's makefile, cut down.
        let print = "include Makefile\nmb2-print:\n\t@echo modules: $(MODULE_FILES)\n\
                     \t@echo programs: $(filter-out %.module,$(platform_PROGRAMS))\n";
        let file = self.work.join("print.mk");
        fs::write(&file, print)?;
        let core = self.work.join("grub-core");
        // Lists of other modules, from an earlier build, would be new enough for make.
        for entry in fs::read_dir(&core)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "lst") {
                fs::remove_file(path)?;
            }
        }
        let mut ask = self.command("make")?;
        ask.args(["-s", "-f"])
            .arg(&file)
            .arg("mb2-print")
            .current_dir(&core);
        let lists = output(&mut ask)?;
        let line = |name: &str| {
            let found = lists.lines().find_map(|line| line.strip_prefix(name));
            found.with_context(|| format!("{}: no list of {name}", core.display()))
        };
        let all: Vec<&str> = line("modules:")?.split_whitespace().collect();
        let programs = line("programs:")?;
        let here = |name: &&&str| all.contains(&format!("{name}.module").as_str());
        let list = |ending: &str| -> String {
            let names = FEW.iter().filter(here);
            names.map(|name| format!("{name}.{ending} ")).collect()
        };
        for goals in [
            vec!["-C".to_owned(), "grub-core/lib/gnulib".to_owned()],
            ["widthspec.h", "ascii.h", "grub-mkimage"]
                .map(str::to_owned)
                .to_vec(),
            vec![
                "-C".to_owned(),
                "grub-core".to_owned(),
                format!("MODULE_FILES={}", list("module")),
                format!("MOD_FILES={}", list("mod")),
                format!("MARKER_FILES={}", list("marker")),
                format!("platform_PROGRAMS={programs} {}", list("module")),
            ],
        ] {
            let mut make = self.make_command()?;
            run(make.args(goals), &self.logs.join("make-few.log"))?;
        }
        step.done();
        Ok(())
    }

    /// A build for the same platform in another place, of the source that lies there.
    pub(crate) fn elsewhere(&self, place: &Path) -> Self {
        Self {
            grub: self.grub.clone(),
            target: self.target,
            source: place.join("source"),
            work: place.join("build"),
            prefix: place.join("installed"),
            logs: place.join("log"),
            extent: self.extent,
            jobs: self.jobs,
        }
    }

    /// The folder with the modules that GRUB's programs take with `-d`.
    pub(crate) fn modules(&self) -> PathBuf {
        match self.extent {
            Extent::Whole => self.prefix.join("lib/grub").join(self.target.name()),
            Extent::Few => self.work.join("grub-core"),
        }
    }

    /// One of GRUB's programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        match self.extent {
            Extent::Whole => self.prefix.join("bin").join(name),
            Extent::Few => self.work.join(name),
        }
    }

    /// Runs `configure` if that was not done, or with other arguments.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub(crate) fn configure(&self) -> Result<()> {
        let mut options = tree::options(&self.grub, self.target.firmware(), self.target.cpu());
        options.push(format!("--prefix={}", self.prefix.display()));
        // Neither pages for man nor the manual.
        options.extend([
            "ac_cv_path_HELP2MAN=".to_owned(),
            "MAKEINFO=true".to_owned(),
        ]);
        if !self.target.needs_font() {
            options.push("--disable-build-grub-mkfont".to_owned());
        }
        let stamp = self.work.join("configure.done");
        let now = options.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|old| old == now) {
            return Ok(());
        }
        if self.work.exists() {
            fs::remove_dir_all(&self.work)?;
        }
        fs::create_dir_all(&self.work)?;
        let step = ui::step(format!("{self}: configure"));
        // A relative path: then the compiler's arguments are the same for all platforms, and
        // ccache knows them again.
        let mut configure = self.command("../source/configure")?;
        run(configure.args(&options), &self.logs.join("configure.log"))?;
        fs::write(&stamp, now)?;
        step.done();
        Ok(())
    }

    /// Runs `make` for some goals.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub(crate) fn make(&self, goals: &[&str]) -> Result<()> {
        let name = ["make", goals.last().unwrap_or(&"")].join(" ");
        let step = ui::step(format!("{self}: {}", name.trim_end()));
        let log = self
            .logs
            .join(format!("{}.log", name.trim_end().replace(' ', "-")));
        run(self.make_command()?.args(goals), &log)?;
        step.done();
        Ok(())
    }

    /// A `make` that uses all processors.
    ///
    /// # Errors
    ///
    /// If there is no compiler.
    pub(crate) fn make_command(&self) -> Result<Command> {
        let mut make = self.command("make")?;
        make.arg(format!("-j{}", self.jobs));
        make.arg(format!("MB2_RUSTC={}", toolchain::find()?.rustc.display()));
        Ok(make)
    }

    /// A program in the folder of this build, which finds ccache before the compilers.
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = system(program);
        let mut path = vec![PathBuf::from("/usr/lib/ccache")];
        if self.target.is_foreign() {
            let compiler = foreign::ensure(self.target.cpu())?;
            path.extend(compiler.programs);
            command.env("LD_LIBRARY_PATH", compiler.libraries);
        }
        let own = system("true");
        let own = own.get_envs().find(|(key, _)| *key == "PATH");
        path.extend(own.and_then(|(_, value)| value).map(PathBuf::from));
        let shared = root().join("target/xtask/grub");
        command
            .current_dir(&self.work)
            .env("PATH", join(&path))
            .env("CCACHE_DIR", cache::folder()?.join("ccache"))
            .env("CCACHE_BASEDIR", root())
            .env("CCACHE_NOHASHDIR", "1")
            // All trees compile the same crates; each keeps its own result.
            .env("CARGO_BUILD_BUILD_DIR", shared.join("cargo"));
        Ok(command)
    }
}

fn join(folders: &[PathBuf]) -> OsString {
    let words: Vec<&std::ffi::OsStr> = folders.iter().map(|folder| folder.as_os_str()).collect();
    words.join(std::ffi::OsStr::new(":"))
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("GRUB {} {}", self.grub.upstream, self.target))
    }
}
