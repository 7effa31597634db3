/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the fake machine answers: memory, variables, screen, ACPI, network,
   UEFI; and the registry of loaders and commands.  */

#define _GNU_SOURCE 1
#include "fake.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <grub/acpi.h>
#include <grub/command.h>
#include <grub/env.h>
#include <grub/loader.h>
#include <grub/memory.h>
#include <grub/misc.h>
#include <grub/net.h>
#include <grub/video.h>
#include <grub/i18n.h>
#ifdef GRUB_MACHINE_EFI
# include <grub/efi/efi.h>
#endif

static int
has (uint32_t fact)
{
  return (fake_job.facts & fact) != 0;
}

/* --- Memory --- */

int
fake_walk (int (*hook) (uint64_t start, uint64_t end, void *data), void *data,
	   int avoid_services)
{
  uint32_t i;
  for (i = 0; i < fake_job.range_count; i++)
    {
      const struct fake_range *range = &fake_job.ranges[i];
      if (range->kind == GRUB_MEMORY_AVAILABLE
	  || (range->kind == KIND_SERVICES && !avoid_services))
	if (hook (range->start, range->end, data))
	  return 1;
    }
  return 0;
}

static int
add_size (uint64_t start, uint64_t end, void *data)
{
  *(uint64_t *) data += end - start;
  return 0;
}

uint64_t
fake_available (void)
{
  uint64_t size = 0;
  fake_walk (add_size, &size, 0);
  return size;
}

static grub_err_t
show_map (grub_memory_hook_t hook, void *data, grub_memory_type_t services)
{
  uint32_t i;
  fake_needs_services ("memory map");
  for (i = 0; i < fake_job.range_count; i++)
    {
      const struct fake_range *range = &fake_job.ranges[i];
      grub_memory_type_t kind = range->kind;
      if (range->kind == KIND_SERVICES)
	kind = services;
      if (hook (range->start, range->end - range->start, kind, data))
	break;
    }
  return GRUB_ERR_NONE;
}

grub_err_t
grub_mmap_iterate (grub_memory_hook_t hook, void *data)
{
  return show_map (hook, data, GRUB_MEMORY_AVAILABLE);
}

grub_uint64_t
grub_mmap_get_lower (void)
{
  return 0x9fc00;
}

grub_uint64_t
grub_mmap_get_upper (void)
{
  return 0x3f00000;
}

/* --- Variables --- */

static char payload[1024];

const char *
grub_env_get (const char *name)
{
  return strcmp (name, "gfxpayload") == 0 && payload[0] ? payload : NULL;
}

grub_err_t
grub_env_set (const char *name, const char *value)
{
  if (fake_fails ("variable", GRUB_ERR_OUT_OF_MEMORY))
    return grub_errno;
  fake_event ("set %s=%s", name, value);
  strncpy (payload, value, sizeof (payload) - 1);
  return GRUB_ERR_NONE;
}

/* --- Screen --- */

grub_err_t
grub_video_set_mode (const char *modes, unsigned int mask, unsigned int value)
{
  fake_needs_services ("video");
  fake_event ("mode %s %u %u", modes, mask, value);
  if (fake_fails ("video mode", GRUB_ERR_BAD_ARGUMENT))
    return grub_errno;
  return GRUB_ERR_NONE;
}

grub_video_driver_id_t
grub_video_get_driver_id (void)
{
  return has (FACT_SCREEN) ? GRUB_VIDEO_DRIVER_VBE : GRUB_VIDEO_DRIVER_NONE;
}

grub_err_t
grub_video_get_palette (unsigned int start, unsigned int count,
			struct grub_video_palette_data *colors)
{
  unsigned int i;
  for (i = 0; i < count; i++)
    {
      colors[i].r = start + i;
      colors[i].g = 2 * (start + i);
      colors[i].b = 3 * (start + i);
      colors[i].a = 0;
    }
  return GRUB_ERR_NONE;
}

