#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_wheels.sh SOURCE WORK WHEELS [ARCHITECTURE...]: the sdist, and wheels for x86_64 and aarch64 that run with glibc 2.28 and newer
# (manylinux_2_28). The compiler is Zig's clang, which has the headers and the symbols of each glibc; jansson's archive,
# the headers of msgpack and Python's are Debian's, unpacked below WORK and not installed.
set -eu

source=$1 work=$2 wheels=$3
shift 3
glibc=2.28
venv=$work/venv
python=$venv/bin/python
mkdir -p "$work" "$wheels"
rm -f "$wheels"/kvtel-*
if ! cmp -s "$source/python/wheel_requirements.txt" "$venv/requirements.txt" || ! "$python" -c ''; then
    python3 -m venv --clear "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$source/python/wheel_requirements.txt"
    cp "$source/python/wheel_requirements.txt" "$venv/requirements.txt"
fi
PATH=$venv/bin:$PATH
export PATH

# unpack NAME ARCHITECTURE: Debian's packages of an architecture, in WORK/NAME.
unpack() {
    place=$work/$1 debian=$2
    [ ! -e "$place/complete" ] || return 0
    echo "fetching Debian's libraries for $debian"
    rm -rf "$place"
    mkdir -p "$place" "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/$1.packages"
    own="-o Dir::State::lists=$work/apt/lists -o Dir::Cache=$work/apt/cache -o APT::Sandbox::User=root"
    own="$own -o APT::Architectures=$(dpkg --print-architecture),$debian"
    # shellcheck disable=SC2086 # options are words
    (
        cd "$work/$1.packages"
        apt-get $own -qq update
        apt-get $own -qq download "libjansson-dev:$debian" "libmsgpack-dev:$debian" "libpython3.11-dev:$debian"
    )
    for package in "$work/$1.packages"/*.deb; do dpkg -x "$package" "$place"; done
    touch "$place/complete"
}

# tool NAME ARGUMENT...: a program of that name below WORK/bin that is Zig's.
tool() {
    name=$work/bin/$1
    shift
    printf '#!/bin/sh\nexec "%s" -m ziglang %s "$@"\n' "$python" "$*" >"$name"
    chmod +x "$name"
}

for architecture in ${@:-x86_64 aarch64}; do
    case $architecture in
    x86_64) debian=amd64 ;;
    aarch64) debian=arm64 ;;
    *)
        echo "build_wheels.sh: no such architecture: $architecture (x86_64, aarch64)" >&2
        exit 2
        ;;
    esac
    sysroot=$work/sysroot-$architecture triplet=$architecture-linux-gnu
    unpack "sysroot-$architecture" "$debian"
    mkdir -p "$work/bin"
    tool "cc-$architecture" cc -target "$triplet.$glibc"
    tool "c++-$architecture" cc -target "$triplet.$glibc" # without the C++ library, which nothing here needs
    tool ar ar
    tool ranlib ranlib
    rm -rf "$work/built" "$work/repaired" "$work/build-$architecture"
    env PKG_CONFIG_LIBDIR="$sysroot/usr/lib/$triplet/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$sysroot" \
        _PYTHON_HOST_PLATFORM="linux-$architecture" CFLAGS="-isystem $sysroot/usr/include" CC="$work/bin/cc-$architecture" CXX="$work/bin/c++-$architecture" \
        CMAKE_ARGS="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$architecture -DCMAKE_FIND_ROOT_PATH=$sysroot
            -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY
            -DCMAKE_LIBRARY_ARCHITECTURE=$triplet -DCMAKE_AR=$work/bin/ar -DCMAKE_RANLIB=$work/bin/ranlib
            -DPython_INCLUDE_DIR=$sysroot/usr/include/python3.11 -DCMAKE_CXX_COMPILER=$work/bin/c++-$architecture" \
        "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$work/built" \
        --config-settings "build-dir=$work/build-$architecture" "$source/python" || exit 1
    # auditwheel names the oldest glibc that does, and refuses what needs more than libc; the name promises $glibc
    "$python" -m auditwheel repair --plat auto --wheel-dir "$work/repaired" "$work"/built/*.whl >"$work/repair.log" 2>&1 || {
        cat "$work/repair.log" >&2
        exit 1
    }
    "$python" -m wheel tags --platform-tag "manylinux_2_28_$architecture" "$work"/repaired/*.whl >/dev/null
    cp "$work"/repaired/*manylinux_2_28_"$architecture".whl "$wheels"
done
sh "$source/python/build_sdist.sh" "$source" "$work" "$wheels" "$python"
ls "$wheels"
