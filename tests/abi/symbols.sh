#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# symbols.sh LIBRARY LIST: the shared library exports the functions that the list names, one a line, and nothing else.
# After a change that is meant: nm -D --defined-only LIBRARY | sed 's/.* //' | LC_ALL=C sort >LIST
set -eu
nm -D --defined-only "$1" | sed 's/.* //' | LC_ALL=C sort | diff -u "$2" -
