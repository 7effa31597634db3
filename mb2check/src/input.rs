// SPDX-License-Identifier: GPL-3.0-or-later
//! Files, unpacked as GRUB unpacks them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// By gzip.
    Gzip,
    /// By xz.
    Xz,
    /// By zstd.
    Zstd,
}

impl Packing {
    /// Tells by the first bytes of a file how it is packed.
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// A file in memory.
#[derive(Clone, Debug)]
pub struct Input {
    /// As the user named it.
    pub name: String,
    /// Its bytes, unpacked.
    pub bytes: Rc<[u8]>,
    /// How it was packed.
    pub packing: Option<Packing>,
}

impl Input {
    /// Reads a file; at most `limit` bytes may come out of it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being read, in one line.
    pub fn read(path: &Path, limit: u64) -> Result<Self> {
        Self::open(path, limit, true)
    }

    /// Reads a file and leaves it packed.
    ///
    /// # Errors
    ///
    /// As [`Input::read`].
    pub fn stored(path: &Path, limit: u64) -> Result<Self> {
        Self::open(path, limit, false)
    }

    fn open(path: &Path, limit: u64, unpack: bool) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        if file.metadata().is_ok_and(|data| data.is_dir()) {
            bail!("{name}: is a directory");
        }
        let stored = bounded(file, limit).with_context(|| name.clone())?;
        let packing = Packing::of(&stored).filter(|_| unpack);
        let bytes = match packing {
            None => stored,
            Some(packing) => unpacked(packing, &stored, limit)
                .with_context(|| format!("{name}: {} data", packing.name()))?,
        };
        Ok(Self {
            name,
            bytes: bytes.into(),
            packing,
        })
    }
}

/// Reads all, but no more than `limit` bytes.
fn bounded(from: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut from = BufReader::new(from).take(limit.saturating_add(1));
    from.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        bail!("more than {limit} bytes (see --limit)");
    }
    Ok(bytes)
}

fn unpacked(packing: Packing, stored: &[u8], limit: u64) -> Result<Vec<u8>> {
    match packing {
        Packing::Gzip => bounded(flate2::read::MultiGzDecoder::new(stored), limit),
        Packing::Xz => bounded(liblzma::read::XzDecoder::new_multi_decoder(stored), limit),
        Packing::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(stored);
            bounded(decoder.map_err(|error| anyhow::anyhow!("{error}"))?, limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeroes, of which only so many may be asked for.
    struct Zeroes(usize);

    impl Read for Zeroes {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(into.len()).expect("no more is read");
            into.fill(0);
            Ok(into.len())
        }
    }

    #[test]
    fn nothing_is_read_far_behind_the_limit() {
        assert!(bounded(Zeroes(1 << 20), 100_000).is_err());
    }
}
