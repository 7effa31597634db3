// SPDX-License-Identifier: GPL-3.0-or-later
//! A kernel for tests.
#![cfg_attr(target_os = "none", no_std)]
