/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Header and entry of the linked kernels. All addresses in here are words that
   the loader has to relocate: nothing in these kernels does it. The kit says
   where they want to lie (MIN, MAX, PREFERENCE). */

	.section .multiboot, "a"
	.balign 8
header:
	.long 0xe85250d6, 0, header_end - header
	.long -(0xe85250d6 + (header_end - header))
	.short 10, 0
	.long 24, MIN, MAX, 0x1000, PREFERENCE
	.short 0, 0
	.long 8
header_end:

	.section .start, "awx"
	.globl start
	.code32
#ifdef __x86_64__
#define WORD .quad
#else
#define WORD .long
#endif

start:
	/* A stack of one word, in the reserved field of the boot information. */
	leal	8(%ebx), %esp
	call	1f
1:	popl	%ebp
	movl	$0, 4(%ebx)
	movl	stack_word - 1b(%ebp), %esp
#ifndef __x86_64__
	pushl	%ebx
	pushl	%eax
	jmp	*main_word - 1b(%ebp)

	.balign 4
main_word:
	WORD	entered
#else
	movl	%eax, %esi
	/* The first 4 GiB as they are, in pages of 2 MiB. */
	movl	tables_word - 1b(%ebp), %edi
	leal	0x1003(%edi), %eax
	movl	%eax, (%edi)
	xorl	%ecx, %ecx
2:	addl	$0x1000, %eax
	movl	%eax, 0x1000(%edi, %ecx, 8)
	incl	%ecx
	cmpl	$4, %ecx
	jne	2b
	movl	$0x83, %eax
	xorl	%ecx, %ecx
3:	movl	%eax, 0x2000(%edi, %ecx, 8)
	addl	$0x200000, %eax
	incl	%ecx
	cmpl	$2048, %ecx
	jne	3b
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	%edi, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	lgdt	gdt_limit - 1b(%ebp)
	pushl	$8
	pushl	main_word - 1b(%ebp)
	lretl

	.code64
long_mode:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%esi, %edi
	movl	%ebx, %esi
	call	kernel_main

	.balign 8
gdt:
	.quad 0, 0x00209a0000000000, 0x0000920000000000
main_word:
	WORD	long_mode
tables_word:
	WORD	page_tables
	.space 6
gdt_limit:
	.short 23
	WORD	gdt

	.bss
	.balign 0x1000
page_tables:
	.space 6 * 0x1000
#endif

	.section .start, "awx"
	.balign 8
stack_word:
	WORD	stack_end
#ifndef __x86_64__
entered:
	call	kernel_main
#endif

	.bss
	.balign 16
	.space 0x4000
stack_end:
	.section .note.GNU-stack, "", @progbits
