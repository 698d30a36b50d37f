# Runs as PID 1 of a new PID namespace, in a new mount namespace whose mounts reach no other: gives it a root of its
# own, as an image would look, and becomes the launcher. All of it is in memory and vanishes with the namespace.
# The launcher changes /dev and kills whatever it can see, so /dev and /proc must be the new ones before it starts.
# $1 launcher, $2 bytes of the workspace; then the launcher's own arguments.
set -eu
size=$2 uid=$4
umask 022
exec 3<"$1" # It may lie below what is covered next.
shift 2
root=/tmp # Any directory will do to mount the new root on.

mount -t tmpfs -o mode=755,size=16m tmpfs "$root"
cd "$root"
mkdir dev etc old proc usr workspace
mount -o bind,ro,nosuid /usr usr
for folder in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$folder" ]; then
    cp -P "/$folder" "$folder"
  elif [ -d "/$folder" ]; then
    mkdir "$folder"
    mount -o bind,ro,nosuid "/$folder" "$folder"
  fi
done
mount -t tmpfs -o "mode=700,size=$size,uid=$uid,gid=$uid,nosuid,nodev" tmpfs workspace
ln -s workspace/.tmp tmp
ln -s /dev/passwd etc/passwd
ln -s /dev/group etc/group
cat <&3 >launcher
exec 3<&-
chmod 755 launcher

mount -t tmpfs -o mode=755,size=64k,nosuid tmpfs dev
mkdir dev/pts
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t devpts -o newinstance,ptmxmode=0000,mode=620,gid=5 devpts dev/pts
mount -t proc -o nosuid,nodev,noexec proc proc

pivot_root . old
cd /workspace
umount -l /old
rmdir /old
exec /launcher "$@"
