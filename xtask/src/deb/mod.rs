// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian packages with our module, one for each platform: the distribution's own module is
//! diverted, so that grub-install takes ours.

pub(crate) mod check;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::cmd::{output, run, system};
use crate::grub::Grub;
use crate::platform::Platform;
use crate::{iso, module, packages, root, ui};

/// What makes and examines packages.
pub(crate) const PACKAGES: &[&str] = &["dpkg-dev", "gzip", "lintian"];

/// Maintainer scripts.
const SCRIPTS: [(&str, &str); 3] = [
    ("preinst", include_str!("preinst.sh")),
    ("postinst", include_str!("postinst.sh")),
    ("postrm", include_str!("postrm.sh")),
];

/// What two of them do.
const REFRESH: &str = include_str!("refresh.sh");

/// Arguments of `deb`.
#[derive(Args)]
pub(crate) struct DebArgs {
    /// Platform; can be repeated; all of them when absent.
    #[arg(long, value_enum)]
    platform: Vec<Platform>,
    /// GRUB version as in "2.06"; the distribution's own when absent.
    #[arg(long, value_name = "VERSION")]
    grub: Option<String>,
}

/// Makes the packages that were asked for.
///
/// # Errors
///
/// If a module cannot be built or a package cannot be made.
pub(crate) fn command(args: &DebArgs) -> Result<()> {
    packages::ensure(PACKAGES)?;
    let grub = Grub::resolve(args.grub.as_deref())?;
    for platform in Platform::or_all(&args.platform) {
        let module = module::build(&grub, platform)?.module;
        let package = Package::new(&grub, platform)?;
        let file = package.make(&fs::read(module)?, &root().join("target/deb"))?;
        println!("{}", file.display());
    }
    Ok(())
}

/// One package.
pub(crate) struct Package {
    name: String,
    version: String,
    platform: Platform,
    grub: Grub,
    maintainer: String,
    /// Seconds since 1970: the time of the last change, which all files get.
    time: String,
}

