// SPDX-License-Identifier: GPL-3.0-or-later
//! [`Platform`]: the only door to effects.
//!
//! GRUB stands behind it in the module, a fake in host tests, a memory map in
//! `mb2check`. Handles are owned values: a dropped file is closed, a dropped
//! relocator unloaded, a dropped buffer freed, so a failed load leaves nothing
//! behind.

use crate::error::{Kind, Numbers, Outcome, Report};
use crate::info::{Apm, EfiTables};
use crate::params::Machine;
use crate::plan::placement::Request;
use crate::table::Bytes;
use crate::units::{FileOffset, PhysAddr, index};
use core::ffi::CStr;

/// What a file is opened as; verifiers see it (GRUB, include/grub/file.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A kernel.
    Kernel,
    /// A module.
    Module,
    /// A module that is not decompressed.
    StoredModule,
}

/// What a command line belongs to; verifiers see it (GRUB,
/// include/grub/verify.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// A kernel's.
    Kernel,
    /// A module's.
    Module,
}

/// Which memory map is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMap {
    /// The one that the kernel is told.
    Report,
    /// For placing: what is free when boot services have ended.
    Usable,
    /// For placing: what is free beside boot services.
    BesideServices,
}

/// Arguments of a command.
pub trait Arguments {
    /// The argument number `index`.
    fn get(&self, index: usize) -> Option<&CStr>;
}

/// An open file, closed when it is dropped.
pub trait File {
    /// Size in bytes after decompression; `None` when it is not known.
    fn size(&self) -> Option<u64>;
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The image and its sections: may take boot-services memory when boot
    /// services end.
    Image,
    /// Anything beside the image: never takes boot-services memory.
    Other,
}

/// Registers at the kernel's first instruction; physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The entry after any move.
    pub entry: u32,
    /// The boot information.
    pub info: u32,
    /// Boot services stay alive, and the entry is the UEFI one.
    pub keep_services: bool,
}

/// GRUB's relocator, unloaded when it is dropped (GRUB,
/// include/grub/relocator.h).
#[expect(
    clippy::missing_errors_doc,
    reason = "they fail when GRUB has not the memory"
)]
pub trait Relocator {
    /// Reserves a chunk of `len` bytes that will lie at `target`, wherever its
    /// bytes are until then, and returns its target.
    fn alloc_at(&mut self, target: PhysAddr, len: u32) -> Outcome<PhysAddr>;

    /// Reserves a chunk where `request` allows it and returns its target.
    /// GRUB looks first where the bytes can be at once; it does not keep to
    /// the request when that fails. `whose` says which memory it may take.
    fn alloc_in(&mut self, request: &Request, whose: Whose) -> Outcome<PhysAddr>;

    /// The bytes of the chunk that was reserved last, or of the part of the
    /// pool that was chosen since, where they are now.
    fn newest(&mut self) -> &mut [u8];

    /// Tells whether that chunk is at its target `at` already, so that nothing
    /// moves when the kernel starts.
    fn stays(&mut self, at: PhysAddr) -> bool {
        self.newest().as_ptr().addr() == index(at.0)
    }

    /// Makes the chunk that was reserved last the pool.
    fn open_pool(&mut self);

    /// Chooses `len` bytes of the pool from `start` on.
    fn share(&mut self, start: u32, len: u32);

    /// The bytes of the chunk that was reserved first, and those of the last
    /// one if it is another.
    fn first_and_newest(&mut self) -> (&mut [u8], &mut [u8]);

    /// Starts the kernel; returns only when that fails.
    fn boot(&mut self, registers: &HandOver) -> Outcome;
}

/// Answer of GRUB's video drivers when they hand the screen over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Physical address of the framebuffer.
    pub address: u64,
    /// Bytes of a line, then width and height in pixels.
    pub pitch_width_height: [u32; 3],
    /// Bits of a pixel.
    pub bpp: u8,
    /// Number of colours of a palette; `None` for direct colour.
    pub colors: Option<usize>,
    /// Position and size in bits of red, green and blue.
    pub masks: [u8; 6],
}

/// What UEFI wrote when boot services ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EfiMap {
    /// Bytes of the map.
    pub len: usize,
    /// Size and version of its descriptors.
    pub descriptor: [u32; 2],
}

/// Everything that the loader asks of the world. A method that fails has set
/// GRUB's error and answers [`crate::error::Failed`].
#[expect(clippy::missing_errors_doc, reason = "said once, on the trait")]
pub trait Platform: Report + Sized {
    /// Heap memory.
    type Buffer: Bytes;
    /// An open file.
    type File: File;
    /// A relocator.
    type Relocator: Relocator;
    /// Arguments of a command.
    type Args: Arguments;

