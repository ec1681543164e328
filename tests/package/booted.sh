#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# booted.sh: the packages where systemd runs, in the root directory that bare.sh made; a unit starts it at each boot. First
# boot: install, record, kill, stop. Second boot: the exporter is there by itself; purge. /booted.good says that all of it went well.
set -eu

. /common.sh
trap 'systemctl --no-block exit' EXIT

value() { systemctl show -p "$1" --value kvtel.service; }
ready() { curl -fs http://127.0.0.1:9466/-/ready >/dev/null 2>&1; }
counted() { curl -fsS http://127.0.0.1:9466/metrics 2>/dev/null | grep -q '_bytes_transferred_count{.*} [1-9]'; }
inside() { nsenter --mount --target "$(value MainPID)" "$@" 2>&1; }
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(value MainPID)/status"; }

# is WHAT WANTED FOUND
is() { [ "$2" = "$3" ] || fail "$1 is $3, not $2"; }

if [ ! -e /booted.once ]; then
    say "the package starts the service"
    dpkg -i /packages/*.deb >/dev/null
    is "the service" active "$(value ActiveState)" # Type=notify: it has said so itself
    until_true ready || fail "no answer"
    is "the user" "$(id -u kvtel)" "$(status Uid | cut -f 1)"
    is "its capabilities" 0000000000000000 "$(status CapEff)"
    is "its bounding set" 0000000000000000 "$(status CapBnd)"
    is NoNewPrivs 1 "$(status NoNewPrivs)"
    is Seccomp 2 "$(status Seccomp)"
    inside touch /usr/a /etc/a /var/lib/a | grep -c 'Read-only file system' | grep -qx 3 || fail "it may write beside its directory"
    inside touch /run/kvtel/a && rm /run/kvtel/a || fail "it may not write in its directory"
    touch /root/a /tmp/a
    ! inside test -e /root/a && ! inside test -e /tmp/a || fail "it sees homes, or the machine's /tmp"

    say "an engine records; the exporter is killed and comes back"
    usermod --append --groups kvtel engine
    setpriv --reuid engine --regid engine --init-groups env KVTEL_STORE_DIR=/run/kvtel KVTEL_STORE_MODE=0640 /example/connector
    until_true counted || fail "what it recorded is not on the page"
    first=$(value MainPID)
    systemctl kill --signal=KILL kvtel.service
    back() { [ "$(value ActiveState)" = active ] && [ "$(value MainPID)" != "$first" ] && ready; }
    until_true back || fail "it does not come back: $(systemctl status kvtel.service)"
    until_true counted || fail "what it had counted is gone"
    systemctl reload kvtel.service
    is "the service after a reload" active "$(value ActiveState)"

    say "stopped"
    systemctl stop kvtel.service
    is "the result" "inactive success" "$(value ActiveState) $(value Result)"
    ! ready || fail "something answers"
    touch /booted.once
else
    say "at the next boot it runs by itself"
    until_true ready || fail "no answer: $(systemctl status kvtel.service)"
    is "the directory" "3770 kvtel kvtel" "$(stat -c '%a %U %G' /run/kvtel)"
    say "purged"
    dpkg --purge kvtel libkvtel-dev $(cd /packages && ls libkvtel0*.deb | sed 's/_.*//') >/dev/null
    is "the service" inactive "$(value ActiveState)"
    is "the unit" not-found "$(value LoadState)"
    is "the system" "" "$(systemctl --failed --plain --no-legend)"
    touch /booted.good
fi