grub_err_t
grub_video_get_info_and_fini (struct grub_video_mode_info *info, void **start)
{
  fake_needs_services ("video");
  if (fake_fails ("end of video", GRUB_ERR_IO))
    return grub_errno;
  memset (info, 0, sizeof (*info));
  info->width = 1024;
  info->height = 768;
  info->pitch = 4096;
  info->bpp = has (FACT_PALETTE) ? 8 : 32;
  info->mode_type = has (FACT_PALETTE) ? GRUB_VIDEO_MODE_TYPE_INDEX_COLOR
    : GRUB_VIDEO_MODE_TYPE_RGB;
  info->number_of_colors = has (FACT_PALETTE) ? 16 : 256;
  info->red_field_pos = 16;
  info->red_mask_size = 8;
  info->green_field_pos = 8;
  info->green_mask_size = 7;
  info->blue_mask_size = 6;
  *start = (void *) (uintptr_t) 0xfd000000u;
  return GRUB_ERR_NONE;
}

/* --- SMBIOS, ACPI and network --- */

static const char smbios_old[] = "_SM_\151\37\2\10\20\0\0\0\0\0\0\0"
  "_DMI_\376\21\0\0\40\17\0\2\0\50";
static const char smbios_new[] = "_SM3_\0\30\3\4\0\1\0\40\0\0\0"
  "\0\40\17\0\0\0\0";
static const char smbios_table[] = "\1\5\0\1\1fake\0\0\177\4\377\376\0";

/* Where the firmware of a PC keeps what others shall find.  */
#define BIOS_START 0xf0000u
#define BIOS_SIZE 0x10000u

static const char rsdp_old[20] = "RSD PTR kFAKE  \0\0\20\17\0";
static const char rsdp_new[36] = "RSD PTR iFAKE  \2\0\20\17\0$\0\0\0\0 \17";

/* A copy whose end the sanitizer sees.  */
static void *
table (uint32_t fact, const char *bytes, size_t size)
{
  static void *copies[2];
  void **copy = &copies[fact == FACT_ACPI_NEW];
  if (!has (fact))
    return NULL;
  if (!*copy)
    *copy = memcpy (malloc (size), bytes, size);
  return *copy;
}

struct grub_acpi_rsdp_v10 *
grub_acpi_get_rsdpv1 (void)
{
  return table (FACT_ACPI_OLD, rsdp_old, sizeof (rsdp_old));
}

struct grub_acpi_rsdp_v20 *
grub_acpi_get_rsdpv2 (void)
{
  return table (FACT_ACPI_NEW, rsdp_new, sizeof (rsdp_new));
}

struct grub_net_network_level_interface *grub_net_network_level_interfaces;

/* One interface without an acknowledgement, and one with it.  */
static void __attribute__ ((constructor))
connect (void)
{
  static struct grub_net_network_level_interface interfaces[2];
  static char acknowledgement[] = "\2\1\6\0\71\3\363\46\377 acknowledged";
  interfaces[0].next = &interfaces[1];
  interfaces[1].dhcp_ack = (void *) acknowledgement;
  interfaces[1].dhcp_acklen = sizeof (acknowledgement);
  grub_net_network_level_interfaces = interfaces;
}

/* --- UEFI --- */

static int booting;

#ifdef GRUB_MACHINE_EFI

static grub_efi_configuration_table_t tables[] = {
  { GRUB_EFI_ACPI_TABLE_GUID, (void *) rsdp_old },
  { GRUB_EFI_SMBIOS_TABLE_GUID, (void *) BIOS_START },
  { GRUB_EFI_SMBIOS3_TABLE_GUID, (void *) (BIOS_START + 0x100) },
};

/* At a fixed address, since its own is in the boot information.  */
grub_efi_system_table_t *grub_efi_system_table = (void *) (BIOS_START + 0x8000);
grub_efi_handle_t grub_efi_image_handle = (void *) 0x3fde118;
extern int grub_efi_is_finished;
int grub_efi_is_finished;

grub_err_t
grub_efi_mmap_iterate (grub_memory_hook_t hook, void *data, int avoid_services)
{
  return show_map (hook, data, avoid_services ? GRUB_MEMORY_RESERVED
		   : GRUB_MEMORY_AVAILABLE);
}

/* The firmware's own map: six descriptors, more after each growth.  It grows
   while "boot" reserves memory for it.  */
#define DESCRIPTOR_SIZE 48
#define PAGE_SIZE 0x1000
static grub_efi_uintn_t map_size = 6 * DESCRIPTOR_SIZE;

