// SPDX-License-Identifier: GPL-3.0-or-later
//! Boot information as it has to be, written by hand (Multiboot2, 3.6).

use super::Fake;
use super::facts::{APM, Facts, NAME, RSDP_NEW, RSDP_OLD};
use super::world::Started;
use mb2::platform::MemoryMap;
use mb2_testkit::bytes::u32_at;
use mb2_testkit::dump::Tags;

/// Collects tags.
pub(crate) struct Expected(Vec<u8>);

impl Expected {
    pub(crate) fn new() -> Self {
        Self(vec![0; 8])
    }

    /// A tag: its numbers of 32 bits, then bytes.
    pub(crate) fn tag(mut self, kind: u32, words: &[u32], bytes: &[u8]) -> Self {
        let size = 8 + 4 * words.len() + bytes.len();
        for word in [kind, size as u32].iter().chain(words) {
            self.0.extend(word.to_le_bytes());
        }
        self.0.extend(bytes);
        let len = self.0.len().next_multiple_of(8);
        self.0.resize(len, 0);
        self
    }

    /// Load base, command line, loader name: what comes first.
    pub(crate) fn start(self, load_base: u32, command_line: &[u8]) -> Self {
        self.tag(21, &[load_base], &[])
            .tag(1, &[], command_line)
            .tag(2, &[], NAME)
    }

    pub(crate) fn apm(self) -> Self {
        self.tag(10, &[], &APM)
    }

    pub(crate) fn memory_map(self, map: &[u8]) -> Self {
        self.tag(6, &[24, 0], map)
    }

    /// Memory below and above 1 MiB, as the fake has it.
    pub(crate) fn basic_memory(self) -> Self {
        self.tag(4, &[639, 64512], &[])
    }

    pub(crate) fn acpi(self) -> Self {
        self.tag(14, &[], RSDP_OLD).tag(15, &[], RSDP_NEW)
    }

    /// The end tag and the total size.
    pub(crate) fn end(self) -> Vec<u8> {
        let mut bytes = self.tag(0, &[], &[]).0;
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes
    }
}

/// What a kernel is told about itself.
pub(crate) struct Told<'a> {
    pub(crate) base: u32,
    pub(crate) line: &'a [u8],
    /// Start, end and line of each module.
    pub(crate) modules: &'a [([u32; 2], &'a [u8])],
    /// Number, size and name index of the section headers, and their bytes.
    pub(crate) sections: [u32; 3],
    pub(crate) headers: &'a [u8],
    pub(crate) keeps_services: bool,
    /// The kernel has asked for the SMBIOS tables.
    pub(crate) smbios: bool,
}

/// The whole boot information on this machine, in GRUB's order.
pub(crate) fn whole(fake: &Fake, told: &Told<'_>) -> Vec<u8> {
    let facts = &fake.facts;
    let mut info = Expected::new().start(told.base, told.line);
    if let Some(apm) = &facts.apm {
        info = info.tag(10, &[], apm);
    }
    for (place, line) in told.modules {
        info = info.tag(3, place, line);
    }
    if !told.keeps_services {
        info = info.memory_map(&fake.world.map(MemoryMap::Report));
    }
    info = info.tag(9, &told.sections, told.headers);
    if !told.keeps_services {
        info = info.basic_memory();
    }
    for acknowledgement in facts.acknowledgements.iter().filter(|a| !a.is_empty()) {
        info = info.tag(16, &[], acknowledgement);
    }
    if let Some(device) = &facts.boot_device {
        info = info.tag(5, device, &[]);
    }
    info = screen(info, facts, fake.machine.vga_text);
    let pointer = |info: Expected, kinds: [u32; 2], value: u64| match facts.efi {
        Some(efi) if efi.wide => info.tag(kinds[1], &[], &value.to_le_bytes()),
        _ => info.tag(kinds[0], &[value as u32], &[]),
    };
    if let Some(efi) = facts.efi {
        info = pointer(info, [11, 12], efi.system_table);
    }
    if told.smbios {
        info = smbios(info, facts);
    }
    for (kind, rsdp) in [14, 15].into_iter().zip(facts.acpi) {
        if let Some(rsdp) = rsdp {
            info = info.tag(kind, &[], rsdp);
        }
    }
    match facts.efi {
        Some(efi) if told.keeps_services => {
            pointer(info.tag(18, &[], &[]), [19, 20], efi.image_handle).end()
        }
        Some(_) => info.tag(17, &[48, 1], &facts.efi_map).end(),
        None => info.end(),
    }
}

