/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A module of GRUB for tests only: counts memory, and forbids some command
   lines, as a verifier may.  */

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

static grub_command_t cmd_memory;

/* The disk cache lives in the heap and is given up only for a request that
   fails.  */
static void
drop_disk_cache (void)
{
  grub_free (grub_malloc ((~(grub_size_t) 0 >> 1) + 1));
  grub_errno = GRUB_ERR_NONE;
}

#ifdef GRUB_MACHINE_EFI
/* Pages that the firmware could give away.  */
static grub_uint64_t
firmware_pages (void)
{
  grub_efi_uintn_t size = 0, step = 0, key;
  grub_efi_uint32_t version;
  grub_uint64_t pages = 0;
  char *map, *at;

  grub_efi_get_memory_map (&size, NULL, &key, &step, &version);
  grub_printf ("map size %llx\n", (unsigned long long) size);
  size += 8 * step;
  map = grub_malloc (size);
  if (map && grub_efi_get_memory_map (&size, (void *) map, &key, &step,
                                      &version) > 0)
    for (at = map; at < map + size; at += step)
      {
        grub_efi_memory_descriptor_t *found = (void *) at;
        if (found->type == GRUB_EFI_CONVENTIONAL_MEMORY)
          pages += found->num_pages;
      }
  grub_free (map);
  return pages;
}
#endif

/* probe_memory NAME: free bytes of the heap and the number of pieces, and the
   firmware's free pages.  */
static grub_err_t
memory (grub_command_t cmd __attribute__ ((unused)), int argc, char **argv)
{
  grub_uint64_t bytes = 0, pages = 0;
  grub_uint32_t pieces = 0;
  grub_mm_region_t region;

  drop_disk_cache ();
#ifdef GRUB_MACHINE_EFI
  pages = firmware_pages ();
#endif
  for (region = grub_mm_base; region; region = region->next)
    {
      grub_mm_header_t piece = region->first;
      /* A region without anything free points to what is taken.  */
      while (piece->magic == GRUB_MM_FREE_MAGIC)
        {
          bytes += piece->size << GRUB_MM_ALIGN_LOG2;
          pieces++;
          piece = piece->next;
          if (piece == region->first)
            break;
        }
    }
  grub_printf ("mb2t memory %s heap=%llx pieces=%x pages=%llx\n",
               argc ? argv[0] : "", (unsigned long long) bytes, pieces,
               (unsigned long long) pages);
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
  grub_verifier_register (&verifier);
}

GRUB_MOD_FINI (mb2probe)
{
  grub_unregister_command (cmd_memory);
  grub_verifier_unregister (&verifier);
}
