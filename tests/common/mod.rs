// SPDX-License-Identifier: GPL-3.0-or-later
//! A machine that exists only in numbers: [`Fake`] stands behind the loader's
//! `Platform`, counts everything that it hands out, and can fail at any call.
#![expect(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised; every file uses another part"
)]

pub(crate) mod cost;
pub(crate) mod facts;
pub(crate) mod images;
pub(crate) mod information;
pub(crate) mod low;
pub(crate) mod pies;
pub(crate) mod platform;
pub(crate) mod reference;
pub(crate) mod refusal;
pub(crate) mod relocated;
pub(crate) mod relocator;
pub(crate) mod render;
pub(crate) mod world;

use facts::Facts;
use images::Args;
use mb2::error::{Error, Kind, Outcome};
use mb2::params::{Firmware, Machine};
use mb2::place::{Place, Places};
use mb2::session::Session;
use mb2::{boot, load};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use world::{Fault, Range, World};

/// A file of the machine.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Rc<[u8]>,
    /// The file system tells its size.
    pub(crate) sized: bool,
    /// Reading ends here, whatever the size says.
    pub(crate) readable: usize,
}

/// The machine, GRUB included.
pub(crate) struct Fake {
    pub(crate) world: Rc<World>,
    pub(crate) machine: Machine,
    pub(crate) facts: Facts,
    pub(crate) files: BTreeMap<String, Stored>,
    /// GRUB's variable `gfxpayload`.
    pub(crate) payload_modes: Option<String>,
    /// What video modes were asked for, and lines for the user.
    pub(crate) modes: Vec<String>,
    pub(crate) printed: Vec<String>,
    /// Calls whose order matters to GRUB's security services.
    pub(crate) events: Vec<String>,
    /// What an error was last said to be about, beside files.
    pub(crate) named: String,
    /// The registered kernel.
    pub(crate) loaded: Option<Session<Self>>,
}

/// Makes a machine.
pub(crate) type New = fn() -> Fake;

/// Who stopped a `boot` that did not return an error.
pub(crate) enum Stop {
    Started,
    Halted,
}

/// What the kernel found.
pub(crate) use world::Started;

impl Fake {
    /// A PC with a BIOS and 64 MiB.
    pub(crate) fn bios() -> Self {
        Self::new(Firmware::Bios, Range::PC)
    }

    /// A 64-bit UEFI machine.
    pub(crate) fn efi64() -> Self {
        Self::new(Firmware::Efi64, Range::EFI)
    }

    /// A 32-bit UEFI machine.
    pub(crate) fn efi32() -> Self {
        Self::new(Firmware::Efi32, Range::EFI)
    }

    /// A UEFI machine whose free memory really lies at its addresses, so that
    /// chunks can stay where they are. One at a time exists.
    pub(crate) fn in_place(firmware: Firmware) -> Self {
        let fake = Self::new(firmware, Range::IN_PLACE);
        *fake.world.low.borrow_mut() = Some(low::Low::take());
        fake
    }

    fn new(firmware: Firmware, ranges: &[Range]) -> Self {
        Self {
            world: Rc::new(World::new(ranges)),
            machine: Machine {
                firmware,
                vga_text: firmware == Firmware::Bios,
            },
            facts: Facts::of(firmware),
            files: BTreeMap::new(),
            payload_modes: None,
            modes: Vec::new(),
            printed: Vec::new(),
            events: Vec::new(),
            named: String::new(),
            loaded: None,
        }
    }

    /// Makes the fallible call number `n`, counted from 0 from now on, fail.
    pub(crate) fn fail_at(&self, n: usize) {
        let call = self.world.calls.get() + n;
        self.world.fail_at.set(Some(call));
        self.world.failed.set(None);
    }

