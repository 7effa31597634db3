// SPDX-License-Identifier: GPL-3.0-or-later
//! Console flags and framebuffers.

use super::{Machine, Platform, Variant};
use crate::dump::compare::Deviation;
use crate::dump::kind;
use crate::error::Result;
use crate::header::Tag;
use crate::image::Class;
use crate::kernel::KernelSpec;
use crate::payload::Payload;

/// Console flags: a console is required.
const REQUIRED: u32 = 1;
/// Console flags: text is understood.
const TEXT: u32 = 2;

pub(super) fn variants(payload: &Payload) -> Result<Vec<Variant>> {
    let elf = || KernelSpec::elf(Class::Elf32);
    let mut list = vec![
        Variant::of("console-text", &elf().tag(Tag::Console(TEXT)), payload)?,
        Variant::of("console-none-needed", &elf().tag(Tag::Console(0)), payload)?,
        Variant::of(
            "console-text-required",
            &elf().tag(Tag::Console(TEXT | REQUIRED)),
            payload,
        )?
        .on(&[Platform::I386Pc]),
    ];
    for (width, height, depth) in [
        (800, 600, 16),
        (800, 600, 24),
        (1024, 768, 32),
        (640, 480, 0),
        (0, 0, 0),
        (12345, 1, 77),
    ] {
        let spec = elf().tag(Tag::Framebuffer(width, height, depth));
        let name = format!("framebuffer-{width}x{height}x{depth}");
        list.push(graphic(Variant::of(&name, &spec, payload)?));
    }
    let indexed = elf().tag(Tag::Framebuffer(640, 480, 8));
    let indexed = Variant::of("framebuffer-indexed", &indexed, payload)?;
    // The reference writes the palette beyond what it reserved.
    list.push(
        graphic(indexed)
            .on(&[Platform::I386Pc])
            .ours_only(Deviation::ReferenceFails),
    );
    let both = elf()
        .tag(Tag::Console(TEXT | REQUIRED))
        .tag(Tag::Framebuffer(1024, 768, 32));
    list.push(graphic(Variant::of("framebuffer-or-text", &both, payload)?));
    let chosen = Variant::of("framebuffer-user-choice", &both, payload)?;
    let mut chosen = graphic(chosen);
    let boot = chosen.script.len() - 1;
    chosen
        .script
        .insert(boot, "set gfxpayload=640x480x32".to_owned());
    list.push(chosen);
    let text = Variant::of("framebuffer-user-text", &both, payload)?;
    let mut text = graphic(text).on(&[Platform::I386Pc]);
    let boot = text.script.len() - 1;
    text.script.insert(boot, "set gfxpayload=text".to_owned());
    list.push(text);
    list.push(vbe(Variant::of("framebuffer-vbe", &both, payload)?).on(&[Platform::I386Pc]));
    let gop = Variant::of("framebuffer-gop", &both, payload)?.on(&Platform::EFI);
    list.push(gop.before("insmod efi_gop").shows(kind::FRAMEBUFFER));
    Ok(list)
}

fn graphic(variant: Variant) -> Variant {
    variant
        .before("insmod all_video")
        .shows(kind::FRAMEBUFFER)
        .deviates(Deviation::VbeInterface)
}

/// Only the firmware's own driver, so that its tag appears.
fn vbe(mut variant: Variant) -> Variant {
    variant.machine = Machine {
        qemu_args: vec!["-vga".to_owned(), "std".to_owned()],
        ..Machine::default()
    };
    variant
        .before("insmod vbe")
        .shows(kind::FRAMEBUFFER)
        .shows(kind::VBE)
        .deviates(Deviation::VbeInterface)
}
