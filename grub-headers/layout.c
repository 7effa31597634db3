/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes of the structs that cross the line, as C sees them.  The build script
   compiles this for the processor of the module and throws it away; what Rust
   sees is asserted by bindgen's layout tests.  */

#include <mb2_abi.h>

#define SIZE(type, size) \
  _Static_assert (sizeof (struct type) == (size), \
                  #type " changed: see src/ffi and mb2_abi.h")

SIZE (mb2_range, 24);
SIZE (mb2_chunk, 8 + sizeof (void *));
SIZE (mb2_window, 20);
SIZE (mb2_boot_device, 16);
SIZE (mb2_apm, 20);
SIZE (mb2_video, 40);
SIZE (mb2_efi, 16);
SIZE (mb2_efi_map, 16);
