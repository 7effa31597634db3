#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
set -e

@REFRESH@
case "$1" in
    configure|abort-remove|abort-upgrade|abort-deconfigure)
        refresh
        ;;
esac
