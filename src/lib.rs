// SPDX-License-Identifier: GPL-3.0-or-later
//! GRUB's Multiboot2 loader.
#![cfg_attr(target_os = "none", no_std)]
