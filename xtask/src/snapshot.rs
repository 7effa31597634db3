// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines that have booted GRUB already.
//!
//! Firmware needs seconds to start and does the same each time. So one machine of each kind is
//! started, GRUB waits in it for a sign, and its whole state is saved. Every test goes on from
//! there with a disk of its own, on which it finds its module, its files and its commands.
//!
//! The sign is a word of QEMU's configuration device that says whether a boot menu is wanted:
//! it is the only difference between the machine that was saved and those that go on.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::cmd::{run, system};
use crate::grub::Place;
use crate::iso::{self, Flavour, Maker};
use crate::qemu::{Machine, Next, Outcome};
use crate::test::LIMIT;
use crate::{probe, root};

/// What GRUB prints when it waits.
const READY: &str = "mb2t ready";

/// What GRUB does after the commands of a test, if they have not started a kernel: the machine
/// must not wait for somebody at the keyboard. QEMU ends with the code 7.
pub(crate) const GIVE_UP: &str = "echo mb2t no kernel was started\noutb 0xf4 0x3\n";

/// The time for an ordinary test after GRUB was woken. It needs a second.
pub(crate) const WARM_LIMIT: Duration = Duration::from_secs(60);

/// Size of the disk of a test, in bytes; most of it are holes.
const DISK_LEN: u64 = 64 << 20;

/// What a test brings along.
pub(crate) struct Test<'a> {
    /// The module that it tests.
    pub(crate) module: &'a Path,
    /// Commands for GRUB.
    pub(crate) script: &'a [String],
    /// Files for the root of the disk.
    pub(crate) files: &'a [(&'a str, &'a [u8])],
    /// Where its disk is made.
    pub(crate) disk: &'a Path,
    /// More options for QEMU.
    pub(crate) options: &'a [String],
    /// The time that it gets after GRUB was woken.
    pub(crate) limit: Duration,
}

/// What kind of machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    /// The GRUB that runs in it, and the firmware.
    pub(crate) place: Place,
    /// In MiB.
    pub(crate) memory: u32,
    /// More options for QEMU.
    pub(crate) extra: Vec<String>,
    /// It counts instructions, and has its disk as the probe's, too.
    pub(crate) counts: bool,
}

/// A kind of machine and, once it is needed, the state of one that waits.
pub(crate) struct Snapshot {
    kind: Kind,
    folder: PathBuf,
    saved: OnceLock<Result<(), String>>,
}

/// Returns what GRUB does until it waits, and how it goes on.
///
/// Its disk cache forgets what it knows when it was idle for two seconds; that has to happen
/// before the disk changes under it. Where instructions are counted, the disk is one that nobody
/// has read before, and waiting does not touch GRUB's heap.
fn base_config(kind: &Kind) -> String {
    let modules = ["iorw", "iso9660", "test", "sleep", "configfile", "echo"];
    let modules: String = modules
        .iter()
        .map(|name| format!("insmod {name}\n"))
        .collect();
    let (before, wait, disk) = if kind.counts {
        ("insmod /mb2probe.mod", "probe_wait", "probe")
    } else {
        let wait = "while [ \"$go\" != 1 ]; do outw 0x510 0xe; inb -v go 0x511; done";
        ("sleep 3", wait, "hd0")
    };
    format!(
        "{}{modules}{before}\necho {READY}\n{wait}\n\
         set root={disk}\nsource ({disk})/run.cfg\n",
        iso::prologue(kind.place.platform)
    )
}

