/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Rust loader asks UEFI; on EFI platforms only.  */

#include <grub/types.h>
#include <grub/cpu/multiboot.h>
#include <grub/cpu/relocator.h>
#include <grub/err.h>
#include <grub/multiboot2.h>
#include <grub/efi/efi.h>
#include <mb2_abi.h>

#ifdef __x86_64__

MB2_ABI uint32_t
mb2_grub_relocator_boot_efi (struct grub_relocator *relocator, uint32_t entry,
                             uint32_t info)
{
  struct grub_relocator64_efi_state state = MULTIBOOT2_EFI_INITIAL_STATE;
  state.MULTIBOOT_EFI_ENTRY_REGISTER = entry;
  state.MULTIBOOT_EFI_MBI_REGISTER = info;
  return grub_relocator64_efi_boot (relocator, state);
}

#endif

MB2_ABI void
mb2_grub_efi (struct mb2_efi *efi)
{
  efi->system_table = (grub_addr_t) grub_efi_system_table;
  efi->image_handle = (grub_addr_t) grub_efi_image_handle;
}

MB2_SHIM (uint64_t, mb2_grub_efi_map_size, (void),
          return grub_efi_find_mmap_size ())

MB2_ABI uint32_t
mb2_grub_efi_exit (void *buffer, struct mb2_efi_map *map)
{
  grub_efi_uintn_t size = map->size, descriptor_size = 0;
  grub_efi_uint32_t version = 0;
  grub_err_t err = grub_efi_finish_boot_services (&size, buffer, NULL,
                                                  &descriptor_size, &version);
  map->size = size;
  map->descriptor_size = descriptor_size;
  map->descriptor_version = version;
  return err;
}