    /// Stores a file.
    pub(crate) fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.store(name, bytes);
        self
    }

    /// Stores a file.
    pub(crate) fn store(&mut self, name: &str, bytes: &[u8]) -> &mut Stored {
        let stored = Stored {
            bytes: bytes.into(),
            sized: true,
            readable: bytes.len(),
        };
        self.files.insert(name.to_owned(), stored);
        self.files.get_mut(name).unwrap()
    }

    /// The command `multiboot2`, as the module's entry function runs it.
    pub(crate) fn multiboot2(&mut self, args: &[&str]) -> Result<(), Fault> {
        let args = Args::new(args);
        let mut places = Places::EMPTY;
        let outcome = load::kernel(self, &args, &mut places);
        assert!(
            matches!(places.checked, Place::Empty),
            "a check has left something"
        );
        match places.loaded {
            Place::Empty => assert_ne!(outcome, Ok(true), "nothing was loaded"),
            Place::Full(session) => {
                assert_eq!(outcome, Ok(true), "something was left");
                assert!(self.loaded.is_none(), "the kernel before was not unloaded");
                self.loaded = Some(session);
            }
        }
        self.settle(outcome.map(drop))
    }

    /// Stores a kernel and loads it.
    pub(crate) fn load(&mut self, kernel: &[u8]) -> Result<(), Fault> {
        self.store("/kernel", kernel);
        self.multiboot2(&["/kernel"])
    }

    /// The command `module2`.
    pub(crate) fn module2(&mut self, args: &[&str]) -> Result<(), Fault> {
        let args = Args::new(args);
        let mut session = self.loaded.take();
        let outcome = load::module(self, session.as_mut(), &args);
        self.loaded = session;
        self.settle(outcome)
    }

    /// The command `boot`, and what the kernel found when it came that far.
    pub(crate) fn boot(&mut self) -> Result<Started, Fault> {
        let mut session = self.loaded.take();
        let run = || boot::boot(self, session.as_mut());
        let stop = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(returned) => Err(returned),
            Err(payload) => match payload.downcast::<Stop>() {
                Ok(stop) => Ok(*stop),
                Err(panic) => resume_unwind(panic),
            },
        };
        self.loaded = session;
        match stop {
            Ok(Stop::Started) => Ok(self.world.started.take().expect("a record")),
            Ok(Stop::Halted) => Err(Fault::Halted),
            Err(returned) => {
                assert!(!self.world.ended.get(), "returned without firmware");
                self.settle(returned)?;
                panic!("boot returned without an error");
            }
        }
    }

    /// GRUB's command ends: no error is left behind by a success.
    fn settle(&self, outcome: Outcome) -> Result<(), Fault> {
        let pending = self.world.pending.take();
        match outcome {
            Ok(()) => assert_eq!(pending, None, "GRUB would report this error"),
            Err(_) => return Err(pending.unwrap_or(Fault::Unexplained)),
        }
        Ok(())
    }

    /// Unloads and tells whether nothing is left that GRUB handed out.
    pub(crate) fn balanced(&mut self) -> bool {
        self.loaded = None;
        self.world.handed_out() == (0, 0, 0)
    }

    /// Tells whether nothing is left without unloading anything.
    pub(crate) fn empty(&self) -> bool {
        self.loaded.is_none() && self.world.handed_out() == (0, 0, 0)
    }

    /// Expects a kernel to be refused, everything to be given back, and the
    /// next good kernel to start.
    #[track_caller]
    pub(crate) fn refuses(&mut self, kernel: &[u8], kind: Kind) -> Error {
        let error = match self.load(kernel) {
            Err(Fault::Ours(error)) => error,
            other => panic!("{kind:?} was expected, not {other:?}"),
        };
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(self.empty(), "something is left after {kind:?}");
        assert!(matches!(self.boot(), Err(Fault::Ours(e)) if e.kind == Kind::NoKernel));
        self.load(&images::good()).expect("the next kernel");
        assert!(self.balanced());
        error
    }
}

/// A text of C as one of Rust.
pub(crate) fn text(c: &CStr) -> String {
    c.to_str().unwrap().to_owned()
}
