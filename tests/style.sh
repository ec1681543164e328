#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# style.sh CLANG-FORMAT: every C and C++ file is laid out as .clang-format says, and no line is longer than 120 columns.
# Generated tables (*.inc) are not looked at.
set -eu

failed=0
for file in $(find include src demo python/src tests fuzz bench $([ ! -d examples ] || echo examples) \( -name '*.[ch]' -o -name '*.cpp' \) | sort); do
    "$1" --dry-run --Werror "$file" || failed=1
    awk -v file="$file" 'length > 120 { print file ":" FNR ": longer than 120 columns"; bad = 1 } END { exit bad }' "$file" || failed=1
done
exit $failed
