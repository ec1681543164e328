#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bare.sh SOURCE PACKAGES WORK: the packages on a bare Debian 12, made by debootstrap in WORK/base and copied for each run, and then on the
# same one with systemd as its first process. As root; what is mounted is in a namespace of its own, and ends with it.
set -eu

if [ "${BARE_NAMESPACE-}" != 1 ]; then
    [ "$(id -u)" = 0 ] || { echo "it makes a root directory of its own: run it as root" >&2; exit 1; }
    BARE_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"
fi

source=$1 packages=$2 work=$3
root=$work/root
. "$source/tests/package/common.sh"
# in_root COMMAND...: there, with an environment of its own.
in_root() {
    chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        $(env | grep -E '^(https?|no)_proxy=' || true) "$@"
}

bare_debian
rm -rf --one-file-system "$root"
cp -a "$base" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || :
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # nothing is started here
chmod +x "$root/usr/sbin/policy-rc.d"
mkdir "$root/packages" "$root/example"
cp "$packages"/*.deb "$root/packages/"
cp "$source/examples/connector.c" "$root/example/"

say "apt installs them, and what they need"
in_root sh -c 'apt-get -qq update && apt-get -qq -y --no-install-recommends install /packages/*.deb gcc libc6-dev pkg-config man-db' \
    >"$work/install.log" 2>&1 || fail "$(tail -n 30 "$work/install.log")"

say "user, group and directory"
in_root getent passwd kvtel | grep -q ':/usr/sbin/nologin$' || fail "no user kvtel"
found=$(in_root stat -c '%a %U %G' /run/kvtel)
[ "$found" = "3770 kvtel kvtel" ] || fail "/run/kvtel is $found"

say "the unit"
unit=$root/usr/lib/systemd/system/kvtel.service
in_root systemd-analyze verify kvtel.service >"$work/verify.log" 2>&1 || :
! grep kvtel "$work/verify.log" || fail "systemd-analyze verify complains"
in_root systemd-analyze security --offline=yes --threshold=15 --no-pager kvtel.service >"$work/security.log" 2>&1 ||
    fail "systemd-analyze security: $(tail -n 3 "$work/security.log")"
in_root systemctl is-enabled kvtel.service | grep -qx enabled || fail "it is not enabled"
grep -qx 'User=kvtel' "$unit" && grep -qx 'EnvironmentFile=-/etc/default/kvtel' "$unit" || fail "the unit's user or file"

say "the unit's command as the unit's user"
port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000)) # not by $$, which is 1 here
sed -i "s/^KVTEL_OPTIONS=.*/KVTEL_OPTIONS=\"--web.listen-address=127.0.0.1:$port\"/" "$root/etc/default/kvtel"
command=$(sed -n 's/^ExecStart=//p' "$unit")
environment=$(sed -n 's/^Environment=//p' "$unit")
in_root setpriv --reuid kvtel --regid kvtel --clear-groups sh -c "umask 077; . /etc/default/kvtel; exec env $environment $command" \
    >"$work/serve.log" 2>&1 &
page() { curl -fsS "http://127.0.0.1:$port/metrics" 2>/dev/null; }
ready() { curl -fs "http://127.0.0.1:$port/-/ready" >/dev/null 2>&1; }
until_true ready || fail "the exporter does not start: $(cat "$work/serve.log")"

say "the example in C, built by pkg-config, as a user of another name in the group kvtel"
in_root sh -c 'cc -Wall -Wextra -Werror $(pkg-config --cflags kvtel_record) /example/connector.c -o /example/connector $(pkg-config --libs kvtel_record)'
in_root useradd --system --groups kvtel engine
in_root setpriv --reuid engine --regid engine --init-groups env KVTEL_STORE_DIR=/run/kvtel KVTEL_STORE_MODE=0640 /example/connector
counted() { page | grep -q '_bytes_transferred_count{.*} [1-9]'; }
until_true counted || fail "what it recorded is not on the page"
removed() { ! ls "$root"/run/kvtel/*-*.kvtel >/dev/null 2>&1; }
until_true removed || fail "the store that ended is still there: $(ls -l "$root/run/kvtel")"
counted || fail "the totals lack it"

say "NIXL's plug-in is found"
in_root sh -c 'mkdir -p /nixl && touch /nixl/libplugin_UCX.so && kvtel nixl install --plugins=/nixl' >"$work/nixl.log" 2>&1 || fail "$(cat "$work/nixl.log")"
in_root readlink -e /nixl/libtelemetry_exporter_kvtel.so >/dev/null || fail "no link to the plug-in"

say "manual pages"
for page in $(cd "$root/usr/share/man" && find . -name '*kvtel*.gz' | sed 's|.*/||; s|\.gz$||'); do
    in_root man --pager=cat "${page##*.}" "${page%.*}" | grep -q . || fail "man ${page##*.} ${page%.*}"
done

say "again, then removed and purged"
in_root sh -c 'dpkg -i /packages/*.deb' >"$work/again.log" 2>&1 || fail "$(cat "$work/again.log")"
grep -q "$port" "$root/etc/default/kvtel" || fail "/etc/default/kvtel was overwritten"
in_root apt-get -qq -y purge kvtel libkvtel-dev 'libkvtel0*' >"$work/purge.log" 2>&1 || fail "$(cat "$work/purge.log")"
[ ! -e "$root/etc/default/kvtel" ] && [ ! -e "$root/usr/bin/kvtel" ] || fail "something is left"

say "systemd starts"
in_root sh -c 'apt-get -qq -y --no-install-recommends install systemd-sysv curl' >"$work/systemd.log" 2>&1 || fail "$(tail -n 30 "$work/systemd.log")"
rm "$root/usr/sbin/policy-rc.d" # here something is started
cp "$source/tests/package/booted.sh" "$source/tests/package/common.sh" "$root/"
cat >"$root/etc/systemd/system/booted.service" <<'END'
[Unit]
Description=The packages' test
After=multi-user.target

[Service]
Type=oneshot
StandardOutput=append:/booted.log
StandardError=append:/booted.log
ExecStart=/booted.sh

[Install]
WantedBy=default.target
END
in_root systemctl enable booted.service >/dev/null 2>&1
umount --recursive "$root/proc" "$root/dev"
# boot NAME: until the test has ended; it leaves a file of this name if all went well.
boot() {
    rm -f "$root/booted.log"
    timeout --kill-after=120 300 systemd-nspawn --boot --quiet --register=no --keep-unit --private-network --console=pipe --machine=kvtel-test \
        --directory="$root" </dev/null >"$work/nspawn.log" 2>&1 || :
    # its control groups are left, empty, in the one of this process
    for path in $(sed -n 's/^0:://p; s/^[0-9]*:name=systemd://p' /proc/self/cgroup); do
        for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
            rmdir "$tree$path/payload/init.scope" "$tree$path/payload" "$tree$path/supervisor" 2>/dev/null || :
        done
    done
    cat "$root/booted.log" || fail "systemd did not start: $(tail -n 5 "$work/nspawn.log")"
    [ -e "$root/booted.$1" ] || fail "with systemd"
}
boot once
boot good
say "good"
