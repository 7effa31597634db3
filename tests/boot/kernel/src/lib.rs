// SPDX-License-Identifier: GPL-3.0-or-later
//! A kernel that prints what a Multiboot2 loader handed to it.
//!
//! It is linked at address 0 into one flat blob per CPU and runs wherever a
//! loader puts it. The entry stubs (assembly) record the registers before
//! anything else changes them, sum the blob's own bytes, look for dirty
//! zero-initialised memory and then relocate the blob. Everything after that
//! is Rust: it prints registers, checksums and the boot information on the
//! first serial port and ends the machine through QEMU's `isa-debug-exit`.
//!
//! On the host this crate is empty.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
mod capture;
#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod efi;
#[cfg(all(target_os = "none", target_arch = "x86"))]
mod entry32;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
mod entry64;
#[cfg(target_os = "none")]
mod mbi;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod report;
#[cfg(target_os = "none")]
mod rt;
#[cfg(target_os = "none")]
mod serial;
