#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
set -e

@REFRESH@
case "$1" in
    remove|abort-install|disappear)
        dpkg-divert --package @PACKAGE@ --remove --rename \
            --divert /usr/lib/grub/@PLATFORM@/multiboot2.mod.distrib \
            /usr/lib/grub/@PLATFORM@/multiboot2.mod
        refresh
        ;;
esac
