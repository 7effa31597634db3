// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen that the kernel inherits, asked for when it is started.

use crate::error::Outcome;
use crate::info::{Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, VbeInfo};
use crate::params::LoadParams;
use crate::plan::console;
use crate::platform::{Platform, Screen};
use crate::session::Tags;
use crate::wire::{u8_at, u16_at};

/// VBE's number of the text mode that it has no information about.
pub(crate) const TEXT_MODE: u32 = 3;

/// Size of that mode in characters.
const TEXT_SIZE: [u16; 2] = [80, 25];

/// Offsets in VBE's mode information: width, height, memory model (GRUB,
/// include/grub/i386/pc/vbe.h).
const MODE_SIZE: [usize; 2] = [18, 20];
const MODE_MODEL: usize = 27;

/// VBE's memory model of text.
const TEXT_MODEL: u8 = 0;

/// Where EGA text lies, physical address.
const EGA_TEXT: u64 = 0xb_8000;

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
    let mut tags = Tags::default();
    if platform.has_video_driver() {
        let mut palette = platform.alloc(MAX_COLORS.saturating_mul(3))?;
        platform.palette(&mut palette);
        vbe(platform, &mut tags)?;
        match platform.finish_video() {
            Ok(screen) => graphics(platform, &mut tags, &screen, &palette)?,
            Err(_) => platform.print_error(),
        }
    } else if params.machine.vga_text {
        text(platform, &mut tags)?;
    }
    Ok(tags)
}

/// Writes the tag of a graphics mode.
fn graphics<P: Platform>(
    platform: &mut P,
    tags: &mut Tags<P>,
    screen: &Screen,
    palette: &[u8],
) -> Outcome {
    let framebuffer = Framebuffer {
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
    };
    tags.append(platform, &|out| framebuffer.write(out))
}

/// Writes VBE's tag; a call that fails means that there is nothing to tell.
fn vbe<P: Platform>(platform: &mut P, tags: &mut Tags<P>) -> Outcome {
    let mut controller = platform.alloc(VBE_CONTROLLER_LEN)?;
    if !platform.vbe_controller(&mut controller) {
        return Ok(());
    }
    let Some((mode, info)) = current_mode(platform)? else {
        return Ok(());
    };
    let vbe = VbeInfo {
        mode: crate::units::low16(mode.into()),
        interface: platform.vbe_interface(),
        controller: &controller,
        info: &info,
    };
    tags.append(platform, &|out| vbe.write(out))
}

/// Writes the tag of the text screen, if the current mode is one.
fn text<P: Platform>(platform: &mut P, tags: &mut Tags<P>) -> Outcome {
    let Some((_, info)) = current_mode(platform)? else {
        return Ok(());
    };
    if u8_at(&info, MODE_MODEL) != TEXT_MODEL {
        return Ok(());
    }
    let [width, height] = MODE_SIZE.map(|offset| u32::from(u16_at(&info, offset)));
    let framebuffer = Framebuffer {
        address: EGA_TEXT,
        pitch_width_height: [width.saturating_mul(2), width, height],
        bpp: 16,
        pixels: Pixels::EgaText,
    };
    tags.append(platform, &|out| framebuffer.write(out))
}

/// The current mode and VBE's information about it, which for the text mode
/// is made up, as VBE has none.
fn current_mode<P: Platform>(platform: &mut P) -> Outcome<Option<(u32, P::Buffer)>> {
    let mut info = platform.alloc(VBE_MODE_LEN)?;
    let Some(mode) = platform.vbe_mode() else {
        return Ok(None);
    };
    if mode == TEXT_MODE {
        for (offset, size) in MODE_SIZE.into_iter().zip(TEXT_SIZE) {
            let field = info.get_mut(offset..).unwrap_or_default();
            crate::table::copy(field, &size.to_le_bytes());
        }
    } else if !platform.vbe_mode_info(mode, &mut info) {
        return Ok(None);
    }
    Ok(Some((mode, info)))
}
