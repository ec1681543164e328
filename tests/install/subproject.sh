#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# subproject.sh SOURCE BUILD WORK: kvtel as a folder of another project, without its program: it configures, links and runs, and leaves that
# project's own flags alone. Needs CC, CMAKE, CMAKE_GENERATOR.
set -eu

source=$1 build=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
launcher=$(sed -n 's/^CMAKE_C_COMPILER_LAUNCHER:[A-Z]*=//p' "$build/CMakeCache.txt")
"$CMAKE" -S "$source/tests/install/subproject" -B "$work/build" -DKVTEL_SOURCE="$source" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_C_COMPILER_LAUNCHER="$launcher" -DCMAKE_C_FLAGS=-O1 >"$work/configure.log"
"$CMAKE" --build "$work/build" >"$work/build.log" || {
    cat "$work/build.log"
    exit 1
}
for program in "$work"/build/with_*; do
    echo "$program"
    "$program" "$version"
done
