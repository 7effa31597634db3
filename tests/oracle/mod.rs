// SPDX-License-Identifier: GPL-3.0-or-later
//! What has to be true whatever a file holds, for fuzzers and for tests that
//! change bytes: [`Judge`] runs commands on a fake machine beside the slow
//! reference and compares all that can be seen.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

pub(crate) mod check;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod moved;
pub(crate) mod parts;
pub(crate) mod script;
pub(crate) mod start;
pub(crate) mod told;
pub(crate) mod writer;

use crate::common::cost::CHUNKS;
use crate::common::images::{Args, quote};
use crate::common::reference::{self, Meaning, N};
use crate::common::relocated::{Relocated, relocate};
use crate::common::world::{Fault, Read};
use crate::common::{Fake, Stored};
use mb2::error::Kind;
use std::rc::Rc;

/// A kernel that is loaded, as the reference sees it.
pub(crate) struct Loaded {
    pub(crate) meaning: Meaning,
    pub(crate) file: Rc<[u8]>,
    pub(crate) line: Vec<u8>,
    pub(crate) modules: Vec<Module>,
    /// A call failed on purpose since, so that GRUB or the loader may have
    /// taken another way, or may refuse to go on.
    pub(crate) doubtful: bool,
    /// Modules that failed: GRUB takes no single chunk back.
    pub(crate) left: usize,
    /// Its modules have to lie behind it.
    pub(crate) modules_behind: bool,
    /// Its image as it has to lie in memory, if it is in one piece.
    pub(crate) relocated: Relocated,
    /// Most memory that anything beside the image may take up.
    reserved: N,
}

/// A module that is loaded.
pub(crate) struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) line: Vec<u8>,
}

impl Loaded {
    /// Where a link address lies in the end.
    pub(crate) fn moved(&self, link: N) -> N {
        link - self.meaning.place[0] + self.meaning.place[2]
    }

    /// Tells whether an address is no surprise.
    fn lies_well(&self, free: &[Vec<[N; 2]>; 2]) -> bool {
        let [first, end, base] = self.meaning.place;
        let free = &free[usize::from(self.meaning.keeps_services)];
        let fits = |range: &[N; 2]| range[0] <= base && base + end - first <= range[1];
        self.meaning.tags[10].is_none_or(|[min, max, align, _]| {
            let in_window = base >= min && base + end - first <= max;
            in_window && base % align.max(1) == 0 && free.iter().any(fits)
        })
    }
}

/// Counters of the fake before a command.
struct Before {
    calls: usize,
    touches: usize,
    granted: u64,
    heap: usize,
    handed_out: (usize, usize, usize),
}

/// A machine, and what has to be true on it.
pub(crate) struct Judge {
    pub(crate) fake: Fake,
    uefi: N,
    free: [Vec<[N; 2]>; 2],
    loaded: Option<Loaded>,
}

impl Judge {
    pub(crate) fn new(fake: Fake) -> Self {
        Self {
            uefi: machine::uefi(&fake),
            free: machine::free(&fake),
            fake,
            loaded: None,
        }
    }

    /// Lets the fallible call number `fail` of the next command fail.
    pub(crate) fn fail(&mut self, fail: Option<usize>) {
        self.fake.world.fail_at.set(None);
        self.fake.world.failed.set(None);
        if let Some(n) = fail {
            self.fake.fail_at(n);
        }
    }

