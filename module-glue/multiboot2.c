/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module as GRUB sees it: licence, commands, callbacks.  Everything that
   decides is in Rust.  */

#include <grub/types.h>
#include <grub/command.h>
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/i18n.h>
#include <grub/loader.h>
#include <grub/misc.h>
#include <mb2_abi.h>

GRUB_MOD_LICENSE ("GPLv3+");

static grub_dl_t my_mod;
static grub_command_t cmd_multiboot2, cmd_module2;

static grub_err_t
multiboot2_boot (void)
{
  return mb2_rs_boot ();
}

static grub_err_t
multiboot2_unload (void)
{
  mb2_rs_unload ();
  grub_dl_unref (my_mod);
  return GRUB_ERR_NONE;
}

MB2_ABI void
mb2_grub_loader_set (void)
{
  grub_loader_set (multiboot2_boot, multiboot2_unload, 0);
  grub_dl_ref (my_mod);
}

MB2_SHIM (void, mb2_grub_loader_unset, (void), grub_loader_unset ())

static grub_err_t
multiboot2_command (grub_command_t cmd __attribute__ ((unused)),
                    int argc, char **argv)
{
  return mb2_rs_multiboot2 (argc, argv);
}

static grub_err_t
module2_command (grub_command_t cmd __attribute__ ((unused)),
                 int argc, char **argv)
{
  return mb2_rs_module2 (argc, argv);
}

GRUB_MOD_INIT (multiboot2)
{
  my_mod = mod;
  cmd_multiboot2 =
    grub_register_command ("multiboot2", multiboot2_command, 0, N_("Load a multiboot 2 kernel."));
  cmd_module2 =
    grub_register_command ("module2", module2_command, 0, N_("Load a multiboot 2 module."));
}

GRUB_MOD_FINI (multiboot2)
{
  grub_unregister_command (cmd_multiboot2);
  grub_unregister_command (cmd_module2);
}
