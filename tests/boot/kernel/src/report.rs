// SPDX-License-Identifier: GPL-3.0-or-later
//! The transcript. Each line starts with `mb2k `; the kit parses them.

use crate::capture::{self, Capture, Head, MAX_RANGES};
use crate::memory::Region;
use crate::{cpu, efi, mbi, serial, serial::Line};

/// Bytes per line of the dump.
const DUMP_WIDTH: u64 = 32;
const PAGE: u64 = 4096;

#[cfg(target_arch = "x86")]
const DIGITS: u32 = 8;
#[cfg(target_arch = "x86_64")]
const DIGITS: u32 = 16;

fn register(name: &str, value: u64, digits: u32) {
    drop(Line::start("reg ").text(name).text("=").hex(value, digits));
}

fn registers(state: &Capture) {
    for (name, value) in capture::REGISTER_NAMES.iter().zip(state.registers) {
        register(name, value, DIGITS);
    }
    register(capture::FLAGS_NAME, state.flags, DIGITS);
    for (name, value) in [
        ("cs", cpu::cs()),
        ("ds", cpu::ds()),
        ("es", cpu::es()),
        ("fs", cpu::fs()),
        ("gs", cpu::gs()),
        ("ss", cpu::ss()),
    ] {
        register(name, value, 4);
    }
    register("cr0", cpu::cr0(), DIGITS);
    register("cr3", cpu::cr3(), DIGITS);
    register("cr4", cpu::cr4(), DIGITS);
    if let Some(value) = cpu::efer() {
        register("efer", value, 16);
    }
    let (gdt, idt) = (cpu::gdtr(), cpu::idtr());
    register("gdtr.base", gdt.base as u64, DIGITS);
    register("gdtr.limit", u64::from(gdt.limit), 4);
    register("idtr.base", idt.base as u64, DIGITS);
    register("idtr.limit", u64::from(idt.limit), 4);
}

fn image(state: &Capture, head: &Head) -> Result<(), &'static str> {
    if head.magic != Head::MAGIC || head.range_count as usize > MAX_RANGES {
        return Err("blob descriptor");
    }
    drop(
        Line::start("image")
            .field32("base", state.base as u32)
            .field32("link", head.link_base)
            .field32("len", head.file_len)
            .field32("mem", head.mem_len)
            .field64("fnv", state.fnv)
            .field32("relocs", head.reloc_count)
            .field32("already", state.already_relocated as u32),
    );
    for (index, range) in head
        .ranges
        .iter()
        .take(head.range_count as usize)
        .enumerate()
    {
        let start = u64::from((state.base as u32).wrapping_add(range.delta));
        let memory = Region::new(start, u64::from(range.mem_len)).ok_or("range address")?;
        let file = memory
            .part(0, u64::from(range.file_len))
            .ok_or("range length")?;
        let rest = memory
            .part(file.len(), memory.len() - file.len())
            .ok_or("range length")?;
        let dirty = rest.first_nonzero().map_or(0, |at| rest.start() + at);
        drop(
            Line::start("range")
                .field32("index", index as u32)
                .field32("kind", range.kind)
                .field32("at", start as u32)
                .field32("len", range.file_len)
                .field32("mem", range.mem_len)
                .field64("fnv", file.fnv())
                .field32("dirty", dirty as u32),
        );
        if dirty != 0 && range.kind == 0 {
            return Err("segment tail is not zero");
        }
    }
    match state.dirty_bss {
        0 => {
            drop(Line::start("bss zero"));
            Ok(())
        }
        _ => Err("bss is not zero"),
    }
}

