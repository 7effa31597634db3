// SPDX-License-Identifier: GPL-3.0-or-later
//! ELF kernels in memory: where their parts lie, what stands in them, where
//! they start.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "test code stops where it is surprised"
)]

mod common;

use common::images::{self, BASE, CLASSES, ENTRY, FIRST, SECOND, SPAN, relocatable};
use common::world::{FREE, Finds, Started};
use common::{Fake, New};
use mb2::error::Kind;
use mb2_testkit::header::{HeaderBuilder, Tag};
use mb2_testkit::image::{Class, ET_DYN, ImageBuilder, Phdr, Segment};

fn start(mut fake: Fake, image: &ImageBuilder) -> Started {
    fake.load(&images::bytes(image)).unwrap();
    assert!(fake.world.reads_ascend("/kernel"));
    let started = fake.boot().unwrap();
    assert!(fake.balanced());
    started
}

/// A kernel with a relocatable tag starts where it should, whole and with
/// zeroes in its gaps.
fn lies_at(fake: Fake, tag: Tag, base: u32) {
    for class in CLASSES {
        let header = HeaderBuilder::new().tag(tag.clone());
        let started = start(fake_like(&fake), &images::elf(class, &header));
        let image = started.memory(base, SPAN as usize);
        assert!(image == images::memory(&header), "{class:?} at {base:#x}");
        assert_eq!(started.registers.entry, base + ENTRY);
        let chunk = started.chunks.get(&base).map(Vec::len);
        assert_eq!(chunk, Some(SPAN as usize));
    }
}

/// Another machine of the same kind.
fn fake_like(fake: &Fake) -> Fake {
    let new = match fake.machine.firmware {
        mb2::params::Firmware::Bios => Fake::bios(),
        mb2::params::Firmware::Efi32 => Fake::efi32(),
        mb2::params::Firmware::Efi64 => Fake::efi64(),
    };
    new.world.finds.set(fake.world.finds.get());
    new
}

#[test]
fn fixed_segments_lie_where_they_are_linked_and_nothing_between_is_touched() {
    let header = HeaderBuilder::new();
    let memory = images::memory(&header);
    let machines: [(New, Class); 4] = [
        (Fake::bios, Class::Elf32),
        (Fake::bios, Class::Elf64),
        (Fake::efi32, Class::Elf32),
        (Fake::efi64, Class::Elf64),
    ];
    for (fake, class) in machines {
        let mut started = start(fake(), &images::elf(class, &header));
        assert_eq!(started.registers.entry, BASE + ENTRY);
        assert!(!started.registers.keep_services);
        let second = SECOND.0 as usize;
        let first = started.chunks.remove(&BASE).unwrap();
        assert!(first == memory[..FIRST.1 as usize], "{class:?}");
        let end = second + SECOND.2 as usize;
        let chunk = started.chunks.remove(&(BASE + SECOND.0)).unwrap();
        assert!(chunk == memory[second..end], "{class:?}");
        // What is left is the boot information.
        assert_eq!(started.chunks.len(), 1);
        assert!(started.chunks.contains_key(&started.registers.info));
    }
}

#[test]
fn shared_objects_load_like_executables() {
    let header = HeaderBuilder::new();
    for class in CLASSES {
        let mut image = images::elf(class, &header);
        image.kind = ET_DYN;
        let started = start(Fake::bios(), &image);
        assert_eq!(started.registers.entry, BASE + ENTRY);
    }
}

#[test]
fn no_preference_and_low_take_the_lowest_place_in_the_window() {
    for preference in [0, 1, 7] {
        let tag = |min, max, align| relocatable(min, max, align, preference);
        lies_at(Fake::bios(), tag(0, u32::MAX, 0x1000), 0x10_0000);
        lies_at(Fake::bios(), tag(0x12_3456, u32::MAX, 0x20_0000), 0x20_0000);
        lies_at(Fake::bios(), tag(0x12_3456, u32::MAX, 0), 0x12_3456);
        lies_at(Fake::bios(), tag(0x12_3456, u32::MAX, 1), 0x12_3456);
        lies_at(Fake::efi64(), tag(0x30_0000, u32::MAX, 0x1000), 0x30_0000);
    }
}

