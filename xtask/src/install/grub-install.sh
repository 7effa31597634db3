# SPDX-License-Identifier: GPL-3.0-or-later
# Lets grub-install put GRUB on a disk in a file. Needs the rights of root and a mount namespace
# of its own, so that nothing stays mounted. Arguments: the file, where its partition begins in
# bytes, the platform, a folder to mount on, and the folder that gets a copy of all files.
# The status is 42 where the system allows no such mount.
set -eu
image=$1 offset=$2 platform=$3 place=$4 tree=$5

disk=$(losetup --find --show "$image") || exit 42
trap 'losetup --detach "$disk"' EXIT
partition=$(losetup --find --show --offset "$offset" "$image") || exit 42
trap 'umount -q "$place" || true; losetup --detach "$partition" "$disk"' EXIT
mount "$partition" "$place" || exit 42
case $platform in
  *-pc) set -- --no-floppy --modules=part_msdos "$disk" ;;
  *) set -- --removable --no-nvram --efi-directory="$place" ;;
esac
grub-install --target="$platform" --boot-directory="$place/boot" "$@"
cp -R --preserve=mode,timestamps "$place/." "$tree"
chown -R --reference="$image" "$tree"
