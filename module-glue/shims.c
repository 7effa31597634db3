/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Rust loader calls on every platform: one wrapper for each function
   of GRUB, in the calling convention of mb2_abi.h.  */

#include <config.h>
#include <grub/types.h>
#include <grub/acpi.h>
#include <grub/cpu/multiboot.h>
#include <grub/cpu/relocator.h>
#include <grub/env.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/i18n.h>
#include <grub/lib/cmdline.h>
#include <grub/memory.h>
#include <grub/misc.h>
#include <grub/mm.h>
#include <grub/multiboot2.h>
#include <grub/net.h>
#include <grub/relocator.h>
#include <grub/video.h>
#ifdef GRUB_MACHINE_EFI
# include <grub/efi/efi.h>
#endif
#include <mb2_abi.h>

/* Formats come from the table of error texts in Rust, which a test prints
   whole; GRUB 2.14 added a last argument to the command line functions, so
   they are called through the type that the tree declares.  */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

MB2_SHIM (void *, mb2_grub_malloc, (size_t size), return grub_malloc (size))
MB2_SHIM (void, mb2_grub_free, (void *memory), grub_free (memory))
MB2_SHIM (void, mb2_grub_fatal, (const char *file, uint32_t line),
          grub_fatal ("multiboot2: %s:%u", file, line))

/* The processor's string instructions: shorter than calls of GRUB's functions
   and faster than their loops.  GCC would make calls of loops in C.  */

MB2_ABI void *
mb2_grub_memmove (void *to, const void *from, size_t length)
{
  char *d = to;
  const char *s = from;
  if ((size_t) (d - s) < length)
    {
      /* The end of FROM lies in TO: copied first.  */
      d += length - 1;
      s += length - 1;
      asm volatile ("std; rep movsb; cld"
                    : "+D" (d), "+S" (s), "+c" (length) : : "memory");
    }
  else
    asm volatile ("rep movsb"
                  : "+D" (d), "+S" (s), "+c" (length) : : "memory");
  return to;
}

MB2_ABI void *
mb2_grub_memset (void *to, int32_t byte, size_t length)
{
  void *d = to;
  size_t words = length / 4, rest = length % 4;
  uint32_t word = (uint8_t) byte * 0x01010101u;
  /* Megabytes of zeroes are cleared word by word.  */
  asm volatile ("rep stosl" : "+D" (d), "+c" (words) : "a" (word) : "memory");
  asm volatile ("rep stosb" : "+D" (d), "+c" (rest) : "a" (word) : "memory");
  return to;
}

MB2_ABI int32_t
mb2_grub_memcmp (const void *a, const void *b, size_t length)
{
  const uint8_t *s = a, *t = b;
  if (length == 0)
    return 0;
  asm volatile ("repe cmpsb"
                : "+S" (s), "+D" (t), "+c" (length) : : "memory", "cc");
  return s[-1] - t[-1];
}

MB2_ABI size_t
mb2_grub_strlen (const char *text)
{
  size_t left = -1;
  asm volatile ("repne scasb"
                : "+D" (text), "+c" (left) : "a" (0) : "memory", "cc");
  return -2 - left;
}

MB2_ABI void
mb2_grub_halt (void)
{
  for (;;)
    asm volatile ("cli; hlt");
}

MB2_ABI void
mb2_grub_error (uint32_t code, const char *format, const char *name,
                const uint64_t *v)
{
  if (name)
    grub_error (code, format, name, v[0], v[1], v[2], v[3], v[4], v[5]);
  else
    grub_error (code, format, v[0]);
}

MB2_SHIM (uint32_t, mb2_grub_errno, (void), return grub_errno)

MB2_SHIM (void, mb2_grub_print_error, (void),
          grub_print_error (); grub_errno = GRUB_ERR_NONE)
MB2_SHIM (void, mb2_grub_forget_error, (void), grub_errno = GRUB_ERR_NONE)
MB2_SHIM (void, mb2_grub_say, (void), grub_puts_ (grub_errmsg))
MB2_SHIM (struct grub_file *, mb2_grub_file_open,
          (const char *path, uint32_t type),
          return grub_file_open (path, type))
