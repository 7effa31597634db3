// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen that the kernel inherits, asked for when it is started.

use crate::error::Outcome;
use crate::info::{self, Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, Writer};
use crate::params::LoadParams;
use crate::plan::console;
use crate::platform::Platform;
use crate::table;
use crate::tags::Tags;
use crate::units::{low16, wide};
use crate::wire::{u8_at, u16_at};

/// VBE's number of the text mode that it has no information about.
pub(crate) const TEXT_MODE: u32 = 3;

/// Size of that mode in characters, as VBE would give it.
const TEXT_SIZE: [u8; 4] = [80, 0, 25, 0];

/// Offsets in VBE's mode information: width, height, memory model (GRUB,
/// include/grub/i386/pc/vbe.h).
const MODE_SIZE: [usize; 2] = [18, 20];
const MODE_MODEL: usize = 27;

/// VBE's memory model of text.
const TEXT_MODEL: u8 = 0;

/// Where EGA text lies, physical address.
const EGA_TEXT: u64 = 0xb_8000;

/// Room for both tags: VBE, and a framebuffer with a full palette.
const TAGS_LEN: usize = 2048;

/// Most colours of a palette, and bytes of their number and of so many.
const MAX_COLORS: usize = 256;
const PALETTE_LEN: usize = 2 + 3 * MAX_COLORS;

/// Sets the mode that the kernel and the user wish for, takes the screen from
/// GRUB, and returns the tags about it. A mode that cannot be set is printed
/// and no reason to stop.
///
/// # Errors
///
/// [`crate::error::Failed`] when GRUB's heap is full.
#[inline(never)] // keeps the caller's stack frame small
pub fn take_over<P: Platform>(platform: &mut P, params: &LoadParams) -> Outcome<Tags<P>> {
    let machine = platform.machine();
    let modes = console::boot_modes(params, machine);
    if platform
        .set_video_mode(modes.with_variable, modes.without)
        .is_err()
    {
        platform.print_error();
    }
    let mut tags = platform.alloc(TAGS_LEN)?;
    let mut out = Writer::new(&mut tags);
    if platform.has_video_driver() {
        graphics(platform, &mut out)?;
    } else if machine.vga_text {
        text(platform, &mut out);
    }
    let len = out.len();
    Ok(Tags::new(tags, len))
}

/// Writes the tags of a graphics mode.
fn graphics<P: Platform>(platform: &mut P, out: &mut Writer<'_>) -> Outcome {
    // The number of colours, and the colours.
    let mut palette = platform.alloc(PALETTE_LEN)?;
    let (count, colors) = palette.split_at_mut_checked(2).unwrap_or_default();
    platform.palette(colors);
    vbe(platform, out);
    let Ok(screen) = platform.finish_video() else {
        platform.print_error();
        return Ok(());
    };
    let mut pixels = Pixels::Rgb;
    let mut bytes = screen.masks.as_slice();
    if let Some(colors) = screen.colors {
        let colors = colors.min(MAX_COLORS);
        table::copy(count, &low16(wide(colors)).to_le_bytes());
        pixels = Pixels::Indexed;
        bytes = palette
            .get(..colors.saturating_mul(3).saturating_add(2))
            .unwrap_or_default();
    }
    let framebuffer = Framebuffer {
        address: screen.address,
        pitch_width_height: screen.pitch_width_height,
        bpp: screen.bpp,
        pixels,
    };
    framebuffer.write(out, bytes);
    Ok(())
}

/// Writes VBE's tag; a call that fails means that there is nothing to tell.
fn vbe<P: Platform>(platform: &mut P, out: &mut Writer<'_>) {
    let Some(mode) = platform.vbe_mode() else {
        return;
    };
    let interface = platform.vbe_interface();
    let start = info::begin_vbe(out, low16(mode.into()), interface);
    let known = platform.vbe_controller(out.room(VBE_CONTROLLER_LEN))
        && mode_info(platform, mode, out.room(VBE_MODE_LEN));
    if known {
        out.end(start);
    } else {
        out.truncate(start);
    }
}

/// Writes the tag of the text screen, if the current mode is one.
fn text<P: Platform>(platform: &mut P, out: &mut Writer<'_>) {
    let Some(mode) = platform.vbe_mode() else {
        return;
    };
    // The tag is written over what is read here.
    let info = out.room(VBE_MODE_LEN);
    let known = mode_info(platform, mode, info) && u8_at(info, MODE_MODEL) == TEXT_MODEL;
    let [width_at, height_at] = MODE_SIZE;
    let (width, height) = (
        u16_at(info, width_at).into(),
        u16_at(info, height_at).into(),
    );
    out.truncate(0);
    if known {
        let framebuffer = Framebuffer {
            address: EGA_TEXT,
            pitch_width_height: [u32::wrapping_mul(width, 2), width, height],
            bpp: 16,
            pixels: Pixels::EgaText,
        };
        framebuffer.write(out, &[]);
    }
}

/// Stores VBE's information about a mode, which for the text mode is made up,
/// as VBE has none.
fn mode_info<P: Platform>(platform: &mut P, mode: u32, info: &mut [u8]) -> bool {
    if mode != TEXT_MODE {
        return platform.vbe_mode_info(mode, info);
    }
    // Width and height are neighbours.
    let [at, _] = MODE_SIZE;
    table::copy(info.get_mut(at..).unwrap_or_default(), &TEXT_SIZE);
    true
}
