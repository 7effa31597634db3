// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines that have much to tell: the boot information of each.

use super::machine::Plan;
use super::{Judge, stored};
use crate::common::facts::Facts;
use crate::common::images;
use arbitrary::Arbitrary;
use mb2::params::Firmware;
use mb2::platform::Screen;
use mb2_testkit::bytes::noise;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, Section};
use std::sync::LazyLock;

/// Bytes that live as long as firmware's tables do; modules have some of them.
static TABLES: LazyLock<Vec<u8>> = LazyLock::new(|| noise(0x7ab1e5, 0x2000));

fn table(start: u8, len: u16) -> &'static [u8] {
    &TABLES[usize::from(start)..][..usize::from(len) % 0xf00]
}

/// What a machine answers, and what was loaded on it.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct Much {
    plan: Plan,
    graphics: bool,
    sections: u8,
    words: Vec<String>,
    modules: Vec<(u16, String)>,
    /// The modules lie behind the kernel.
    behind: bool,
    apm: Option<[u8; 20]>,
    acpi: [Option<(u8, u16)>; 2],
    /// Which kinds of entry points there are, and whether the kernel asks.
    smbios: [bool; 3],
    acknowledgements: Vec<(u8, u16)>,
    boot_device: Option<[u32; 3]>,
    screen: Option<Shown>,
    vbe: bool,
    vbe_mode: Option<u32>,
    /// Start of VBE's information, where its sizes and its memory model are.
    vbe_info: [u8; 32],
    efi: [u64; 2],
    map: u16,
    grows: Vec<u16>,
}

/// A screen.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Shown {
    address: u64,
    size: [u32; 3],
    bpp: u8,
    colors: Option<u16>,
    masks: [u8; 6],
}

fn without_nul(words: &[String]) -> Vec<String> {
    let words = words.iter().take(20).map(|word| word.replace('\0', ""));
    words.collect()
}

impl Much {
    /// Loads a good kernel and modules, starts it, and compares all that it
    /// is told.
    pub(crate) fn check(&self) {
        let plan = Plan {
            pieces: [0; 4],
            far: false,
            ..self.plan
        };
        let mut judge = Judge::new(plan.make());
        self.put_into(&mut judge.fake.facts);
        let good = images::good_for(&judge.fake);
        let kernel = self.kernel(plan);
        let words = without_nul(&self.words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let options: &[&str] = match self.behind {
            true => &["--modules-after-kernel"],
            false => &[],
        };
        assert!(judge.load(&stored(&kernel), options, &words));
        for (len, line) in self.modules.iter().take(40) {
            let line = line.replace('\0', "");
            let bytes = &TABLES[..usize::from(*len) % TABLES.len()];
            assert!(judge.module2(&stored(bytes), &["/module", &line]));
        }
        if !judge.fake.facts.efi_map_grows.is_empty() {
            // A map that outgrows its room leaves the chunk that was too small.
            judge.doubt();
        }
        assert!(judge.boot());
        judge.fake.facts.efi_map_grows.clear();
        judge.end(&good);
    }

    fn kernel(&self, plan: Plan) -> Vec<u8> {
        let mut header = HeaderBuilder::new();
        if self.graphics {
            header = header.tag(Tag::Framebuffer(1024, 768, 32));
        }
        if self.smbios[2] {
            header = header.optional(Tag::InformationRequest(vec![99, 13]));
        }
        let mut base = images::BASE;
        if plan.in_place {
            (header, base) = (images::keeping(header), images::LOW_BASE);
        }
        let mut image = images::elf_at(Class::Elf64, base, &header);
        for number in 0..self.sections % 32 {
            let bytes = noise(number.into(), usize::from(number) * 3);
            image = image.section(Section::loose(".s", bytes));
        }
        images::bytes(&image)
    }

    fn put_into(&self, facts: &mut Facts) {
        facts.screen = self.screen.map(|shown| Screen {
            address: shown.address,
            pitch_width_height: shown.size,
            bpp: shown.bpp,
            colors: shown.colors.map(usize::from),
            masks: shown.masks,
        });
        let bios = self.plan.firmware == Firmware::Bios;
        facts.vbe = bios && self.vbe;
        facts.vbe_mode = self.vbe_mode.filter(|_| bios);
        facts.vbe_mode_info[..32].copy_from_slice(&self.vbe_info);
        facts.apm = self.apm;
        facts.acpi = self
            .acpi
            .map(|acpi| acpi.map(|(start, len)| table(start, len)));
        for (entry, there) in facts.smbios.iter_mut().zip(self.smbios) {
            *entry = if there { entry } else { &[] };
        }
        let all = self.acknowledgements.iter().take(9);
        facts.acknowledgements = all.map(|&(start, len)| table(start, len)).collect();
        facts.boot_device = self.boot_device;
        if let Some(efi) = &mut facts.efi {
            [efi.system_table, efi.image_handle] = self.efi;
        }
        facts.efi_map = noise(2, self.map.into());
        // It is asked for four times.
        let grows = self.grows.iter().take(3).map(|&len| len.into());
        facts.efi_map_grows = grows.collect();
    }
}
