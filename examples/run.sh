#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh EXAMPLE KVTEL: runs an example in a directory of its own and looks into the store that it leaves.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
store=$(KVTEL_STORE_DIR=$dir "$1")
"$2" dump "$store" | tee "$dir/dump"
grep -Eq '_bytes_transferred\{.*\} count [1-9]' "$dir/dump"
case $1 in # it leaves exemplars
*_cpp) grep -q 'request_id="cmpl-' "$dir/dump" ;;
esac
