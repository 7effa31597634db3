/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A module of GRUB for tests only: counts memory and instructions, takes
   memory away, and forbids some command lines, as a verifier may.  */

#include <config.h>
#include <grub/types.h>
#include <grub/command.h>
#include <grub/disk.h>
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/i386/io.h>
#include <grub/misc.h>
#include <grub/mm.h>
#include <grub/mm_private.h>
#include <grub/verify.h>
#ifdef GRUB_MACHINE_EFI
# include <grub/efi/efi.h>
#endif

GRUB_MOD_LICENSE ("GPLv3+");

/* What fill leaves.  */
#define STALE 0xa5

/* A command line with this word is not allowed.  */
#define FORBIDDEN "forbidden"

static grub_command_t cmd_memory, cmd_hold, cmd_release, cmd_fill, cmd_count, cmd_open, cmd_wait;

/* The disk cache lives in the heap and is given up only for a request that
   fails.  */
static void
drop_disk_cache (void)
{
  grub_free (grub_malloc ((~(grub_size_t) 0 >> 1) + 1));
  grub_errno = GRUB_ERR_NONE;
}

struct counts
{
  grub_uint64_t heap;   /* free bytes of GRUB's heap */
  grub_uint64_t pages;  /* free pages of the firmware */
  grub_uint64_t map;    /* bytes of the firmware's memory map */
  grub_uint32_t zero;   /* sum of the bytes at address 0 */
};

static void
count_heap (struct counts *counts)
{
  grub_mm_region_t region;
  for (region = grub_mm_base; region; region = region->next)
    {
      grub_mm_header_t piece = region->first;
      /* A region without anything free points to what is taken.  */
      while (piece->magic == GRUB_MM_FREE_MAGIC)
        {
          counts->heap += piece->size << GRUB_MM_ALIGN_LOG2;
          piece = piece->next;
          if (piece == region->first)
            break;
        }
    }
}

#ifdef GRUB_MACHINE_EFI
static void
count_firmware (struct counts *counts)
{
  grub_efi_uintn_t size = 0, step = 0;
  const grub_uint8_t *zero = NULL;
  char *map, *at;

  grub_efi_get_memory_map (&size, NULL, NULL, &step, NULL);
  counts->map = size;
  size += 8 * step;
  map = grub_malloc (size);
  if (map
      && grub_efi_get_memory_map (&size, (void *) map, NULL, &step, NULL) > 0)
    for (at = map; at < map + size; at += step)
      {
        grub_efi_memory_descriptor_t *found = (void *) at;
        if (found->type == GRUB_EFI_CONVENTIONAL_MEMORY)
          counts->pages += found->num_pages;
      }
  grub_free (map);
  /* The compiler must not know that this is no object.  */
  asm ("" : "+r" (zero));
  for (size = 0; size < 4096; size++)
    counts->zero += zero[size];
}
#endif

/* probe_memory NAME: says how much memory is free.  */
static grub_err_t
memory (grub_command_t cmd __attribute__ ((unused)), int argc, char **argv)
{
  struct counts counts = { 0, 0, 0, 0 };

  drop_disk_cache ();
#ifdef GRUB_MACHINE_EFI
  count_firmware (&counts);
#endif
  count_heap (&counts);
  grub_printf ("mb2t memory %s heap=%llx pages=%llx map=%llx zero=%x\n",
               argc ? argv[0] : "", (unsigned long long) counts.heap,
               (unsigned long long) counts.pages,
               (unsigned long long) counts.map, counts.zero);
  return GRUB_ERR_NONE;
}

/* What probe_hold has taken.  */
struct held
{
  struct held *next;
  grub_size_t size;
};

static struct held *held;

/* probe_hold: takes all of the heap but pieces too small for most.  */
static grub_err_t
hold (grub_command_t cmd __attribute__ ((unused)),
      int argc __attribute__ ((unused)), char **argv __attribute__ ((unused)))
{
  grub_size_t size;
  for (size = 1 << 30; size >= 4096; size >>= 1)
    {
      struct held *piece = grub_malloc (size);
      for (; piece; piece = grub_malloc (size))
        {
          piece->next = held;
          piece->size = size;
          held = piece;
        }
    }
  grub_errno = GRUB_ERR_NONE;
  return GRUB_ERR_NONE;
}

