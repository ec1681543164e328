#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wheels.sh WHEELS WORK: what ./run wheel made. Each wheel is one of manylinux_2_28 and needs no symbol of a newer glibc; it is imported
# and records, that of another architecture under qemu with Debian's Python. The sdist is built and installed by pip alone.
set -eu

wheels=$1 work=$2
python=$work/venv/bin/python
PATH=$work/venv/bin:$PATH
fail() {
    echo "wheels: $*" >&2
    exit 1
}
# what a user does first, and both files of the package
cat >"$work/try.py" <<'PY'
import pathlib, platform, sys
import kvtel
store = kvtel.Store.open(dir=sys.argv[1], model_name="llama", engine=0)
nixl = kvtel.Recorder(store, "NixlConnector")
for _ in range(1000):
    nixl.record_transfer(duration_ns=3_026_000, post_ns=315_000, bytes=262_144, descriptors=2)
assert 'vllm:nixl_bytes_transferred_count{engine="0",model_name="llama"} 1000' in store.text(), store.text()
assert pathlib.Path(kvtel.__file__).with_name("libkvtel_nixl.so").is_file() or "sdist" in sys.argv
print("Python", platform.python_version(), platform.machine(), *platform.libc_ver(), "good")
PY

# debian_python ARCHITECTURE: Debian's, unpacked in WORK/python-ARCHITECTURE.
debian_python() {
    place=$work/python-$1 debian=$2
    [ ! -e "$place/complete" ] || return 0
    rm -rf "$place" "$work/python.packages"
    mkdir -p "$place" "$work/python.packages"
    own="-o Dir::State::lists=$work/apt/lists -o Dir::Cache=$work/apt/cache -o APT::Sandbox::User=root"
    own="$own -o APT::Architectures=$(dpkg --print-architecture),$debian"
    # shellcheck disable=SC2046,SC2086 # options and names are words
    (
        cd "$work/python.packages"
        apt-get $own -qq update
        apt-get $own -qq download $(for name in python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 zlib1g libexpat1 libgcc-s1; do
            echo "$name:$debian"
        done)
    )
    for package in "$work"/python.packages/*.deb; do dpkg -x "$package" "$place"; done
    touch "$place/complete"
}

for wheel in "$wheels"/*.whl; do
    architecture=${wheel##*-manylinux_2_28_}
    architecture=${architecture%.whl}
    case $wheel in *-manylinux_2_28_"$architecture".whl) ;; *) fail "$wheel is none of manylinux_2_28" ;; esac
    echo "== $(basename "$wheel"), $(du -k "$wheel" | cut -f 1) KiB"
    "$python" -m auditwheel show "$wheel" | tr '\n' ' ' | grep -o "manylinux_2_[0-9]*_$architecture" | head -n 1 || fail "auditwheel finds no manylinux"
    tree=$work/tree-$architecture
    rm -rf "$tree" "$work/stores"
    mkdir -p "$tree" "$work/stores"
    "$python" -m zipfile -e "$wheel" "$tree"
    for library in "$tree"/kvtel/*.so; do
        newest=$(objdump -T "$library" 2>/dev/null | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1)
        [ -n "$newest" ] || newest=$(readelf -VW "$library" | grep -o 'GLIBC_2\.[0-9.]*' | sort -uV | tail -n 1)
        [ -n "$newest" ] && [ "$(printf '%s\nGLIBC_2.28\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.28 ] || fail "$library needs $newest"
        foreign=$(readelf -dW "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -v '^lib\(c\|m\|dl\|pthread\|rt\)\.so\|^ld-linux' || true)
        [ -z "$foreign" ] || fail "$library needs $foreign"
        echo "$(basename "$library") needs $newest"
    done
    if [ "$architecture" = "$(uname -m)" ]; then
        PYTHONPATH=$tree "$python" "$work/try.py" "$work/stores" || fail "it does not work"
    else
        debian_python "$architecture" "$([ "$architecture" = aarch64 ] && echo arm64 || echo amd64)"
        PYTHONHOME=$place/usr PYTHONPATH=$tree qemu-"$architecture" -L "$place" "$place/usr/bin/python3.11" "$work/try.py" "$work/stores" ||
            fail "it does not work under qemu"
    fi
done

echo "== $(basename "$wheels"/*.tar.gz)"
rm -rf "$work/sdist-venv" "$work/stores"
mkdir "$work/stores"
python3 -m venv "$work/sdist-venv"
"$work/sdist-venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheels"/*.tar.gz
cd /
"$work/sdist-venv/bin/python" "$work/try.py" "$work/stores" sdist
