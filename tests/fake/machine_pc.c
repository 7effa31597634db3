/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the fake machine's BIOS answers; on i386-pc only.  */

#define _GNU_SOURCE 1
#include "fake.h"
#include <string.h>
#include <sys/mman.h>
#include <grub/device.h>
#include <grub/disk.h>
#include <grub/partition.h>
#include <grub/i386/pc/vbe.h>
#include <grub/machine/apm.h>
#include <grub/machine/biosnum.h>
#include <grub/machine/memory.h>

#define SCRATCH_SIZE 0x1000
#define VBE_FAILED 0x14f

void
fake_scratch_map (void)
{
  void *start = (void *) (uintptr_t) GRUB_MEMORY_MACHINE_SCRATCH_ADDR;
  void *memory = mmap (start, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		       -1, 0);
  if (memory != start)
    fake_misuse ("address %p is in use", start);
}

static int
has (uint32_t fact)
{
  return (fake_job.facts & fact) != 0;
}

int
grub_apm_get_info (struct grub_apm_info *info)
{
  if (!has (FACT_APM))
    return 0;
  info->cseg = 0xf000;
  info->offset = 0x5678;
  info->cseg_16 = 0xf001;
  info->dseg = 0x40;
  info->flags = 3;
  info->cseg_len = 0xfff0;
  info->cseg_16_len = 0xfff1;
  info->dseg_len = 0xfff2;
  info->version = 0x102;
  return 1;
}

static int
root_number (void)
{
  return has (FACT_DISK) ? 0x80 : -1;
}

int (*grub_get_root_biosnumber) (void) = root_number;

grub_device_t
grub_device_open (const char *name __attribute__ ((unused)))
{
  static struct grub_partition outer = { .number = 1 };
  static struct grub_partition inner = { .number = 4, .parent = &outer };
  static struct grub_disk disk;
  static struct grub_device device;
  if (fake_fails ("device", GRUB_ERR_UNKNOWN_DEVICE))
    return NULL;
  fake_count.files++;
  disk.partition = has (FACT_NESTED_PARTITION) ? &inner
    : has (FACT_PARTITION) ? &outer : NULL;
  device.disk = &disk;
  return &device;
}

grub_err_t
grub_device_close (grub_device_t device __attribute__ ((unused)))
{
  fake_count.files--;
  return grub_errno;
}

grub_vbe_status_t
grub_vbe_bios_get_controller_info (struct grub_vbe_info_block *info)
{
  memset (info, 0xc0, sizeof (*info));
  return has (FACT_VBE) ? GRUB_VBE_STATUS_OK : VBE_FAILED;
}

grub_vbe_status_t
grub_vbe_bios_get_mode (grub_uint32_t *mode)
{
  *mode = has (FACT_VBE_MODE) ? 0x118 : 3;
  return has (FACT_VBE) ? GRUB_VBE_STATUS_OK : VBE_FAILED;
}

grub_vbe_status_t
grub_vbe_bios_get_mode_info (grub_uint32_t mode,
			     struct grub_vbe_mode_info_block *info)
{
  if (mode == 3)
    fake_misuse ("VBE has nothing to say about text");
  memset (info, 0xb0, sizeof (*info));
  return GRUB_VBE_STATUS_OK;
}

grub_vbe_status_t
grub_vbe_bios_get_pm_interface (grub_uint16_t *segment, grub_uint16_t *offset,
				grub_uint16_t *length)
{
  if (!has (FACT_VBE_INTERFACE))
    return VBE_FAILED;
  *segment = 0xc000;
  *offset = 0x1234;
  *length = 0x40;
  return GRUB_VBE_STATUS_OK;
}
