#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rust.sh KVTEL: the crates of rust/: layout, lints, tests, examples, and what the package holds. The crates that they need
# are fetched before. KVTEL is the program that reads what an example recorded.
set -eu

kvtel=$(realpath "$1")
cd "$(dirname "$0")/../rust"
export CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
unset KVTEL_SYSTEM CARGO_TARGET_DIR
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# has COMPONENT: cargo has it.
has() {
    cargo "$1" --version >/dev/null 2>&1 || { echo "rust.sh: cargo has no $1, which is left out"; return 1; }
}

! has fmt || cargo fmt --all --check
# Nothing is linked, so the library need not be built for this.
! has clippy || PKG_CONFIG_PATH=$(dirname "$kvtel") KVTEL_SYSTEM=1 cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
cargo test --quiet --workspace --locked
cargo test --quiet --package kvtel --no-default-features --test native --locked # recording alone

# The version is the library's.
version=$(sed -n 's/^project(kvtel VERSION \([0-9.]*\).*/\1/p' ../CMakeLists.txt)
grep -qx "version = \"$version\"" Cargo.toml
grep -q "^kvtel-sys = { version = \"=$version\"" kvtel/Cargo.toml

# What the examples leave and print.
examples=../build/rust/debug/examples
store=$(KVTEL_STORE_DIR="$dir" "$examples/record")
"$kvtel" dump "$store" >"$dir/dump"
grep -Eq '^vllm:nixl_bytes_transferred\{.*\} count 5 ' "$dir/dump"
"$examples/frontend" >"$dir/page" 2>"$dir/said"
grep -qx 'vllm:pega_loads_total{engine="0",model_name="m"} 2.0' "$dir/page"
grep -q '^refused: ' "$dir/said"

# The package has each C source of the rooms.
cargo package --quiet --package kvtel-sys --allow-dirty --locked --list >"$dir/list" 2>/dev/null
grep -qx 'c/include/kvtel/kvtel.h' "$dir/list"
rooms=$(sed -n 's/^set(KVTEL_\(RECORD\|LIBRARY\)_ROOMS \(.*\) PARENT_SCOPE)/\2/p' ../src/CMakeLists.txt)
for room in $rooms; do
    for file in "../src/$room"/*.[ch]; do
        grep -qx "c/src/$room/${file##*/}" "$dir/list" || { echo "not in the package: $file"; exit 1; }
    done
done
