// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen that the kernel inherits, asked for when it is started.

use crate::error::Outcome;
use crate::info::{Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, VbeInfo, Writer};
use crate::params::LoadParams;
use crate::plan::console;
use crate::platform::{Platform, Screen};
use crate::session::Tags;
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

/// Most colours of a palette.
const MAX_COLORS: usize = 256;

/// Sets the mode that the kernel and the user wish for, takes the screen from
/// GRUB, and returns the tags about it. A mode that cannot be set is printed
/// and no reason to stop.
///
/// # Errors
///
/// [`crate::error::Failed`] when GRUB's heap is full.
#[inline(never)] // keeps the caller's stack frame small
pub fn take_over<P: Platform>(platform: &mut P, params: &LoadParams) -> Outcome<Tags<P>> {
    let modes = console::boot_modes(params);
    if platform
        .set_video_mode(modes.with_variable, modes.without)
        .is_err()
    {
        platform.print_error();
    }
    let mut tags = platform.alloc(TAGS_LEN)?;
    let mut out = Writer::new(&mut tags);
    let mut palette = platform.alloc(MAX_COLORS.saturating_mul(3))?;
    let mut framebuffer = None;
    if platform.has_video_driver() {
        platform.palette(&mut palette);
        vbe(platform, &mut out)?;
        match platform.finish_video() {
            Ok(screen) => framebuffer = Some(graphics(&screen, &palette)),
            Err(_) => platform.print_error(),
        }
    } else if params.machine.vga_text {
        framebuffer = text(platform)?;
    }
    if let Some(framebuffer) = framebuffer {
        framebuffer.write(&mut out);
    }
    let len = out.len();
    Ok(Tags::new(tags, len))
}

/// The screen of a graphics mode.
fn graphics<'a>(screen: &Screen, palette: &'a [u8]) -> Framebuffer<'a> {
    Framebuffer {
        address: screen.address,
        pitch_width_height: screen.pitch_width_height,
        bpp: screen.bpp,
        pixels: match screen.colors {
            Some(colors) => {
                let len = colors.min(MAX_COLORS).saturating_mul(3);
                Pixels::Indexed(palette.get(..len).unwrap_or_default())
            }
            None => Pixels::Rgb(screen.masks),
        },
    }
}

/// Writes VBE's tag; a call that fails means that there is nothing to tell.
fn vbe<P: Platform>(platform: &mut P, out: &mut Writer<'_>) -> Outcome {
    let mut controller = platform.alloc(VBE_CONTROLLER_LEN)?;
    if !platform.vbe_controller(&mut controller) {
        return Ok(());
    }
    let Some((mode, info)) = current_mode(platform)? else {
        return Ok(());
    };
    VbeInfo {
        mode: crate::units::low16(mode.into()),
        interface: platform.vbe_interface(),
        controller: &controller,
        info: &info,
    }
    .write(out);
    Ok(())
}

/// The text screen, if the current mode is one.
fn text<P: Platform>(platform: &mut P) -> Outcome<Option<Framebuffer<'static>>> {
    let Some((_, info)) = current_mode(platform)? else {
        return Ok(None);
    };
    let [width, height] = MODE_SIZE.map(|offset| u32::from(u16_at(&info, offset)));
    let text = u8_at(&info, MODE_MODEL) == TEXT_MODEL;
    Ok(text.then_some(Framebuffer {
        address: EGA_TEXT,
        pitch_width_height: [width.saturating_mul(2), width, height],
        bpp: 16,
        pixels: Pixels::EgaText,
    }))
}

/// The current mode and VBE's information about it, which for the text mode
/// is made up, as VBE has none.
fn current_mode<P: Platform>(platform: &mut P) -> Outcome<Option<(u32, P::Buffer)>> {
    let mut info = platform.alloc(VBE_MODE_LEN)?;
    let Some(mode) = platform.vbe_mode() else {
        return Ok(None);
    };
    if mode == TEXT_MODE {
        // Width and height are neighbours.
        let [at, _] = MODE_SIZE;
        crate::table::copy(info.get_mut(at..).unwrap_or_default(), &TEXT_SIZE);
    } else if !platform.vbe_mode_info(mode, &mut info) {
        return Ok(None);
    }
    Ok(Some((mode, info)))
}