MB2_SHIM (void, mb2_grub_file_close, (struct grub_file *file),
          grub_file_close (file))
MB2_SHIM (uint64_t, mb2_grub_file_size, (struct grub_file *file),
          return grub_file_size (file))

MB2_ABI int64_t
mb2_grub_file_read (struct grub_file *file, uint32_t offset, void *buffer,
                    size_t length)
{
  if (grub_file_seek (file, offset) == (grub_off_t) -1)
    return -1;
  return grub_file_read (file, buffer, length);
}

typedef unsigned int (*cmdline_size_t) (int, char **);
typedef unsigned int (*cmdline_size_2_14_t) (int, char **, int);
typedef grub_err_t (*cmdline_create_t) (int, char **, char *, grub_size_t,
                                        enum grub_verify_string_type);
typedef grub_err_t (*cmdline_create_2_14_t) (int, char **, char *, grub_size_t,
                                             enum grub_verify_string_type, int);

#define IS_2_14 \
  __builtin_types_compatible_p (cmdline_size_2_14_t, \
                                __typeof__ (&grub_loader_cmdline_size))

MB2_ABI uint32_t
mb2_grub_cmdline_size (int32_t argc, char **argv)
{
  const void *size = grub_loader_cmdline_size;
  if (IS_2_14)
    return ((cmdline_size_2_14_t) size) (argc, argv, 0);
  return ((cmdline_size_t) size) (argc, argv);
}

MB2_ABI uint32_t
mb2_grub_cmdline_create (int32_t argc, char **argv, char *buffer,
                         uint32_t size, uint32_t kind)
{
  const void *create = grub_create_loader_cmdline;
  if (IS_2_14)
    return ((cmdline_create_2_14_t) create) (argc, argv, buffer, size, kind, 0);
  return ((cmdline_create_t) create) (argc, argv, buffer, size, kind);
}

MB2_ABI uint32_t
mb2_grub_payload_modes (const char *format, const uint32_t *n)
{
  grub_err_t err;
  char *modes = grub_xasprintf (format, n[0], n[1], n[2], n[3], n[4]);
  if (!modes)
    return grub_errno;
  err = grub_env_set ("gfxpayload", modes);
  grub_free (modes);
  return err;
}

MB2_SHIM (struct grub_relocator *, mb2_grub_relocator_new, (void),
          return grub_relocator_new ())
MB2_SHIM (void, mb2_grub_relocator_unload, (struct grub_relocator *relocator),
          grub_relocator_unload (relocator))

static uint32_t
give_chunk (grub_err_t err, grub_relocator_chunk_t from, struct mb2_chunk *to)
{
  if (err)
    return err;
  to->target = get_physical_target_address (from);
  to->current = get_virtual_current_address (from);
  return GRUB_ERR_NONE;
}

MB2_ABI uint32_t
mb2_grub_relocator_alloc_addr (struct grub_relocator *relocator,
                               struct mb2_chunk *chunk, uint32_t target,
                               size_t size)
{
  grub_relocator_chunk_t ch = NULL;
  grub_err_t err = grub_relocator_alloc_chunk_addr (relocator, &ch, target,
                                                    size);
  return give_chunk (err, ch, chunk);
}

MB2_ABI uint32_t
mb2_grub_relocator_alloc_align (struct grub_relocator *relocator,
                                struct mb2_chunk *chunk, size_t size,
                                const struct mb2_window *window)
{
  grub_relocator_chunk_t ch = NULL;
  grub_err_t err
    = grub_relocator_alloc_chunk_align (relocator, &ch, window->min,
                                        window->limit, size, window->align,
                                        window->high
                                        ? GRUB_RELOCATOR_PREFERENCE_HIGH
                                        : GRUB_RELOCATOR_PREFERENCE_LOW,
                                        window->avoid_services);
  return give_chunk (err, ch, chunk);
}

MB2_ABI uint32_t
mb2_grub_relocator_boot32 (struct grub_relocator *relocator, uint32_t entry,
                           uint32_t info)
{
  struct grub_relocator32_state state = MULTIBOOT2_INITIAL_STATE;
  state.MULTIBOOT_ENTRY_REGISTER = entry;
  state.MULTIBOOT_MBI_REGISTER = info;
  return grub_relocator32_boot (relocator, state, 0);
}

