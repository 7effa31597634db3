/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A relocator that chooses as GRUB's does, where the module can tell: first
   memory where the bytes can be at once, then any, by the firmware's map.
   It keeps the limits that it is given, and looks at all chunks.  */

#define _GNU_SOURCE 1
#include "fake.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <sanitizer/asan_interface.h>
#include <grub/relocator.h>
#include <grub/cpu/relocator.h>
#include <grub/i18n.h>
#include <grub/misc.h>

struct grub_relocator_chunk
{
  struct grub_relocator_chunk *next;
  uint64_t target;
  grub_size_t size;
  uint8_t *current;
  int in_place;
};

struct grub_relocator
{
  struct grub_relocator_chunk *chunks;
};

/* There is one at a time that is used.  */
static struct grub_relocator *newest;

void
fake_direct_map (void)
{
  void *start = (void *) (uintptr_t) DIRECT_START;
  void *memory = mmap (start, DIRECT_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
		       | MAP_NORESERVE, -1, 0);
  if (memory != start)
    fake_misuse ("address 0x%x is in use", DIRECT_START);
  ASAN_POISON_MEMORY_REGION (memory, DIRECT_SIZE);
}

struct grub_relocator *
grub_relocator_new (void)
{
  struct grub_relocator *relocator;
  fake_needs_services ("relocator");
  if (fake_fails ("relocator", GRUB_ERR_OUT_OF_MEMORY))
    return NULL;
  relocator = fake_fresh (sizeof (*relocator));
  relocator->chunks = NULL;
  newest = relocator;
  fake_count.relocators++;
  return relocator;
}

void
grub_relocator_unload (struct grub_relocator *relocator)
{
  if (!relocator)
    return;
  while (relocator->chunks)
    {
      struct grub_relocator_chunk *chunk = relocator->chunks;
      relocator->chunks = chunk->next;
      if (chunk->in_place)
	ASAN_POISON_MEMORY_REGION (chunk->current, chunk->size);
      else
	free (chunk->current);
      free (chunk);
    }
  fake_count.relocators--;
  free (relocator);
}

void *
get_virtual_current_address (grub_relocator_chunk_t chunk)
{
  return chunk->current;
}

grub_phys_addr_t
get_physical_target_address (grub_relocator_chunk_t chunk)
{
  return chunk->target;
}

static struct grub_relocator_chunk *
overlapping (struct grub_relocator *relocator, uint64_t target, uint64_t size)
{
  struct grub_relocator_chunk *chunk;
  for (chunk = relocator->chunks; chunk; chunk = chunk->next)
    if ((chunk->target <= target && target < chunk->target + chunk->size)
	|| (target <= chunk->target && chunk->target < target + size))
      return chunk;
  return NULL;
}

static grub_err_t
add (struct grub_relocator *relocator, grub_relocator_chunk_t *out,
     uint64_t target, grub_size_t size, int in_place)
{
  struct grub_relocator_chunk *chunk = fake_fresh (sizeof (*chunk));
  chunk->target = target;
  chunk->size = size;
  chunk->in_place = in_place;
  if (in_place)
    {
      chunk->current = (uint8_t *) (uintptr_t) target;
      ASAN_UNPOISON_MEMORY_REGION (chunk->current, size);
      memset (chunk->current, fake_job.fill, size);
    }
  else
    chunk->current = fake_fresh (size);
  chunk->next = relocator->chunks;
  relocator->chunks = chunk;
  *out = chunk;
  return GRUB_ERR_NONE;
}

/* All chunks together are no larger than memory is.  */
static int
is_room (struct grub_relocator *relocator, uint64_t size)
{
  uint64_t room = fake_available ();
  struct grub_relocator_chunk *chunk;
  for (chunk = relocator->chunks; chunk; chunk = chunk->next)
    room -= chunk->size;
  return size <= room;
}

grub_err_t
grub_relocator_alloc_chunk_addr (struct grub_relocator *relocator,
				 grub_relocator_chunk_t *out,
				 grub_phys_addr_t target, grub_size_t size)
{
  fake_needs_services ("chunk");
  if (fake_fails ("chunk", GRUB_ERR_OUT_OF_MEMORY))
    return grub_errno;
  if (target > ~size)
    return grub_error (GRUB_ERR_BUG, "address is out of range");
  if (overlapping (relocator, target, size))
    return grub_error (GRUB_ERR_BUG, "overlap detected");
  if (!is_room (relocator, size))
    return grub_error (GRUB_ERR_OUT_OF_MEMORY, N_("out of memory"));
#ifndef GRUB_MACHINE_PCBIOS
  fake_map_changes ();
#endif
  return add (relocator, out, target, size, 0);
}

struct search
{
  struct grub_relocator *relocator;
  /* FIRST and LAST bound the start, LIMIT the end.  */
  uint64_t first, last, limit;
  uint64_t size, align;
  int high;
  int found;
  uint64_t best;
};

