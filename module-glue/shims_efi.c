/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Rust loader asks UEFI; on EFI platforms only.  */

#include <grub/types.h>
#include <grub/err.h>
#include <grub/misc.h>
#include <grub/efi/efi.h>
#include <mb2_abi.h>

MB2_ABI void
mb2_grub_efi (struct mb2_efi *efi)
{
  efi->system_table = (grub_addr_t) grub_efi_system_table;
  efi->image_handle = (grub_addr_t) grub_efi_image_handle;
}

typedef __typeof__ (grub_efi_system_table->configuration_table->vendor_guid)
  mb2_guid;

MB2_ABI const void *
mb2_grub_efi_smbios (uint32_t new_kind)
{
  static const mb2_guid guids[] = {
    GRUB_EFI_SMBIOS_TABLE_GUID, GRUB_EFI_SMBIOS3_TABLE_GUID
  };
  const grub_efi_configuration_table_t *table =
    grub_efi_system_table->configuration_table;
  grub_efi_uintn_t left = grub_efi_system_table->num_table_entries;
  for (; left; left--, table++)
    if (!mb2_grub_memcmp (&table->vendor_guid, &guids[new_kind],
                          sizeof (mb2_guid)))
      return table->vendor_table;
  return NULL;
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
