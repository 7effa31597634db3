// SPDX-License-Identifier: GPL-3.0-or-later
//! Entry stubs of the 32-bit blob.
//!
//! `entry32` is the plain protected-mode entry. It must not assume a stack
//! and must not lose a register, so it parks EAX and ESP in debug registers
//! and borrows the reserved word of the boot information for one `call`.
//! `entry_efi32` is entered by a loader that keeps UEFI boot services: there
//! the stack is the firmware's, and it is kept because interrupts are on.
//!
//! Everything before `kernel_main` runs unrelocated. The blob is linked at 0,
//! so symbols used as displacements are offsets from its start. The kit
//! leaves the section `.stub` out of the relocation table.

core::arch::global_asm!(
    r#"
    .section .stub, "awx", @progbits
    .globl head
    .globl entry32
    .globl entry_efi32
    .set SLOT_FLAGS, capture + 16 * 8
    .set SLOT_FNV, capture + 17 * 8
    .set SLOT_DIRTY, capture + 18 * 8
    .set SLOT_BASE, capture + 19 * 8
    .set SLOT_ALREADY, capture + 20 * 8
    .set SLOT_ENTRY, capture + 21 * 8
    .set FROM_PLAIN, head - here_plain
    .set FROM_EFI, head - here_efi

head:
    .zero 224

entry32:
    mov     dr0, eax
    mov     dr1, esp
    mov     eax, [ebx + 4]
    mov     dr2, eax
    lea     esp, [ebx + 8]
    call    here_plain
here_plain:
    pop     eax
    lea     eax, [eax + FROM_PLAIN]
    pushfd
    pop     dword ptr [eax + SLOT_FLAGS]
    mov     [eax + capture + 1 * 8], ebx
    mov     [eax + capture + 2 * 8], ecx
    mov     [eax + capture + 3 * 8], edx
    mov     [eax + capture + 4 * 8], esi
    mov     [eax + capture + 5 * 8], edi
    mov     [eax + capture + 6 * 8], ebp
    mov     ecx, dr0
    mov     [eax + capture + 0 * 8], ecx
    mov     ecx, dr1
    mov     [eax + capture + 7 * 8], ecx
    mov     ecx, dr2
    mov     [ebx + 4], ecx
    mov     dword ptr [eax + SLOT_ENTRY], 0
    jmp     common32

entry_efi32:
    pushfd
    pushad
    call    here_efi
here_efi:
    pop     eax
    lea     eax, [eax + FROM_EFI]
    pop     dword ptr [eax + capture + 5 * 8]
    pop     dword ptr [eax + capture + 4 * 8]
    pop     dword ptr [eax + capture + 6 * 8]
    pop     ecx
    pop     dword ptr [eax + capture + 1 * 8]
    pop     dword ptr [eax + capture + 3 * 8]
    pop     dword ptr [eax + capture + 2 * 8]
    pop     dword ptr [eax + capture + 0 * 8]
    pop     dword ptr [eax + SLOT_FLAGS]
    mov     [eax + capture + 7 * 8], esp
    mov     dword ptr [eax + SLOT_ENTRY], 1

common32:
    mov     esi, eax
    mov     [esi + SLOT_BASE], esi
    cld

    // FNV-1a-64 of the file bytes. The prime is 2^40 + 0x1b3.
    mov     edi, esi
    mov     ecx, [esi + 4]
    mov     eax, 0x84222325
    mov     edx, 0xcbf29ce4
2:  movzx   ebx, byte ptr [edi]
    xor     eax, ebx
    imul    edx, edx, 0x1b3
    mov     ebx, eax
    shl     ebx, 8
    add     ebx, edx
    mov     edx, 0x1b3
    mul     edx
    add     edx, ebx
    inc     edi
    dec     ecx
    jnz     2b
    mov     [esi + SLOT_FNV], eax
    mov     [esi + SLOT_FNV + 4], edx

    // The first byte that should be zero and is not.
    lea     edi, [esi + bss_checked]
    lea     ecx, [esi + bss_end]
    sub     ecx, edi
    xor     eax, eax
    repe scasb
    je      3f
    lea     eax, [edi - 1]
3:  mov     [esi + SLOT_DIRTY], eax

    // Each table entry: place, value as linked at 0.
    mov     edi, [esi + 12]
    add     edi, esi
    mov     ecx, [esi + 16]
    xor     ebp, ebp
    jecxz   6f
4:  mov     eax, [edi]
    mov     edx, [edi + 4]
    add     edx, esi
    cmp     [esi + eax], edx
    jne     5f
    inc     ebp
5:  mov     [esi + eax], edx
    add     edi, 8
    dec     ecx
    jnz     4b
6:  mov     [esi + SLOT_ALREADY], ebp

    cmp     dword ptr [esi + SLOT_ENTRY], 0
    jne     7f
    lea     esp, [esi + stack_top]
7:  and     esp, -16
    sub     esp, 8
    push    esi
    lea     eax, [esi + capture]
    push    eax
    call    kernel_main
8:  hlt
    jmp     8b

    .section .capture, "aw", @nobits
    .balign 16
capture:
    .zero 22 * 8
    .section .bss.stack, "aw", @nobits
    .balign 16
    .zero 0x4000
stack_top:
    .text
"#
);
