/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GRUB's heap, strings and error state.  */

#include "fake.h"
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <grub/mm.h>
#include <grub/misc.h>
#include <grub/i18n.h>

/* More heap than GRUB has.  */
#define HEAP_LIMIT (64u << 20)

struct fake_count fake_count;
int fake_armed;
int fake_ended;
char grub_errmsg[256];

grub_err_t grub_errno;

int
fake_fails (const char *name, grub_err_t error)
{
  if (!fake_armed || fake_count.calls++ != fake_job.fail_at)
    return 0;
  fake_record (RECORD_FAILED, NULL, 0, name, strlen (name));
  grub_error (error, "made to fail: %s", name);
  return 1;
}

void
fake_needs_services (const char *name)
{
  if (fake_ended)
    fake_misuse ("%s after the end of firmware services", name);
}

void
fake_misuse (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  fputs ("misuse: ", stderr);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  fflush (stderr);
  _exit (FAKE_EXIT_MISUSED);
}

void *
fake_fresh (size_t size)
{
  void *memory = malloc (size);
  if (!memory)
    fake_misuse ("no memory for %zu bytes", size);
  return memset (memory, fake_job.fill, size);
}

void *
grub_malloc (grub_size_t size)
{
  void *memory;
  fake_needs_services ("heap");
  if (fake_fails ("heap", GRUB_ERR_OUT_OF_MEMORY))
    return NULL;
  if (size > HEAP_LIMIT - fake_count.bytes)
    {
      grub_error (GRUB_ERR_OUT_OF_MEMORY, N_("out of memory"));
      return NULL;
    }
  memory = fake_fresh (size);
  fake_count.blocks++;
  fake_count.bytes += malloc_usable_size (memory);
  if (fake_count.peak < fake_count.bytes)
    fake_count.peak = fake_count.bytes;
  return memory;
}

void *
grub_calloc (grub_size_t count, grub_size_t size)
{
  grub_size_t whole;
  void *memory;
  if (__builtin_mul_overflow (count, size, &whole))
    {
      grub_error (GRUB_ERR_OUT_OF_RANGE, N_("overflow is detected"));
      return NULL;
    }
  memory = grub_malloc (whole);
  return memory ? memset (memory, 0, whole) : NULL;
}

void
grub_free (void *memory)
{
  if (!memory)
    return;
  fake_count.blocks--;
  fake_count.bytes -= malloc_usable_size (memory);
  free (memory);
}

/* GRUB's own take NULL where there is nothing to do.  */

void *
grub_memmove (void *to, const void *from, grub_size_t size)
{
  return size ? memmove (to, from, size) : to;
}

void *
grub_memset (void *to, int byte, grub_size_t size)
{
  return size ? memset (to, byte, size) : to;
}

int
grub_memcmp (const void *a, const void *b, grub_size_t size)
{
  return size ? memcmp (a, b, size) : 0;
}

grub_size_t
grub_strlen (const char *text)
{
  return strlen (text);
}

int
grub_strcmp (const char *a, const char *b)
{
  return strcmp (a, b);
}

char *
grub_strdup (const char *text)
{
  char *copy = grub_malloc (strlen (text) + 1);
  return copy ? strcpy (copy, text) : NULL;
}

char *
grub_xasprintf (const char *format, ...)
{
  char line[1024];
  va_list args;
  va_start (args, format);
  if (vsnprintf (line, sizeof (line), format, args) >= (int) sizeof (line))
    fake_misuse ("a text of more than %zu bytes", sizeof (line));
  va_end (args);
  return grub_strdup (line);
}

grub_err_t
grub_error (grub_err_t code, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  if (grub_errno)
    fake_count.overwritten++;
  grub_errno = code;
  vsnprintf (grub_errmsg, sizeof (grub_errmsg), format, args);
  va_end (args);
  return code;
}

void
grub_fatal (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  fflush (stderr);
  _exit (FAKE_EXIT_FATAL);
}

void
grub_print_error (void)
{
  fake_needs_services ("console");
  if (grub_errno)
    fake_event ("error %s", grub_errmsg);
  grub_errno = GRUB_ERR_NONE;
}

int
grub_puts_ (const char *line)
{
  fake_needs_services ("console");
  fake_event ("puts %s", line);
  return 0;
}

void
grub_real_dprintf (const char *file __attribute__ ((unused)),
		   const int line __attribute__ ((unused)),
		   const char *condition __attribute__ ((unused)),
		   const char *format __attribute__ ((unused)), ...)
{
}
