#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# without_cmocka.sh SOURCE BUILD WORK: kvtel configures on a machine that has no package of its tests, as ./run build and ./run demo do.
# Needs CC, CXX, CMAKE, CMAKE_GENERATOR.
set -eu

source=$1 work=$3
rm -rf "$work"
mkdir -p "$work"
cat >"$work/pkg-config" <<END
#!/bin/sh
case "\$*" in *cmocka*) exit 1 ;; esac
exec $(command -v pkg-config) "\$@"
END
chmod +x "$work/pkg-config"
"$CMAKE" -S "$source" -B "$work/build" -DPKG_CONFIG_EXECUTABLE="$work/pkg-config" >"$work/configure.log" 2>&1 &&
    grep -q 'cmocka is not installed' "$work/configure.log" || {
    cat "$work/configure.log"
    exit 1
}
