/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A kernel that has no code to relocate itself, and does not get far without
   being relocated: every text that it prints is found through pointers. It
   speaks the language of the test kernel (tests/README.md). */

#include <stdint.h>

#define MAGIC 0x36d76289
#define TAG_SECTIONS 9
#define TAG_LOAD_BASE 21

extern const char image[], image_end[];
/* Not moved with the image: a number, and what nobody defines. */
extern const char absolute[];
extern void nobody (void) __attribute__ ((weak));

static char zeroes[64];
static const char digits[] = "0123456789abcdef";

static void
out8 (uint16_t port, uint8_t value)
{
  __asm__ volatile ("outb %0, %1" : : "a" (value), "Nd" (port));
}

static uint8_t
in8 (uint16_t port)
{
  uint8_t value;
  __asm__ volatile ("inb %1, %0" : "=a" (value) : "Nd" (port));
  return value;
}

static void
put (char c)
{
  while (!(in8 (0x3f8 + 5) & 0x20))
    ;
  out8 (0x3f8, c);
}

static void
text (const char *s)
{
  while (*s)
    put (*s++);
}

static void
hex (uint64_t value, int count)
{
  while (count--)
    put (digits[value >> (4 * count) & 15]);
}

static void
end (const char *verdict, uint8_t status)
{
  text ("\nmb2k ");
  text (verdict);
  text ("\n");
  for (;;)
    out8 (0xf4, status);
}

static void
expect (int good, const char *what)
{
  static char line[64] = "fail ";
  int at = 5;
  if (good)
    return;
  while (*what)
    line[at++] = *what++;
  end (line, 0x11);
}

/* Functions, texts and each other, through pointers in memory. */
struct link
{
  const struct link *next;
  int (*call) (int);
  const char *name;
  const char *into;
  void (*none) (void);
  uintptr_t number;
};

static int
twice (int n)
{
  return 2 * n;
}

static int
next (int n)
{
  return n + 1;
}

static const struct link last;
static const struct link first
  = { &last, twice, "first", digits + 10, nobody, (uintptr_t) absolute };
static const struct link last
  = { &first, next, "last", zeroes + 32, nobody, (uintptr_t) absolute };
/* Words side by side, as bits tell them best. */
static const char *volatile const names[80] = {
  [0] = "zero", [1] = "one", [2] = "two", [30] = "thirty", [31] = "one more",
  [32] = "and one", [62] = "near the end of a bitmap", [63] = "its end",
  [64] = "behind it", [79] = "last",
};
/* Words whose addresses are odd: no bitmap can tell those. */
static struct
{
  char one;
  const char *volatile odd;
} __attribute__ ((packed)) crooked = { 1, "odd" };

static int
same (const char *a, const char *b)
{
  while (*a && *a == *b)
    a++, b++;
  return *a == *b;
}

static void
pointers (void)
{
  const struct link *volatile at = &first;
  expect (at->next->next == at, "list");
  expect (at->call (21) == 42 && at->next->call (41) == 42, "functions");
  expect (same (at->name, "first") && same (at->next->name, "last"), "names");
  expect (*at->into == 'a' && *at->next->into == 0, "middle of an object");
  expect (at->next->into == zeroes + 32, "zeroes");
  expect (!at->none && !at->next->none, "nobody");
  expect (at->number == 0x12345678, "absolute");
  expect (same (names[0], "zero") && same (names[2], "two"), "words");
  expect (same (names[31], "one more") && same (names[32], "and one"), "32");
  expect (same (names[63], "its end") && same (names[64], "behind it"), "64");
  expect (!names[3] && !names[78] && same (names[79], "last"), "ends");
  expect (same (crooked.odd, "odd"), "odd");
}

static uint32_t
word (const uint8_t *at)
{
  return *(const uint32_t *) at;
}

/* Sections of the image lie in it, where it lies now. */
static int
sections (const uint8_t *tag)
{
  uint32_t count = word (tag + 8), stride = word (tag + 12), found = 0;
  for (const uint8_t *at = tag + 20; count--; at += stride)
    {
      uint32_t flags = word (at + 8);
      uint32_t addr = word (at + (stride < 64 ? 12 : 16));
      uint32_t size = word (at + (stride < 64 ? 20 : 32));
      if (!(flags & 2) || !size)
	continue;
      expect (addr >= (uintptr_t) image
	      && addr + size <= (uintptr_t) image_end, "section address");
      found++;
    }
  return found;
}

static void
field (const char *name, uint32_t value)
{
  text (name);
  hex (value, 8);
}

static void
dump (const uint8_t *info)
{
  uint32_t len = word (info);
  field ("\nmb2k mbi at=", (uintptr_t) info);
  field (" len=", len);
  for (uint32_t at = 0; at < len; at++)
    {
      if (at % 32 == 0)
	{
	  text ("\nmb2k mbi ");
	  hex (at, 6);
	  text (": ");
	}
      hex (info[at], 2);
    }
}

__attribute__ ((noreturn)) void
kernel_main (uint32_t magic, const uint8_t *info)
{
  uint32_t base = 0, found = 0;
  out8 (0x3f8 + 1, 0);
  text ("\nmb2k begin\nmb2k entry kind=00000000");
  expect (magic == MAGIC, "magic");
  for (int i = 0; i < 64; i++)
    expect (!zeroes[i], "bss is not zero");
  pointers ();
  for (const uint8_t *tag = info + 8; word (tag);
       tag += (word (tag + 4) + 7) & ~7u)
    {
      if (word (tag) == TAG_LOAD_BASE)
	base = word (tag + 8);
      if (word (tag) == TAG_SECTIONS)
	found = sections (tag);
    }
  expect (found > 3, "sections");
  field ("\nmb2k image base=", (uintptr_t) image);
  field (" link=", LINK_BASE);
  field (" len=", image_end - image);
  field (" mem=", image_end - image);
  field (" fnv=", 0);
  field (" relocs=", base == LINK_BASE ? 0 : 1);
  field (" already=", 0);
  text ("\nmb2k bss zero");
  dump (info);
  end ("end ok", 0x10);
  __builtin_unreachable ();
}
