#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# style.sh CLANG-FORMAT: every C and C++ file is laid out as .clang-format says, and no line is longer than 120 columns.
# Generated tables (*.inc) are not looked at.
set -eu

failed=0
files=$(find include src nixl_plugin demo python/src tests fuzz bench $([ ! -d examples ] || echo examples) \( -name '*.[ch]' -o -name '*.[ch]pp' \) | sort)
# shellcheck disable=SC2086 # names are words
"$1" --dry-run --Werror $files || failed=1
# shellcheck disable=SC2086
awk 'length > 120 { print FILENAME ":" FNR ": longer than 120 columns"; bad = 1 } END { exit bad }' $files || failed=1
exit $failed