impl Package {
    /// Describes the package for a platform.
    ///
    /// # Errors
    ///
    /// If git cannot tell who has made the last change, and when.
    fn new(grub: &Grub, platform: Platform) -> Result<Self> {
        let given = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let last = |format: &str| -> Result<String> {
            let mut git = system("git");
            git.args(["log", "-1", format]).current_dir(root());
            Ok(output(&mut git)?.trim().to_owned())
        };
        let maintainer = match (given("DEBFULLNAME"), given("DEBEMAIL")) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            _ => last("--format=%an <%ae>")?,
        };
        let time = match given("SOURCE_DATE_EPOCH") {
            Some(time) => time,
            None => last("--format=%ct")?,
        };
        Ok(Self {
            name: format!("{}-multiboot2-rs", platform.debian_name()),
            version: format!("{}+grub{}", env!("CARGO_PKG_VERSION"), grub.debian),
            platform,
            grub: grub.clone(),
            maintainer,
            time,
        })
    }

    /// Makes the file in the folder `into`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written or a program fails.
    fn make(&self, module: &[u8], into: &Path) -> Result<PathBuf> {
        let step = ui::step(format!("making {}", self.name));
        let stage = into.join(&self.name);
        let docs = format!("usr/share/doc/{}", self.name);
        let module_name = format!("usr/lib/grub/{}/multiboot2.mod", self.platform);
        let overrides = format!("usr/share/lintian/overrides/{}", self.name);
        let changes = format!("{docs}/changelog.Debian");
        let texts = [
            (overrides, self.overrides()),
            (format!("{docs}/copyright"), self.copyright()?),
            (changes.clone(), self.changelog()?),
            ("DEBIAN/control".to_owned(), self.control(module.len())),
        ];
        let scripts = SCRIPTS.map(|(name, text)| (format!("DEBIAN/{name}"), self.fill(text)));
        let mut files: Vec<(&str, &[u8])> = vec![(&module_name, module)];
        for (name, text) in texts.iter().chain(&scripts) {
            files.push((name, text.as_bytes()));
        }
        iso::write_files(&stage, &files)?;
        let log = into.join(format!("{}.log", self.name));
        run(system("gzip").arg("-9n").arg(stage.join(changes)), &log)?;
        self.sums(&stage)?;
        set_modes(&stage, &|path| {
            scripts.iter().any(|(name, _)| path.ends_with(name))
        })?;
        let file = into.join(format!("{}_{}_amd64.deb", self.name, self.version));
        let mut build = system("dpkg-deb");
        build.env("SOURCE_DATE_EPOCH", &self.time);
        build.args(["--root-owner-group", "--build"]);
        run(build.arg(&stage).arg(&file), &log)?;
        step.done();
        Ok(file)
    }

    /// Writes the list by which `dpkg --verify` knows the files.
    fn sums(&self, stage: &Path) -> Result<()> {
        let words = [
            "-c",
            "exec find usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2",
        ];
        let sums = output(system("sh").args(words).current_dir(stage))?;
        Ok(fs::write(stage.join("DEBIAN/md5sums"), sums)?)
    }

    fn fill(&self, script: &str) -> String {
        // One licence line is enough.
        let (_, refresh) = REFRESH.split_once('\n').unwrap_or_default();
        let whole = script.replace("@REFRESH@\n", refresh);
        let named = whole.replace("@PACKAGE@", &self.name);
        named.replace("@PLATFORM@", self.platform.name())
    }

    /// The facts of the package. `Breaks` is for dpkg alone, which would let another version of
    /// GRUB in under a dependency.
    fn control(&self, len: usize) -> String {
        let size = len.div_ceil(1024) + 8;
        format!(
            "Package: {name}\n\
             Version: {version}\n\
             Architecture: amd64\n\
             Maintainer: {maintainer}\n\
             Installed-Size: {size}\n\
             Depends: {bin} (= {grub})\n\
             Breaks: {bin} (<< {grub}), {bin} (>> {grub})\n\
             Section: admin\n\
             Priority: optional\n\
             Multi-Arch: foreign\n\
             Description: Multiboot2 loader for GRUB, written in Rust ({platform})\n \
             The GRUB module with the commands multiboot2 and module2, which load\n \
             kernels such as Xen. It takes the place of GRUB's own module, which is\n \
             kept as multiboot2.mod.distrib and comes back when this package goes.\n \
             .\n \
             It fits exactly the version of GRUB that this package depends on. With\n \
             Secure Boot, GRUB loads no modules from files, and this package has no\n \
             effect.\n",
            name = self.name,
            version = self.version,
            maintainer = self.maintainer,
            bin = self.platform.stock_package(),
            grub = self.grub.debian,
            platform = self.platform,
        )
    }

    fn copyright(&self) -> Result<String> {
        Ok(format!(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
             Upstream-Name: grub-multiboot2\n\
             Upstream-Contact: {}\n\
             \n\
             Files: *\n\
             Copyright: {} {}\n\
             License: GPL-3+\n \
             This program is free software: you can redistribute it and/or modify it\n \
             under the terms of the GNU General Public License as published by the Free\n \
             Software Foundation, either version 3 of the License, or (at your option)\n \
             any later version.\n \
             .\n \
             On Debian systems, the whole text of version 3 of the licence is in\n \
             /usr/share/common-licenses/GPL-3.\n",
            self.maintainer,
            self.date("+%Y")?,
            self.maintainer
        ))
    }

    fn changelog(&self) -> Result<String> {
        Ok(format!(
            "{} ({}) unstable; urgency=medium\n\n  \
             * Built for GRUB {} on {}.\n\n -- {}  {}\n",
            self.name,
            self.version,
            self.grub.debian,
            self.platform,
            self.maintainer,
            self.date("-R")?
        ))
    }

    fn date(&self, format: &str) -> Result<String> {
        let mut date = system("date");
        date.args(["-u", format, "-d"])
            .arg(format!("@{}", self.time));
        Ok(output(&mut date)?.trim().to_owned())
    }

    /// What lintian would complain of without reason.
    fn overrides(&self) -> String {
        format!(
            "# GRUB links modules when it loads them, and needs their symbols for that.\n\
             {}: unstripped-binary-or-object [usr/lib/grub/{}/multiboot2.mod]\n",
            self.name, self.platform
        )
    }
}

/// Gives every file the mode that packages want, whatever the umask is.
fn set_modes(folder: &Path, runs: &dyn Fn(&Path) -> bool) -> Result<()> {
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(folder, 0o755)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            set_modes(&path, runs)?;
        } else {
            let mode = if runs(&path) { 0o755 } else { 0o644 };
            set(&path, mode).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
