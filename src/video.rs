// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen that the kernel inherits, asked for when it is started.

use crate::error::Outcome;
use crate::info::{Framebuffer, Pixels, VBE_CONTROLLER_LEN, VBE_MODE_LEN, VbeInfo};
use crate::params::LoadParams;
use crate::plan::console;
use crate::platform::{Platform, Screen};
use crate::wire::u16_at;

/// VBE's number of the text mode that it has no information about.
const TEXT_MODE: u32 = 3;

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

/// Everything that the tags about the screen are made of.
pub struct Video<P: Platform> {
    vbe: Option<Vbe<P>>,
    graphics: Option<(Screen, P::Buffer)>,
    text: Option<[u16; 2]>,
}

struct Vbe<P: Platform> {
    mode: u16,
    interface: [u16; 3],
    blocks: P::Buffer,
}

impl<P: Platform> Video<P> {
    /// Sets the mode that the kernel and the user wish for and takes the
    /// screen from GRUB. A mode that cannot be set is printed and no reason to
    /// stop.
    ///
    /// # Errors
    ///
    /// [`crate::error::Failed`] when GRUB's heap is full.
    pub fn take_over(platform: &mut P, params: &LoadParams) -> Outcome<Self> {
        let mode = console::boot_mode(params);
        if platform
            .set_video_mode(mode.honours_variable, mode.fallback)
            .is_err()
        {
            platform.print_error();
        }
        let mut video = Self {
            vbe: None,
            graphics: None,
            text: None,
        };
        if platform.has_video_driver() {
            let mut palette = platform.alloc(MAX_COLORS.saturating_mul(3))?;
            platform.palette(&mut palette);
            video.vbe = vbe(platform)?;
            match platform.finish_video() {
                Ok(screen) => video.graphics = Some((screen, palette)),
                Err(_) => platform.print_error(),
            }
        } else if params.machine.vga_text {
            video.text = text_size(platform)?;
        }
        Ok(video)
    }

    /// VBE information, if there is any.
    pub fn vbe(&self) -> Option<VbeInfo<'_>> {
        self.vbe.as_ref().map(|vbe| VbeInfo {
            mode: vbe.mode,
            interface: vbe.interface,
            blocks: &vbe.blocks,
        })
    }

    /// The framebuffer or the text screen.
    pub fn framebuffer(&self) -> Option<Framebuffer<'_>> {
        if let Some((screen, palette)) = &self.graphics {
            let colors = screen
                .colors
                .map(|colors| colors.min(MAX_COLORS).saturating_mul(3));
            return Some(Framebuffer {
                address: screen.address,
                pitch_width_height: screen.pitch_width_height,
                bpp: screen.bpp,
                pixels: match colors {
                    Some(len) => Pixels::Indexed(palette.get(..len).unwrap_or_default()),
                    None => Pixels::Rgb(screen.masks),
                },
            });
        }
        let [width, height] = self.text?.map(u32::from);
        Some(Framebuffer {
            address: EGA_TEXT,
            pitch_width_height: [width.saturating_mul(2), width, height],
            bpp: 16,
            pixels: Pixels::EgaText,
        })
    }
}

/// Asks VBE; a call that fails means that there is nothing to tell.
fn vbe<P: Platform>(platform: &mut P) -> Outcome<Option<Vbe<P>>> {
    let len = VBE_CONTROLLER_LEN.saturating_add(VBE_MODE_LEN);
    let mut blocks = platform.alloc(len)?;
    let Some((controller, info)) = blocks.split_at_mut_checked(VBE_CONTROLLER_LEN) else {
        return Ok(None);
    };
    if !platform.vbe_controller(controller) {
        return Ok(None);
    }
    let Some(mode) = platform.vbe_mode() else {
        return Ok(None);
    };
    if mode == TEXT_MODE {
        describe_text(info);
    } else if !platform.vbe_mode_info(mode, info) {
        return Ok(None);
    }
    Ok(Some(Vbe {
        mode: u16::try_from(mode & 0xffff).unwrap_or_default(),
        interface: platform.vbe_interface(),
        blocks,
    }))
}

/// Fills in what VBE does not say about the text mode.
fn describe_text(info: &mut [u8]) {
    for (offset, size) in MODE_SIZE.into_iter().zip(TEXT_SIZE) {
        if let Some(field) = info.get_mut(offset..).and_then(|b| b.first_chunk_mut()) {
            *field = size.to_le_bytes();
        }
    }
}

/// Columns and rows, if the current mode is a text mode.
fn text_size<P: Platform>(platform: &mut P) -> Outcome<Option<[u16; 2]>> {
    let Some(mode) = platform.vbe_mode() else {
        return Ok(None);
    };
    if mode == TEXT_MODE {
        return Ok(Some(TEXT_SIZE));
    }
    let mut info = platform.alloc(VBE_MODE_LEN)?;
    let text = platform.vbe_mode_info(mode, &mut info) && info.get(MODE_MODEL) == Some(&TEXT_MODEL);
    Ok(text.then(|| MODE_SIZE.map(|offset| u16_at(&info, offset))))
}
