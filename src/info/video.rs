// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about the screen: framebuffer and VBE.

use super::{InfoType, Writer};
use crate::units::low32;

/// Bytes of VBE's controller information (Multiboot2, 3.6.11).
pub const VBE_CONTROLLER_LEN: usize = 512;

/// Bytes of VBE's mode information (Multiboot2, 3.6.11).
pub const VBE_MODE_LEN: usize = 256;

/// What the VBE BIOS says (Multiboot2, 3.6.11).
pub struct VbeInfo<'a> {
    /// Number of the mode.
    pub mode: u16,
    /// Segment, offset and length of the protected-mode interface.
    pub interface: [u16; 3],
    /// Controller information.
    pub controller: &'a [u8],
    /// Mode information.
    pub info: &'a [u8],
}

impl VbeInfo<'_> {
    /// Writes the tag.
    pub fn write(&self, out: &mut Writer<'_>) {
        let [segment, offset, len] = self.interface.map(u32::from);
        let start = out.begin(InfoType::VBE);
        // Four numbers of 16 bits.
        out.words(&[u32::from(self.mode) | segment << 16, offset | len << 16]);
        out.bytes(self.controller);
        out.bytes(self.info);
        out.end(start);
    }
}

/// How a pixel is made (Multiboot2, 3.6.12).
pub enum Pixels<'a> {
    /// A palette; three bytes for each colour: red, green, blue.
    Indexed(&'a [u8]),
    /// Position and size in bits of red, green and blue.
    Rgb([u8; 6]),
    /// Characters and attributes.
    EgaText,
}

/// The screen that the kernel inherits (Multiboot2, 3.6.12).
pub struct Framebuffer<'a> {
    /// Physical address.
    pub address: u64,
    /// Bytes of a line, then width and height in pixels or characters.
    pub pitch_width_height: [u32; 3],
    /// Bits of a pixel.
    pub bpp: u8,
    /// How a pixel is made.
    pub pixels: Pixels<'a>,
}

impl Framebuffer<'_> {
    /// Writes the tag.
    pub fn write(&self, out: &mut Writer<'_>) {
        let kind = match self.pixels {
            Pixels::Indexed(_) => 0,
            Pixels::Rgb(_) => 1,
            Pixels::EgaText => 2,
        };
        let [pitch, width, height] = self.pitch_width_height;
        let (low, high) = (low32(self.address), low32(self.address >> 32));
        // Bits of a pixel and kind are bytes, and 16 bits are reserved.
        let last = u32::from(self.bpp) | kind << 8;
        let start = out.begin(InfoType::FRAMEBUFFER);
        out.words(&[low, high, pitch, width, height, last]);
        match &self.pixels {
            Pixels::Indexed(palette) => {
                out.u16(u16::try_from(palette.len() / 3).unwrap_or_default());
                out.bytes(palette);
            }
            Pixels::Rgb(masks) => out.bytes(masks),
            Pixels::EgaText => {}
        }
        out.end(start);
    }
}
