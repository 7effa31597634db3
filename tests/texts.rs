// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user reads when something is wrong.

#[path = "common/render.rs"]
mod render;

use mb2::error::{Code, Kind, MAX_VALUES};
use render::render;

/// Bytes of GRUB's error text, NUL included.
const GRUB_MAX_ERRMSG: usize = 256;

const SAMPLE: [u64; MAX_VALUES] = [1, 0x1000, 0x2fff, 4, 0x2000, 0x4fff];

/// Every text, as it is with these numbers.
const TEXTS: &str = "\
Busy: /boot/xen: busy
Unexplained: /boot/xen: unexplained failure
UnknownOption: unknown argument `/boot/xen'
NoFileName: filename expected
NoKernel: you need to load the kernel first
FileEnd: premature end of file /boot/xen
UnknownSize: /boot/xen: unknown file size
NoHeader: no multiboot header found
HeaderLength: /boot/xen: header at 0x1: length 0x1000 is below 0x18 or passes 0x2fff
TagSize: /boot/xen: header tag 1 at 0x1000: wrong size 0x2fff
NoEndTag: /boot/xen: no end tag in the header up to 0x1
UnknownTag: unsupported tag: 0x1
UnknownRequest: unsupported information tag: 0x1
NoEntryTag: load address tag without entry address tag
PlacementAlign: /boot/xen: alignment 0x1 is not a power of two
PlacementRange: invalid min/max address and/or load size
ElfMagic: invalid arch-independent ELF magic
ElfMachine: invalid arch-dependent ELF magic
ElfType: this ELF file is not of the right type
ElfTable: /boot/xen: no room for 1 ELF headers of 4096 bytes at 0x2fff
NoSegment: /boot/xen: nothing to load
SegmentSize: /boot/xen: segment 1: file size 0x1000 is above 0x2fff
SegmentRange: /boot/xen: segment 1 at 0x1000, size 0x2fff crosses 4 GiB border
Overlap: /boot/xen: segment 1 (0x1000-0x2fff) overlaps 4 (0x2000-0x4fff)
EntryNotInSegment: entry point isn't in a segment
EntryOutside: /boot/xen: entry 0x1 is outside the image
Scattered: /boot/xen: in too many pieces
SectionRange: /boot/xen: section 1 at 0x1000, size 0x2fff ends behind the file
SectionAlign: /boot/xen: section 1: alignment 0x1000 is not a power of two
RelocationTable: /boot/xen: DT 1: 0x1000 bytes at 0x2fff are in no segment
RelocationEntry: /boot/xen: section/DT 1: 0x1000 bytes have no entries of 0x2fff
RelocationType: /boot/xen: section/DT 1, relocation 4096: unknown type 12287 at 0x4
RelocationOutside: /boot/xen: section/DT 1, relocation 4096: type 12287 at 0x4 leaves the image
RelocationFit: /boot/xen: section/DT 1, relocation 4096: type 12287 at 0x4 does not fit
HeaderAddr: /boot/xen: header_addr 0x1 does not fit offset 0x1000
LoadEnd: /boot/xen: load_end_addr 0x1 is not above 0x1000
BssEnd: /boot/xen: bss_end_addr 0x1 is below load end 0x1000
ImageEnd: /boot/xen: image end 0x1 is not in 0x1000-4 GiB
NotFree: /boot/xen: 0x1-0x1000 is not free memory: 0x2fff has type 4
Elsewhere: /boot/xen: no room in 0x1-0x1000: 0x2fff has type 4; 0x2000 bytes fit at 0x4fff
NoRoom: /boot/xen: no free memory for 0x1 bytes in 0x1000-0x2fff
NoConsole: OS requires a console but none is available
Blind: WARNING: no console will be available to OS
SaysHeader: header at 0x1
SaysRequest:   information request: type 1
SaysAddress:   address: header 0x1 load 0x1000 load_end 0x2fff bss_end 0x4
SaysEntryTag:   entry address: 0x1
SaysConsole:   console flags: 0x1
SaysFramebuffer:   framebuffer: width 1, height 4096, depth 12287
SaysModuleAlign:   module alignment
SaysServicesTag:   EFI boot services
SaysEntryEfi32:   EFI i386 entry address: 0x1
SaysEntryEfi64:   EFI amd64 entry address: 0x1
SaysRelocatable:   relocatable: min 0x1, max 0x1000, align 0x2fff, preference 4
SaysIgnored:   tag 1: ignored
SaysFixed: not relocatable: stays at 0x1
SaysLowest: relocatable: lies at 0x1, the lowest free address
SaysHighest: relocatable: lies at 0x1, the highest free address
SaysSegment: segment 1: file 0x1000+0x2fff, memory 0x4+0x2000, lies at 0x4fff
SaysEntry: entry at 0x1
SaysServicesKept: EFI boot services: kept
SaysServicesEnded: EFI boot services: ended
SaysSections: sections: 1, names in 4096
SaysSection: section 1: file 0x1000+0x2fff, lies at 0x4
SaysRelocations: relocations: 1, from 0x1000 to 0x2fff
SaysGood: no fault found
";

/// What a text takes for the name of the file: lines of a check have none.
fn name(kind: Kind, name: &str) -> &str {
    match kind.code() {
        Code::None => "",
        _ => name,
    }
}

#[test]
fn every_text_is_as_listed() {
    let mut list = String::new();
    for kind in Kind::ALL {
        let format = kind.text().to_str().unwrap();
        let (text, _) = render(format, name(*kind, "/boot/xen"), &SAMPLE);
        list += &format!("{kind:?}: {text}\n");
    }
    assert_eq!(list, TEXTS, "\n{list}");
}

#[test]
fn every_text_fits_with_a_long_name_and_the_largest_numbers() {
    let long = "n".repeat(100);
    for kind in Kind::ALL {
        let format = kind.text().to_str().unwrap();
        let (text, taken) = render(format, name(*kind, &long), &[u64::MAX; MAX_VALUES]);
        assert!(text.len() < GRUB_MAX_ERRMSG, "{kind:?}: {}", text.len());
        assert!(taken <= MAX_VALUES, "{kind:?}");
    }
}

#[test]
fn every_text_speaks_with_grubs_voice() {
    for kind in Kind::ALL {
        let format = kind.text().to_str().unwrap();
        assert!(format.is_ascii() && !format.contains('\n'), "{kind:?}");
        assert!(!format.ends_with(['.', ' ', '!']), "{kind:?}: {format}");
        // Small letters, but for words that have only large ones.
        let said = format.strip_prefix("%s: ").unwrap_or(format);
        let said = said.strip_prefix("%s").unwrap_or(said).trim_start();
        let first = said.split([' ', ':']).next().unwrap_or_default();
        let shouts = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
        let speaks = !first.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(speaks || shouts(first), "{kind:?}: {format}");
    }
}

#[test]
fn lines_of_a_check_fit_on_a_screen() {
    let lines = Kind::ALL.iter().filter(|kind| kind.code() == Code::None);
    for kind in lines {
        let format = kind.text().to_str().unwrap();
        // Addresses below 16 MiB; what is higher may take a second line.
        let mut numbers = [0x70_0000; MAX_VALUES];
        numbers[0] = 7;
        let (text, _) = render(format, "", &numbers);
        assert!(text.len() < 80, "{kind:?}: {}: {text}", text.len());
    }
}

#[test]
fn a_name_comes_first_in_the_argument_list_and_once() {
    for kind in Kind::ALL {
        let format = kind.text().to_str().unwrap();
        let names = format.matches("%s").count();
        assert_eq!(names, usize::from(kind.names_file()), "{kind:?}");
        if let Some(before) = format.split("%s").next().filter(|_| names > 0) {
            assert!(!before.contains('%'), "{kind:?}");
        }
    }
}