struct map_walk
{
  struct mb2_range *ranges;
  uint32_t capacity;
  uint32_t count;
};

static int
map_hook (grub_uint64_t start, grub_uint64_t length, grub_memory_type_t kind,
          void *data)
{
  struct map_walk *walk = data;
  if (walk->count < walk->capacity)
    {
      struct mb2_range *range = &walk->ranges[walk->count];
      range->start = start;
      range->length = length;
      range->kind = kind;
      range->reserved = 0;
    }
  walk->count++;
  return 0;
}

MB2_ABI uint32_t
mb2_grub_memory_map (uint32_t which, struct mb2_range *ranges,
                     uint32_t capacity)
{
  struct map_walk walk = { ranges, capacity, 0 };
#ifdef GRUB_MACHINE_EFI
  if (which != MB2_MAP_REPORT)
    grub_efi_mmap_iterate (map_hook, &walk, which == MB2_MAP_KEEP_SERVICES);
  else
#endif
    grub_mmap_iterate (map_hook, &walk);
  (void) which;
  return walk.count;
}

MB2_SHIM (uint64_t, mb2_grub_memory_lower, (void),
          return grub_mmap_get_lower ())
MB2_SHIM (uint64_t, mb2_grub_memory_upper, (void),
          return grub_mmap_get_upper ())

#if GRUB_MACHINE_HAS_ACPI
MB2_ABI const void *
mb2_grub_acpi_rsdp (uint32_t revision)
{
  if (revision == 2)
    return grub_acpi_get_rsdpv2 ();
  return grub_acpi_get_rsdpv1 ();
}
#endif

MB2_ABI uint32_t
mb2_grub_dhcp_ack (uint32_t index, const void **data, size_t *length)
{
  struct grub_net_network_level_interface *net;
  FOR_NET_NETWORK_LEVEL_INTERFACES (net)
    if (index-- == 0)
      {
        *data = net->dhcp_ack;
        *length = net->dhcp_ack ? net->dhcp_acklen : 0;
        return 1;
      }
  return 0;
}

MB2_ABI uint32_t
mb2_grub_video_set_mode (const char *format, const char *otherwise)
{
  grub_err_t err;
  const char *value = grub_env_get ("gfxpayload");
  char *modes = grub_xasprintf (value && *value ? format : otherwise, value);
  if (!modes)
    return grub_errno;
  err = grub_video_set_mode (modes, 0, 0);
  grub_free (modes);
  return err;
}

MB2_SHIM (uint32_t, mb2_grub_video_driver, (void),
          return grub_video_get_driver_id ())

MB2_ABI void
mb2_grub_video_palette (uint8_t *rgb, uint32_t count)
{
  uint32_t i;
  for (i = 0; i < count; i++)
    {
      struct grub_video_palette_data color = { 0, 0, 0, 0 };
      grub_video_get_palette (i, 1, &color);
      *rgb++ = color.r;
      *rgb++ = color.g;
      *rgb++ = color.b;
    }
}

MB2_ABI uint32_t
mb2_grub_video_finish (struct mb2_video *video)
{
  struct grub_video_mode_info info;
  void *framebuffer = NULL;
  grub_err_t err = grub_video_get_info_and_fini (&info, &framebuffer);
  if (err)
    return err;
  video->address = (grub_addr_t) framebuffer;
  video->pitch = info.pitch;
  video->width = info.width;
  video->height = info.height;
  video->bpp = info.bpp;
  video->indexed = info.mode_type & GRUB_VIDEO_MODE_TYPE_INDEX_COLOR;
  video->colors = info.number_of_colors;
  video->masks[0] = info.red_field_pos;
  video->masks[1] = info.red_mask_size;
  video->masks[2] = info.green_field_pos;
  video->masks[3] = info.green_mask_size;
  video->masks[4] = info.blue_field_pos;
  video->masks[5] = info.blue_mask_size;
  return GRUB_ERR_NONE;
}
