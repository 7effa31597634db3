/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bindgen's only input: types and constants from the configured GRUB tree,
   functions from the contract.  */
#include <config.h>
#include <grub/types.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/memory.h>
#include <grub/relocator.h>
#include <grub/verify.h>
#include <multiboot2.h>
#include <mb2_abi.h>
