// SPDX-License-Identifier: GPL-3.0-or-later
//! What a freestanding Rust program has to bring along.

use crate::{cpu, serial::Line};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    drop(Line::start("panic"));
    cpu::exit(cpu::EXIT_PANIC)
}

// The compiler calls these by name. In assembly, because a loop in Rust may
// be turned into a call of the very function that holds it.
#[cfg(target_arch = "x86")]
core::arch::global_asm!(
    r#"
    .text
    .globl memcpy
    .globl memmove
    .globl memset
    .globl memcmp
    .globl bcmp
memmove:
    mov     eax, [esp + 4]
    mov     ecx, [esp + 8]
    cmp     eax, ecx
    jbe     memcpy
    push    esi
    push    edi
    mov     esi, ecx
    mov     edi, eax
    mov     ecx, [esp + 20]
    lea     esi, [esi + ecx - 1]
    lea     edi, [edi + ecx - 1]
    std
    rep movsb
    cld
    pop     edi
    pop     esi
    ret
memcpy:
    push    esi
    push    edi
    mov     edi, [esp + 12]
    mov     esi, [esp + 16]
    mov     ecx, [esp + 20]
    mov     eax, edi
    rep movsb
    pop     edi
    pop     esi
    ret
memset:
    push    edi
    mov     edi, [esp + 8]
    mov     eax, [esp + 12]
    mov     ecx, [esp + 16]
    rep stosb
    mov     eax, [esp + 8]
    pop     edi
    ret
memcmp:
bcmp:
    push    esi
    push    edi
    mov     esi, [esp + 12]
    mov     edi, [esp + 16]
    mov     ecx, [esp + 20]
    xor     eax, eax
    xor     edx, edx
    cmp     eax, eax
    repe cmpsb
    je      1f
    mov     al, [esi - 1]
    mov     dl, [edi - 1]
    sub     eax, edx
1:  pop     edi
    pop     esi
    ret
"#
);

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    r#"
    .text
    .globl memcpy
    .globl memmove
    .globl memset
    .globl memcmp
    .globl bcmp
memmove:
    cmp     rdi, rsi
    jbe     memcpy
    mov     rax, rdi
    mov     rcx, rdx
    lea     rsi, [rsi + rdx - 1]
    lea     rdi, [rdi + rdx - 1]
    std
    rep movsb
    cld
    ret
memcpy:
    mov     rax, rdi
    mov     rcx, rdx
    rep movsb
    ret
memset:
    mov     r8, rdi
    mov     eax, esi
    mov     rcx, rdx
    rep stosb
    mov     rax, r8
    ret
memcmp:
bcmp:
    mov     rcx, rdx
    xor     eax, eax
    xor     edx, edx
    cmp     eax, eax
    repe cmpsb
    je      1f
    mov     al, [rsi - 1]
    mov     dl, [rdi - 1]
    sub     eax, edx
1:  ret
"#
);
