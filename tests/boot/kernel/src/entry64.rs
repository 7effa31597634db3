// SPDX-License-Identifier: GPL-3.0-or-later
//! Entry stub of the 64-bit blob: UEFI with boot services alive.
//!
//! The stack is the firmware's and stays in use, because firmware interrupt
//! handlers and boot services run on it.

core::arch::global_asm!(
    r#"
    .section .stub, "awx", @progbits
    .globl head
    .globl entry64

head:
    .zero 224

entry64:
    mov     [rip + capture + 0 * 8], rax
    mov     [rip + capture + 1 * 8], rbx
    mov     [rip + capture + 2 * 8], rcx
    mov     [rip + capture + 3 * 8], rdx
    mov     [rip + capture + 4 * 8], rsi
    mov     [rip + capture + 5 * 8], rdi
    mov     [rip + capture + 6 * 8], rbp
    mov     [rip + capture + 7 * 8], rsp
    mov     [rip + capture + 8 * 8], r8
    mov     [rip + capture + 9 * 8], r9
    mov     [rip + capture + 10 * 8], r10
    mov     [rip + capture + 11 * 8], r11
    mov     [rip + capture + 12 * 8], r12
    mov     [rip + capture + 13 * 8], r13
    mov     [rip + capture + 14 * 8], r14
    mov     [rip + capture + 15 * 8], r15
    pushfq
    pop     qword ptr [rip + capture + 16 * 8]
    cld
    lea     rsi, [rip + head]
    mov     [rip + capture + 19 * 8], rsi

    // FNV-1a-64 of the file bytes.
    mov     rdi, rsi
    mov     ecx, [rsi + 4]
    movabs  rax, 0xcbf29ce484222325
    movabs  r8, 0x100000001b3
2:  movzx   edx, byte ptr [rdi]
    xor     rax, rdx
    imul    rax, r8
    inc     rdi
    dec     ecx
    jnz     2b
    mov     [rip + capture + 17 * 8], rax

    // The first byte that should be zero and is not.
    lea     rdi, [rip + bss_checked]
    lea     rcx, [rip + bss_end]
    sub     rcx, rdi
    xor     eax, eax
    repe scasb
    je      3f
    lea     rax, [rdi - 1]
3:  mov     [rip + capture + 18 * 8], rax

    // Each table entry: place, value as linked at 0; the word has 8 bytes.
    mov     edi, [rsi + 12]
    add     rdi, rsi
    mov     ecx, [rsi + 16]
    xor     ebp, ebp
    jrcxz   6f
4:  mov     eax, [rdi]
    mov     edx, [rdi + 4]
    add     rdx, rsi
    cmp     [rsi + rax], rdx
    jne     5f
    inc     rbp
5:  mov     [rsi + rax], rdx
    add     rdi, 8
    dec     ecx
    jnz     4b
6:  mov     [rip + capture + 20 * 8], rbp
    mov     qword ptr [rip + capture + 21 * 8], 2

    and     rsp, -16
    lea     rdi, [rip + capture]
    call    kernel_main
8:  hlt
    jmp     8b

    .section .capture, "aw", @nobits
    .balign 16
capture:
    .zero 22 * 8
    .text
"#
);
