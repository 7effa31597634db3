# SPDX-License-Identifier: GPL-3.0-or-later
# Does for one module what grub-install does for all: the file that GRUB reads becomes a copy of
# the one in /usr/lib. Only where both folders are of the same GRUB.
refresh() {
    from="${DPKG_ROOT:-}/usr/lib/grub/@PLATFORM@"
    to="${DPKG_ROOT:-}/boot/grub/@PLATFORM@"
    if ! [ -e "$from/multiboot2.mod" ] || ! [ -e "$to/multiboot2.mod" ]; then
        return 0
    fi
    if ! cmp -s "$from/modinfo.sh" "$to/modinfo.sh"; then
        echo "$to is of another GRUB and stays as it is: grub-install renews it" >&2
        return 0
    fi
    if ! cmp -s "$from/multiboot2.mod" "$to/multiboot2.mod"; then
        cp --preserve=timestamps "$from/multiboot2.mod" "$to/multiboot2.mod.part"
        sync "$to/multiboot2.mod.part"
        mv -f "$to/multiboot2.mod.part" "$to/multiboot2.mod"
        sync "$to"
    fi
}
