// SPDX-License-Identifier: GPL-3.0-or-later
//! Single instructions that Rust has no words for.

use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86 as arch;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64 as arch;

/// Test passed; QEMU ends with status 33.
pub(crate) const EXIT_PASS: u8 = 0x10;
/// Something was inconsistent; QEMU ends with status 35.
pub(crate) const EXIT_FAIL: u8 = 0x11;
/// The kernel itself broke; QEMU ends with status 37.
pub(crate) const EXIT_PANIC: u8 = 0x12;

const DEBUG_EXIT: u16 = 0xf4;
const MSR_EFER: u32 = 0xc000_0080;

/// Writes a byte to an I/O port.
pub(crate) fn out8(port: u16, value: u8) {
    // SAFETY: the callers name ports of the serial line and of the debug-exit
    // device only; neither touches memory.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    };
}

/// Reads a byte from an I/O port.
pub(crate) fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: as in `out8`.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Ends the machine.
pub(crate) fn exit(value: u8) -> ! {
    loop {
        out8(DEBUG_EXIT, value);
    }
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $template:literal) => {
        $(#[$doc])*
        pub(crate) fn $name() -> u64 {
            let value: usize;
            // SAFETY: reading this register has no effect; the kernel runs in ring 0.
            unsafe { asm!($template, out(reg) value, options(nomem, nostack, preserves_flags)) };
            value as u64
        }
    };
}

reader!(/** Control register 0. */ cr0, "mov {}, cr0");
reader!(/** Control register 3. */ cr3, "mov {}, cr3");
reader!(/** Control register 4. */ cr4, "mov {}, cr4");
reader!(/** Code segment selector. */ cs, "mov {}, cs");
reader!(/** Data segment selector. */ ds, "mov {}, ds");
reader!(/** Extra segment selector. */ es, "mov {}, es");
reader!(/** Second extra segment selector. */ fs, "mov {}, fs");
reader!(/** Third extra segment selector. */ gs, "mov {}, gs");
reader!(/** Stack segment selector. */ ss, "mov {}, ss");

/// EFER, or nothing on a CPU without it.
pub(crate) fn efer() -> Option<u64> {
    let features = arch::__cpuid(0x8000_0001).edx;
    // System-call instructions, no-execute pages, long mode: each implies EFER.
    if features & (1 << 11 | 1 << 20 | 1 << 29) == 0 {
        return None;
    }
    let (low, high): (u32, u32);
    // SAFETY: the register exists and reading it has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") MSR_EFER, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Limit and base of a descriptor table, as the CPU stores them.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub(crate) struct TableRegister {
    /// Last valid offset.
    pub(crate) limit: u16,
    /// Linear address.
    pub(crate) base: usize,
}

/// Register of the global descriptor table.
pub(crate) fn gdtr() -> TableRegister {
    let mut value = TableRegister { limit: 0, base: 0 };
    // SAFETY: stores at most ten bytes into `value`, which has as many.
    unsafe { asm!("sgdt [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value
}

/// Register of the interrupt descriptor table.
pub(crate) fn idtr() -> TableRegister {
    let mut value = TableRegister { limit: 0, base: 0 };
    // SAFETY: as in `gdtr`.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value
}
