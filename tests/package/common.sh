# SPDX-License-Identifier: Apache-2.0
# What bare.sh, booted.sh and container.sh share. The script that reads it has set $work where it makes a Debian.

say() { echo "== $*"; }

fail() {
    echo "$(basename "$0" .sh): $*" >&2
    exit 1
}

# until_true COMMAND...: waits until it succeeds, a minute at most.
until_true() {
    tries=0
    while ! "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || return 1
        sleep 0.2
    done
}

# bare_debian: makes a bare Debian 12 in $base, once.
bare_debian() {
    base=$work/base
    [ ! -e "$base/complete" ] || return 0
    say "a bare Debian 12 in $base"
    rm -rf "$base"
    mkdir -p "$work"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$base" >"$work/debootstrap.log" || fail "$(tail "$work/debootstrap.log")"
    touch "$base/complete"
}
