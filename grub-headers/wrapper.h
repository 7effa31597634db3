/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bindgen's only input: types and constants from the configured GRUB tree,
   functions from the contract.  */
#include <config.h>
#include <grub/types.h>
#include <grub/acpi.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/memory.h>
#include <grub/relocator.h>
#include <grub/multiboot2.h>
#include <grub/verify.h>
#include <grub/video.h>
#include <multiboot2.h>
#include <mb2_abi.h>

/* The machine that the tree is configured for, as constants: what it has not
   costs nothing.  */
#ifdef GRUB_MACHINE_EFI
# define MB2_HAS_EFI 1
#else
# define MB2_HAS_EFI 0
#endif
#ifdef GRUB_MACHINE_PCBIOS
# define MB2_HAS_BIOS 1
#else
# define MB2_HAS_BIOS 0
#endif
#if GRUB_MACHINE_HAS_VGA_TEXT
# define MB2_HAS_VGA_TEXT 1
#else
# define MB2_HAS_VGA_TEXT 0
#endif
#if GRUB_MACHINE_HAS_ACPI
# define MB2_HAS_ACPI 1
#else
# define MB2_HAS_ACPI 0
#endif
