/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first and only process of the Linux system that Xen starts in its dom0: it says that it
   runs and turns the machine off. Linux gives it /dev/console as standard output. */

        .set    SYS_WRITE, 1
        .set    SYS_PAUSE, 34
        .set    SYS_REBOOT, 169
        .set    REBOOT_MAGIC1, 0xfee1dead
        .set    REBOOT_MAGIC2, 672274793
        .set    REBOOT_POWER_OFF, 0x4321fedc

        .text
        .globl  _start
_start:
        mov     $SYS_WRITE, %eax
        mov     $1, %edi
        lea     line(%rip), %rsi
        mov     $(line_end - line), %edx
        syscall
        mov     $SYS_REBOOT, %eax
        mov     $REBOOT_MAGIC1, %edi
        mov     $REBOOT_MAGIC2, %esi
        mov     $REBOOT_POWER_OFF, %edx
        xor     %r10d, %r10d
        syscall
        /* The kernel panics when this process ends, which would hide why it did not turn off. */
1:      mov     $SYS_PAUSE, %eax
        syscall
        jmp     1b

        .section .rodata
line:   .ascii  "\nmb2 dom0: init runs\n"
line_end:

        .section .note.GNU-stack, "", @progbits
