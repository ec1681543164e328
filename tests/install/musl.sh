#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# musl.sh SOURCE BUILD WORK: builds the recording part for another libc, musl, and runs a host that opens it. Needs musl-gcc.
set -eu

source=$1 build=$2 work=$3
command -v musl-gcc >/dev/null || exit 77
rm -rf "$work"
mkdir -p "$work/stores"
flags="-std=gnu11 -O1 -Wall -Wextra -Wshadow -Wconversion -Werror -D_GNU_SOURCE -DKVTEL_VERSION=\"0\""
rooms=
for room in base format histogram config connectors record; do
    rooms="$rooms $source/src/$room"
done
include="-I$source/include -I$source/src -I$build/generated"

# shellcheck disable=SC2046,SC2086 # flags, rooms and files are words
musl-gcc $flags -fPIC -fvisibility=hidden $include -shared -Wl,-z,defs -Wl,-z,nodelete \
    $(find $rooms -maxdepth 1 -name '*.c') -o "$work/libkvtel_record.so"
# shellcheck disable=SC2086
musl-gcc $flags $include "$source/tests/install/host.c" -o "$work/host"
"$work/host" "$work/libkvtel_record.so" "$work/stores"
"$build/kvtel" dump "$work"/stores/*.kvtel | grep -q 'vllm:nixl_num_descriptors.* count 500 '
