// SPDX-License-Identifier: GPL-3.0-or-later
//! What GRUB's Multiboot2 loader makes of a kernel image.
//!
//! The loader itself runs, over a [`host::Host`] with the memory map that the user
//! names. So the verdict and its error line are the loader's own. All else explains them:
//!
//! ```text
//! input ─► check ─► host: load::kernel, load::module, boot::prepare
//!            ├───► header, image, info   what stands in the bytes
//!            ├───► explain, near, warn   why, almost, and what other loaders say
//!            └───► report ─► show::text, show::svg, JSON
//! ```

pub mod check;
pub mod cli;
pub mod elf;
pub mod explain;
pub mod header;
pub mod host;
pub mod info;
pub mod input;
pub mod line;
pub mod memory;
pub mod near;
pub mod report;
pub mod show;
pub mod warn;
