// SPDX-License-Identifier: GPL-3.0-or-later
//! Bytes that somebody else made, read as values.
//!
//! Nothing here does I/O, allocates or decides; a number that is not there
//! reads as 0, after the caller has compared lengths. Numbers from files stay
//! integers: an unknown one is legal and printable.

pub mod elf;
pub mod header;
pub mod relocation;

/// Makes a newtype over an integer with named values and readable `Debug`.
macro_rules! open_enum {
    ($(#[$meta:meta])* pub struct $name:ident($int:ty) { $($(#[$doc:meta])* $value:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$doc])* pub const $value: Self = Self($number);)*
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.0 {
                    $($number => f.write_str(stringify!($value)),)*
                    other => write!(f, concat!(stringify!($name), "({})"), other),
                }
            }
        }
    };
}
pub(crate) use open_enum;

/// The byte at `offset`, 0 beyond the end.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or_default()
}

/// The little-endian 16-bit number at `offset`, 0 beyond the end.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes
        .get(offset..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |field| u16::from_le_bytes(*field))
}

/// The little-endian 32-bit number at `offset`, 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes
        .get(offset..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |field| u32::from_le_bytes(*field))
}

/// The little-endian 64-bit number at `offset`, 0 beyond the end.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes
        .get(offset..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |field| u64::from_le_bytes(*field))
}