/* probe_release: gives it back.  */
static grub_err_t
release (grub_command_t cmd __attribute__ ((unused)),
         int argc __attribute__ ((unused)),
         char **argv __attribute__ ((unused)))
{
  while (held)
    {
      struct held *piece = held;
      held = piece->next;
      grub_free (piece);
    }
  return GRUB_ERR_NONE;
}

#ifdef GRUB_MACHINE_EFI
/* Fills memory that the firmware gives to nobody, but the page at 0.  */
static void
fill_firmware (void)
{
  grub_efi_uintn_t size = 0, step = 0;
  char *map, *at;

  grub_efi_get_memory_map (&size, NULL, NULL, &step, NULL);
  size += 8 * step;
  map = grub_malloc (size);
  if (map
      && grub_efi_get_memory_map (&size, (void *) map, NULL, &step, NULL) > 0)
    for (at = map; at < map + size; at += step)
      {
        grub_efi_memory_descriptor_t *found = (void *) at;
        if (found->type == GRUB_EFI_CONVENTIONAL_MEMORY
            && found->physical_start)
          grub_memset ((void *) (grub_addr_t) found->physical_start, STALE,
                       found->num_pages << 12);
      }
  grub_free (map);
}
#endif

/* probe_fill: leaves no zeroes in memory that nobody has.  */
static grub_err_t
fill (grub_command_t cmd, int argc, char **argv)
{
  struct held *piece;
#ifdef GRUB_MACHINE_EFI
  fill_firmware ();
#endif
  hold (cmd, argc, argv);
  for (piece = held; piece; piece = piece->next)
    grub_memset (piece + 1, STALE, piece->size - sizeof (*piece));
  return release (cmd, argc, argv);
}

/* Writes the time stamp counter to QEMU's debug console, eight bytes, which
   costs less than a line on the serial port.  */
static void
stamp (void)
{
  grub_uint32_t word[2];
  unsigned i;
  asm volatile ("rdtsc" : "=a" (word[0]), "=d" (word[1]));
  for (i = 0; i < 8; i++)
    grub_outb (word[i / 4] >> i % 4 * 8, 0xe9);
}

/* probe_count N COMMAND ARG...: runs the command N times, with a stamp before
   each time and one at the end.  */
static grub_err_t
count (grub_command_t cmd __attribute__ ((unused)), int argc, char **argv)
{
  grub_command_t counted = argc < 2 ? NULL : grub_command_find (argv[1]);
  unsigned long n;

  if (!counted)
    return grub_error (GRUB_ERR_UNKNOWN_COMMAND, "nothing to count");
  for (n = grub_strtoul (argv[0], 0, 10); n; n--)
    {
      stamp ();
      if (counted->func (counted, argc - 2, argv + 2))
        return grub_errno;
    }
  stamp ();
  return GRUB_ERR_NONE;
}

/* probe_wait: comes back when QEMU says that a boot menu is wanted, and leaves
   no trace, however long that takes.  */
static grub_err_t
wait (grub_command_t cmd __attribute__ ((unused)),
      int argc __attribute__ ((unused)), char **argv __attribute__ ((unused)))
{
  do
    grub_outw (0xe, 0x510);
  while (grub_inb (0x511) != 1);
  return GRUB_ERR_NONE;
}

/* probe_open FILE: opens it as module2 does, and closes it.  */
static grub_err_t
open (grub_command_t cmd __attribute__ ((unused)), int argc, char **argv)
{
  grub_file_t file
    = grub_file_open (argc ? argv[0] : "", GRUB_FILE_TYPE_MULTIBOOT_MODULE);
  if (file)
    grub_file_close (file);
  return grub_errno;
}

/* A file of QEMU's configuration device as a disk.  It is read while the
   processor waits, so that counts do not depend on the host's disk.  */

struct transfer
{
  grub_uint32_t control;
  grub_uint32_t length;
  grub_uint64_t address;
};

enum { READ = 2, SKIP = 4, SELECT = 8, DIRECTORY = 0x19 };

static grub_uint32_t disk_key;
static grub_uint64_t disk_size;

static int
transfer (grub_uint32_t control, grub_uint32_t length, void *to)
{
  volatile struct transfer t;
  t.control = grub_cpu_to_be32 (control);
  t.length = grub_cpu_to_be32 (length);
  t.address = grub_cpu_to_be64 ((grub_addr_t) to);
  grub_outl (grub_cpu_to_be32 ((grub_uint64_t) (grub_addr_t) &t >> 32), 0x514);
  grub_outl (grub_cpu_to_be32 ((grub_uint32_t) (grub_addr_t) &t), 0x518);
  return t.control == 0;
}

