// SPDX-License-Identifier: GPL-3.0-or-later
//! Text or framebuffer: what `gfxpayload` becomes (Multiboot2, 3.1.9, 3.1.10).

use crate::error::{Kind, Outcome, Report};
use crate::params::{Console, Framebuffer, LoadParams, Machine};
use core::ffi::CStr;

/// A list of video modes: a printf format for width, height, depth, width and
/// height, of which it takes the first ones.
pub type ModeFormat = &'static CStr;

/// Decides, when the kernel is loaded, what `gfxpayload` becomes; `None` means
/// that there is no console for the kernel, and the variable stays.
///
/// # Errors
///
/// [`Kind::NoConsole`] when the kernel requires a console and can use none of
/// this machine's.
pub fn choose(
    params: &LoadParams,
    machine: Machine,
    report: &mut impl Report,
) -> Outcome<Option<ModeFormat>> {
    let console = params.console;
    let Framebuffer {
        width,
        height,
        depth,
    } = params.framebuffer();
    if console.contains(Console::FRAMEBUFFER) {
        return Ok(Some(if width == 0 || height == 0 {
            c"auto"
        } else if depth == 0 {
            c"%ux%u,auto"
        } else {
            c"%ux%ux%u,%ux%u,auto"
        }));
    }
    if machine.vga_text && console.contains(Console::EGA_TEXT) {
        return Ok(Some(c"text"));
    }
    if console.contains(Console::REQUIRED) {
        return Err(report.refuse(Kind::NoConsole));
    }
    Ok(None)
}

/// How the mode is chosen when the kernel is started: what comes behind the
/// user's `gfxpayload`, and what is taken without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootModes {
    /// A printf format for the value of the variable.
    pub with_variable: &'static CStr,
    /// What is taken when the variable is unset or empty.
    pub without: &'static CStr,
}

/// Decides how `boot` chooses the mode. A kernel that takes only text does not
/// get what the variable says.
#[must_use]
pub fn boot_modes(params: &LoadParams, machine: Machine) -> BootModes {
    let graphics = params.console.contains(Console::FRAMEBUFFER);
    let (with_variable, without) = match (machine.vga_text, graphics) {
        (true, true) => (c"%s;text", c"text"),
        (true, false) => (c"text", c"text"),
        (false, _) => (c"%s;auto", c"auto"),
    };
    BootModes {
        with_variable,
        without,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kept;
    use crate::params::Firmware;
    use crate::wire::header::TagType;

    fn machine(vga_text: bool) -> Machine {
        Machine {
            firmware: Firmware::Bios,
            vga_text,
        }
    }

    fn params(console: Console, wish: [u32; 3]) -> LoadParams {
        let [width, height, depth] = wish;
        let mut params = LoadParams::default();
        params.console = console;
        assert!(params.set(TagType::FRAMEBUFFER, [width, height, depth, 0]));
        params
    }

    fn choice(console: Console, vga: bool, wish: [u32; 3]) -> Outcome<Option<ModeFormat>> {
        let mut kept = Kept::default();
        let choice = choose(&params(console, wish), machine(vga), &mut kept);
        let required = kept.0.is_some_and(|error| error.kind == Kind::NoConsole);
        assert_eq!(choice.is_err(), required);
        choice
    }

    #[test]
    fn modes_are_listed_as_grub_lists_them() {
        let both = Console::EGA_TEXT | Console::FRAMEBUFFER;
        let list = |wish| choice(both, true, wish).unwrap().unwrap();
        assert_eq!(list([1024, 768, 32]), c"%ux%ux%u,%ux%u,auto");
        assert_eq!(list([640, 480, 0]), c"%ux%u,auto");
        assert_eq!(list([640, 0, 8]), c"auto");
    }

    #[test]
    fn text_needs_a_machine_that_has_it() {
        let text = |console, vga| choice(console, vga, [0; 3]).unwrap();
        assert_eq!(text(Console::EGA_TEXT, true), Some(c"text"));
        assert_eq!(text(Console::EGA_TEXT, false), None);
        assert_eq!(text(Console::empty(), true), None);
    }

    #[test]
    fn a_required_console_must_exist() {
        assert!(choice(Console::REQUIRED, true, [0; 3]).is_err());
        let efi = Console::REQUIRED | Console::EGA_TEXT;
        assert!(choice(efi, false, [0; 3]).is_err());
        assert!(choice(efi, true, [0; 3]).is_ok());
    }

    #[test]
    fn the_variable_counts_unless_text_is_all_there_is() {
        let with = |console, vga| boot_modes(&params(console, [0; 3]), machine(vga)).with_variable;
        assert_eq!(with(Console::EGA_TEXT, true), c"text");
        assert_eq!(with(Console::FRAMEBUFFER, true), c"%s;text");
        assert_eq!(with(Console::empty(), false), c"%s;auto");
    }
}
