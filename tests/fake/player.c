/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plays jobs: reads one from its standard input, does it in a process of its
   own, since a module may crash or hang, and writes what was reported.

   A job is a machine, files and commands; all numbers have 32 bits unless
   said otherwise, and a text is its length and its bytes.  The reader is
   xtask/src/host/job.rs.  */

#define _GNU_SOURCE 1
#include "fake.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <grub/loader.h>

/* Commands of a job.  */
enum
{
  DO_MULTIBOOT2 = 0,
  DO_MODULE2 = 1,
  DO_BOOT = 2,
  DO_UNLOAD = 3,
  DO_ARM = 4,
  DO_DISARM = 5,
  DO_REMOVE = 6,
};

struct fake_job fake_job;

static int report = -1;

/* --- Reports --- */

static void
send (int to, const void *bytes, size_t size)
{
  while (size)
    {
      ssize_t sent = write (to, bytes, size);
      if (sent <= 0)
	_exit (1);
      bytes = (const uint8_t *) bytes + sent;
      size -= sent;
    }
}

void
fake_record (enum fake_record kind, const void *head, uint32_t head_size,
	     const void *body, uint32_t body_size)
{
  uint32_t frame[2] = { kind, head_size + body_size };
  send (report, frame, sizeof (frame));
  send (report, head, head_size);
  send (report, body, body_size);
}

void
fake_event (const char *format, ...)
{
  char line[4096];
  int size;
  va_list args;
  va_start (args, format);
  size = vsnprintf (line, sizeof (line), format, args);
  va_end (args);
  if (size >= (int) sizeof (line))
    size = sizeof (line) - 1;
  fake_record (RECORD_EVENT, NULL, 0, line, size);
}

/* --- Reading a job --- */

static const uint8_t *at;

static uint32_t
number (void)
{
  uint32_t value;
  memcpy (&value, at, sizeof (value));
  at += sizeof (value);
  return value;
}

static uint64_t
wide (void)
{
  uint64_t low = number ();
  return low | (uint64_t) number () << 32;
}

/* A copy whose end the sanitizer sees.  */
static void *
bytes (uint32_t size, int more)
{
  uint8_t *copy = malloc (size + more);
  memcpy (copy, at, size);
  memset (copy + size, 0, more);
  at += size;
  return copy;
}

static void
read_machine (void)
{
  uint32_t i;
  fake_job.fill = number ();
  fake_job.limit_ms = number ();
  fake_job.fail_at = number ();
  fake_job.fail_short = number ();
  fake_job.facts = number ();
  fake_job.misplaced = number ();
  fake_job.efi_map_grows = number ();
  fake_job.range_count = number ();
  fake_job.ranges = calloc (fake_job.range_count, sizeof (struct fake_range));
  for (i = 0; i < fake_job.range_count; i++)
    {
      fake_job.ranges[i].start = wide ();
      fake_job.ranges[i].end = wide ();
      fake_job.ranges[i].kind = number ();
    }
  fake_job.file_count = number ();
  fake_job.files = calloc (fake_job.file_count, sizeof (struct fake_stored));
  for (i = 0; i < fake_job.file_count; i++)
    {
      struct fake_stored *file = &fake_job.files[i];
      uint32_t size = number ();
      file->name = bytes (size, 1);
      file->unsized_file = number ();
      file->readable = number ();
      file->size = number ();
      file->bytes = bytes (file->size, 0);
    }
}

/* --- Commands --- */

static struct grub_command *no_command;
static grub_dl_t module = (void *) "the module";

/* ARGC is what the module is told; there are COUNT arguments, and one of
   length -1 is NULL.  */
static grub_err_t
run_command (const char *name)
{
  int32_t argc = number ();
  uint32_t count = number ();
  char **argv = count == UINT32_MAX ? NULL : malloc (count * sizeof (*argv));
  uint32_t i;
  for (i = 0; argv && i < count; i++)
    {
      uint32_t size = number ();
      argv[i] = size == UINT32_MAX ? NULL : bytes (size, 1);
    }
  return fake_command (name) (no_command, argc, argv);
}

