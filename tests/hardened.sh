#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hardened.sh FILE...: each program and shared library is built as cmake/compiler.cmake says: PIE, RELRO, BIND_NOW, stack protector, checked calls of libc.
set -eu

failed=0
# has PROGRAM WHAT PATTERN OPTION...: `readelf OPTION... PROGRAM` shows the pattern.
has() {
    program=$1 what=$2 pattern=$3
    shift 3
    readelf -W "$@" "$program" 2>/dev/null | grep -q "$pattern" || {
        echo "$program: $what is missing"
        failed=1
    }
}

for program; do # or library, whose type is DYN as that of a PIE
    has "$program" "a random address (PIE)" "Type:.*DYN" --file-header
    has "$program" "RELRO" "GNU_RELRO" --program-headers
    has "$program" "BIND_NOW" "NOW" --dynamic
    has "$program" "the stack protector" "__stack_chk_fail" --dyn-syms
    has "$program" "checked calls of libc (FORTIFY)" "__[a-z]*printf_chk\|__memcpy_chk\|__read_chk" --dyn-syms
done
exit $failed
