#!/bin/sh
# archive.sh FOLDER JAVA: makes FOLDER/mayfly.jsa, the class-data archive with which java starts in half the time. An archive is
# only good for jars at the very paths it was made with, and inside a sandbox they lie in /mayfly/java: so it is made in a root of its own
# that has them there. Where this machine allows no namespaces there is no archive, and java starts without.
set -eu
folder=$(realpath "$1")
shift
root=$(mktemp -d)
trap 'rmdir "$root"' EXIT
unshare --user --map-root-user --mount sh -eu -c '
  folder=$1 root=$2
  shift 2
  mount -t tmpfs none "$root"
  mkdir -p "$root/mayfly/java" "$root/tmp" "$root/proc" "$root/dev" "$root/etc"
  for place in /usr /proc /dev /etc; do mount --rbind "$place" "$root$place" 2>/dev/null || { mkdir -p "$root$place"; mount --rbind "$place" "$root$place"; }; done
  for link in /bin /lib /lib64; do [ -L "$link" ] && cp -P "$link" "$root$link"; done
  mount --bind "$folder" "$root/mayfly/java"
  exec chroot "$root" "$@" @/mayfly/java/options -XX:ArchiveClassesAtExit=/mayfly/java/mayfly.jsa -cp /mayfly/java/mayfly.jar:/mayfly/java/gson.jar mayfly.Main --warm-up
' sh "$folder" "$root" "$@"
