/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Rust loader asks the BIOS; on i386-pc only.  */

#include <grub/types.h>
#include <grub/device.h>
#include <grub/disk.h>
#include <grub/misc.h>
#include <grub/partition.h>
#include <grub/i386/pc/vbe.h>
#include <grub/machine/apm.h>
#include <grub/machine/biosnum.h>
#include <grub/machine/memory.h>
#include <mb2_abi.h>

MB2_ABI uint32_t
mb2_grub_boot_device (struct mb2_boot_device *device)
{
  grub_device_t dev;
  grub_partition_t partition = NULL;

  device->drive = grub_get_root_biosnumber ();
  device->partitions = 0;
  if (device->drive == 0xffffffff)
    return 0;

  dev = grub_device_open (0);
  if (dev && dev->disk)
    partition = dev->disk->partition;
  for (; partition && device->partitions < 2; partition = partition->parent)
    device->numbers[device->partitions++] = partition->number;
  if (dev)
    grub_device_close (dev);
  return 1;
}

MB2_ABI uint32_t
mb2_grub_apm (struct mb2_apm *apm)
{
  struct grub_apm_info info;
  if (!grub_apm_get_info (&info))
    return 0;
  apm->version = info.version;
  apm->cseg = info.cseg;
  apm->offset = info.offset;
  apm->cseg_16 = info.cseg_16;
  apm->dseg = info.dseg;
  apm->flags = info.flags;
  apm->cseg_len = info.cseg_len;
  apm->cseg_16_len = info.cseg_16_len;
  apm->dseg_len = info.dseg_len;
  return 1;
}

/* Real-mode calls write below 1 MiB, into GRUB's scratch area.  */
static void *
scratch (void)
{
  return (void *) (grub_addr_t) GRUB_MEMORY_MACHINE_SCRATCH_ADDR;
}

MB2_ABI uint32_t
mb2_grub_vbe_controller (void *info512)
{
  if (grub_vbe_bios_get_controller_info (scratch ()) != GRUB_VBE_STATUS_OK)
    return 0;
  mb2_grub_memmove (info512, scratch (), sizeof (struct grub_vbe_info_block));
  return 1;
}

MB2_ABI uint32_t
mb2_grub_vbe_mode (uint32_t *mode)
{
  if (grub_vbe_bios_get_mode (scratch ()) != GRUB_VBE_STATUS_OK)
    return 0;
  *mode = *(uint32_t *) scratch ();
  return 1;
}

MB2_ABI uint32_t
mb2_grub_vbe_mode_info (uint32_t mode, void *info256)
{
  if (grub_vbe_bios_get_mode_info (mode, scratch ()) != GRUB_VBE_STATUS_OK)
    return 0;
  mb2_grub_memmove (info256, scratch (), sizeof (struct grub_vbe_mode_info_block));
  return 1;
}

MB2_ABI void
mb2_grub_vbe_interface (uint16_t *out)
{
  /* A call that fails leaves what the stack held before.  */
  if (grub_vbe_bios_get_pm_interface (&out[0], &out[1], &out[2])
      != GRUB_VBE_STATUS_OK)
    out[0] = out[1] = out[2] = 0;
}