#[test]
fn high_takes_the_highest_place_in_the_window() {
    let top = (0x400_0000 - SPAN) & !0xfff;
    lies_at(Fake::bios(), relocatable(0, u32::MAX, 0x1000, 2), top);
    lies_at(Fake::efi32(), relocatable(0, u32::MAX, 0x1000, 2), top);
    lies_at(
        Fake::bios(),
        relocatable(0, u32::MAX, 1, 2),
        0x400_0000 - SPAN,
    );
    lies_at(
        Fake::bios(),
        relocatable(0, 0x100_0000, 0x20_0000, 2),
        0xe0_0000,
    );
}

#[test]
fn a_window_as_narrow_as_the_image_is_enough() {
    for preference in [0, 1, 2] {
        let at = 0x12_3000;
        let tag = relocatable(at, at + SPAN, 0x1000, preference);
        lies_at(Fake::bios(), tag, at);
        // Twice the size is not needed either.
        let tag = relocatable(at, at + SPAN + SPAN / 2, 0x2000, preference);
        lies_at(Fake::bios(), tag, 0x12_4000);
    }
    let narrow = relocatable(0x12_3001, 0x12_3001 + SPAN, 0x1000, 1);
    let image = images::elf(Class::Elf64, &HeaderBuilder::new().tag(narrow));
    Fake::bios().refuses(&images::bytes(&image), Kind::Elsewhere);
}

#[test]
fn memory_below_one_mib_is_a_bioss_last_choice() {
    let tag = relocatable(0, 0x10_0000, 0x1000, 1);
    lies_at(Fake::bios(), tag, 0x1000);
    // Under UEFI the first free page is left to the code that jumps.
    lies_at(Fake::efi64(), relocatable(0, u32::MAX, 0x1000, 1), 0x2000);
}

#[test]
fn boot_services_memory_is_free_for_an_image_that_ends_them() {
    let tag = relocatable(0x200_0000, 0x280_0000, 0x1000, 1);
    lies_at(Fake::efi64(), tag, 0x200_0000);
    let base = 0x210_0000;
    let image = images::elf_at(Class::Elf64, base, &HeaderBuilder::new());
    assert_eq!(start(Fake::efi64(), &image).registers.entry, base + ENTRY);
}

#[test]
fn boot_services_memory_is_the_last_choice() {
    // Their page tables lie in it, and are in use until the jump.
    let tag = relocatable(0x180_0000, 0x280_0000, 0x1000, 2);
    let below = (0x200_0000 - SPAN) & !0xfff;
    lies_at(Fake::efi64(), tag.clone(), below);
    lies_at(Fake::efi32(), tag, below);
    let tag = relocatable(0x200_0000, 0x400_0000, 0x1000, 1);
    lies_at(Fake::efi64(), tag, 0x300_0000);
}

#[test]
fn a_border_in_the_map_costs_no_memory() {
    let mut fake = Fake::efi64();
    // Boot services' memory and a page of free memory behind it.
    let mut ranges = fake.world.ranges.borrow().clone();
    (ranges[3].end, ranges[3].kind) = (0x280_1000, FREE);
    fake.world.ranges.replace(ranges);
    // The only place lies across the border, where GRUB finds none by itself.
    let tag = relocatable(0x280_1000 - SPAN, 0x280_1000, 1, 2);
    let header = HeaderBuilder::new().tag(tag);
    let file = images::bytes(&images::elf(Class::Elf64, &header));
    fake.load(&file).unwrap();
    assert_eq!(fake.world.lost.get(), 0);
    let loaded = fake.loaded.as_ref().unwrap().kernel.loaded;
    assert_eq!(loaded.load_base, 0x280_1000 - SPAN);
    assert!(fake.balanced());
}

#[test]
fn bytes_that_move_at_the_end_arrive_too() {
    let fake = Fake::bios();
    fake.world.finds.set(Finds::Moved);
    lies_at(fake, relocatable(0, u32::MAX, 0x20_0000, 2), 0x3e0_0000);
}