static void
find_disk (void)
{
  struct { grub_uint32_t size; grub_uint16_t key, pad; char name[56]; } file;
  grub_uint32_t n;
  if (!transfer (DIRECTORY << 16 | SELECT | READ, sizeof (n), &n))
    return;
  for (n = grub_be_to_cpu32 (n); n; n--)
    if (transfer (READ, sizeof (file), &file)
        && grub_strcmp (file.name, "opt/mb2/disk") == 0)
      {
        disk_key = grub_be_to_cpu16 (file.key);
        disk_size = grub_be_to_cpu32 (file.size);
      }
}

static int
disk_iterate (grub_disk_dev_iterate_hook_t hook, void *data,
              grub_disk_pull_t pull)
{
  return pull == GRUB_DISK_PULL_NONE && disk_size && hook ("probe", data);
}

static grub_err_t
disk_open (const char *name, grub_disk_t disk)
{
  if (!disk_size || grub_strcmp (name, "probe") != 0)
    return grub_error (GRUB_ERR_UNKNOWN_DEVICE, "not the probe's disk");
  disk->total_sectors = disk_size >> GRUB_DISK_SECTOR_BITS;
  disk->max_agglomerate = GRUB_DISK_MAX_MAX_AGGLOMERATE;
  disk->id = 0;
  return GRUB_ERR_NONE;
}

static grub_err_t
disk_read (grub_disk_t disk __attribute__ ((unused)), grub_disk_addr_t sector,
           grub_size_t count, char *to)
{
  if (transfer (disk_key << 16 | SELECT | SKIP,
                sector << GRUB_DISK_SECTOR_BITS, NULL)
      && transfer (READ, count << GRUB_DISK_SECTOR_BITS, to))
    return GRUB_ERR_NONE;
  return grub_error (GRUB_ERR_READ_ERROR, "no answer from QEMU");
}

static struct grub_disk_dev disk =
  {
    .name = "probe",
    .id = GRUB_DISK_DEVICE_MEMDISK_ID,
    .disk_iterate = disk_iterate,
    .disk_open = disk_open,
    .disk_read = disk_read,
  };

static grub_err_t
no_file (grub_file_t io __attribute__ ((unused)),
         enum grub_file_type type __attribute__ ((unused)),
         void **context __attribute__ ((unused)),
         enum grub_verify_flags *flags)
{
  *flags = GRUB_VERIFY_FLAGS_SKIP_VERIFICATION;
  return GRUB_ERR_NONE;
}

static grub_err_t
no_forbidden_line (char *line, enum grub_verify_string_type type)
{
  if (type != GRUB_VERIFY_COMMAND && grub_strstr (line, FORBIDDEN))
    return grub_error (GRUB_ERR_ACCESS_DENIED, "the probe forbids this line");
  return GRUB_ERR_NONE;
}

static struct grub_file_verifier verifier =
  {
    .name = "mb2probe",
    .init = no_file,
    .verify_string = no_forbidden_line,
  };

GRUB_MOD_INIT (mb2probe)
{
  cmd_memory
    = grub_register_command ("probe_memory", memory, "NAME", "Count memory.");
  cmd_hold = grub_register_command ("probe_hold", hold, 0, "Take the heap.");
  cmd_release
    = grub_register_command ("probe_release", release, 0, "Give it back.");
  cmd_fill
    = grub_register_command ("probe_fill", fill, 0, "Leave no zeroes.");
  cmd_count = grub_register_command ("probe_count", count, "N COMMAND ARG...",
                                     "Stamp the time before each run.");
  cmd_open = grub_register_command ("probe_open", open, "FILE", "Open it.");
  cmd_wait = grub_register_command ("probe_wait", wait, 0, "Wait for QEMU.");
  grub_verifier_register (&verifier);
  find_disk ();
  grub_disk_dev_register (&disk);
}

GRUB_MOD_FINI (mb2probe)
{
  grub_unregister_command (cmd_memory);
  grub_unregister_command (cmd_hold);
  grub_unregister_command (cmd_release);
  grub_unregister_command (cmd_fill);
  grub_unregister_command (cmd_count);
  grub_unregister_command (cmd_open);
  grub_unregister_command (cmd_wait);
  grub_verifier_unregister (&verifier);
  grub_disk_dev_unregister (&disk);
}