/* Looks into free memory between START and END.  */
static int
search_range (uint64_t start, uint64_t end, void *data)
{
  struct search *search = data;
  struct grub_relocator_chunk *chunk;
  uint64_t at;
  if (start < search->first)
    start = search->first;
  if (end > search->limit)
    end = search->limit;
  if (end < start || end - start < search->size)
    return 0;
  if (search->last < end - search->size)
    end = search->last + search->size;
  at = search->high ? ALIGN_DOWN (end - search->size, search->align)
    : ALIGN_UP (start, search->align);
  while (start <= at && at <= end - search->size
	 && (chunk = overlapping (search->relocator, at, search->size)))
    {
      if (search->high && chunk->target < search->size)
	return 0;
      at = search->high ? ALIGN_DOWN (chunk->target - search->size, search->align)
	: ALIGN_UP (chunk->target + chunk->size, search->align);
    }
  if (at < start || at > end - search->size)
    return 0;
  if (!search->found || (at > search->best) == search->high)
    search->best = at;
  search->found = 1;
  return 0;
}

/* The same where the bytes can be at their address.  */
static int
search_direct (uint64_t start, uint64_t end, void *data)
{
  if (start < DIRECT_START)
    start = DIRECT_START;
  if (end > (uint64_t) DIRECT_START + DIRECT_SIZE)
    end = (uint64_t) DIRECT_START + DIRECT_SIZE;
  return start < end ? search_range (start, end, data) : 0;
}

static grub_err_t
alloc_align (struct grub_relocator *relocator, grub_relocator_chunk_t *out,
	     struct search *search, uint64_t max, int avoid_services)
{
  search->relocator = relocator;
  /* GRUB asks only the first search to end at the limit.  */
  search->last = search->limit = max;
  if (fake_job.facts & FACT_DIRECT)
    fake_walk (search_direct, search, 1);
  if (search->found)
    return add (relocator, out, search->best, search->size, 1);
  search->limit = ~0ULL;
  fake_walk (search_range, search, avoid_services);
  if (!search->found)
    return grub_error (GRUB_ERR_BAD_OS, "couldn't find suitable memory target");
  return add (relocator, out, search->best, search->size, 0);
}

grub_err_t
grub_relocator_alloc_chunk_align (struct grub_relocator *relocator,
				  grub_relocator_chunk_t *out,
				  grub_phys_addr_t min, grub_phys_addr_t max,
				  grub_size_t size, grub_size_t align,
				  int preference, int avoid_services)
{
  struct search search = { .first = min, .size = size, .align = align };
  fake_needs_services ("chunk in a window");
  if (align == 0 || (align & (align - 1)))
    fake_misuse ("alignment 0x%llx", (unsigned long long) align);
  if (fake_fails ("chunk in a window", GRUB_ERR_OUT_OF_MEMORY))
    return grub_errno;
  if (!is_room (relocator, size))
    return grub_error (GRUB_ERR_OUT_OF_MEMORY, N_("out of memory"));
#ifdef GRUB_MACHINE_PCBIOS
  if (search.first < 0x1000)
    search.first = 0x1000;
#else
  fake_map_changes ();
#endif
  /* As after a collision in GRUB's own search.  */
  if (fake_job.misplaced)
    return add (relocator, out, fake_job.misplaced, size, 0);
  search.high = preference == GRUB_RELOCATOR_PREFERENCE_HIGH;
  return alloc_align (relocator, out, &search, max, avoid_services);
}

void
fake_start (struct grub_relocator *relocator, const uint64_t *registers,
	    uint32_t count)
{
  struct grub_relocator_chunk *chunk;
  fake_record (RECORD_START, registers, count * sizeof (*registers), NULL, 0);
  for (chunk = relocator->chunks; chunk; chunk = chunk->next)
    {
      uint64_t place[2] = { chunk->target, chunk->in_place };
      fake_record (RECORD_CHUNK, place, sizeof (place), chunk->current,
		   chunk->size);
    }
  _exit (0);
}

grub_err_t
grub_relocator32_boot (struct grub_relocator *relocator,
		       struct grub_relocator32_state state, int avoid_services)
{
  uint64_t registers[] = {
    state.eip, state.eax, state.ebx, state.ecx, state.edx, state.esi,
    state.edi, state.ebp, state.esp
  };
  /* The hand-over's own code lies in low memory.  */
  struct search search = { .first = 0x1000, .size = 208, .align = 16 };
  grub_relocator_chunk_t code;
  struct grub_relocator_chunk *chunks = relocator->chunks;
  grub_err_t error;
  if (fake_fails ("jump", GRUB_ERR_OUT_OF_MEMORY))
    return grub_errno;
  error = alloc_align (relocator, &code, &search, 0x9a000 - 208, avoid_services);
  if (error)
    return error;
  relocator->chunks = chunks;
  fake_start (relocator, registers, ARRAY_SIZE (registers));
}

#ifdef GRUB_MACHINE_EFI
#ifdef __x86_64__
grub_err_t
grub_relocator64_efi_boot (struct grub_relocator *relocator,
			   struct grub_relocator64_efi_state state)
{
  uint64_t registers[] = {
    state.rip, state.rax, state.rbx, state.rcx, state.rdx, state.rsi
  };
  if (fake_fails ("jump", GRUB_ERR_OUT_OF_MEMORY))
    return grub_errno;
  fake_start (relocator, registers, ARRAY_SIZE (registers));
}
#endif

/* Ours is not GRUB's: the registers are those of module-glue/start_efi.c.  */
void
mb2_grub_start_efi (size_t entry, size_t info)
{
  uint64_t registers[] = { entry, 0x36d76289, info, 0, 0, 0 };
  fake_start (newest, registers, ARRAY_SIZE (registers));
}
#endif
