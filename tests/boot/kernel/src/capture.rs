// SPDX-License-Identifier: GPL-3.0-or-later
//! What the entry stubs leave behind for Rust.

/// General registers in the order in which the stubs store them.
#[cfg(target_arch = "x86")]
pub(crate) const REGISTER_NAMES: [&str; 8] =
    ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"];
/// General registers in the order in which the stubs store them.
#[cfg(target_arch = "x86_64")]
pub(crate) const REGISTER_NAMES: [&str; 16] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// Name of the flags register.
#[cfg(target_arch = "x86")]
pub(crate) const FLAGS_NAME: &str = "eflags";
/// Name of the flags register.
#[cfg(target_arch = "x86_64")]
pub(crate) const FLAGS_NAME: &str = "rflags";

/// The state at the first instruction; the stubs address it as 8-byte slots.
///
/// On the 32-bit CPU only the lower half of a register slot is written.
#[repr(C)]
pub(crate) struct Capture {
    /// General registers, slots 0 to 15.
    pub(crate) registers: [u64; 16],
    /// Flags register, slot 16.
    pub(crate) flags: u64,
    /// FNV-1a-64 of the blob's file bytes before relocation, slot 17.
    pub(crate) fnv: u64,
    /// Address of the first byte of the checked bss that was not zero, slot 18.
    pub(crate) dirty_bss: u64,
    /// Where the blob lies, slot 19.
    pub(crate) base: u64,
    /// Words that already held their relocated value, slot 20.
    pub(crate) already_relocated: u64,
    /// Which entry was taken, slot 21: one of the `ENTRY_*` values.
    pub(crate) entry: u64,
}

/// 32-bit protected mode, no firmware.
pub(crate) const ENTRY_PLAIN32: u64 = 0;
/// 32-bit UEFI with boot services alive.
pub(crate) const ENTRY_EFI32: u64 = 1;
/// 64-bit UEFI with boot services alive.
pub(crate) const ENTRY_EFI64: u64 = 2;

/// Number of range slots in the descriptor.
pub(crate) const MAX_RANGES: usize = 12;

/// The descriptor at offset 0 of the blob, filled by whoever builds the image.
#[repr(C)]
pub(crate) struct Head {
    /// [`Head::MAGIC`], so that an unfilled blob is noticed.
    pub(crate) magic: u32,
    /// Bytes of the blob that come from the file.
    pub(crate) file_len: u32,
    /// Bytes of the blob in memory.
    pub(crate) mem_len: u32,
    /// Offset of the relocation table in the blob.
    pub(crate) reloc_offset: u32,
    /// Number of entries in the relocation table.
    pub(crate) reloc_count: u32,
    /// Number of valid entries in `ranges`.
    pub(crate) range_count: u32,
    /// Where the blob was linked to be, as a physical address.
    pub(crate) link_base: u32,
    /// Zero.
    pub(crate) reserved: u32,
    /// Other parts of the image, to be summed as well.
    pub(crate) ranges: [Range; MAX_RANGES],
}

impl Head {
    /// Value of a filled descriptor.
    pub(crate) const MAGIC: u32 = 0x6b32_424d;
}

/// A part of the image outside the blob.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// Distance from the start of the blob, modulo 2^32.
    pub(crate) delta: u32,
    /// Bytes that come from the file.
    pub(crate) file_len: u32,
    /// Bytes in memory; those behind `file_len` should be zero.
    pub(crate) mem_len: u32,
    /// 0: a segment; 1: a gap between segments.
    pub(crate) kind: u32,
}

const _: () = assert!(size_of::<Capture>() == 22 * 8);
const _: () = assert!(size_of::<Head>() == 32 + 16 * MAX_RANGES);
