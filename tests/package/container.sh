#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# container.sh SOURCE WORK: deploy/Dockerfile by buildah, on a base made by debootstrap (WORK/base, that of bare.sh) where no registry is in
# reach. The image runs the program as a user who is not root, its health check passes, and its list of contents is whole.
set -eu

source=$1 work=$2
buildah="buildah --root $work/containers --runroot $work/containers.run --storage-driver vfs"
. "$source/tests/package/common.sh"

bare_debian
rm -rf "$work/containers" "$work/containers.run"
trap 'rm -rf "$work/containers" "$work/containers.run"' EXIT
say "debian:12 from it"
cp /etc/apt/apt.conf.d/* "$base/etc/apt/apt.conf.d/" 2>/dev/null || :
container=$($buildah from scratch)
$buildah add -q "$container" "$base" / >/dev/null
for name in debian:12 debian:12-slim; do $buildah commit -q "$container" "docker.io/library/$name" >/dev/null; done
$buildah rm "$container" >/dev/null

say "deploy/Dockerfile"
$buildah bud -q --isolation chroot --pull-never --format docker -f "$source/deploy/Dockerfile" -t kvtel "$source" >"$work/bud.log" 2>&1 ||
    fail "$(tail -n 30 "$work/bud.log")"
$buildah inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}}' kvtel | grep '^1000:1000 .*healthy' ||
    fail "its user or its health check"
container=$($buildah from --pull-never kvtel)
mounted=$($buildah mount "$container")
echo "the image takes $(du -sm "$mounted" | cut -f 1) MB, the program in it $(du -sk "$mounted/usr/bin/kvtel" | cut -f 1) KiB"
python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["packages"]), "packages in its list")' "$mounted/usr/share/doc/kvtel/kvtel.spdx.json"
for package in $(python3 -c 'import json, sys
for one in json.load(open(sys.argv[1]))["packages"]:
    if one["name"] not in ("kvtel", "libmsgpack-dev", "libjs-chart.js"): print(one["name"])' "$mounted/usr/share/doc/kvtel/kvtel.spdx.json"); do
    [ -e "$mounted/usr/share/doc/$package/copyright" ] || fail "no licence of $package"
done

say "it runs as user 1000, and its health check tells whether it does"
health=$($buildah inspect --type image --format '{{index .Docker.Config.Healthcheck.Test 3}}' kvtel)
$buildah run --isolation chroot "$container" -- /bin/bash -c "
    [ \"\$(id -u)\" = 1000 ] || exit 3
    mkdir -m 700 /tmp/stores; /usr/bin/kvtel serve --web.listen-address=127.0.0.1:9466 --store.dir=/tmp/stores 2>/tmp/log & serve=\$!
    for try in {1..300}; do bash -c \"\$0\" 2>/dev/null && healthy=1 && break; sleep 0.2; done
    kill \$serve; wait; [ \"\${healthy-}\" = 1 ] || { cat /tmp/log; exit 4; }
    bash -c \"\$0\" 2>/dev/null && exit 5 || exit 0" "$health" || fail "the program, or its health check: $?"
say "good"
