/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contract between the Rust loader and GRUB's C.

   Both sides include this file: the glue that implements it, and bindgen that
   translates it for Rust.  It needs nothing of GRUB itself.

   Conventions.  mb2_grub_* are functions that Rust calls, mb2_rs_* functions
   that C calls.  Both carry MB2_ABI, since GRUB compiles most i386 platforms
   with another calling convention.  Only fixed-width integers, size_t and
   pointers cross the line, and 64-bit integers only in memory or as results:
   C and Rust put such arguments into different registers on i386.  A function
   that returns "error" gives a value of grub_err_t, 0 for success, and has then
   set grub_errno and its text.
   A pointer that Rust passes is valid for the length of the call only.  */

#ifndef MB2_ABI_H
#define MB2_ABI_H 1

#include <stddef.h>
#include <stdint.h>

/* On i386 the first three arguments are in registers, as -Zregparm=3 has it
   in Rust.  No C library has that convention, so programs that run on a host
   define MB2_HOST.  */
#if defined __i386__ && !defined MB2_HOST
# define MB2_ABI __attribute__ ((cdecl, regparm (3)))
#else
# define MB2_ABI
#endif

/* Defines a function of the contract whose body is one statement.  */
#define MB2_SHIM(type, name, parameters, statement) \
  MB2_ABI type name parameters { statement; }

struct grub_file;
struct grub_relocator;

/* Which memory map mb2_grub_memory_map walks.  */
#define MB2_MAP_REPORT 0u        /* what the kernel is told */
#define MB2_MAP_USABLE 1u        /* boot-services memory counts as available */
#define MB2_MAP_KEEP_SERVICES 2u /* boot-services memory is not available */

/* A range of physical memory; KIND is GRUB's grub_memory_type_t.  */
struct mb2_range
{
  uint64_t start;
  uint64_t length;
  uint32_t kind;
  uint32_t reserved;
};

/* A chunk of the relocator: where its bytes will be, and where they are.  */
struct mb2_chunk
{
  uint64_t target;
  void *current;
};

/* What mb2_grub_relocator_alloc_align may choose from.  LIMIT bounds the end
   of the chunk in GRUB's direct search.  */
struct mb2_window
{
  uint32_t min;
  uint32_t limit;
  uint32_t align;
  uint32_t high;
  uint32_t avoid_services;
};

/* The root device as the BIOS numbers it.  PARTITIONS says how many of
   NUMBERS are set, innermost first.  */
struct mb2_boot_device
{
  uint32_t drive;
  uint32_t partitions;
  uint32_t numbers[2];
};

/* Answer of the APM BIOS, as the boot information has it, at any address.  */
struct mb2_apm
{
  uint16_t version;
  uint16_t cseg;
  uint32_t offset;
  uint16_t cseg_16;
  uint16_t dseg;
  uint16_t flags;
  uint16_t cseg_len;
  uint16_t cseg_16_len;
  uint16_t dseg_len;
} __attribute__ ((packed));

/* The video mode that the kernel inherits.  Masks are pairs of position and
   size for red, green and blue.  */
struct mb2_video
{
  uint64_t address;
  uint32_t pitch;
  uint32_t width;
  uint32_t height;
  uint32_t bpp;
  uint32_t indexed;
  uint32_t colors;
  uint8_t masks[6];
  uint8_t reserved[2];
};

/* Where UEFI's system table and GRUB's own image handle are.  */
struct mb2_efi
{
  uint64_t system_table;
  uint64_t image_handle;
};

/* The memory map at the moment when boot services ended.  SIZE is the room
   on entry and the length of the map on return, in bytes.  */
struct mb2_efi_map
{
  uint64_t size;
  uint32_t descriptor_size;
  uint32_t descriptor_version;
};

/* --- Functions of GRUB that Rust calls --- */

/* Heap.  malloc returns NULL and sets grub_errno when it fails.  */
MB2_ABI void *mb2_grub_malloc (size_t size);
MB2_ABI void mb2_grub_free (void *memory);

/* The memory functions that the compiler calls by itself.  */
MB2_ABI void *mb2_grub_memmove (void *to, const void *from, size_t length);
MB2_ABI void *mb2_grub_memset (void *to, int32_t byte, size_t length);
MB2_ABI int32_t mb2_grub_memcmp (const void *a, const void *b, size_t length);
MB2_ABI size_t mb2_grub_strlen (const char *text);

/* Ends GRUB with a message; never returns.  */
MB2_ABI void mb2_grub_fatal (const char *file, uint32_t line);
/* Stops the processor for good; never returns.  */
MB2_ABI void mb2_grub_halt (void);

/* Sets grub_errno and its text.  FORMAT takes NAME and up to six values as
   long long; without NAME it takes one value at most.  */
MB2_ABI void mb2_grub_error (uint32_t code, const char *format,
                             const char *name, const uint64_t *values);
/* The pending error, 0 for none.  */
MB2_ABI uint32_t mb2_grub_errno (void);
/* Prints the pending error and clears it.  */
MB2_ABI void mb2_grub_print_error (void);
/* Clears the pending error.  */
MB2_ABI void mb2_grub_forget_error (void);
/* Prints the text that mb2_grub_error has set, as a line of its own.  */
MB2_ABI void mb2_grub_say (void);

