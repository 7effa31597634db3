// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen that a kernel inherits, and what it is told about it.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::Fake;
use common::facts::SCREEN;
use common::images;
use common::information::{find, kinds};
use mb2::platform::Screen;
use mb2_testkit::dump::parse_with_multiboot2_crate;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::Class;

/// The boot information of a kernel that takes a framebuffer.
fn information(mut fake: Fake) -> (Vec<u8>, Fake) {
    let header = HeaderBuilder::new().tag(Tag::Framebuffer(1024, 768, 32));
    let image = images::elf(Class::Elf32, &header);
    fake.load(&images::bytes(&image)).unwrap();
    let started = fake.boot().unwrap();
    let information = started.information().to_vec();
    parse_with_multiboot2_crate(&information).unwrap();
    assert!(fake.balanced());
    (information, fake)
}

fn with_screen(mut fake: Fake, screen: Screen) -> Fake {
    fake.facts.screen = Some(screen);
    fake
}

/// The head of a framebuffer tag of [`SCREEN`]'s size.
fn head(size: u8, bpp: u8, kind: u8) -> Vec<u8> {
    let mut tag = vec![8, 0, 0, 0, size, 0, 0, 0];
    tag.extend(SCREEN.address.to_le_bytes());
    tag.extend(
        SCREEN
            .pitch_width_height
            .iter()
            .flat_map(|n| n.to_le_bytes()),
    );
    tag.extend([bpp, kind, 0, 0]);
    tag
}

#[test]
fn direct_colour() {
    for new in [Fake::efi32, Fake::efi64] {
        for bpp in [16, 24, 32] {
            let screen = Screen { bpp, ..SCREEN };
            let (information, _) = information(with_screen(new(), screen));
            let tag = [head(38, bpp, 1), SCREEN.masks.to_vec()].concat();
            assert_eq!(find(&information, 8), tag);
            assert!(!kinds(&information).contains(&7));
        }
    }
}

#[test]
fn palettes_of_all_sizes() {
    // D20: a palette of 256 colours did not fit into C's estimate.
    for colors in [0, 1, 2, 16, 255, 256, 257, 100_000] {
        let screen = Screen {
            bpp: 8,
            colors: Some(colors),
            ..SCREEN
        };
        let (information, _) = information(with_screen(Fake::efi64(), screen));
        let count = colors.min(256);
        let palette = (0..3 * count).map(|byte| byte as u8);
        let mut tag = head(0, 8, 0);
        tag.extend((count as u16).to_le_bytes());
        tag.extend(palette);
        let size = tag.len() as u32;
        tag[4..8].copy_from_slice(&size.to_le_bytes());
        assert_eq!(find(&information, 8), tag, "{colors}");
    }
}

#[test]
fn a_bios_tells_also_about_vbe() {
    let mut fake = with_screen(Fake::bios(), SCREEN);
    fake.facts.vbe_mode = Some(0x4118);
    let (information, _) = information(fake);
    let mut tag = vec![7, 0, 0, 0, 16, 3, 0, 0, 0x18, 0x41];
    tag.extend([0x00, 0xf0, 0x34, 0x12, 0x40, 0x00]);
    tag.extend([0xc0; 512]);
    tag.extend([0xb0; 256]);
    assert_eq!(tag.len(), 784);
    assert_eq!(find(&information, 7), tag);
    let order = kinds(&information);
    let at = order.iter().position(|&kind| kind == 7).unwrap();
    assert_eq!(order[at - 1..at + 2], [5, 7, 8]);
}

#[test]
fn vbe_in_text_mode_has_made_up_information() {
    let mut fake = with_screen(Fake::bios(), SCREEN);
    fake.facts.vbe_mode = Some(3);
    let (information, _) = information(fake);
    let tag = find(&information, 7);
    assert_eq!(tag[8..10], [3, 0]);
    let info = &tag[528..];
    assert_eq!(info[18..22], [80, 0, 25, 0]);
    assert!(info[..18].iter().chain(&info[22..]).all(|&byte| byte == 0));
}

#[test]
fn a_vbe_that_does_not_answer_has_no_tag() {
    let mut fake = with_screen(Fake::bios(), SCREEN);
    fake.facts.vbe = false;
    let (of_controller, _) = information(fake);
    let mut fake = with_screen(Fake::bios(), SCREEN);
    fake.facts.vbe_mode = None;
    let (of_mode, _) = information(fake);
    for information in [of_controller, of_mode] {
        assert!(!kinds(&information).contains(&7));
        assert_eq!(find(&information, 8).len(), 38);
    }
}

#[test]
fn text_has_the_size_that_the_bios_says() {
    let mut fake = Fake::bios();
    fake.facts.vbe_mode = Some(0x108);
    fake.facts.vbe_mode_info[18..22].copy_from_slice(&[80, 0, 60, 0]);
    fake.facts.vbe_mode_info[27] = 0;
    let (text, _) = information(fake);
    let tag = find(&text, 8);
    assert_eq!(tag[8..16], 0xb_8000u64.to_le_bytes());
    let numbers = [160u32, 80, 60].map(u32::to_le_bytes).concat();
    assert_eq!(tag[16..28], numbers);
    assert_eq!(tag[28..], [16, 2, 0, 0]);
    // A mode that is no text is not one.
    let mut fake = Fake::bios();
    fake.facts.vbe_mode = Some(0x118);
    let (other, _) = information(fake);
    assert!(!kinds(&other).contains(&8));
}

#[test]
fn no_driver_and_no_text_means_no_tag() {
    for new in [Fake::efi32, Fake::efi64] {
        let (information, fake) = information(new());
        assert!(!kinds(&information).contains(&8));
        assert_eq!(fake.modes, ["1024x768x32,1024x768,auto;auto"]);
    }
}

#[test]
fn a_mode_that_cannot_be_set_is_printed_and_boot_goes_on() {
    for call in ["video mode", "end of video"] {
        let mut n = 0;
        loop {
            let mut fake = with_screen(Fake::efi64(), SCREEN);
            fake.load(&images::good()).unwrap();
            fake.fail_at(n);
            n += 1;
            let outcome = fake.boot();
            if fake.world.failed.get() == Some(call) {
                outcome.unwrap();
                assert_eq!(fake.printed.last(), Some(&format!("Grub({call:?})")));
                break;
            }
            fake.world.pending.take();
        }
    }
}
