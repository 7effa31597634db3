// SPDX-License-Identifier: GPL-3.0-or-later
//! Fetching Debian sources and packages without touching the machine's apt configuration.
//!
//! A private apt root in the cache folder has its own source list and its own lists. Which
//! mirror it uses is learned from the machine's own configuration.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::cmd::{output, run, system};
use crate::{cache, packages, root, ui};

/// Debian's keys, as its package debian-archive-keyring installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The program that apt itself downloads with; its package installs it.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// A place that the machine's own apt gets packages from.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    uri: String,
    /// Name of the suite in the source list: bookworm, bookworm-security, …
    suite: String,
    component: String,
}

/// A private apt root that knows one or more Debian suites.
pub(crate) struct Apt {
    config: PathBuf,
    /// The suites in one word, as in "trixie+forky".
    name: String,
}

/// The roots whose lists this process has fetched.
static FETCHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Apt {
    /// Opens the root of some suites ("bookworm") and fetches their lists, once in a process.
    ///
    /// # Errors
    ///
    /// If the machine's apt names no Debian mirror or the lists cannot be fetched.
    pub(crate) fn open(suites: &[&str]) -> Result<Self> {
        let name = suites.join("+");
        let dir = cache::folder()?.join("apt").join(&name);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let apt = Self {
            config: dir.join("apt.conf"),
            name,
        };
        let _guard = cache::lock(&dir.join("lock"))?;
        let mut fetched = FETCHED.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.contains(&dir) {
            return Ok(apt);
        }
        let mut origins = origins()?;
        if origins.is_empty() {
            packages::refresh();
            origins = self::origins()?;
        }
        let mut list = String::new();
        for suite in suites {
            list += &source_list(&origins, suite).with_context(|| {
                format!("apt names no Debian mirror that could have {suite}: check its source list")
            })?;
        }
        fs::write(dir.join("sources.list"), list)?;
        // What this machine has installed is no version to choose from.
        fs::write(dir.join("status"), "")?;
        fs::write(&apt.config, configuration(&dir))?;
        apt.run("apt-get", &["-q", "update"], &dir)
            .with_context(|| format!("cannot fetch the package lists of {}", apt.name))?;
        fetched.insert(dir);
        Ok(apt)
    }

    /// Returns the versions of a source package that the suites list, newest first.
    ///
    /// # Errors
    ///
    /// If apt cannot be asked.
    pub(crate) fn source_versions(&self, package: &str) -> Result<Vec<String>> {
        let mut query = self.command("apt-cache");
        let text = output(query.args(["showsrc", "--only-source", package]))?;
        let mut versions: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("Version: ")?.trim().to_owned()))
            .collect();
        versions.sort_by(|a, b| compare_versions(b, a));
        versions.dedup();
        Ok(versions)
    }

    /// Downloads the files of a source package into `into`.
    ///
    /// # Errors
    ///
    /// If the mirror does not have all of them.
    pub(crate) fn download_source(&self, package: &str, version: &str, into: &Path) -> Result<()> {
        let wanted = format!("{package}={version}");
        let words = ["-q", "source", "--only-source", "--download-only", &wanted];
        self.run("apt-get", &words, into)
            .with_context(|| format!("cannot fetch the source of {package} {version}"))
    }

    /// Returns the folder of the mirror's pool that holds a source package, and with it the
    /// packages that were built from it.
    ///
    /// # Errors
    ///
    /// If no suite lists this version.
    pub(crate) fn pool_folder(&self, package: &str, version: &str) -> Result<String> {
        let mut query = self.command("apt-get");
        query.args(["-q", "--print-uris", "--only-source", "source"]);
        let text = output(query.arg(format!("{package}={version}")))?;
        let mut uris = text.lines().filter_map(|line| {
            let (uri, _) = line.strip_prefix('\'')?.split_once('\'')?;
            uri.rsplit_once('/').map(|(folder, _)| folder.to_owned())
        });
        uris.next()
            .with_context(|| format!("apt names no place for the source of {package} {version}"))
    }

    /// Downloads a package and unpacks it into `into`; `wanted` may say which version, as apt
    /// has it: "name=version".
    ///
    /// # Errors
    ///
    /// If no suite lists it or the mirror does not have it.
    pub(crate) fn unpack(&self, wanted: &str, into: &Path) -> Result<()> {
        let fetch = into.join("fetch");
        fs::create_dir_all(&fetch)?;
        self.run("apt-get", &["-q", "download", wanted], &fetch)
            .with_context(|| format!("cannot fetch {wanted}"))?;
        unpack_fetched(wanted, &fetch, into)
    }

    /// Downloads a package that no suite lists, of which the SHA-256 is known, and unpacks it
    /// into `into`.
    ///
    /// # Errors
    ///
    /// If there is no such file or it is another one.
    pub(crate) fn unpack_known(&self, uri: &str, sha256: &str, into: &Path) -> Result<()> {
        let fetch = into.join("fetch");
        fs::create_dir_all(&fetch)?;
        let sum = format!("SHA256:{sha256}");
        self.run(HELPER, &["download-file", uri, "package.deb", &sum], &fetch)
            .with_context(|| format!("cannot fetch {uri}"))?;
        unpack_fetched(uri, &fetch, into)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = system(program);
        command.env("APT_CONFIG", &self.config);
        command
    }

    fn run(&self, program: &str, words: &[&str], place: &Path) -> Result<()> {
        let mut command = self.command(program);
        let log = root().join(format!("target/xtask/log/apt-{}.log", self.name));
        run(command.args(words).current_dir(place), &log)
    }
}