static grub_err_t
run_one (uint32_t what)
{
  switch (what)
    {
    case DO_MULTIBOOT2:
      return run_command ("multiboot2");
    case DO_MODULE2:
      return run_command ("module2");
    case DO_BOOT:
      return fake_boot ();
    case DO_UNLOAD:
      grub_loader_unset ();
      return grub_errno;
    case DO_ARM:
      fake_armed = 1;
      return GRUB_ERR_NONE;
    case DO_DISARM:
      fake_armed = 0;
      return GRUB_ERR_NONE;
    case DO_REMOVE:
      fake_module_fini ();
      return GRUB_ERR_NONE;
    }
  fake_misuse ("a job with command %u", what);
}

/* GRUB shows the error of a command and forgets it.  */
static void
run_next (void)
{
  struct
  {
    uint32_t what, result, error, loaded;
    struct fake_count count;
  } head;
  head.what = number ();
  grub_errno = GRUB_ERR_NONE;
  grub_errmsg[0] = 0;
  head.result = run_one (head.what);
  head.error = grub_errno;
  head.loaded = fake_loaded ();
  head.count = fake_count;
  fake_record (RECORD_COMMAND, &head, sizeof (head), grub_errmsg,
	       grub_errno ? strlen (grub_errmsg) : 0);
}

/* --- Processes --- */

static struct sigaction sanitizers;

/* Stopping the processor is not for programs of a system: it says that the
   module wanted to.  */
static void
on_fault (int signal, siginfo_t *info __attribute__ ((unused)), void *context)
{
  const ucontext_t *machine = context;
#ifdef __x86_64__
  const uint8_t *code = (void *) machine->uc_mcontext.gregs[REG_RIP];
#else
  const uint8_t *code = (void *) machine->uc_mcontext.gregs[REG_EIP];
#endif
  if (machine->uc_mcontext.gregs[REG_TRAPNO] == 13 && *code == 0xfa)
    _exit (FAKE_EXIT_HALTED);
  /* Comes again, and to the sanitizer.  */
  sigaction (signal, &sanitizers, NULL);
}

static void
play (void)
{
  struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
  struct itimerval timer = { { 0, 0 }, { 0, 0 } };
  uint32_t commands;
  read_machine ();
  timer.it_value.tv_sec = fake_job.limit_ms / 1000;
  timer.it_value.tv_usec = fake_job.limit_ms % 1000 * 1000;
  setitimer (ITIMER_PROF, &timer, NULL);
  sigaction (SIGSEGV, &action, &sanitizers);
  fake_module_init (module);
  for (commands = number (); commands > 0; commands--)
    run_next ();
  _exit (0);
}

static int
receive (void *into, size_t size)
{
  uint8_t *to = into;
  while (size)
    {
      ssize_t got = read (0, to, size);
      if (got <= 0)
	return 0;
      to += got;
      size -= got;
    }
  return 1;
}

static void
send_file (int file, uint32_t size)
{
  void *all = size ? mmap (NULL, size, PROT_READ, MAP_SHARED, file, 0) : NULL;
  send (1, all, size);
  if (size)
    munmap (all, size);
}

int
main (void)
{
  int errors = memfd_create ("errors", 0);
  uint32_t size;
  report = memfd_create ("report", 0);
  fake_direct_map ();
  fake_firmware ();
#ifdef GRUB_MACHINE_PCBIOS
  fake_scratch_map ();
#endif
  while (receive (&size, sizeof (size)))
    {
      uint32_t answer[3];
      int status = 0;
      uint8_t *job = malloc (size);
      pid_t child;
      if (!receive (job, size) || ftruncate (report, 0) || ftruncate (errors, 0))
	return 1;
      lseek (report, 0, SEEK_SET);
      lseek (errors, 0, SEEK_SET);
      at = job;
      child = fork ();
      if (child == 0)
	{
	  dup2 (errors, 2);
	  play ();
	}
      if (child < 0 || waitpid (child, &status, 0) != child)
	return 1;
      answer[0] = status;
      answer[1] = lseek (report, 0, SEEK_END);
      answer[2] = lseek (errors, 0, SEEK_END);
      send (1, answer, sizeof (answer));
      send_file (report, answer[1]);
      send_file (errors, answer[2]);
      free (job);
    }
  return 0;
}
