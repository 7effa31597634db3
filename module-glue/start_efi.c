/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hand-over beside boot services (Multiboot2, 3.4 and 3.5).  Every chunk
   lies where it will stay, so GRUB's relocator has nothing to do; since 2.14
   its hand-over would even leave page tables of its own behind.  */

#include <grub/types.h>
#include <grub/multiboot2.h>
#include <mb2_abi.h>

#ifdef __x86_64__
# define ALIGN_STACK "andq $-16, %%rsp"
#else
# define ALIGN_STACK "andl $-16, %%esp"
#endif

MB2_ABI void
mb2_grub_start_efi (size_t entry, size_t info)
{
  asm volatile (ALIGN_STACK "\n\tcld\n\tjmp *%0"
                :
                : "D" (entry), "a" ((size_t) MULTIBOOT2_BOOTLOADER_MAGIC),
                  "b" (info), "c" (0L), "d" (0L), "S" (0L)
                : "memory");
  __builtin_unreachable ();
}