impl Snapshot {
    /// Describes a kind of machine; nothing is started yet.
    ///
    /// # Errors
    ///
    /// If the folder for its files cannot be made.
    pub(crate) fn new(kind: Kind, name: &str) -> Result<Self> {
        let shelf = kind.place.below(root().join("target/xtask/snapshot"));
        let folder = shelf.join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self {
            kind,
            folder,
            saved: OnceLock::new(),
        })
    }

    /// Says whether it is of this kind.
    pub(crate) fn is(&self, kind: &Kind) -> bool {
        self.kind == *kind
    }

    /// The GRUB that runs in it, and the firmware.
    pub(crate) fn place(&self) -> &Place {
        &self.kind.place
    }

    /// Lets a machine go on with the disk of a test.
    ///
    /// # Errors
    ///
    /// If the disk cannot be made or QEMU does not start.
    pub(crate) fn go_on(&self, test: &Test<'_>) -> Result<Outcome> {
        // Whoever comes first makes it, the others wait.
        let saved = self
            .saved
            .get_or_init(|| self.save().map_err(|error| format!("{error:#}")));
        saved
            .as_ref()
            .map_err(|error| anyhow!("no machine waits: {error}"))?;
        let module = fs::read(test.module)?;
        let probe = fs::read(probe::path(&self.kind.place))?;
        let script: String = test.script.iter().map(|line| format!("{line}\n")).collect();
        let config = format!("insmod /multiboot2.mod\n{script}{GIVE_UP}");
        let mut all = test.files.to_vec();
        all.push(("multiboot2.mod", &module));
        all.push(("mb2probe.mod", &probe));
        all.push(("run.cfg", config.as_bytes()));
        make_disk(&all, test.disk)?;
        let mut machine = self.machine(test.disk);
        let state = format!("exec:cat '{}'", self.state().display());
        machine.extra.extend(["-incoming".to_owned(), state]);
        machine
            .extra
            .extend(["-boot".to_owned(), "menu=on".to_owned()]);
        machine.extra.extend_from_slice(test.options);
        let outcome = machine.run(test.limit, |_| Next::Continue);
        fs::remove_file(test.disk)?;
        outcome
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn machine(&self, disk: &Path) -> Machine {
        let mut extra = self.kind.extra.clone();
        if self.kind.counts {
            let file = format!("name=opt/mb2/disk,file={}", disk.display());
            extra.extend(["-icount", "shift=0,sleep=off", "-fw_cfg", &file].map(str::to_owned));
        } else {
            let drive = format!("if=virtio,format=raw,readonly=on,file={}", disk.display());
            extra.extend(["-drive".to_owned(), drive]);
        }
        let iso = self.folder.join("base.iso");
        Machine {
            extra,
            ..Machine::new(self.kind.place.platform, self.kind.memory, iso)
        }
    }

    /// Starts a machine and saves it when GRUB waits.
    fn save(&self) -> Result<()> {
        let maker = Maker::of(&self.kind.place, Flavour::Stock)?;
        iso::build(
            &maker,
            &base_config(&self.kind),
            &[("mb2probe.mod", &fs::read(probe::path(&self.kind.place))?)],
            &self.folder.join("base.iso"),
        )?;
        let disk = self.folder.join("empty.img");
        fs::File::create(&disk)?.set_len(DISK_LEN)?;
        let socket = self.folder.join("monitor");
        let mut machine = self.machine(&disk);
        let monitor = format!("unix:{},server=on,wait=off", socket.display());
        machine.extra.extend(["-qmp".to_owned(), monitor]);
        let mut saved = None;
        // Counting instructions slows a machine down.
        let limit = if self.kind.counts { 5 * LIMIT } else { LIMIT };
        let outcome = machine.run(limit, |line| {
            if !line.contains(READY) {
                return Next::Continue;
            }
            saved = Some(save_to(&socket, &self.state()));
            Next::Stop
        })?;
        saved.with_context(|| format!("GRUB does not wait:\n{}", outcome.transcript))?
    }
}

/// Tells a running machine to write its state to a file.
fn save_to(socket: &Path, state: &Path) -> Result<()> {
    let stream = UnixStream::connect(socket).context("cannot reach QEMU's monitor")?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut commands = stream.try_clone()?;
    let mut answers = BufReader::new(stream).lines();
    let uri = format!("exec:cat > '{}'", state.display());
    for command in [
        r#"{"execute": "qmp_capabilities"}"#.to_owned(),
        r#"{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "events", "state": true}]}}"#.to_owned(),
        r#"{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 10000000000}}"#.to_owned(),
        format!(r#"{{"execute": "migrate", "arguments": {{"uri": "{uri}"}}}}"#),
    ] {
        writeln!(commands, "{command}")?;
    }
    loop {
        let line = answers.next().context("QEMU has closed its monitor")??;
        if line.contains("\"error\"") || line.contains("\"failed\"") {
            bail!("QEMU cannot save the machine: {line}");
        }
        if line.contains("\"completed\"") {
            return Ok(());
        }
    }
}

/// Makes a disk that holds one ISO file system.
fn make_disk(files: &[(&str, &[u8])], disk: &Path) -> Result<()> {
    let tree = disk.with_extension("root");
    iso::write_files(&tree, files)?;
    let mut xorriso = system("xorriso");
    xorriso
        .args(["-as", "mkisofs", "-quiet", "-R", "-o"])
        .arg(disk)
        .arg(&tree);
    run(&mut xorriso, &disk.with_extension("log"))
        .context("cannot make a disk; if xorriso is missing: apt-get install xorriso")?;
    fs::remove_dir_all(&tree)?;
    let file = fs::File::options().write(true).open(disk)?;
    let len = file.metadata()?.len();
    if len > DISK_LEN {
        bail!("the files of this test need {len} bytes, more than the disk has");
    }
    Ok(file.set_len(DISK_LEN)?)
}
