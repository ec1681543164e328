#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh KVTEL PATTERN EXAMPLE [ARGUMENT...]: runs an example in a directory of its own, and looks for the pattern in the
# store that it leaves.
set -eu

kvtel=$1 pattern=$2
shift 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
store=$(KVTEL_STORE_DIR=$dir "$@")
"$kvtel" dump "$store" | tee "$dir/dump"
grep -Eq "$pattern" "$dir/dump"
case $1 in # it leaves exemplars
*_connector_cpp) grep -q 'request_id="cmpl-' "$dir/dump" ;;
esac
