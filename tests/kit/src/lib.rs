// SPDX-License-Identifier: GPL-3.0-or-later
//! Multiboot2 images for tests, and a reader for what the test kernel prints.
//!
//! Nothing here shares code with the loader under test: headers and images
//! are written from the specifications, and boot information is read by an
//! iterator of this crate's own and, as a second opinion, by the crate
//! `multiboot2`.
//!
//! | Module | Use |
//! |---|---|
//! | [`header`] | Multiboot2 headers, good and bad |
//! | [`image`] | ELF and flat files around them, good and bad |
//! | [`payload`] | the test kernel's code as relocatable blobs |
//! | [`kernel`] | whole bootable images, and what to expect from them |
//! | [`linked`] | kernels that a linker made and the loader has to relocate |
//! | [`compress`] | gzip, xz and lzop containers |
//! | [`dump`] | the kernel's transcript: parsing, checking, comparing |
//! | [`random`] | kernels that numbers choose |
//! | [`differ`] | two loaders on one such kernel: what may differ, and why |
//! | [`variants`] | the list of boots for the differential test |
#![deny(unsafe_code)]

pub mod bytes;
pub mod compress;
pub mod differ;
pub mod dump;
pub mod error;
pub mod header;
pub mod image;
pub mod kernel;
pub mod linked;
pub mod payload;
pub mod random;
pub mod variants;

pub use error::Error;