    /// GRUB or the firmware will not do what is asked for at once.
    pub(crate) fn doubt(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.doubtful = true;
        }
    }

    fn failed(&self) -> bool {
        self.fake.world.failed.get().is_some()
    }

    fn before(&mut self) -> Before {
        let world = &self.fake.world;
        world.heap_peak.set(world.heap.get());
        world.reads.borrow_mut().clear();
        Before {
            calls: world.calls.get(),
            touches: world.touches.get(),
            granted: world.granted.get(),
            heap: world.heap.get(),
            handed_out: world.handed_out(),
        }
    }

    /// `multiboot2`, which loads a file or refuses it without a trace; tells
    /// which.
    pub(crate) fn multiboot2(&mut self, file: &Stored, args: &[&str]) -> bool {
        self.load(file, &[], args)
    }

    /// The same, with options before the file.
    pub(crate) fn load(&mut self, file: &Stored, options: &[&str], args: &[&str]) -> bool {
        self.loaded = None;
        // Beside boot services nothing may have to move.
        let stays = self.fake.world.low.borrow().is_some();
        let meaning = reference::read(&file.bytes, self.uefi, &self.free);
        let meaning = meaning.filter(|m| stays || !m.keeps_services);
        // A flat file that is loaded to its end must be known to have one.
        let endless = |m: &Meaning| m.tags[2].is_some_and(|[_, _, end, _]| end == 0);
        let meaning = meaning.filter(|m| file.sized || !endless(m));
        // Whether it has a section 0 to ask, only reading can tell.
        let asks = |m: &Meaning| m.tags[2].is_none() && m.table[0] != 0 && m.table[1] == 0;
        let ends = !file.sized && meaning.as_ref().is_some_and(asks);
        let words = [options, &["/kernel"], args].concat();
        let checked = self.check(&words, file);
        let before = self.before();
        let outcome = self.load_as_checked(&words, checked);
        let wanted = [file.sized, !options.contains(&"--no-elf-relocs")];
        let image = |meaning: &Meaning| relocate(meaning, &file.bytes, wanted);
        let whole = file.readable >= file.bytes.len() && !ends;
        match (outcome, meaning) {
            (Ok(()), None) => panic!("loaded in spite of the reference"),
            (Ok(()), Some(mut meaning)) => {
                let kept = &self.fake.loaded.as_ref().expect("a session").kernel.loaded;
                if self.failed() {
                    meaning.place[2] = kept.load_base.into();
                }
                let (relocated, whole) = image(&meaning);
                assert!(whole, "relocated in spite of the reference");
                self.bound_load(&before, file, &relocated);
                let loaded = Loaded {
                    reserved: beside(&meaning, &file.bytes),
                    meaning,
                    file: file.bytes.clone(),
                    line: quote(&Args::new(&words), options.len() + 1),
                    modules: Vec::new(),
                    doubtful: self.failed(),
                    left: 0,
                    modules_behind: options.contains(&"--modules-after-kernel"),
                    relocated,
                };
                self.check_load(&loaded);
                self.loaded = Some(loaded);
                true
            }
            (Err(fault), meaning) => {
                let (relocated, good) = meaning.as_ref().map(image).unwrap_or_default();
                self.bound_load(&before, file, &relocated);
                if let Some(meaning) = meaning.filter(|_| good && whole && !self.failed()) {
                    self.expect_no_room(fault, (&meaning, 0), beside(&meaning, &file.bytes));
                }
                self.expect_reason(fault);
                assert!(self.fake.empty(), "a refused kernel leaves something");
                false
            }
        }
    }

    fn check_load(&self, loaded: &Loaded) {
        let kept = &self.fake.loaded.as_ref().expect("a session").kernel.loaded;
        let place = [kept.link_base, kept.load_base].map(N::from);
        assert_eq!(place[0], loaded.meaning.place[0]);
        assert_eq!(place[1], loaded.meaning.place[2], "another load base");
        assert!(loaded.lies_well(&self.free), "a bad load base");
        let entry = loaded.moved(loaded.meaning.entry.unwrap());
        assert_eq!(N::from(kept.entry), entry);
        let modes = self.fake.payload_modes.as_deref();
        match loaded.meaning.tags[5] {
            Some([0, ..] | [_, 0, ..]) => assert_eq!(modes, Some("auto")),
            Some([w, h, 0, _]) => assert_eq!(modes, Some(&*format!("{w}x{h},auto"))),
            Some([w, h, d, _]) => assert_eq!(modes, Some(&*format!("{w}x{h}x{d},{w}x{h},auto"))),
            None if self.uefi == 0 && loaded.meaning.console & 2 == 0 => {
                assert_eq!(modes, Some("text"));
            }
            None => {}
        }
    }

    /// `module2`, which changes nothing if it fails; tells whether it did.
    pub(crate) fn module2(&mut self, file: &Stored, args: &[&str]) -> bool {
        let before = self.before();
        self.fake.files.insert("/module".to_owned(), file.clone());
        let name = args
            .iter()
            .position(|arg| *arg == "/module")
            .expect("a name");
        let outcome = self.fake.module2(args);
        let calls = self.fake.world.calls.get() - before.calls;
        assert!(calls <= 16, "{calls} calls for a module");
        let (failed, fake) = (self.failed(), &self.fake);
        let len = file.bytes.len() as N;
        let Some(loaded) = &mut self.loaded else {
            assert!(failed || matches!(outcome, Err(Fault::Ours(e)) if e.kind == Kind::NoKernel));
            assert!(fake.empty());
            return false;
        };
        loaded.doubtful |= failed;
        // A pool has as many bytes as are kept, and may leave as many.
        loaded.reserved += 3 * len + 0x2000;
        match outcome {
            Ok(()) => {
                assert!(file.sized && file.readable >= file.bytes.len());
                loaded.modules.push(Module {
                    bytes: file.bytes.to_vec(),
                    line: quote(&Args::new(args), name + 1),
                });
                true
            }
            Err(fault) => {
                assert_eq!(fake.world.handed_out(), before.handed_out, "a module leaks");
                loaded.left += 1;
                let whole = file.sized && file.readable >= file.bytes.len();
                let loaded = self.loaded.as_ref().expect("still there");
                if whole && !loaded.doubtful {
                    let place = (&loaded.meaning, loaded.modules_from());
                    self.expect_no_room(fault, place, loaded.reserved);
                }
                self.expect_reason(fault);
                false
            }
        }
    }

    /// `boot`, which starts the kernel or changes nothing; tells which.
    pub(crate) fn boot(&mut self) -> bool {
        let before = self.before();
        let outcome = self.fake.boot();
        let calls = self.fake.world.calls.get() - before.calls;
        assert!(calls <= 64, "{calls} calls for a start");
        let failed = self.failed();
        let Some(loaded) = &mut self.loaded else {
            assert!(matches!(outcome, Err(Fault::Ours(e)) if e.kind == Kind::NoKernel));
            return false;
        };
        loaded.doubtful |= failed;
        loaded.reserved += 0x2_0000 + loaded.file.len() as N;
        match outcome {
            Ok(started) => {
                if self.fake.world.failed.get() != Some("end of video") {
                    start::check(&self.fake, loaded, &started);
                }
                self.fake.world.ended.set(false);
                if let Some(low) = self.fake.world.low.borrow_mut().as_mut() {
                    assert!(low.is_untouched(), "written beside the chunks");
                }
                true
            }
            Err(Fault::Halted) => {
                assert_eq!(self.fake.world.failed.get(), Some("jump"));
                assert!(self.fake.world.ended.replace(false), "stopped for nothing");
                false
            }
            Err(fault) => {
                let out = self.fake.world.handed_out();
                assert_eq!(out, before.handed_out, "a start that fails leaks");
                let loaded = self.loaded.as_ref().expect("still there");
                // What is linked to low memory may leave none for GRUB.
                let low = self.uefi != 0 && loaded.meaning.parts.iter().any(|p| p[0] < 0x10_0000);
                if !loaded.doubtful && !low {
                    self.expect_no_room(fault, (&loaded.meaning, 0), loaded.reserved);
                }
                self.expect_reason(fault);
                false
            }
        }
    }

    /// Nothing is left, and the machine is as good as before.
    pub(crate) fn end(mut self, good: &[u8]) {
        self.fail(None);
        assert!(self.fake.balanced(), "something is left in the end");
        self.fake.payload_modes = None;
        let good = stored(good);
        if self.multiboot2(&good, &["again"]) {
            self.boot();
        }
        assert!(self.fake.balanced());
    }

    /// A refusal that the reference does not know is one for want of memory,
    /// or because of more pieces than an image may have.
    fn expect_no_room(&self, fault: Fault, (meaning, from): (&Meaning, N), need: N) {
        let pieces = meaning.parts.len() + meaning.sections.len();
        let lacks = match fault {
            Fault::Ours(error) if error.kind == Kind::Scattered && pieces > CHUNKS - 6 => return,
            Fault::Ours(error) => [Kind::NoRoom, Kind::Elsewhere].contains(&error.kind),
            Fault::Grub(call) => meaning.keeps_services && call == "no chunk",
            Fault::Unexplained | Fault::Halted => false,
        };
        assert!(lacks, "refused in spite of the reference: {fault:?}");
        let left = self.largest(meaning, from);
        assert!(
            need > left,
            "no room for {need:#x} bytes in {left:#x}: {fault:?}"
        );
    }

    /// The largest piece of free memory beside the image, from an address on.
    fn largest(&self, meaning: &Meaning, from: N) -> N {
        let [first, end, base] = meaning.place;
        let mut holes: Vec<[N; 2]> = match meaning.tags[10] {
            Some(_) => vec![[base, base + end - first]],
            None => meaning.parts.iter().map(|p| [p[0], p[0] + p[1]]).collect(),
        };
        holes.sort_unstable();
        let mut largest = 0;
        for &[start, end] in &self.free[1] {
            let (start, mut at) = (start.max(from), start.max(from));
            for hole in holes.iter().filter(|hole| hole[0] < end && start < hole[1]) {
                largest = largest.max(hole[0].saturating_sub(at));
                at = at.max(hole[1]);
            }
            largest = largest.max(end.saturating_sub(at));
        }
        largest
    }

    /// Every failure has a reason, and GRUB's own ones were asked for.
    fn expect_reason(&self, fault: Fault) {
        match fault {
            Fault::Ours(_) => {}
            Fault::Grub("no chunk" | "full heap") => {}
            Fault::Grub(call) => assert_eq!(self.fake.world.failed.get(), Some(call)),
            Fault::Unexplained | Fault::Halted => panic!("{fault:?}"),
        }
    }

    /// A load asks for no more than its file can justify. A file of n bytes has
    /// at most h = n / 32 + n / 40 headers, for c = h + 2 chunks or 257. It may
    /// cost 24 + n / 3 calls that can fail; 6 n bytes of heap beside the
    /// window of 32 KiB, and 8 KiB; each byte of the file read three times
    /// beside what goes into memory; and so many accesses to tables as it
    /// takes to sort h records and, for each chunk, c ranges; and to search c
    /// segments for both ends of each relocation.
    fn bound_load(&self, before: &Before, file: &Stored, relocated: &Relocated) {
        let world = &self.fake.world;
        let n = file.bytes.len();
        let headers = n / 32 + n / 40;
        let chunks = CHUNKS.min(headers + 1) + 1;
        let levels = (headers + 1).ilog2() as usize;
        let touches = world.touches.get() - before.touches;
        let searched = (relocated.places as usize + 16) * (chunks + 1) * 2;
        let most = 2000 + headers * (10 * levels + 20) + chunks * (600 + 60 * chunks) + searched;
        assert!(touches <= most, "{touches} accesses for {n} bytes");
        if !file.sized {
            return;
        }
        let calls = world.calls.get() - before.calls;
        assert!(calls <= 24 + n / 3, "{calls} calls for {n} bytes");
        let heap = world.heap_peak.get() - before.heap;
        assert!(heap <= 6 * n + 0xa000, "{heap:#x} bytes of heap for {n:#x}");
        let there = |read: &Read| read.len.min(n.saturating_sub(read.offset as usize));
        let read: usize = world.reads.borrow().iter().map(there).sum();
        let granted = world.granted.get() - before.granted;
        assert!(
            read as u64 <= 3 * n as u64 + granted,
            "{read:#x} bytes read"
        );
        let free: N = self.free[0].iter().map(|range| range[1] - range[0]).sum();
        assert!(N::from(granted) <= free, "{granted:#x} bytes of memory");
    }
}

/// Most memory that goes beside an image: sections, and the end of the file,
/// with a page for each.
fn beside(meaning: &Meaning, file: &[u8]) -> N {
    let sections = meaning.sections.iter().map(|[.., len, align]| len + align);
    sections.sum::<N>() + file.len() as N + 0x4000
}

/// A file that is what it seems.
pub(crate) fn stored(bytes: &[u8]) -> Stored {
    Stored {
        bytes: bytes.into(),
        sized: true,
        readable: bytes.len(),
    }
}
