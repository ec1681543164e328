#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh ARCHITECTURE BUILD: builds libraries and unit tests for another architecture and runs them under qemu.
# ARCHITECTURE: arm64 or s390x, whose byte order is the other one. The other architecture's packages are unpacked below BUILD, not
# installed: apt's lists and dpkg's state of this machine stay as they are.
set -eu

architecture=$1 build=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
case $architecture in
arm64) triplet=aarch64-linux-gnu qemu=qemu-aarch64 ;;
s390x) triplet=s390x-linux-gnu qemu=qemu-s390x ;;
*)
    echo "run.sh: no such architecture: $architecture (arm64, s390x)" >&2
    exit 2
    ;;
esac

mkdir -p "$build"
build=$(cd "$build" && pwd)
sysroot=$build/sysroot
libraries="libjansson-dev libjansson4 libmsgpack-dev libmsgpackc2 libcmocka-dev libcmocka0"
if ! [ -e "$sysroot/complete" ]; then
    echo "fetching libraries for $architecture"
    mkdir -p "$sysroot" "$build/apt/lists/partial" "$build/apt/cache/archives/partial" "$build/packages"
    own="-o Dir::State::lists=$build/apt/lists -o Dir::Cache=$build/apt/cache -o APT::Sandbox::User=root"
    own="$own -o APT::Architectures=$(dpkg --print-architecture),$architecture"
    # shellcheck disable=SC2086 # options and names are words
    (
        cd "$build/packages"
        apt-get $own -qq update
        apt-get $own -qq download $(for library in $libraries; do echo "$library:$architecture"; done)
    )
    for package in "$build"/packages/*.deb; do dpkg -x "$package" "$sysroot"; done
    touch "$sysroot/complete"
fi

cmake -S "$source" -B "$build/build" -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKVTEL_PROGRAM=OFF \
    -DCMAKE_TOOLCHAIN_FILE="$source/cmake/cross.cmake" -DKVTEL_CROSS="$triplet" -DKVTEL_SYSROOT="$sysroot" \
    -DKVTEL_QEMU="$(command -v $qemu)" ${CROSS_CMAKE_ARGUMENTS-} >/dev/null
cmake --build "$build/build" -- --quiet
ctest --test-dir "$build/build" --output-on-failure -j "$(nproc)" --output-junit "$build/ctest.xml"

# NIXL's plug-in, which NIXL has for two architectures: the harness that calls it as NIXL does runs under qemu, and the kvtel of this
# machine reads what was recorded. Not children of a fork: qemu does not wipe the page that tells them from their parent.
[ "$architecture" = arm64 ] || exit 0
harness=$build/harness
cmake -S "$source" -B "$build/plugin" -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKVTEL_PROGRAM=OFF \
    -DBUILD_TESTING=OFF -DCMAKE_TOOLCHAIN_FILE="$source/cmake/cross.cmake" -DKVTEL_CROSS="$triplet" -DKVTEL_SYSROOT="$sysroot" \
    -DKVTEL_QEMU="$(command -v $qemu)" -DCMAKE_CXX_COMPILER="$triplet-g++" >/dev/null
cmake --build "$build/plugin" --target kvtel_nixl -- --quiet
mkdir -p "$harness/nixl" "$harness/foreign"
"$triplet-g++" -std=c++17 -O1 -pthread "$source/tests/nixl/driver.cpp" -ldl -o "$harness/driver.$architecture"
"$triplet-g++" -std=c++17 -shared -fPIC -Wl,-soname,libnixl.so "$source/tests/nixl/fake_nixl.cpp" -o "$harness/nixl/libnixl.so"
"$triplet-g++" -std=c++17 -shared -fPIC -Wl,-soname,libnixl.so -DFOREIGN "$source/tests/nixl/fake_nixl.cpp" -o "$harness/foreign/libnixl.so"
printf '#!/bin/sh\nexec %s -L /usr/%s "%s"\n' "$qemu" "$triplet" "$harness/driver.$architecture" >"$harness/driver"
chmod +x "$harness/driver"
cd "$source/tests/e2e"
KVTEL=$source/build/kvtel KVTEL_NIXL_PLUGIN=$build/plugin/libkvtel_nixl.so KVTEL_NIXL_DRIVER=$harness/driver KVTEL_SANITIZED=slow \
    "$source/.venv/bin/python" -m pytest -q -p no:cacheprovider -k 'not fork' test_nixl_plugin.py test_nixl_peers.py test_nixl_faults.py
