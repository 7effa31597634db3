// SPDX-License-Identifier: GPL-3.0-or-later
//! Containers that GRUB's file layer unpacks.

use crate::error::Result;
use std::io::{Read, Write};

/// gzip, best compression.
///
/// # Errors
///
/// [`crate::Error::Compress`] if the compressor fails.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Unpacks gzip.
///
/// # Errors
///
/// [`crate::Error::Compress`] if it is none.
pub fn gunzip(packed: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// xz with the check that every reader knows.
///
/// # Errors
///
/// [`crate::Error::Compress`] if the compressor fails.
pub fn xz(bytes: &[u8]) -> Result<Vec<u8>> {
    let stream = liblzma::stream::Stream::new_easy_encoder(6, liblzma::stream::Check::Crc32)
        .map_err(std::io::Error::from)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

const LZOP_MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a];
const LZOP_BLOCK_LEN: usize = 256 * 1024;
/// Adler-32 of the unpacked bytes of each block.
const LZOP_FLAG_ADLER32: u32 = 1;

/// lzop. Blocks are packed by a small encoder of our own that finds runs and
/// short-range repetitions only; blocks that do not shrink are stored.
#[must_use]
pub fn lzop(bytes: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    head.extend(0x1030u16.to_be_bytes());
    head.extend(0x2080u16.to_be_bytes());
    head.extend(0x0940u16.to_be_bytes());
    // Method LZO1X-1, level 5.
    head.extend([1, 5]);
    head.extend(LZOP_FLAG_ADLER32.to_be_bytes());
    head.extend(0o100_644u32.to_be_bytes());
    // Two halves of the time stamp, length of the file name.
    head.extend([0; 9]);

    let mut out = LZOP_MAGIC.to_vec();
    out.extend(&head);
    out.extend(adler32(&head).to_be_bytes());
    for block in bytes.chunks(LZOP_BLOCK_LEN) {
        let packed = lzo1x(block);
        let body = if packed.len() < block.len() {
            &packed
        } else {
            block
        };
        out.extend((block.len() as u32).to_be_bytes());
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(adler32(block).to_be_bytes());
        out.extend(body);
    }
    out.extend([0; 4]);
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

/// Longest distance of the one kind of match used here.
const MAX_DISTANCE: usize = 0x4000;
const MIN_MATCH: usize = 8;

/// Length beyond `base`, as zero bytes worth 255 each and a rest of 1 to 255.
fn put_long_length(out: &mut Vec<u8>, mut beyond: usize) {
    while beyond > 255 {
        out.push(0);
        beyond -= 255;
    }
    out.push(beyond as u8);
}

/// LZO1X with literal runs and matches of up to 16 KiB distance.
fn lzo1x(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last_seen = std::collections::HashMap::new();
    let (mut at, mut literal_start) = (0, 0);
    while at + MIN_MATCH <= bytes.len() {
        let key: &[u8] = &bytes[at..at + MIN_MATCH];
        let found = last_seen.insert(key, at);
        // A run of literals shorter than four has no encoding of its own here.
        let run = at - literal_start;
        let usable = found.filter(|from| at - from <= MAX_DISTANCE && (run == 0 || run >= 4));
        let Some(from) = usable.filter(|_| literal_start != 0 || run > 0) else {
            at += 1;
            continue;
        };
        let len = (at..bytes.len())
            .take_while(|&i| bytes[i] == bytes[i - (at - from)])
            .count();
        put_literals(&mut out, &bytes[literal_start..at]);
        match len - 2 {
            short @ 1..=31 => out.push(0x20 | short as u8),
            long => {
                out.push(0x20);
                put_long_length(&mut out, long - 31);
            }
        }
        out.extend(((at - from - 1) as u16).wrapping_shl(2).to_le_bytes());
        at += len;
        literal_start = at;
    }
    let rest = &bytes[literal_start..];
    if (1..4).contains(&rest.len()) && !out.is_empty() {
        // Up to three literals ride in the low bits of the last match.
        let low = out.len() - 2;
        out[low] |= rest.len() as u8;
        out.extend(rest);
    } else {
        put_literals(&mut out, rest);
    }
    out.extend([0x11, 0, 0]);
    out
}

/// A run of literals: at the very start in a form of its own if short.
fn put_literals(out: &mut Vec<u8>, run: &[u8]) {
    match run.len() {
        0 => return,
        len if out.is_empty() && len <= 238 => out.push(17 + len as u8),
        len @ 4..=18 => out.push(len as u8 - 3),
        len => {
            out.push(0);
            put_long_length(out, len - 18);
        }
    }
    out.extend(run);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{noise, u32_at};

    fn sample() -> Vec<u8> {
        let mut bytes = vec![0; 5000];
        bytes.extend(noise(1, 3000));
        bytes.extend(bytes[4000..7000].to_vec());
        bytes.extend([7; 300]);
        bytes
    }

    /// Reads back what the encoder above writes (not all of LZO1X).
    fn unpack(packed: &[u8]) -> Vec<u8> {
        fn long(input: &mut impl Iterator<Item = u8>, base: usize) -> usize {
            let mut len = base;
            loop {
                match input.next().unwrap() {
                    0 => len += 255,
                    rest => return len + usize::from(rest),
                }
            }
        }
        let mut input = packed.iter().copied();
        let mut out = Vec::new();
        let mut first = true;
        loop {
            let op = usize::from(input.next().unwrap());
            let literals = match op {
                0x11 => return out,
                18.. if first => op - 17,
                0 => long(&mut input, 18),
                1..=15 => op + 3,
                _ => {
                    let len = match op & 31 {
                        0 => long(&mut input, 33),
                        short => short + 2,
                    };
                    let word = usize::from(input.next().unwrap())
                        | usize::from(input.next().unwrap()) << 8;
                    for _ in 0..len {
                        out.push(out[out.len() - 1 - (word >> 2)]);
                    }
                    word & 3
                }
            };
            first = false;
            out.extend(input.by_ref().take(literals));
        }
    }

    #[test]
    fn packers_shrink_and_keep_the_bytes() {
        let bytes = sample();
        let mut back = Vec::new();
        let packed = gzip(&bytes).unwrap();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, bytes);
        back.clear();
        let packed = xz(&bytes).unwrap();
        liblzma::read::XzDecoder::new(&packed[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, bytes);
    }

    #[test]
    fn lzo_encoding_can_be_read_back() {
        for len in [0, 1, 3, 4, 18, 19, 238, 239, 300, 8000] {
            let bytes = noise(2, len);
            assert_eq!(unpack(&lzo1x(&bytes)), bytes, "{len} bytes of noise");
            let zeroes = vec![0; len];
            assert_eq!(unpack(&lzo1x(&zeroes)), zeroes, "{len} zeroes");
        }
        let bytes = sample();
        let packed = lzo1x(&bytes);
        assert!(packed.len() < bytes.len() / 2);
        assert_eq!(unpack(&packed), bytes);
    }

    #[test]
    fn lzop_file_ends_with_an_empty_block() {
        let packed = lzop(&sample());
        assert_eq!(packed[..9], LZOP_MAGIC);
        assert_eq!(u32_at(&packed, packed.len() - 4), Some(0));
        // The published value for a well-known word.
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
