// SPDX-License-Identifier: GPL-3.0-or-later
//! Just enough UEFI to see that boot services still answer (UEFI 2.10, 4.3, 7.2).

use crate::memory::Region;

const WORD: u64 = size_of::<usize>() as u64;
const HEADER_LEN: u64 = 24;
/// Pointers in front of the boot services pointer: vendor, three handles and
/// protocols each, runtime services; the revision takes one word as well.
const BOOT_SERVICES: u64 = HEADER_LEN + 9 * WORD;
/// Get Memory Map comes after two priority and two page functions.
const GET_MEMORY_MAP: u64 = HEADER_LEN + 4 * WORD;
const BOOT_SERVICES_SIGNATURE: u64 = 0x5652_4553_544f_4f42;
/// Error bit and number 5: the buffer is too small.
const BUFFER_TOO_SMALL: usize = 5 | 1 << (usize::BITS - 1);

type GetMemoryMap = unsafe extern "efiapi" fn(
    len: *mut usize,
    map: *mut u8,
    key: *mut usize,
    entry_len: *mut usize,
    version: *mut u32,
) -> usize;

fn word(region: Region, offset: u64) -> Option<u64> {
    match WORD {
        4 => region.u32(offset).map(u64::from),
        _ => region.u64(offset),
    }
}

/// Asks for the size of the memory map through the system table at `table`.
///
/// Says what is wrong if boot services do not answer as they should.
pub(crate) fn check_boot_services(table: u64) -> Result<(), &'static str> {
    let system = Region::new(table, BOOT_SERVICES + WORD).ok_or("system table address")?;
    let services = word(system, BOOT_SERVICES)
        .and_then(|at| Region::new(at, GET_MEMORY_MAP + WORD))
        .ok_or("boot services address")?;
    if services.u64(0) != Some(BOOT_SERVICES_SIGNATURE) {
        return Err("boot services signature");
    }
    let function = word(services, GET_MEMORY_MAP)
        .filter(|&at| at != 0)
        .ok_or("memory map function")? as usize;
    // SAFETY: the table is signed, so its words are functions of these types;
    // function pointers and addresses have the same size.
    let function = unsafe { core::mem::transmute::<usize, GetMemoryMap>(function) };
    let (mut len, mut key, mut entry_len, mut version) = (0, 0, 0, 0);
    // SAFETY: all pointers are to locals, the buffer has no bytes, and the
    // stack is the firmware's.
    let status = unsafe {
        function(
            &raw mut len,
            core::ptr::null_mut(),
            &raw mut key,
            &raw mut entry_len,
            &raw mut version,
        )
    };
    if status == BUFFER_TOO_SMALL && len != 0 {
        Ok(())
    } else {
        Err("boot services do not answer")
    }
}