/* Files.  open returns NULL for an error.  read returns the bytes that were
   read at OFFSET, or a negative number for an error.  */
MB2_ABI struct grub_file *mb2_grub_file_open (const char *path, uint32_t type);
MB2_ABI void mb2_grub_file_close (struct grub_file *file);
MB2_ABI uint64_t mb2_grub_file_size (struct grub_file *file);
MB2_ABI int64_t mb2_grub_file_read (struct grub_file *file, uint32_t offset,
                                    void *buffer, size_t length);

/* Command lines of loaded images.  create fills SIZE bytes, the size that
   cmdline_size gave, and shows the string to the verifiers as KIND.  */
MB2_ABI uint32_t mb2_grub_cmdline_size (int32_t argc, char **argv);
MB2_ABI uint32_t mb2_grub_cmdline_create (int32_t argc, char **argv,
                                          char *buffer, uint32_t size,
                                          uint32_t kind);

/* Sets gfxpayload to FORMAT with up to five NUMBERS.  */
MB2_ABI uint32_t mb2_grub_payload_modes (const char *format,
                                         const uint32_t *numbers);

/* GRUB's relocator.  new returns NULL for an error; the alloc functions
   return an error and fill *CHUNK otherwise.  boot32 returns only when it
   fails.  */
MB2_ABI struct grub_relocator *mb2_grub_relocator_new (void);
MB2_ABI void mb2_grub_relocator_unload (struct grub_relocator *relocator);
MB2_ABI uint32_t mb2_grub_relocator_alloc_addr (struct grub_relocator *relocator,
                                                struct mb2_chunk *chunk,
                                                uint32_t target, size_t size);
MB2_ABI uint32_t mb2_grub_relocator_alloc_align (struct grub_relocator *relocator,
                                                 struct mb2_chunk *chunk,
                                                 size_t size,
                                                 const struct mb2_window *window);
MB2_ABI uint32_t mb2_grub_relocator_boot32 (struct grub_relocator *relocator,
                                            uint32_t entry, uint32_t info);

/* Registers our boot and unload callbacks and pins the module; unset runs
   the unload callback of whichever loader is registered.  */
MB2_ABI void mb2_grub_loader_set (void);
MB2_ABI void mb2_grub_loader_unset (void);

/* The machine.  */
/* Counts the ranges of map WHICH and stores the first CAPACITY of them.  */
MB2_ABI uint32_t mb2_grub_memory_map (uint32_t which, struct mb2_range *ranges,
                                      uint32_t capacity);
/* Bytes of memory below and above 1 MiB.  */
MB2_ABI uint64_t mb2_grub_memory_lower (void);
MB2_ABI uint64_t mb2_grub_memory_upper (void);
/* The ACPI root pointer of the old (1) or new (2) revision, or NULL.  */
MB2_ABI const void *mb2_grub_acpi_rsdp (uint32_t revision);
/* The DHCP acknowledgement of the network interface INDEX.  Returns 0 when
   there is no such interface; *LENGTH is 0 when it has none.  */
MB2_ABI uint32_t mb2_grub_dhcp_ack (uint32_t index, const void **data,
                                    size_t *length);

/* Video.  set_mode takes FORMAT with the value of gfxpayload, or OTHERWISE
   when that is unset or empty.  driver is 0 while no graphics driver is active.  palette stores
   COUNT colours of three bytes.  */
MB2_ABI uint32_t mb2_grub_video_set_mode (const char *format,
                                          const char *otherwise);
MB2_ABI uint32_t mb2_grub_video_driver (void);
MB2_ABI void mb2_grub_video_palette (uint8_t *rgb, uint32_t count);
MB2_ABI uint32_t mb2_grub_video_finish (struct mb2_video *video);

/* BIOS only.  0 means absent or failed.  */
MB2_ABI uint32_t mb2_grub_boot_device (struct mb2_boot_device *device);
MB2_ABI uint32_t mb2_grub_apm (struct mb2_apm *apm);
MB2_ABI uint32_t mb2_grub_vbe_controller (void *info512);
MB2_ABI uint32_t mb2_grub_vbe_mode (uint32_t *mode);
MB2_ABI uint32_t mb2_grub_vbe_mode_info (uint32_t mode, void *info256);
MB2_ABI void mb2_grub_vbe_interface (uint16_t *segment_offset_length);

/* UEFI only.  exit ends boot services.  start_efi enters the kernel beside
   them, with its memory as it is; never returns.  */
MB2_ABI void mb2_grub_efi (struct mb2_efi *efi);
/* The SMBIOS entry point of the old (0) or new (1) kind, or NULL.  */
MB2_ABI const void *mb2_grub_efi_smbios (uint32_t new_kind);
MB2_ABI uint64_t mb2_grub_efi_map_size (void);
MB2_ABI uint32_t mb2_grub_efi_exit (void *buffer, struct mb2_efi_map *map);
MB2_ABI void mb2_grub_start_efi (size_t entry, size_t info);

/* --- Functions of Rust that C calls: commands and callbacks --- */

MB2_ABI uint32_t mb2_rs_multiboot2 (int32_t argc, char **argv);
MB2_ABI uint32_t mb2_rs_module2 (int32_t argc, char **argv);
MB2_ABI uint32_t mb2_rs_boot (void);
MB2_ABI void mb2_rs_unload (void);

#endif /* ! MB2_ABI_H */
