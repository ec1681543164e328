#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh SOURCE BUILD PACKAGES: builds kvtel as a distribution does, and packs it: .deb where dpkg is, .rpm where rpmbuild is.
set -eu

source=$1 build=$2 packages=$3
mkdir -p "$packages"
rm -f "$packages"/*.deb "$packages"/*.rpm

# pack GENERATOR [LIBDIR]: below /usr, with the libraries in LIBDIR.
pack() {
    cmake -S "$source" -B "$build" -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr ${2:+-DCMAKE_INSTALL_LIBDIR=$2} >"$build.log" &&
        cmake --build "$build" -- --quiet >>"$build.log" &&
        cpack -G "$1" --config "$build/CPackConfig.cmake" -B "$packages" >>"$build.log" 2>&1 || {
        cat "$build.log" >&2
        exit 1
    }
    rm -rf "$packages/_CPack_Packages"
}

if command -v dpkg-shlibdeps >/dev/null; then pack DEB "lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)"; fi
if command -v rpmbuild >/dev/null; then pack RPM "$([ "$(getconf LONG_BIT)" = 64 ] && echo lib64 || echo lib)"; fi
ls "$packages"/*.deb "$packages"/*.rpm
