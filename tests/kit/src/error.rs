// SPDX-License-Identifier: GPL-3.0-or-later
//! What can go wrong while images are built or transcripts are read.

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image description contradicts itself.
    #[error("image: {0}")]
    Image(String),
    /// The linked test kernel is not what the kit expects.
    #[error("payload: {0}")]
    Payload(String),
    /// The `object` crate cannot read the linked test kernel.
    #[error("payload: {0}")]
    Object(#[from] object::read::Error),
    /// A compressor failed.
    #[error("compressor: {0}")]
    Compress(#[from] std::io::Error),
    /// The transcript has no line of the test kernel.
    #[error("the kernel printed nothing")]
    NoKernel,
    /// The transcript breaks off.
    #[error("the kernel's report breaks off after `{0}`")]
    Incomplete(String),
    /// The kernel found an inconsistency and said so.
    #[error("the kernel reports: {0}")]
    KernelFailed(String),
    /// The kernel panicked.
    #[error("the kernel panicked")]
    KernelPanicked,
    /// A line of the kernel cannot be understood.
    #[error("bad line in the kernel's report: `{0}`")]
    BadLine(String),
    /// The boot information cannot be walked.
    #[error("boot information: {0}")]
    Mbi(String),
}

/// Result with this crate's error.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;
