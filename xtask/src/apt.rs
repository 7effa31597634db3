// SPDX-License-Identifier: GPL-3.0-or-later
//! Fetching Debian sources and packages without touching the machine's apt configuration.
//!
//! A private apt root in the cache folder has its own source list and its own lists. Which
//! mirror it uses is learned from the machine's own configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{output, run, system};
use crate::{cache, packages, root, ui};

/// Debian's keys, as its package debian-archive-keyring installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A place that the machine's own apt gets packages from.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    uri: String,
    /// Name of the suite in the source list: bookworm, bookworm-security, …
    suite: String,
    component: String,
}

/// A private apt root for one Debian suite.
pub(crate) struct Apt {
    config: PathBuf,
    suite: String,
}

impl Apt {
    /// Opens the root of a suite ("bookworm") and fetches its lists.
    ///
    /// # Errors
    ///
    /// If the machine's apt names no Debian mirror or the lists cannot be fetched.
    pub(crate) fn open(suite: &str) -> Result<Self> {
        let dir = cache::folder()?.join("apt").join(suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let mut origins = origins()?;
        if origins.is_empty() {
            packages::refresh();
            origins = self::origins()?;
        }
        let list = source_list(&origins, suite).with_context(|| {
            format!("apt names no Debian mirror that could have {suite}: check its source list")
        })?;
        fs::write(dir.join("sources.list"), list)?;
        let config = dir.join("apt.conf");
        fs::write(&config, configuration(&dir))?;
        let apt = Self {
            config,
            suite: suite.to_owned(),
        };
        let _guard = cache::lock(&dir.join("lock"))?;
        run(
            apt.command("apt-get").args(["-q", "update"]),
            &apt.log("update"),
        )
        .with_context(|| format!("cannot fetch the package lists of {suite}"))?;
        Ok(apt)
    }

    /// Unpacks a source package into `into`.
    ///
    /// # Errors
    ///
    /// If the mirror does not have it whole.
    pub(crate) fn source(&self, package: &str, version: &str, into: &Path) -> Result<()> {
        let mut get = self.command("apt-get");
        get.args([
            "-q",
            "source",
            "--only-source",
            &format!("{package}={version}"),
        ]);
        run(get.current_dir(into), &self.log("source"))
            .with_context(|| format!("cannot fetch the source of {package} {version}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = system(program);
        command.env("APT_CONFIG", &self.config);
        command
    }

    fn log(&self, what: &str) -> PathBuf {
        root().join(format!("target/xtask/log/apt-{what}-{}.log", self.suite))
    }
}

/// Downloads the machine's own version of a package, without installing it, and unpacks it.
///
/// # Errors
///
/// If apt does not know the package or cannot get it.
pub(crate) fn download_and_unpack(package: &str, into: &Path) -> Result<()> {
    let log = root().join("target/xtask/log/apt-download.log");
    let fetch = into.join("fetch");
    fs::create_dir_all(&fetch)?;
    let mut get = system("apt-get");
    get.args(["-q", "-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(&fetch);
    if run(&mut get, &log).is_err() {
        packages::refresh();
        run(&mut get, &log)
            .with_context(|| format!("cannot fetch {package}: try `apt-get update`"))?;
    }
    let mut found = fs::read_dir(&fetch)?.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = found.find(|path| path.extension().is_some_and(|e| e == "deb"));
    let deb = deb.with_context(|| format!("apt-get download left no file for {package}"))?;
    run(system("dpkg-deb").arg("-x").arg(&deb).arg(into), &log)?;
    Ok(fs::remove_dir_all(&fetch)?)
}

/// Returns a file of a package's boot folder, the last one in the order of names that `wanted`
/// selects; downloads the package when needed. Of the package only that folder is kept, on its
/// own `shelf` of the cache.
///
/// # Errors
///
/// If apt cannot get the package, or it holds no such file.
pub(crate) fn boot_file(
    package: &str,
    shelf: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<PathBuf> {
    let version = packages::candidate(package).unwrap_or_default();
    let place = format!("{package}_{}", version.replace(':', "_"));
    let dir = cache::folder()?.join(shelf).join(place);
    cache::ensure(&dir, |part| {
        let step = ui::step(format!("fetching {package} {version}"));
        let whole = part.join("whole");
        download_and_unpack(package, &whole)?;
        fs::rename(whole.join("boot"), part.join("boot"))
            .with_context(|| format!("{package} holds no boot folder"))?;
        fs::remove_dir_all(&whole)?;
        step.done();
        Ok(())
    })?;
    let names = fs::read_dir(dir.join("boot"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| wanted(name));
    let last = names
        .max()
        .with_context(|| format!("{package} holds no such file in its boot folder"))?;
    Ok(dir.join("boot").join(last))
}

/// Returns the suite that this machine runs, as in "bookworm".
///
/// # Errors
///
/// If the machine does not say.
pub(crate) fn own_suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    match line.map(|name| name.trim_matches('"')) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => bail!("/etc/os-release names no VERSION_CODENAME: this needs a Debian release"),
    }
}

/// Asks the machine's own apt where it gets packages from.
fn origins() -> Result<Vec<Origin>> {
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)|$(ORIGIN)";
    let mut query = system("apt-get");
    query.args(["indextargets", "--format", format, "Identifier: Packages"]);
    Ok(parse_origins(&output(&mut query)?))
}

/// Reads the answer of `apt-get indextargets`, keeping what is Debian's.
fn parse_origins(text: &str) -> Vec<Origin> {
    let mut found = Vec::new();
    for line in text.lines() {
        let [uri, suite, component, _, origin] = line.split('|').collect::<Vec<_>>()[..] else {
            continue;
        };
        if origin != "Debian" || component != "main" {
            continue;
        }
        let origin = Origin {
            uri: uri.to_owned(),
            suite: suite.to_owned(),
            component: component.to_owned(),
        };
        if !found.contains(&origin) {
            found.push(origin);
        }
    }
    found
}

/// Makes the source list for a suite out of the machine's own origins.
///
/// For the machine's own suite every origin is kept, updates and security included; for another
/// one the main archive has to do.
fn source_list(origins: &[Origin], suite: &str) -> Option<String> {
    let own: Vec<&Origin> = origins
        .iter()
        .filter(|o| o.suite == suite || o.suite.starts_with(&format!("{suite}-")))
        .collect();
    let line = |uri: &str, suite: &str, component: &str| {
        format!("deb-src [signed-by={KEYRING}] {uri} {suite} {component}\n")
    };
    if !own.is_empty() {
        return Some(
            own.iter()
                .map(|o| line(&o.uri, &o.suite, &o.component))
                .collect(),
        );
    }
    let main = origins.iter().find(|o| !o.suite.contains('-'))?;
    Some(line(&main.uri, suite, &main.component))
}

/// The configuration of a private apt root.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Dir::Etc::sourcelist \"{dir}/sources.list\";\n\
         Dir::Etc::sourceparts \"-\";\n\
         Dir::State::lists \"{dir}/lists\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "http://mirror.test/debian/|bookworm|main||Debian\n\
                          http://mirror.test/debian/|bookworm|contrib||Debian\n\
                          http://mirror.test/security/|bookworm-security|main||Debian\n\
                          http://other.test/|stable|main||Other\n";

    #[test]
    fn own_suite_keeps_its_security_updates() {
        let list = source_list(&parse_origins(ANSWER), "bookworm").unwrap();
        assert_eq!(list.lines().count(), 2);
        assert!(list.contains("http://mirror.test/security/ bookworm-security main"));
    }

    #[test]
    fn another_suite_comes_from_the_main_archive() {
        let list = source_list(&parse_origins(ANSWER), "trixie").unwrap();
        assert_eq!(list.lines().count(), 1);
        assert!(list.contains("http://mirror.test/debian/ trixie main"));
    }

    #[test]
    fn other_vendors_are_no_origin_of_debian_sources() {
        assert_eq!(
            source_list(&parse_origins("http://o.test/|stable|main||Other\n"), "x"),
            None
        );
    }
}
