/**
 * What `unshare` runs as the first process of an isolated run, in the words of a POSIX shell.
 *
 * Arguments: uid, gid, folder, sources of binds, `--`, steps, `--`, the command. Promises: the command has no capability in
 * the namespace that owns the mounts, so none of them can be undone; a step that fails ends it all.
 */

export const isolationScript = `
set -e
uid=$1 gid=$2 cwd=$3; shift 3
ip link set lo up

# A folder of devices of our own. Where things come from is held in it, until all that hides them is in place.
mount -t tmpfs -o mode=0755 none /mnt
cd /mnt
for one in null zero full random urandom tty; do : > $one; mount --bind /dev/$one $one; done
mkdir pts shm from
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 none pts
mount -t tmpfs -o mode=1777 none shm
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s fd/0 stdin
ln -s fd/1 stdout
ln -s fd/2 stderr
count=0
while [ "$1" != -- ]; do
  count=$((count + 1))
  if [ -d "$1" ]; then mkdir from/$count; else : > from/$count; fi
  mount --rbind "$1" from/$count
  shift
done
shift
cd /
mount --rbind /mnt /dev
umount -l /mnt
mount -t proc none /proc

while [ "$1" != -- ]; do
  case $1 in
    empty)
      mkdir -p "$2"
      mount -t tmpfs -o mode=0755 none "$2"
      shift 2 ;;
    nothing)
      mount --bind /dev/null "$2"
      shift 2 ;;
    bind | bind-ro)
      if [ -d /dev/from/$2 ]; then mkdir -p "$3"; else mkdir -p "\${3%/*}"; [ -e "$3" ] || : > "$3"; fi
      mount --rbind /dev/from/$2 "$3"
      if [ $1 = bind-ro ]; then
        # What a mount was made with may not be taken back by us, so it is said again.
        mount -o remount,bind,ro,nosuid,nodev "$3" 2>/dev/null || mount -o remount,bind,ro,nosuid,nodev,noexec "$3"
      fi
      shift 3 ;;
  esac
done
shift
for one in /dev/from/*; do [ ! -e "$one" ] || umount -l "$one"; done
cd "$cwd"

# Not exec: the first process also buries orphans. Signals are the command's own affair.
set +e
trap '' HUP INT QUIT TERM
unshare --user --map-user="$uid" --map-group="$gid" -- setpriv --no-new-privs -- "$@"
exit $?
`