    /// The machine.
    fn machine(&self) -> Machine;
    /// GRUB's name and version, with its NUL.
    fn loader_name(&self) -> &'static [u8];
    /// Reserves `len` bytes of heap, all zero.
    fn alloc(&mut self, len: usize) -> Outcome<Self::Buffer>;
    /// Prints a line for the user, with the numbers of its text.
    fn say(&mut self, line: Kind, numbers: &Numbers);
    /// Prints GRUB's error, clears it and goes on.
    fn print_error(&mut self);
    /// Clears GRUB's error, since there is another way.
    fn forget_error(&mut self);

    /// Unloads whatever kernel is loaded.
    fn unset_loader(&mut self);
    /// Opens a file; errors are about it from then on.
    fn open(&mut self, path: &CStr, kind: FileKind) -> Outcome<Self::File>;
    /// Reads from `offset` on and returns how many bytes there were.
    fn read(
        &mut self,
        file: &mut Self::File,
        offset: FileOffset,
        into: &mut [u8],
    ) -> Outcome<usize>;
    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Kind::FileEnd`] and what GRUB refuses.
    #[inline(never)] // two callers, none of them hurried
    fn fill(&mut self, file: &mut Self::File, offset: FileOffset, into: &mut [u8]) -> Outcome {
        if self.read(file, offset, into)? == into.len() {
            return Ok(());
        }
        Err(self.refuse(Kind::FileEnd))
    }
    /// Joins the arguments from `first` on and shows them to the verifiers;
    /// the text carries its NUL.
    fn command_line(
        &mut self,
        args: &Self::Args,
        first: usize,
        kind: CommandLine,
    ) -> Outcome<Self::Buffer>;
    /// Starts with an empty relocator.
    fn new_relocator(&mut self) -> Outcome<Self::Relocator>;
    /// Reads a memory map in entries of 24 bytes.
    fn memory_map(&mut self, which: MemoryMap) -> Outcome<Self::Buffer>;
    /// Sets `gfxpayload` to a text of these numbers.
    fn set_payload_modes(&mut self, format: &'static CStr, numbers: &[u32; 5]) -> Outcome;
    /// BIOS drive, partition and sub-partition of the root device; all ones
    /// for what it has not.
    fn boot_device(&mut self) -> Outcome<Option<[u32; 3]>>;

    /// Sets the video mode: the value of `gfxpayload` in this format, or
    /// `without` when it is unset or empty.
    fn set_video_mode(&mut self, with: &'static CStr, without: &'static CStr) -> Outcome;
    /// Tells whether a graphics driver is active.
    fn has_video_driver(&self) -> bool;
    /// Reads colours, three bytes each.
    fn palette(&mut self, into: &mut [u8]);
    /// Hands the screen over.
    fn finish_video(&mut self) -> Outcome<Screen>;
    /// Number of the current VBE mode; 3 is text of 80 x 25.
    fn vbe_mode(&mut self) -> Option<u32>;
    /// VBE's controller information.
    fn vbe_controller(&mut self, into: &mut [u8]) -> bool;
    /// VBE's information about a mode.
    fn vbe_mode_info(&mut self, mode: u32, into: &mut [u8]) -> bool;
    /// Segment, offset and length of VBE's protected-mode interface.
    fn vbe_interface(&mut self) -> [u16; 3];

    /// Asks the APM BIOS.
    fn apm(&mut self) -> Option<Apm>;
    /// Kibibytes below and above 1 MiB.
    fn memory_sizes(&mut self) -> [u32; 2];
    /// The DHCP acknowledgement of network interface `index`, empty when it
    /// has none; `None` behind the last interface.
    fn dhcp_acknowledgement(&mut self, index: u32) -> Option<&'static [u8]>;
    /// The ACPI root pointer of the old or the new revision.
    fn acpi(&mut self, new: bool) -> Option<&'static [u8]>;
    /// Memory in which an SMBIOS entry point of the new or the old kind may start
    /// at each 16th byte; empty when there is none.
    fn smbios(&mut self, new: bool) -> &'static [u8];
    /// Memory that the firmware has said to be its own; empty when it cannot be
    /// reached.
    fn firmware_memory(&mut self, address: u64, len: u32) -> &'static [u8];
    /// UEFI's tables.
    fn efi(&mut self) -> Option<EfiTables>;
    /// Bytes that UEFI's memory map will need.
    fn efi_map_len(&mut self) -> usize;
    /// Ends boot services and writes UEFI's last memory map; `None` when the
    /// map has outgrown `into` and nothing has happened.
    fn end_services(&mut self, into: &mut [u8]) -> Outcome<Option<EfiMap>>;
    /// Stops the machine; there is nobody left to report to.
    fn halt(&mut self) -> !;
}
