/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A GRUB that exists only in numbers: what the parts of the fake share.

   The fake implements those functions of GRUB that a multiboot2 module calls,
   with the declarations of a configured tree.  It counts what it hands out,
   fails any call that it is told to, and ends the process where it is called
   as GRUB must not be.  What it hands out is memory of the C library, so that
   the sanitizer sees every byte beside it.  */

#ifndef FAKE_H
#define FAKE_H 1

#include <stddef.h>
#include <stdint.h>
#include <grub/types.h>
#include <grub/err.h>
#include <grub/dl.h>
#include <grub/file.h>

struct grub_command;
struct grub_relocator;

/* How a run of the module can end beside the ways of the system.  */
#define FAKE_EXIT_FATAL 96
#define FAKE_EXIT_HALTED 97
#define FAKE_EXIT_MISUSED 98

/* Facts of the machine that a job switches on.  */
#define FACT_ACPI_OLD 0x1u
#define FACT_ACPI_NEW 0x2u
#define FACT_NETWORK 0x4u
#define FACT_APM 0x8u
#define FACT_DISK 0x10u
#define FACT_PARTITION 0x20u
#define FACT_NESTED_PARTITION 0x40u
#define FACT_SCREEN 0x80u
#define FACT_PALETTE 0x100u
#define FACT_VBE 0x200u
#define FACT_VBE_MODE 0x400u
#define FACT_VBE_INTERFACE 0x800u
#define FACT_DIRECT 0x1000u

/* Memory of boot services: not a type of GRUB's, which never shows it.  */
#define KIND_SERVICES 0xb5u

/* Memory of this process that lies at its physical address, so that chunks
   can be where they will be: the fake machine's free memory, as far as the
   map agrees and FACT_DIRECT is set.  */
#define DIRECT_START 0x10000000u
#define DIRECT_SIZE 0x1000000u

struct fake_range
{
  uint64_t start;
  uint64_t end;
  uint32_t kind;
};

struct fake_stored
{
  const char *name;
  const uint8_t *bytes;
  uint32_t size;
  uint32_t readable;
  uint32_t unsized_file;
};

/* What one run is told.  */
struct fake_job
{
  uint32_t fill;
  uint32_t limit_ms;
  uint32_t fail_at;
  uint32_t fail_short;
  uint32_t facts;
  uint32_t misplaced;
  uint32_t efi_map_grows;
  uint32_t range_count;
  struct fake_range *ranges;
  uint32_t file_count;
  struct fake_stored *files;
};

/* What the module holds now, and what it did.  */
struct fake_count
{
  uint32_t blocks;
  uint32_t bytes;
  uint32_t peak;
  uint32_t files;
  uint32_t relocators;
  uint32_t references;
  uint32_t commands;
  uint32_t calls;
  uint32_t overwritten;
  uint32_t backward;
  uint32_t read;
};

extern struct fake_job fake_job;
extern struct fake_count fake_count;
extern int fake_armed;
extern int fake_ended;

/* A call that can fail: counts it, and says whether it has to.  Then ERROR is
   set.  */
int fake_fails (const char *name, grub_err_t error);
/* A call that needs firmware services.  */
void fake_needs_services (const char *name);
/* The module did what GRUB does not allow: ends the process.  */
void fake_misuse (const char *format, ...)
  __attribute__ ((noreturn, format (printf, 1, 2)));

/* Memory that the module did not ask the heap for.  */
void *fake_fresh (size_t size);
uint64_t fake_available (void);
int fake_walk (int (*hook) (uint64_t start, uint64_t end, void *data),
	       void *data, int avoid_services);

/* Lines of the report.  */
enum fake_record
{
  RECORD_COMMAND = 1,
  RECORD_EVENT = 2,
  RECORD_START = 3,
  RECORD_CHUNK = 4,
  RECORD_FAILED = 5,
};
void fake_record (enum fake_record kind, const void *head, uint32_t head_size,
		  const void *body, uint32_t body_size);
void fake_event (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* The kernel runs: reports its registers and its memory, and ends.  */
void fake_start (struct grub_relocator *relocator, const uint64_t *registers,
		 uint32_t count) __attribute__ ((noreturn));
void fake_direct_map (void);
void fake_firmware (void);
void fake_map_changes (void);
void fake_scratch_map (void);

/* The text of the last error.  */
extern char grub_errmsg[256];

/* The registered loader and commands.  */
typedef grub_err_t (*fake_command_t) (struct grub_command *, int, char **);
fake_command_t fake_command (const char *name);
grub_err_t fake_boot (void);
int fake_loaded (void);

/* What GRUB_MOD_INIT and GRUB_MOD_FINI of the module under test become.  */
void fake_module_init (grub_dl_t mod);
void fake_module_fini (void);

#endif /* ! FAKE_H */
