// SPDX-License-Identifier: GPL-3.0-or-later
//! A machine for the loader that has memory and files and nothing else.
//!
//! It grants what GRUB's relocator would, as far as the map says. What GRUB itself
//! takes of the memory is not known here.

mod platform;
mod relocator;

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use mb2::params::{Firmware, Machine};
use mb2::place::{Place, Places};
use mb2::platform::{Arguments, HandOver};
use mb2::session::Session;
use mb2::{boot, load};
use serde::Serialize;

use crate::check::Commands;
use crate::input::Input;
use crate::line::Fault;
use crate::memory::Map;

/// What memory is called that the image or its sections take.
pub const IMAGE: &str = "image";

/// The machine to check for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its firmware.
    pub firmware: Firmware,
    /// Its memory.
    pub map: Map,
}

/// Memory that was granted, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// What lies there.
    pub what: String,
    /// First byte, physical address.
    pub first: u32,
    /// Last byte.
    pub last: u32,
}

/// The machine, GRUB included.
pub struct Host {
    setup: Setup,
    file: Input,
    /// What was read from files, granted, and reported.
    events: Rc<RefCell<Events>>,
    /// GRUB's variable `gfxpayload`.
    payload: Option<String>,
    printed: Vec<String>,
}

#[derive(Default)]
struct Events {
    chunks: Vec<Chunk>,
    pending: Option<Fault>,
    /// What the command in progress loads.
    loading: String,
}

/// Arguments of a command, the rest of its line as one.
pub struct Line([CString; 3]);

impl Line {
    /// The words of a command.
    #[must_use]
    pub fn new(words: [&str; 3]) -> Self {
        // No file name and no argument of a program has a NUL.
        Self(words.map(|word| CString::new(word).unwrap_or_default()))
    }
}

impl Arguments for Line {
    fn get(&self, index: usize) -> Option<&CStr> {
        let word = self.0.get(index)?;
        (!word.is_empty()).then_some(word.as_c_str())
    }
}

/// A kernel that is loaded.
pub type Loaded = Session<Host>;

impl Host {
    /// A machine with a kernel file.
    #[must_use]
    pub fn new(setup: &Setup, file: &Input) -> Self {
        Self {
            setup: setup.clone(),
            file: file.clone(),
            events: Rc::default(),
            payload: None,
            printed: Vec::new(),
        }
    }

    /// The machine as the loader sees it.
    #[must_use]
    pub fn machine_of(firmware: Firmware) -> Machine {
        Machine {
            firmware,
            vga_text: firmware == Firmware::Bios,
        }
    }

    /// `multiboot2 OPTIONS FILE LINE`
    ///
    /// # Errors
    ///
    /// Why the loader refuses the file.
    pub fn multiboot2(&mut self, commands: &Commands) -> Result<Loaded, Fault> {
        self.events.borrow_mut().loading = IMAGE.to_owned();
        let line = commands.line.as_str();
        let words = match commands.modules_after_kernel {
            true => ["--modules-after-kernel", "kernel", line],
            false => ["kernel", line, ""],
        };
        let mut places = Places::EMPTY;
        let loaded = load::kernel(self, &Line::new(words), &mut places);
        match (loaded, places.loaded) {
            (Ok(_), Place::Full(session)) => Ok(session),
            _ => Err(self.fault()),
        }
    }

    /// `module2 FILE LINE`
    ///
    /// # Errors
    ///
    /// Why the loader refuses the file.
    pub fn module2(
        &mut self,
        loaded: &mut Loaded,
        module: &Input,
        (stored, line): (bool, &str),
    ) -> Result<(), Fault> {
        self.events.borrow_mut().loading = format!("module {}", module.name);
        let kernel = std::mem::replace(&mut self.file, module.clone());
        let words = match stored {
            true => ["--nounzip", "module", line],
            false => ["module", line, ""],
        };
        let outcome = load::module(self, Some(loaded), &Line::new(words));
        self.file = kernel;
        outcome.map_err(|_| self.fault())
    }

    /// `boot` up to the jump: the registers, and the boot information.
    ///
    /// # Errors
    ///
    /// Why the loader does not start the kernel.
    pub fn boot(&mut self, loaded: &mut Loaded) -> Result<(HandOver, Vec<u8>), Fault> {
        self.events.borrow_mut().loading = "boot information".to_owned();
        let registers = boot::prepare(self, loaded, |_, _, registers, _| Ok(*registers));
        let registers = registers.map_err(|_| self.fault())?;
        Ok((registers, loaded.memory.bytes().to_vec()))
    }

    /// Everything that was granted, in the order of the requests.
    #[must_use]
    pub fn chunks(&self) -> Vec<Chunk> {
        self.events.borrow().chunks.clone()
    }

    /// What the loader made of GRUB's variable `gfxpayload`.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// Lines that the loader printed.
    #[must_use]
    pub fn printed(&self) -> &[String] {
        &self.printed
    }

    fn fault(&self) -> Fault {
        let pending = self.events.borrow_mut().pending.take();
        pending.unwrap_or(Fault::Grub("unexplained failure"))
    }
}