/// Compares two versions as Debian does.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let is = |relation| {
        let mut dpkg = system("dpkg");
        output(dpkg.args(["--compare-versions", a, relation, b])).is_ok()
    };
    if is("lt") {
        Ordering::Less
    } else if is("gt") {
        Ordering::Greater
    } else {
        Ordering::Equal
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
    unpack_fetched(package, &fetch, into)
}

/// Unpacks the package that apt has put into the folder `fetch`, and removes that folder.
fn unpack_fetched(package: &str, fetch: &Path, into: &Path) -> Result<()> {
    let log = root().join("target/xtask/log/apt-unpack.log");
    let mut found = fs::read_dir(fetch)?.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = found.find(|path| path.extension().is_some_and(|e| e == "deb"));
    let deb = deb.with_context(|| format!("apt-get left no file for {package}"))?;
    run(system("dpkg-deb").arg("-x").arg(&deb).arg(into), &log)?;
    Ok(fs::remove_dir_all(fetch)?)
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

/// Makes the source list for a suite out of the machine's own origins, for sources and packages.
///
/// For the machine's own suite every origin is kept, updates and security included; for another
/// one the main archive has to do.
fn source_list(origins: &[Origin], suite: &str) -> Option<String> {
    let own: Vec<&Origin> = origins
        .iter()
        .filter(|o| o.suite == suite || o.suite.starts_with(&format!("{suite}-")))
        .collect();
    let line = |uri: &str, suite: &str, component: &str| {
        ["deb-src", "deb"]
            .map(|kind| {
                format!("{kind} [arch=amd64 signed-by={KEYRING}] {uri} {suite} {component}\n")
            })
            .concat()
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
         Dir::State::status \"{dir}/status\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
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
        assert_eq!(list.lines().count(), 4);
        assert!(list.contains("http://mirror.test/security/ bookworm-security main"));
    }

    #[test]
    fn another_suite_comes_from_the_main_archive() {
        let list = source_list(&parse_origins(ANSWER), "trixie").unwrap();
        assert_eq!(list.lines().count(), 2);
        assert!(list.contains("http://mirror.test/debian/ trixie main"));
    }

    #[test]
    fn versions_compare_as_debian_does() {
        assert_eq!(compare_versions("2.14-4", "2.14-10"), Ordering::Less);
        assert_eq!(
            compare_versions("2.12-9", "2.12-9~bpo12+1"),
            Ordering::Greater
        );
        assert_eq!(compare_versions("2.06", "2.06"), Ordering::Equal);
    }

    #[test]
    fn other_vendors_are_no_origin_of_debian_sources() {
        assert_eq!(
            source_list(&parse_origins("http://o.test/|stable|main||Other\n"), "x"),
            None
        );
    }
}
