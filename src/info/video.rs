// SPDX-License-Identifier: GPL-3.0-or-later
//! Tags about the screen: framebuffer and VBE.

use super::{InfoType, Writer};
use crate::units::low32;

/// Bytes of VBE's controller information (Multiboot2, 3.6.11).
pub const VBE_CONTROLLER_LEN: usize = 512;

/// Bytes of VBE's mode information (Multiboot2, 3.6.11).
pub const VBE_MODE_LEN: usize = 256;

/// Starts the tag of VBE: the number of the mode, and segment, offset and length
/// of the protected-mode interface. The BIOS's information about itself and
/// about the mode come behind them (Multiboot2, 3.6.11).
pub fn begin_vbe(out: &mut Writer<'_>, mode: u16, interface: [u16; 3]) -> usize {
    let start = out.begin(InfoType::VBE);
    out.u16(mode);
    for part in interface {
        out.u16(part);
    }
    start
}

/// How a pixel is made (Multiboot2, 3.6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// A palette: the number of colours in two bytes, and three for each colour,
    /// red, green and blue.
    Indexed = 0,
    /// Position and size in bits of red, green and blue.
    Rgb = 1,
    /// Characters and attributes.
    EgaText = 2,
}

/// The screen that the kernel inherits (Multiboot2, 3.6.12).
pub struct Framebuffer {
    /// Physical address.
    pub address: u64,
    /// Bytes of a line, then width and height in pixels or characters.
    pub pitch_width_height: [u32; 3],
    /// Bits of a pixel.
    pub bpp: u8,
    /// How a pixel is made.
    pub pixels: Pixels,
}

impl Framebuffer {
    /// Writes the tag, with the bytes that say how a pixel is made.
    #[inline(never)] // for text and for graphics
    #[expect(clippy::as_conversions, reason = "the discriminant")]
    pub fn write(&self, out: &mut Writer<'_>, colors: &[u8]) {
        let [pitch, width, height] = self.pitch_width_height;
        let (low, high) = (low32(self.address), low32(self.address >> 32));
        // Bits of a pixel and kind are bytes, and 16 bits are reserved.
        let last = u32::from(self.bpp) | (self.pixels as u32) << 8;
        let head = [low, high, pitch, width, height, last];
        out.tag(InfoType::FRAMEBUFFER, &head, colors);
    }
}
