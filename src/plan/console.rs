// SPDX-License-Identifier: GPL-3.0-or-later
//! Text or framebuffer: what `gfxpayload` becomes (Multiboot2, 3.1.9, 3.1.10).

use crate::error::{Error, Kind, Result};
use crate::params::{Console, Framebuffer, LoadParams};
use crate::table::copy;
use core::ffi::CStr;

/// Longest list of modes: five numbers of ten digits and what joins them.
const TEXT_LEN: usize = 64;

/// What happens to the variable `gfxpayload` at load time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// No console that the kernel could use; a warning, and the variable
    /// stays.
    None,
    /// The variable gets this value.
    Modes(Modes),
}

/// A list of video modes as GRUB's `gfxpayload` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    text: [u8; TEXT_LEN],
    len: usize,
}

impl Modes {
    fn new() -> Self {
        Self {
            text: [0; TEXT_LEN],
            len: 0,
        }
    }

    fn push(mut self, piece: &[u8]) -> Self {
        // The last byte stays NUL.
        let room = self.text.get_mut(self.len..TEXT_LEN.saturating_sub(1));
        copy(room.unwrap_or_default(), piece);
        self.len = self.len.saturating_add(piece.len());
        self
    }

    fn number(self, number: u32) -> Self {
        let digit = u8::try_from(number % 10).unwrap_or_default();
        let ahead = if number >= 10 {
            self.number(number / 10)
        } else {
            self
        };
        ahead.push(&[digit.saturating_add(b'0')])
    }

    fn size(self, wish: &Framebuffer) -> Self {
        self.number(wish.width).push(b"x").number(wish.height)
    }

    /// The list, and at least one NUL behind it.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Decides when the kernel is loaded.
///
/// # Errors
///
/// [`Kind::NoConsole`] when the kernel requires a console and can use none of
/// this machine's.
pub fn choose(params: &LoadParams) -> Result<Choice> {
    let console = params.console;
    let framebuffer = console.contains(Console::FRAMEBUFFER);
    let text = params.machine.vga_text && console.contains(Console::EGA_TEXT);
    if !framebuffer && !text {
        return if console.contains(Console::REQUIRED) {
            Err(Error::new(Kind::NoConsole, &[]))
        } else {
            Ok(Choice::None)
        };
    }
    let wish = &params.framebuffer;
    let modes = Modes::new();
    Ok(Choice::Modes(if !framebuffer {
        modes.push(b"text")
    } else if wish.width == 0 || wish.height == 0 {
        modes.push(b"auto")
    } else if wish.depth == 0 {
        modes.size(wish).push(b",auto")
    } else {
        let exact = modes.size(wish).push(b"x").number(wish.depth);
        exact.push(b",").size(wish).push(b",auto")
    }))
}

/// How the video mode is chosen when the kernel is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootMode {
    /// The user's `gfxpayload` comes first.
    pub honours_variable: bool,
    /// What is taken otherwise.
    pub fallback: &'static CStr,
}

/// Decides how `boot` chooses the mode.
#[must_use]
pub fn boot_mode(params: &LoadParams) -> BootMode {
    let vga_text = params.machine.vga_text;
    BootMode {
        honours_variable: !vga_text || params.console.contains(Console::FRAMEBUFFER),
        fallback: if vga_text { c"text" } else { c"auto" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Firmware, Machine};

    fn params(console: Console, vga_text: bool, wish: [u32; 3]) -> LoadParams {
        let [width, height, depth] = wish;
        LoadParams {
            machine: Machine {
                firmware: Firmware::Bios,
                vga_text,
            },
            header_offset: 0,
            address: None,
            placement: None,
            entry: None,
            keep_services: false,
            console,
            framebuffer: Framebuffer {
                width,
                height,
                depth,
            },
        }
    }

    fn value(console: Console, vga_text: bool, wish: [u32; 3]) -> Option<String> {
        match choose(&params(console, vga_text, wish)).unwrap() {
            Choice::None => None,
            Choice::Modes(modes) => {
                let text = CStr::from_bytes_until_nul(modes.text()).unwrap();
                Some(text.to_str().unwrap().into())
            }
        }
    }

    #[test]
    fn modes_are_listed_as_grub_lists_them() {
        let both = Console::EGA_TEXT | Console::FRAMEBUFFER;
        let list = |wish| value(both, true, wish).unwrap();
        assert_eq!(list([1024, 768, 32]), "1024x768x32,1024x768,auto");
        assert_eq!(list([640, 480, 0]), "640x480,auto");
        assert_eq!(list([640, 0, 8]), "auto");
        let longest = "4294967295x4294967295x4294967295,4294967295x4294967295,auto";
        assert_eq!(list([u32::MAX; 3]), longest);
    }

    #[test]
    fn text_needs_a_machine_that_has_it() {
        assert_eq!(
            value(Console::EGA_TEXT, true, [0; 3]).as_deref(),
            Some("text")
        );
        assert_eq!(value(Console::EGA_TEXT, false, [0; 3]), None);
        assert_eq!(value(Console::empty(), true, [0; 3]), None);
    }

    #[test]
    fn a_required_console_must_exist() {
        let alone = choose(&params(Console::REQUIRED, true, [0; 3]));
        assert_eq!(alone, Err(Error::new(Kind::NoConsole, &[])));
        let efi = Console::REQUIRED | Console::EGA_TEXT;
        assert_eq!(
            choose(&params(efi, false, [0; 3])),
            Err(Error::new(Kind::NoConsole, &[]))
        );
    }

    #[test]
    fn the_variable_counts_unless_text_is_all_there_is() {
        let mode = |console, vga| boot_mode(&params(console, vga, [0; 3]));
        assert!(!mode(Console::EGA_TEXT, true).honours_variable);
        assert!(mode(Console::FRAMEBUFFER, true).honours_variable);
        assert!(mode(Console::empty(), false).honours_variable);
        assert_eq!(mode(Console::empty(), false).fallback, c"auto");
    }
}