#[test]
fn an_image_may_lie_across_a_border_of_the_map() {
    // Boot services own memory from 32 MiB on, in an entry of its own.
    for preference in [1, 2] {
        let tag = relocatable(0x1ff_e000, 0x200_4000, 0x1000, preference);
        lies_at(Fake::efi64(), tag, 0x1ff_e000);
    }
}

#[test]
fn a_place_that_was_not_asked_for_is_not_used() {
    let tag = relocatable(0x100_0000, 0x200_0000, 0x1000, 1);
    let header = HeaderBuilder::new().tag(tag);
    let file = images::bytes(&images::elf(Class::Elf32, &header));
    for at in [0x200_0000, 0x200_0000 - SPAN + 1, 0x100_0001, 0x400_0000, 0] {
        let mut fake = Fake::bios();
        fake.world.finds.set(Finds::Misplaced(at));
        let error = fake.load(&file).unwrap_err();
        let common::world::Fault::Ours(error) = error else {
            panic!("{error:?} at {at:#x}");
        };
        assert_eq!(error.kind, Kind::NoRoom, "{at:#x}");
        assert!(fake.empty());
        fake.world.finds.set(Finds::Direct);
        fake.load(&file).unwrap();
    }
}

#[test]
fn the_entry_tag_replaces_the_elf_entry() {
    for class in CLASSES {
        let header = HeaderBuilder::new().tag(Tag::Entry(BASE + 0x44));
        let mut image = images::elf(class, &header);
        image.entry = 0x10;
        assert_eq!(start(Fake::bios(), &image).registers.entry, BASE + 0x44);
        let header = header.tag(relocatable(0x100_0000, u32::MAX, 1, 0));
        let mut image = images::elf(class, &header);
        image.entry = 0x10;
        let started = start(Fake::bios(), &image);
        assert_eq!(started.registers.entry, 0x100_0044);
    }
}

#[test]
fn the_entry_is_virtual_and_the_first_segment_that_holds_it_decides() {
    let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
    let high = 0xffff_ffff_8000_0000;
    for segment in &mut image.segments {
        segment.vaddr = high + segment.paddr;
    }
    image.entry = high + u64::from(BASE + SECOND.0 + SECOND.2 - 1);
    let started = start(Fake::bios(), &image);
    assert_eq!(started.registers.entry, BASE + SECOND.0 + SECOND.2 - 1);
    // Both segments hold it: the first one counts.
    image.segments[1].vaddr = image.segments[0].vaddr;
    image.entry = image.segments[0].vaddr + 0x20;
    assert_eq!(start(Fake::bios(), &image).registers.entry, BASE + 0x20);
}

#[test]
fn a_segment_may_end_at_the_top_of_the_address_space() {
    let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
    let vaddr = u64::MAX - u64::from(SECOND.2) + 1;
    image.segments[1].vaddr = vaddr;
    image.entry = u64::MAX;
    let started = start(Fake::bios(), &image);
    assert_eq!(started.registers.entry, BASE + SECOND.0 + SECOND.2 - 1);
}

#[test]
fn an_entry_outside_the_segments_is_refused() {
    let mut image = images::elf(Class::Elf32, &HeaderBuilder::new());
    image.entry = u64::from(BASE + FIRST.1); // in the gap
    let file = images::bytes(&image);
    Fake::bios().refuses(&file, Kind::EntryNotInSegment);
    // A segment that passes the top of the address space does not begin again at 0.
    let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
    image.segments[1].vaddr = u64::MAX - 1;
    image.entry = 5;
    Fake::bios().refuses(&images::bytes(&image), Kind::EntryNotInSegment);
    for entry in [BASE - 1, BASE + FIRST.1, BASE + SPAN, 0, u32::MAX] {
        let header = HeaderBuilder::new().tag(Tag::Entry(entry));
        let file = images::bytes(&images::elf(Class::Elf32, &header));
        let error = Fake::bios().refuses(&file, Kind::EntryOutside);
        assert_eq!(error.values[0], u64::from(entry));
    }
}

