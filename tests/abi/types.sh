#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# types.sh ABIDIFF LIBRARY BASELINE: the library still has the functions of the baseline, and the types of the public
# headers are as they were. New functions are not told here: symbols.sh does.
# After a change that is meant, in a release build:
#     abidw --no-corpus-path --no-comp-dir-path --exported-interfaces-only LIBRARY --out-file BASELINE
set -eu
readelf -S "$2" | grep -q '\.debug_info' || {
    echo "skipped: $2 has no debug information"
    exit 77
}
exec "$1" --no-added-syms --harmless --suppressions "$(dirname "$0")/private.suppr" "$3" "$2"