void
fake_map_changes (void)
{
  if (!booting || !fake_job.efi_map_grows)
    return;
  fake_job.efi_map_grows--;
  map_size += 1200 * DESCRIPTOR_SIZE;
}

grub_efi_uintn_t
grub_efi_find_mmap_size (void)
{
  fake_needs_services ("memory map");
  return ALIGN_UP (map_size + PAGE_SIZE, PAGE_SIZE);
}

grub_err_t
grub_efi_finish_boot_services (grub_efi_uintn_t *size, void *buffer,
			       grub_efi_uintn_t *key,
			       grub_efi_uintn_t *descriptor_size,
			       grub_efi_uint32_t *version)
{
  grub_efi_uintn_t i;
  fake_needs_services ("end of services");
  if (fake_fails ("end of services", GRUB_ERR_IO))
    return grub_errno;
  if (*size < map_size)
    return grub_error (GRUB_ERR_IO, "memory map buffer is too small");
  for (i = 0; i < map_size; i++)
    ((uint8_t *) buffer)[i] = i | 1;
  *size = map_size;
  if (key)
    *key = 1;
  *descriptor_size = DESCRIPTOR_SIZE;
  *version = 1;
  grub_efi_is_finished = 1;
  fake_ended = 1;
  return GRUB_ERR_NONE;
}

#endif

void
fake_firmware (void)
{
  char *memory = mmap ((void *) BIOS_START, BIOS_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory != (void *) BIOS_START)
    fake_misuse ("address 0x%x is in use", BIOS_START);
  memcpy (memory, smbios_old, sizeof (smbios_old));
  memcpy (memory + 0x100, smbios_new, sizeof (smbios_new));
  memcpy (memory + 0x2000, smbios_table, sizeof (smbios_table));
#ifdef GRUB_MACHINE_EFI
  grub_efi_system_table->num_table_entries = ARRAY_SIZE (tables);
  grub_efi_system_table->configuration_table = tables;
#endif
}

/* --- Loaders, commands, the module itself --- */

static grub_err_t (*boot_hook) (void);
static grub_err_t (*unload_hook) (void);

void
grub_loader_unset (void)
{
  if (unload_hook)
    unload_hook ();
  boot_hook = unload_hook = NULL;
}

void
grub_loader_set (grub_err_t (*boot) (void), grub_err_t (*unload) (void),
		 int flags)
{
  fake_event ("loader %d", flags);
  grub_loader_unset ();
  boot_hook = boot;
  unload_hook = unload;
}

int
fake_loaded (void)
{
  return boot_hook != NULL;
}

grub_err_t
fake_boot (void)
{
  if (!boot_hook)
    return grub_error (GRUB_ERR_NO_KERNEL,
		       N_("you need to load the kernel first"));
  booting = 1;
  return boot_hook ();
}

static struct grub_command registered[4];

grub_command_t
grub_register_command_prio (const char *name, grub_command_func_t func,
			    const char *summary, const char *description,
			    int prio)
{
  grub_command_t command = &registered[fake_count.commands++];
  command->name = name;
  command->func = func;
  command->summary = summary;
  command->description = description;
  command->prio = prio;
  return command;
}

void
grub_unregister_command (grub_command_t command)
{
  if (!command->func)
    fake_misuse ("a command is unregistered twice");
  fake_count.commands--;
  command->func = NULL;
}

fake_command_t
fake_command (const char *name)
{
  size_t i;
  for (i = 0; i < ARRAY_SIZE (registered); i++)
    if (registered[i].func && strcmp (registered[i].name, name) == 0)
      return registered[i].func;
  fake_misuse ("no command %s", name);
}

/* What these two return is not the same in each GRUB.  */
__typeof__ (grub_dl_ref (NULL))
grub_dl_ref (grub_dl_t mod __attribute__ ((unused)))
{
  return ++fake_count.references;
}

__typeof__ (grub_dl_unref (NULL))
grub_dl_unref (grub_dl_t mod __attribute__ ((unused)))
{
  if (fake_count.references == 0)
    fake_misuse ("unpinned once too often");
  return --fake_count.references;
}
