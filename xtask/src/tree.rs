// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's source and configured trees, and the compiler flags that such a tree wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{output, run, system};
use crate::grub::Grub;
use crate::platform::Platform;
use crate::{archive, cache, packages, ui};

/// A configured tree of GRUB.
pub(crate) struct Tree {
    /// The platform that it is configured for.
    pub(crate) platform: Platform,
    /// Source folder.
    pub(crate) source: PathBuf,
    /// Build folder: `config.h` and the links to the headers of processor and machine.
    pub(crate) build: PathBuf,
    /// What modules are compiled with.
    pub(crate) flags: Flags,
}

/// Returns GRUB's source folder, with its build system made; fetches it when needed.
///
/// # Errors
///
/// If it cannot be fetched or `autogen.sh` fails.
pub(crate) fn source(grub: &Grub) -> Result<PathBuf> {
    let dir = grub.cache()?.join("source");
    cache::ensure(&dir, |part| {
        packages::ensure(packages::BUILD)?;
        let archive = archive::source(grub)?;
        let step = ui::step(format!("preparing the source of GRUB {}", grub.upstream));
        let mut names = fs::read_dir(&archive)?.filter_map(|entry| Some(entry.ok()?.path()));
        let dsc = names
            .find(|path| path.extension().is_some_and(|e| e == "dsc"))
            .with_context(|| format!("{} holds no source package", archive.display()))?;
        let mut unpack = system("dpkg-source");
        unpack.arg("-x").arg(&dsc).current_dir(part);
        run(&mut unpack, &part.join("unpack.log"))?;
        let tree = unpacked(part)?;
        autogen(&tree, &part.join("autogen.log"))?;
        fs::remove_file(part.join("unpack.log"))?;
        step.done();
        Ok(())
    })?;
    unpacked(&dir)
}

/// Finds the folder that a source package was unpacked into.
fn unpacked(dir: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.join("configure.ac").is_file() {
            return Ok(path);
        }
    }
    bail!(
        "{} holds no source of GRUB: remove the folder",
        dir.display()
    )
}

/// Returns a configured tree; makes it when needed.
///
/// # Errors
///
/// If the source is missing and cannot be fetched, or `configure` fails.
pub(crate) fn ensure(grub: &Grub, platform: Platform) -> Result<Tree> {
    let source = source(grub)?;
    let build = grub.cache()?.join(platform.name());
    cache::ensure(&build, |part| {
        packages::ensure(packages::BUILD)?;
        let step = ui::step(format!("configuring GRUB {} for {platform}", grub.upstream));
        configure(grub, platform, &source, part)?;
        step.done();
        Ok(())
    })?;
    Tree::open(platform, source, build)
}

/// Makes several trees, two at a time: `configure` keeps one processor busy.
///
/// # Errors
///
/// Those of [`ensure`].
pub(crate) fn ensure_all(grub: &Grub, platforms: &[Platform]) -> Result<Vec<Tree>> {
    source(grub)?;
    let mut trees = Vec::new();
    for pair in platforms.chunks(2) {
        let made: Vec<Result<Tree>> = std::thread::scope(|scope| {
            let jobs: Vec<_> = pair
                .iter()
                .map(|platform| scope.spawn(|| ensure(grub, *platform)))
                .collect();
            let joined = jobs.into_iter().map(|job| job.join());
            joined
                .map(|r| r.unwrap_or_else(|_| bail!("configuring panicked")))
                .collect()
        });
        for tree in made {
            trees.push(tree?);
        }
    }
    Ok(trees)
}

/// Configures GRUB in `build`, a sibling of the folder that holds the source.
fn configure(grub: &Grub, platform: Platform, source: &Path, build: &Path) -> Result<()> {
    // A relative path, so that the links it makes survive a move of the cache.
    let name = source.file_name().context("the source folder has a name")?;
    let script = Path::new("../source").join(name).join("configure");
    let mut configure = system(script);
    configure
        .args(options(grub, platform.firmware(), platform.cpu().name()))
        .current_dir(build);
    run(&mut configure, &build.join("configure.out"))
}

/// Arguments of `configure` for a platform, named by its firmware and processor.
pub(crate) fn options(grub: &Grub, firmware: &str, cpu: &str) -> Vec<String> {
    vec![
        format!("--with-platform={firmware}"),
        format!("--target={cpu}"),
        "--disable-werror".to_owned(),
        "--disable-nls".to_owned(),
        "--disable-grub-mkfont".to_owned(),
        // As Debian does: the kernel sees this text as the name of its loader.
        format!("PACKAGE_VERSION={}", grub.debian),
        format!("PACKAGE_STRING=GRUB {}", grub.debian),
    ]
}

