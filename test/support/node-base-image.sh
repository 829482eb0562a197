#!/usr/bin/env bash
# A stand-in for the official Node image, made of this Debian machine's own packages, the Node the tests run on and its npm:
# nothing is pulled. Usage: node-base-image.sh NODE TAG, with buildah's storage in the environment.
set -euo pipefail
node=$1 tag=$2
npm=$(dirname "$(dirname "$(realpath "$(command -v npm)")")")
packages=(apt base-files base-passwd bash coreutils dash debian-archive-keyring debianutils findutils grep gzip libatomic1 libc-bin
  libstdc++6 mawk sed tar tini)
only=(--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances)

container=$(buildah from scratch)
root=$(buildah mount "$container")
mkdir -p "$root"/{dev,proc,root,sys,tmp} "$root"/usr/{bin,lib,lib64,sbin} "$root"/usr/local/{bin,lib/node_modules} "$root"/etc/ssl/certs \
  "$root"/etc/apt/preferences.d "$root"/var/cache/apt/archives/partial "$root"/var/lib/apt/lists/partial \
  "$root"/var/lib/dpkg/{alternatives,info,triggers,updates}
chmod 1777 "$root/tmp"
for folder in bin lib lib64 sbin; do ln -s "usr/$folder" "$root/$folder"; done

apt-cache depends --recurse --installed "${only[@]}" "${packages[@]}" | grep '^[a-z]' | sort -u \
  | while read -r package; do dpkg -L "$package" 2>/dev/null || true; done \
  | grep -vE '^/usr/share/(doc|info|locale|man)/' | sort -u \
  | while read -r file; do if [ ! -d "$file" ] && [ -e "$file" ]; then echo ".$file"; fi; done \
  | tar -C / -cf - -T - | tar -C "$root" -xf - --keep-directory-symlink
cp /var/lib/dpkg/status "$root/var/lib/dpkg/"
cp -r /etc/apt/sources.list* /etc/apt/trusted.gpg.d "$root/etc/apt/"
cp /etc/passwd /etc/group "$root/etc/"
# Registries may be reached through a proxy whose root this machine trusts.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -L "$node" "$root/usr/local/bin/node"
cp -r "$npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"

buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet --rm --format docker "$container" "$tag"
