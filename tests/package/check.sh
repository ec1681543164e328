#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh PACKAGES: what the packages hold and say. lintian finds no error in those of Debian.
set -eu

cd "$1"
fail() {
    echo "$*" >&2
    exit 1
}

# has PACKAGE PATH...: the .deb or .rpm holds each path; a path may be a pattern.
has() {
    case $1 in
    *.deb) list=$(dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's|^\.||') ;;
    *) list=$(rpm -qlp "$1") ;;
    esac
    package=$1
    shift
    for path; do
        echo "$list" | grep -qx "$path" || fail "$package: $path is missing"
    done
    ! echo "$list" | grep -q '\.[ch]o\?$' || [ "${package#*dev}" != "$package" ] || fail "$package: headers or objects"
}

program="/etc/default/kvtel /usr/bin/kvtel /usr/lib/systemd/system/kvtel.service /usr/lib/sysusers.d/kvtel.conf
    /usr/lib/tmpfiles.d/kvtel.conf /usr/share/man/man1/kvtel.1.gz /usr/share/man/man1/kvtel-serve.1.gz
    /usr/share/man/man5/kvtel-recording.5.gz
    /usr/share/bash-completion/completions/kvtel /usr/share/fish/vendor_completions.d/kvtel.fish
    /usr/share/zsh/.*/_kvtel /usr/lib.*/kvtel/libkvtel_nixl.so /usr/share/kvtel/deploy/rules.yml"
libraries="/usr/lib.*/libkvtel.so.[0-9.]* /usr/lib.*/libkvtel_record.so.[0-9.]*"
development="/usr/include/kvtel/kvtel.h /usr/include/kvtel/kvtel.hpp /usr/include/kvtel_nixl.h /usr/lib.*/libkvtel.a
    /usr/lib.*/libkvtel_record.so /usr/lib.*/pkgconfig/kvtel.pc /usr/lib.*/cmake/kvtel/kvtelConfig.cmake
    /usr/share/man/man3/kvtel_record_transfer.3.gz"

# shellcheck disable=SC2086 # paths are words
if ls ./*.deb >/dev/null 2>&1; then
    has kvtel_*.deb $program /usr/share/doc/kvtel/copyright
    has libkvtel0*.deb $libraries
    has libkvtel-dev_*.deb $development
    for field in 'Depends: .*systemd-sysusers.*libmicrohttpd' 'Recommends: libcurl' 'Section: net' 'Maintainer: .*@'; do
        dpkg-deb -f kvtel_*.deb | grep -q "^$field" || fail "kvtel: no field $field"
    done
    dpkg-deb -f libkvtel-dev_*.deb Depends | grep -q '^libkvtel0\.[0-9]* (= ' || fail "libkvtel-dev: depends on no libkvtel of its version"
    [ "$(dpkg-deb -I kvtel_*.deb conffiles)" = /etc/default/kvtel ] || fail "kvtel: conffiles"
    ! dpkg-deb -f kvtel_*.deb Depends | grep -q libkvtel || fail "kvtel: the program needs no library of its own"
    lintian --fail-on error *.deb 2>/dev/null || fail "lintian finds errors"
fi

# shellcheck disable=SC2086
if ls ./*.rpm >/dev/null 2>&1; then
    has kvtel-0*.rpm $program /usr/share/licenses/kvtel/copyright
    has kvtel-libs-*.rpm $libraries
    has kvtel-devel-*.rpm $development
    [ "$(rpm -qpc kvtel-0*.rpm)" = /etc/default/kvtel ] || fail "kvtel: configuration files"
    rpm -qp --requires kvtel-devel-*.rpm | grep -q '^kvtel-libs = ' || fail "kvtel-devel: needs no kvtel-libs of its version"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    rpm --root "$root" --initdb
    rpm --root "$root" -i --nodeps --noscripts ./*.rpm # dependencies and scripts are those of a distribution of RPM's
    rpm --root "$root" -V --nodeps kvtel kvtel-libs kvtel-devel || fail "an installed file differs"
    "$root/usr/bin/kvtel" --version
fi
