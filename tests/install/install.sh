#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh SOURCE BUILD WORK: installs BUILD below WORK, then builds and runs a small user of it in C and C++: found by
# pkg-config and by CMake, shared and static, all of it and the recording part. Needs CC, CXX, CMAKE, CMAKE_GENERATOR.
set -eu

source=$1 build=$2 work=$3
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"
"$CMAKE" --install "$build" --prefix "$prefix" >"$work/install.log"

libdir=$(dirname "$(find "$prefix" -name libkvtel.a)")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
version=$(pkg-config --modversion kvtel)
consumer=$source/tests/install/consumer

# a manual page for kvtel and for each command, and completions
for page in kvtel $("$prefix/bin/kvtel" help | sed -n 's/^  \([a-z]*\) .*/kvtel-\1/p'); do
    grep -q "^\.TH \"$page\" 1" "$prefix/share/man/man1/$page.1"
done
for page in man3/kvtel_store_open.3 man3/kvtel_recorder.h.3 man5/kvtel-recording.5 man5/kvtel-store.5 man5/kvtel-web-config.5; do
    grep -q '^\.SH NAME' "$prefix/share/man/$page"
done
for file in bash-completion/completions/kvtel zsh/site-functions/_kvtel fish/vendor_completions.d/kvtel.fish; do
    grep -q web.listen-address "$prefix/share/$file"
done

try() {
    echo "$*"
    LD_LIBRARY_PATH=$libdir "$@" "$version"
}

# shellcheck disable=SC2046,SC2086 # flags are words
for name in kvtel kvtel_record; do
    flags=$(pkg-config --cflags "$name")
    for language in c cpp; do
        compiler=$CC
        [ $language = c ] || compiler=$CXX
        $compiler $flags "$consumer.$language" -o "$work/$name-$language" $(pkg-config --libs "$name")
        $compiler $flags "$consumer.$language" -o "$work/$name-$language-static" \
            $(pkg-config --static --libs "$name" | sed "s|-l$name |-l:lib$name.a |")
        try "$work/$name-$language"
        LD_LIBRARY_PATH='' try "$work/$name-$language-static"
    done
done

"$CMAKE" -S "$source/tests/install" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" >"$work/configure.log"
"$CMAKE" --build "$work/cmake" >"$work/build.log"
for program in "$work"/cmake/*_c "$work"/cmake/*_cpp; do
    try "$program"
done

# Recording needs libc alone.
needed=$(ldd "$libdir/libkvtel_record.so" | awk '!/linux-vdso|ld-linux|lib(c|m|pthread)\.so/ { print $1 }')
[ -z "$needed" ] || { echo "libkvtel_record.so needs: $needed"; exit 1; }
# Only the API is visible.
exported=$(nm -D --defined-only "$libdir/libkvtel.so" | awk '$3 !~ /^kvtel_/ { print $3 }')
[ -z "$exported" ] || { echo "libkvtel.so exports: $exported"; exit 1; }

# The unit starts the program that was installed with it.
grep -qx "ExecStart=$prefix/bin/kvtel serve \$KVTEL_OPTIONS" "$prefix/lib/systemd/system/kvtel.service"
cmp "$source/deploy/package/kvtel.sysusers" "$prefix/lib/sysusers.d/kvtel.conf"
cmp "$source/deploy/package/kvtel.tmpfiles" "$prefix/lib/tmpfiles.d/kvtel.conf"
for name in pod.yaml prometheus.yml rules.yml rules-kv.yml; do
    cmp "$source/deploy/$name" "$prefix/share/kvtel/deploy/$name"
done
for dashboard in "$source"/deploy/mixin/dashboards/*.json; do
    cmp "$dashboard" "$prefix/share/kvtel/deploy/dashboards/${dashboard##*/}"
done

[ ! -e "$prefix/bin/kvtel" ] || "$prefix/bin/kvtel" --version
