/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A module of GRUB for tests only: counts memory, takes it away, and forbids
   some command lines, as a verifier may.  */

#include <config.h>
#include <grub/types.h>
#include <grub/command.h>
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/misc.h>
#include <grub/mm.h>
#include <grub/mm_private.h>
#include <grub/verify.h>
#ifdef GRUB_MACHINE_EFI
# include <grub/efi/efi.h>
#endif

GRUB_MOD_LICENSE ("GPLv3+");

/* A command line with this word is not allowed.  */
#define FORBIDDEN "forbidden"

static grub_command_t cmd_memory, cmd_hold, cmd_release;

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
  grub_verifier_register (&verifier);
}

GRUB_MOD_FINI (mb2probe)
{
  grub_unregister_command (cmd_memory);
  grub_unregister_command (cmd_hold);
  grub_unregister_command (cmd_release);
  grub_verifier_unregister (&verifier);
}
