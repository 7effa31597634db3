#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
set -e

case "$1" in
    install|upgrade)
        dpkg-divert --package @PACKAGE@ --add --rename \
            --divert /usr/lib/grub/@PLATFORM@/multiboot2.mod.distrib \
            /usr/lib/grub/@PLATFORM@/multiboot2.mod
        ;;
esac
