/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of the fake: buffers that may not tell their size, or end early.  */

#include "fake.h"
#include <stdlib.h>
#include <string.h>
#include <grub/i18n.h>
#include <grub/verify.h>

/* No command of GRUB calls another one while it opens a file; a verifier
   could.  */
static void
call_again (void)
{
  char *argv[] = { (char *) "/module" };
  fake_command ("module2") (NULL, 1, argv);
  fake_event ("inside: %s", grub_errmsg);
  grub_errno = GRUB_ERR_NONE;
}

grub_file_t
grub_file_open (const char *name, enum grub_file_type type)
{
  uint32_t i;
  fake_needs_services ("open");
  fake_event ("open %u %s", type, name);
  /* Fails without an error, as no function of GRUB should.  */
  if (strcmp (name, "/silent") == 0)
    return NULL;
  if (strcmp (name, "/again") == 0)
    call_again ();
  if (fake_fails ("open", GRUB_ERR_ACCESS_DENIED))
    return NULL;
  for (i = 0; i < fake_job.file_count; i++)
    if (strcmp (fake_job.files[i].name, name) == 0)
      {
	grub_file_t file = calloc (1, sizeof (*file));
	file->data = &fake_job.files[i];
	file->size = fake_job.files[i].size;
	if (fake_job.files[i].unsized_file)
	  file->size = GRUB_FILE_SIZE_UNKNOWN;
	fake_count.files++;
	return file;
      }
  grub_error (GRUB_ERR_FILE_NOT_FOUND, N_("file `%s' not found"), name);
  return NULL;
}

grub_err_t
grub_file_close (grub_file_t file)
{
  fake_needs_services ("close");
  fake_count.files--;
  free (file);
  return grub_errno;
}

grub_off_t
grub_file_seek (grub_file_t file, grub_off_t offset)
{
  grub_off_t old = file->offset;
  fake_needs_services ("seek");
  if (fake_fails ("seek", GRUB_ERR_IO))
    return -1;
  if (offset > file->size)
    {
      grub_error (GRUB_ERR_OUT_OF_RANGE,
		  N_("attempt to seek outside of the file"));
      return -1;
    }
  file->offset = offset;
  return old;
}

grub_ssize_t
grub_file_read (grub_file_t file, void *buffer, grub_size_t size)
{
  const struct fake_stored *stored = file->data;
  grub_size_t rest = 0;
  fake_needs_services ("read");
  /* Failing in silence is what the end of a file looks like.  */
  if (fake_fails ("read", GRUB_ERR_IO))
    {
      if (fake_job.fail_short)
	grub_errno = GRUB_ERR_NONE;
      return fake_job.fail_short ? 0 : -1;
    }
  if (file->offset > file->size)
    {
      grub_error (GRUB_ERR_OUT_OF_RANGE,
		  N_("attempt to read past the end of file"));
      return -1;
    }
  if (file->offset < stored->readable)
    rest = stored->readable - file->offset;
  if (size > rest)
    size = rest;
  /* A packed file would be unpacked again from its start.  */
  if (file->offset < file->progress_offset)
    fake_count.backward++;
  memcpy (buffer, stored->bytes + (size ? file->offset : 0), size);
  file->offset += size;
  file->progress_offset = file->offset;
  fake_count.read += size;
  return size;
}

grub_err_t
grub_verify_string (char *text, enum grub_verify_string_type type)
{
  fake_needs_services ("verifier");
  fake_event ("verify %u %s", type, text);
  if (fake_fails ("verifier", GRUB_ERR_ACCESS_DENIED))
    return grub_errno;
  return GRUB_ERR_NONE;
}