#[test]
fn a_segment_that_is_all_zero_needs_no_file() {
    let mut image = images::elf(Class::Elf32, &HeaderBuilder::new());
    let zeroes = Segment::load(u64::from(BASE) + 0x9000, Vec::new()).mem_len(0x777);
    image = image.segment(zeroes);
    // Its offset may be anything.
    let patch = mb2_testkit::image::Patch::Phdr(2, Phdr::Offset, 0xffff_fff0);
    let started = start(Fake::bios(), &image.patch(patch));
    assert_eq!(started.chunks.get(&(BASE + 0x9000)), Some(&vec![0; 0x777]));
}

#[test]
fn segments_are_read_in_the_order_of_the_file() {
    for class in CLASSES {
        let header = HeaderBuilder::new();
        let mut image = images::elf(class, &header);
        // The first program header is at the end of the file.
        image.segments.reverse();
        image.segments[0].offset = Some(0x2_3000);
        image.segments[1].offset = Some(0x1000);
        let started = start(Fake::bios(), &image);
        let (_, second) = images::parts(&header);
        let at = BASE + SECOND.0;
        assert_eq!(started.memory(at, SECOND.1), second);
    }
}

#[test]
fn the_first_32_kib_are_read_once() {
    let mut fake = Fake::bios();
    let mut image = images::elf(Class::Elf64, &HeaderBuilder::new());
    image.segments[1] = Segment::load(
        u64::from(BASE + SECOND.0),
        mb2_testkit::bytes::noise(1, 0x9000),
    );
    let file = images::bytes(&image);
    fake.load(&file).unwrap();
    let reads: Vec<_> = fake
        .world
        .reads
        .borrow()
        .iter()
        .map(|read| (read.offset, read.len))
        .collect();
    // The window, then what is left of the second segment.
    assert_eq!(reads, [(0, 0x8000), (0x8000, file.len() - 0x8000)]);
    let started = fake.boot().unwrap();
    let second = started.memory(BASE + SECOND.0, 0x9000);
    assert!(second == mb2_testkit::bytes::noise(1, 0x9000));
}

#[test]
fn compressed_or_not_is_the_file_layers_business() {
    // A file whose size is not known is an ELF file all the same.
    let mut fake = Fake::bios();
    let mut padded = images::good();
    padded.resize(0x9000, 0);
    fake.store("/kernel", &padded).sized = false;
    fake.multiboot2(&["/kernel"]).unwrap();
    assert!(fake.balanced());
}

#[test]
fn headers_of_an_independent_builder_are_understood() {
    use multiboot2_header::{self as h, MaybeDynSized};
    let required = h::HeaderTagFlag::Required;
    let requests = [h::MbiTagType::Mmap, h::MbiTagType::ElfSections];
    let header = h::Builder::new(h::HeaderTagISA::I386)
        .information_request_tag(h::InformationRequestHeaderTag::new(required, &requests))
        .entry_tag(h::EntryAddressHeaderTag::new(required, BASE + 0x1234))
        .console_tag(h::ConsoleHeaderTag::new(
            required,
            h::ConsoleHeaderTagFlags::ConsoleRequired,
        ))
        .framebuffer_tag(h::FramebufferHeaderTag::new(required, 800, 600, 24))
        .module_align_tag(h::ModuleAlignHeaderTag::new(required))
        .relocatable_tag(h::RelocatableHeaderTag::new(
            required,
            0x80_0000,
            0x1ff_ffff,
            0x1_0000,
            h::RelocatableHeaderTagPreference::High,
        ))
        .build();
    let mut first = header.as_bytes().as_ref().to_vec();
    first.resize(0x2000, 0x90);
    let mut image = ImageBuilder::new(Class::Elf64);
    image = image.segment(Segment::load(BASE.into(), first.clone()));
    let mut fake = Fake::bios();
    fake.load(&images::bytes(&image)).unwrap();
    assert_eq!(
        fake.payload_modes.as_deref(),
        Some("800x600x24,800x600,auto")
    );
    let started = fake.boot().unwrap();
    // The last 64 KiB step below 0x1ffffff - 0x2000.
    assert_eq!(started.memory(0x1ff_0000, 0x2000), first);
    assert_eq!(started.registers.entry, 0x1ff_0000 + 0x1234);
}
