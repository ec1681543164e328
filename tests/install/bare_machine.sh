#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bare_machine.sh SOURCE BUILD WORK: kvtel configures on a machine that has no package of its tests, as ./run build and ./run demo do there; and
# once these are installed, the same build folder has the tests, in C++ too. Needs CC, CXX, CMAKE, CMAKE_GENERATOR.
set -eu

source=$1 work=$3
[ -n "$CXX" ] || {
    echo "no C++ compiler is installed"
    exit 77
}
rm -rf "$work"
mkdir -p "$work/bin"
for program in /usr/bin/*; do
    case $program in *++* | */ccache) ;; *) ln -s "$program" "$work/bin/" ;; esac
done
pkg_config=$(command -v pkg-config)
rm "$work/bin/pkg-config"
printf '#!/bin/sh\ncase "$*" in *cmocka*) exit 1 ;; esac\nexec %s "$@"\n' "$pkg_config" >"$work/bin/pkg-config"
chmod +x "$work/bin/pkg-config"

configure() {
    env -u CXX "$@" "$CMAKE" -S "$source" -B "$work/build" >"$work/configure.log" 2>&1 || {
        cat "$work/configure.log"
        exit 1
    }
}
configure PATH="$work/bin"
grep -q 'cmocka is not installed' "$work/configure.log"
printf '#!/bin/sh\nexec %s "$@"\n' "$pkg_config" >"$work/bin/pkg-config" # the build folder knows it by this path
configure
grep -q '^CMAKE_CXX_COMPILER:.*=/' "$work/build/CMakeCache.txt" || {
    echo "the C++ compiler that was installed since is not found"
    exit 1
}
"$CMAKE" -E chdir "$work/build" ctest -N | grep -q test_store