fn dump(block: Region) {
    drop(
        Line::start("mbi")
            .field32("at", block.start() as u32)
            .field32("len", block.len() as u32),
    );
    let mut zeroes = false;
    for start in (0..block.len()).step_by(DUMP_WIDTH as usize) {
        // A table of section headers may hold megabytes of zeroes.
        let row = block.part(start, DUMP_WIDTH.min(block.len() - start));
        if row.is_some_and(|row| row.first_nonzero().is_none()) {
            zeroes = true;
            continue;
        }
        if zeroes {
            drop(Line::start("mbi").field32("zero", start as u32));
            zeroes = false;
        }
        let mut line = Line::start("mbi ").hex(start, 6).text(": ");
        for offset in start..block.len().min(start + DUMP_WIDTH) {
            line = line.hex(u64::from(block.byte(offset)), 2);
        }
    }
}

fn module(index: u32, tag: mbi::Tag) -> Result<(), &'static str> {
    let (Some(start), Some(end)) = (tag.body.u32(8), tag.body.u32(12)) else {
        return Err("module tag is short");
    };
    let len = end
        .checked_sub(start)
        .ok_or("module ends before it starts")?;
    let contents = Region::new(u64::from(start), u64::from(len)).ok_or("module address")?;
    let tail_start = u64::from(end);
    let tail_len = (PAGE - tail_start % PAGE) % PAGE;
    let tail = Region::new(tail_start, tail_len).ok_or("module end")?;
    drop(
        Line::start("module")
            .field32("index", index)
            .field32("start", start)
            .field32("end", end)
            .field64("fnv", contents.fnv())
            .field32("tail_len", tail_len as u32)
            .field64("tail", tail.fnv()),
    );
    Ok(())
}

fn sections(tag: mbi::Tag) -> Result<(), &'static str> {
    for section in mbi::sections(tag) {
        let section = section?;
        drop(
            Line::start("section")
                .field32("index", section.index)
                .field64("flags", section.flags)
                .field32("addr", section.contents.start() as u32)
                .field32("size", section.contents.len() as u32)
                .field64("fnv", section.contents.fnv()),
        );
    }
    Ok(())
}

fn tags(block: Region, entry: u64) -> Result<(), &'static str> {
    let mut modules = 0;
    let mut table = None;
    for tag in mbi::Tags::new(block) {
        let tag = tag?;
        match tag.kind {
            mbi::TAG_MODULE => {
                module(modules, tag)?;
                modules += 1;
            }
            mbi::TAG_SECTIONS => sections(tag)?,
            mbi::TAG_EFI32 if entry == capture::ENTRY_EFI32 => {
                table = tag.body.u32(8).map(u64::from)
            }
            mbi::TAG_EFI64 if entry == capture::ENTRY_EFI64 => table = tag.body.u64(8),
            _ => {}
        }
    }
    if entry != capture::ENTRY_PLAIN32 {
        efi::check_boot_services(table.ok_or("no system table")?)?;
        drop(Line::start("bs alive"));
    }
    Ok(())
}

fn all(state: &Capture, head: &Head) -> Result<(), &'static str> {
    drop(Line::start("entry").field32("kind", state.entry as u32));
    registers(state);
    image(state, head)?;
    if state.registers[0] as u32 != mbi::MAGIC {
        return Err("magic");
    }
    let block = mbi::block(state.registers[1])?;
    dump(block);
    tags(block, state.entry)
}

/// Called by the entry stubs once the blob is relocated.
///
/// # Safety
///
/// `state` and `head` point to what the stub filled and to the descriptor at
/// the start of the blob; nothing writes to either from now on.
#[unsafe(no_mangle)]
unsafe extern "C" fn kernel_main(state: *const Capture, head: *const Head) -> ! {
    // SAFETY: by this function's contract.
    let state = unsafe { &*state };
    // SAFETY: by this function's contract.
    let head = unsafe { &*head };
    serial::init();
    // GRUB's last line may lack its end.
    drop(Line::start("begin"));
    match all(state, head) {
        Ok(()) => {
            drop(Line::start("end ok"));
            cpu::exit(cpu::EXIT_PASS)
        }
        Err(reason) => {
            drop(Line::start("fail ").text(reason));
            cpu::exit(cpu::EXIT_FAIL)
        }
    }
}
