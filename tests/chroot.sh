#!/usr/bin/env bash
# Proof of the two commands on a fresh machine: a bare Debian 12 in a chroot with only Node added, a clean clone, and
# nothing of this project cached. Run as root, with debootstrap installed and Node 20 on this machine.
#
#   tests/chroot.sh [FOLDER [TASK …]]     default: a new folder under /var/tmp, tasks `test` and `reproduce`
#
# The Debian mirror, the proxy and npm's settings are taken from this machine: from its apt sources, its environment
# and its npm configuration. MIRROR=… overrides the first.
set -euo pipefail
# A mount namespace of its own: what is mounted below ends with this script.
[ -n "${OLORA_OWN_MOUNTS:-}" ] || exec env OLORA_OWN_MOUNTS=1 unshare --mount bash "$0" "$@"
repo=$(cd "$(dirname "$0")/.." && pwd)
chroot=${1:-$(mktemp -d /var/tmp/olora-chroot.XXXX)}
shift || true
tasks=("$@")
[ ${#tasks[@]} -gt 0 ] || tasks=(test reproduce)

mirror=${MIRROR:-$(grep -rhoE 'https?://[^ ]+/debian/? ?' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
  grep -v snapshot | head -n 1 | tr -d ' ' || true)}
[ -n "$mirror" ] || { echo "error: no Debian mirror in apt's sources; set MIRROR" >&2; exit 1; }

[ -e "$chroot/etc/debian_version" ] || debootstrap --variant=minbase --include=ca-certificates bookworm "$chroot" "$mirror"

# Node and npm as they are here; a copied Node needs no more than libstdc++ beyond the C library.
node=$(readlink -f "$(command -v node)")
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
install -D "$node" "$chroot/usr/local/bin/node"
mkdir -p "$chroot/usr/local/lib/node_modules"
cp -a "$npm" "$chroot/usr/local/lib/node_modules/"
for program in npm npx; do
  ln -sf "../lib/node_modules/npm/bin/$program-cli.js" "$chroot/usr/local/bin/$program"
done
# What lets this machine reach its registries is no part of the proof: certificates, name resolution, settings.
cp -L /etc/resolv.conf /etc/hosts "$chroot/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$chroot/etc/ssl/certs/"
for file in /etc/apt/apt.conf.d/*proxy*; do [ ! -e "$file" ] || cp "$file" "$chroot/etc/apt/apt.conf.d/"; done
npm config ls -l 2>/dev/null | sed -nE 's/^(registry|https-proxy|proxy|cafile) = "(.*)"$/\1=\2/p' >"$chroot/root/.npmrc"

rm -rf "$chroot/srv/kit"
git clone -q --no-hardlinks "$repo" "$chroot/srv/kit"

mount -t proc proc "$chroot/proc"
mount -t sysfs sysfs "$chroot/sys"
mount --bind /dev "$chroot/dev"

inside() {
  env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb NO_COLOR=1 \
    http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" \
    ${SSL_CERT_FILE:+SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt} \
    ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt} \
    chroot "$chroot" bash -c "cd /srv/kit && $1"
}
inside 'node --version; command -v deno git python3 chromium; ls /usr/share/vulkan 2>&1 | head -n 1; true'

if [ ! -e "$chroot/usr/share/vulkan/icd.d" ]; then
  echo "== without an adapter and not as root: one line to run, exit 1"
  nobody='setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp/nobody DENO_DIR=/tmp/nobody/deno'
  answer=$(inside "mkdir -p /tmp/nobody && chown 65534 /tmp/nobody && $nobody npx -y deno@2.9 task setup 2>&1; echo exit \$?")
  echo "$answer"
  grep -q 'sudo apt-get install -y libvulkan1 mesa-vulkan-drivers' <<<"$answer"
  grep -q '^exit 1$' <<<"$answer"
fi
for task in "${tasks[@]}"; do
  echo "== npx -y deno@2.9 task $task"
  start=$SECONDS
  inside "npx -y deno@2.9 task $task"
  echo "== $task: $((SECONDS - start)) s"
done
echo "both commands passed in $chroot"
