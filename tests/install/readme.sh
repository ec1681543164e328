#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# readme.sh SOURCE BUILD WORK: the README's C, every block with <!-- compile --> on the line above it, compiles and runs.
# Skipped (77) while there is none. Needs CC.
set -eu

source=$1 build=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
[ -e "$source/README.md" ] || exit 77
awk -v work="$work" '
    /^<!-- compile -->$/ { marked = 1; next }
    marked && /^```c$/ { file = work "/readme" ++count ".c"; marked = 0; next }
    /^```$/ { file = "" }
    file { print > file }
    { marked = 0 }' "$source/README.md"

cd "$work"
set -- readme*.c
[ -e "$1" ] || exit 77
for file; do
    echo "$file"
    "$CC" -std=c11 -Wall -Wextra -Werror -I"$source/include" "$file" -o "${file%.c}" \
        "$build/libkvtel.a" $(pkg-config --libs jansson) -pthread -lm
    "./${file%.c}"
done