/// Makes the build system of an unpacked source.
///
/// # Errors
///
/// If `autogen.sh` fails.
pub(crate) fn autogen(source: &Path, log: &Path) -> Result<()> {
    let mut autogen = system("./autogen.sh");
    run(autogen.env("PYTHON", "python3").current_dir(source), log)
}

impl Tree {
    /// Asks a configured tree for its flags.
    fn open(platform: Platform, source: PathBuf, build: PathBuf) -> Result<Self> {
        Ok(Self {
            platform,
            flags: Flags::of(&source, &build)?,
            source,
            build,
        })
    }

    /// The include paths that every module of GRUB has besides those in its flags.
    pub(crate) fn own_includes(&self) -> [String; 2] {
        [
            format!("-I{}", self.build.display()),
            format!("-I{}", self.source.display()),
        ]
    }

    /// Flags for reading the tree's headers with libclang: no warnings, clang's own `stddef.h`.
    pub(crate) fn clang_flags(&self) -> String {
        let mut words = vec![format!("--target={}", self.platform.cpu().clang_target())];
        words.extend(for_clang(&self.flags.cppflags));
        words.extend(self.own_includes());
        words.push("-DGRUB_FILE=\"wrapper.h\"".to_owned());
        words.join(" ")
    }
}

/// What a configured tree compiles modules with.
pub(crate) struct Flags {
    cc: String,
    /// Preprocessor flags; every include path is absolute.
    pub(crate) cppflags: Vec<String>,
    cflags: Vec<String>,
}

impl Flags {
    /// Asks the tree that is configured in `build`.
    ///
    /// # Errors
    ///
    /// If it does not answer, or there is a space in a path.
    pub(crate) fn of(source: &Path, build: &Path) -> Result<Self> {
        let mut ask = system("sh");
        ask.arg("-c").arg(
            "printf '%s\\n' '@TARGET_CC@' '@DEFS@ @TARGET_CPPFLAGS@' '@TARGET_CFLAGS@' | \
             ./config.status --quiet --file=-",
        );
        let text = output(ask.current_dir(build))
            .with_context(|| format!("{} is damaged: remove the folder", build.display()))?;
        let [cc, cppflags, cflags] = text.lines().collect::<Vec<_>>()[..] else {
            bail!("config.status of {} printed {text:?}", build.display());
        };
        if [source, build]
            .iter()
            .any(|dir| dir.to_string_lossy().contains(char::is_whitespace))
        {
            bail!(
                "{} contains a space: set XDG_CACHE_HOME to another folder",
                build.display()
            );
        }
        Ok(Self {
            cc: cc.to_owned(),
            cppflags: absolute(cppflags, source, build),
            cflags: absolute(cflags, source, build),
        })
    }

    /// Starts a call of the compiler.
    ///
    /// # Errors
    ///
    /// If the tree names none.
    pub(crate) fn compiler(&self) -> Result<Command> {
        let mut words = self.cc.split_whitespace();
        let mut cc = system(words.next().context("the tree names no compiler")?);
        cc.args(words).args(&self.cppflags).args(&self.cflags);
        Ok(cc)
    }
}

/// Splits flags into words and replaces make's variables for the two folders.
fn absolute(flags: &str, source: &Path, build: &Path) -> Vec<String> {
    flags
        .replace("$(top_srcdir)", &source.to_string_lossy())
        .replace("$(top_builddir)", &build.to_string_lossy())
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Turns gcc's preprocessor flags into clang's.
fn for_clang(flags: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            // gcc's stddef.h does not suit clang on 32 bit; its own is found without this path.
            "-nostdinc" => words.extend(["-nostdlibinc".to_owned(), "-ffreestanding".to_owned()]),
            "-isystem" => {
                flags.next();
            }
            warning if warning.starts_with("-W") && !warning.starts_with("-Wp,") => {}
            _ => words.push(flag.clone()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_for_clang_have_no_warnings_and_no_gcc_headers() {
        let flags = absolute(
            "-DHAVE_CONFIG_H -Wall -W -m32 -nostdinc -isystem /gcc/include \
             -I$(top_srcdir)/include -I$(top_builddir)/include",
            Path::new("/s"),
            Path::new("/b"),
        );
        assert_eq!(
            for_clang(&flags).join(" "),
            "-DHAVE_CONFIG_H -m32 -nostdlibinc -ffreestanding -I/s/include -I/b/include"
        );
    }
}