/// The SMBIOS tag, of the newer kind if there is one.
fn smbios(info: Expected, facts: &Facts) -> Expected {
    match facts.smbios {
        [_, new @ [_, ..]] => info.tag(13, &[0x403, 0], &[new, &facts.smbios_table[..17]].concat()),
        [old @ [_, ..], _] => info.tag(13, &[0x802, 0], &[old, &facts.smbios_table[..17]].concat()),
        _ => info,
    }
}

/// The tags about the screen.
fn screen(info: Expected, facts: &Facts, vga_text: bool) -> Expected {
    // VBE knows nothing of its text mode, which has 80 by 25 characters.
    let mut text = [0; 256];
    text[18..22].copy_from_slice(&[80, 0, 25, 0]);
    let mode = match facts.vbe_mode {
        Some(3) => Some((3, text)),
        Some(mode) if facts.vbe => Some((mode, facts.vbe_mode_info)),
        _ => None,
    };
    let size = |info: [u8; 256], at| u32::from(u16::from_le_bytes([info[at], info[at + 1]]));
    match (&facts.screen, mode) {
        (Some(screen), mode) => {
            let info = match mode.filter(|_| facts.vbe) {
                Some((mode, about)) => {
                    let interface = [mode & 0xffff | 0xf000 << 16, 0x1234 | 0x40 << 16];
                    info.tag(7, &interface, &[[0xc0; 512].as_slice(), &about].concat())
                }
                None => info,
            };
            let [pitch, width, height] = screen.pitch_width_height;
            let [low, high] = [screen.address as u32, (screen.address >> 32) as u32];
            let head = [low, high, pitch, width, height];
            let colors = screen.colors.map(|colors| colors.min(256));
            let mut bytes = vec![screen.bpp, u8::from(colors.is_none()), 0, 0];
            match colors {
                Some(colors) => {
                    bytes.extend((colors as u16).to_le_bytes());
                    bytes.extend((0..3 * colors).map(|i| i as u8));
                }
                None => bytes.extend(screen.masks),
            }
            info.tag(8, &head, &bytes)
        }
        (None, Some((_, about))) if vga_text && about[27] == 0 => {
            let [width, height] = [18, 20].map(|at| size(about, at));
            info.tag(8, &[0xb_8000, 0, 2 * width, width, height], &[16, 2, 0, 0])
        }
        _ => info,
    }
}

/// Types of the tags in their order, read by the kit.
pub(crate) fn kinds(information: &[u8]) -> Vec<u32> {
    let tags = mb2_testkit::dump::Tags::new(information).expect("boot information");
    tags.map(|tag| tag.expect("a tag").kind).collect()
}

/// The bytes of the first tag of a type.
pub(crate) fn find(information: &[u8], kind: u32) -> &[u8] {
    let mut tags = mb2_testkit::dump::Tags::new(information).expect("boot information");
    let tag = tags.find(|tag| tag.as_ref().is_ok_and(|tag| tag.kind == kind));
    tag.expect("the tag").expect("a tag").bytes
}

/// Start, end and command line of every module.
pub(crate) fn modules(started: &Started) -> Vec<(u32, u32, Vec<u8>)> {
    let tags = Tags::new(started.information()).unwrap().flatten();
    tags.filter(|tag| tag.kind == 3)
        .map(|tag| {
            let number = |at| u32_at(tag.bytes, at).unwrap();
            (number(8), number(12), tag.bytes[16..].to_vec())
        })
        .collect()
}
