# Throw-away ZFS pools on sparse files, for tools/demo and tests/e2e/test_zfs.py. Sourced by bash, or run: `zfs.sh serve FOLDER`
# makes two pools, prints "ready KIND POOL POOL" (or "skip WHY"), waits for its stdin to close, and takes everything away.
# The kernel's ZFS is used where it is there, else zfs-fuse, started here where none runs. Only pools made here are ever touched.
#
#   zfs_open FOLDER         needs root; sets ZFS_KIND (kernel|fuse); fails with the reason in ZFS_WHY
#   zfs_make_pool NAME      a pool on FOLDER/NAME.img (1 GiB, sparse), mounted at FOLDER/NAME
#   zfs_close               destroys the pools that zfs_make_pool made, stops the daemon that zfs_open started

ZFS_KIND=
ZFS_WHY=
ZFS_FOLDER=
ZFS_POOLS=()
ZFS_DAEMON=
ZFS_PATIENCE_S=15

zfs_answers() { timeout 10 zpool list >/dev/null 2>&1; }

zfs_open() {
  ZFS_FOLDER=$1
  PATH=$PATH:/usr/sbin:/sbin
  if [ "$(id -u)" -ne 0 ]; then
    ZFS_WHY="pools are made by root only"
    return 1
  fi
  # One user of throw-away pools at a time: a second one must not lose the daemon when the first one stops it.
  mkdir -p /run/lock
  exec 9>/run/lock/zferry-zfs.lock
  flock -w 600 9 || { ZFS_WHY="another run holds /run/lock/zferry-zfs.lock"; return 1; }
  if [ -e /dev/zfs ] && zfs_answers; then
    ZFS_KIND=kernel
    return 0
  fi
  if ! command -v zfs-fuse >/dev/null; then
    ZFS_WHY="this kernel has no ZFS (/dev/zfs), and zfs-fuse is not installed"
    return 1
  fi
  ZFS_KIND=fuse
  zfs_answers && return 0
  if [ ! -e /dev/fuse ]; then
    ZFS_WHY="no /dev/fuse here, which zfs-fuse needs (a container: run it with --device /dev/fuse --cap-add SYS_ADMIN)"
    return 1
  fi
  zfs_start_daemon
}

zfs_start_daemon() {
  setsid zfs-fuse -n >"$ZFS_FOLDER/zfs-fuse.log" 2>&1 9>&- </dev/null &
  ZFS_DAEMON=$!
  disown "$ZFS_DAEMON"   # else bash announces its end
  local tries
  for ((tries = 0; tries < ZFS_PATIENCE_S * 10; tries++)); do
    if ! kill -0 "$ZFS_DAEMON" 2>/dev/null; then break; fi
    zfs_answers && return 0
    sleep 0.1
  done
  ZFS_WHY="zfs-fuse does not start: $(tail -n 1 "$ZFS_FOLDER/zfs-fuse.log")"
  zfs_stop_daemon
  return 1
}

zfs_stop_daemon() {
  [ -n "$ZFS_DAEMON" ] || return 0
  kill "$ZFS_DAEMON" 2>/dev/null || true
  local tries
  for ((tries = 0; tries < ZFS_PATIENCE_S * 10; tries++)); do
    kill -0 "$ZFS_DAEMON" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$ZFS_DAEMON" 2>/dev/null || true
  ZFS_DAEMON=
}

zfs_make_pool() {
  local name=$1
  truncate -s 1G "$ZFS_FOLDER/$name.img" || return 1
  ZFS_POOLS+=("$name")   # before it exists: a signal in between must not leave it behind
  local said
  said=$(zpool create -m "$ZFS_FOLDER/$name" "$name" "$ZFS_FOLDER/$name.img" 2>&1) && return 0
  echo "$said" >&2
  return 1
}

zfs_close() {
  local name tries
  for name in ${ZFS_POOLS[@]+"${ZFS_POOLS[@]}"}; do
    for ((tries = 0; tries < ZFS_PATIENCE_S * 2; tries++)); do   # a receive that was just killed holds its pool for a moment
      zpool list "$name" >/dev/null 2>&1 || break
      zpool destroy -f "$name" >/dev/null 2>&1 && break
      sleep 0.5
    done
    if zpool list "$name" >/dev/null 2>&1; then echo "zfs.sh: pool $name cannot be destroyed" >&2; fi
    rm -f "$ZFS_FOLDER/$name.img"
  done
  ZFS_POOLS=()
  zfs_stop_daemon
}

zfs_serve() {
  local first=zferrytest$$a second=zferrytest$$b
  trap 'zfs_close' EXIT
  trap 'exit 1' INT TERM HUP
  if ! zfs_open "$1"; then
    echo "skip $ZFS_WHY"
    return 0
  fi
  if ! { zfs_make_pool $first && zfs_make_pool $second; } 2>"$1/zpool.log"; then
    echo "skip no pool can be made here: $(head -n 1 "$1/zpool.log")"
    return 0
  fi
  echo "ready $ZFS_KIND $first $second"
  cat >/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:-} in
    serve) zfs_serve "$2" ;;
    *) echo "usage: zfs.sh serve FOLDER" >&2; exit 2 ;;
  esac
fi
