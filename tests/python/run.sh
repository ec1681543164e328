#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh SOURCE WORK [PYTEST-ARGUMENT...]: builds the wheel of python/ with warnings as errors, installs it into a virtual environment
# of its own below WORK, and tests it there. The environment is kept for the next time, all but kvtel itself.
set -eu

source=$1 work=$2
shift 2
venv=$work/venv
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
mkdir -p "$work"
cat "$source/tests/python/requirements.txt" "$source/tests/requirements.txt" | grep -v "selenium\|axe-core\|^-r" >"$work/requirements.txt"
if ! cmp -s "$work/requirements.txt" "$venv/requirements.txt" || ! "$venv/bin/python" -c ''; then
    python3 -m venv --clear "$venv"
    $pip install -r "$work/requirements.txt"
    cp "$work/requirements.txt" "$venv/requirements.txt"
fi

rm -rf "$work/wheel"
# The programs of the environment are found by the build and by auditwheel.
PATH=$venv/bin:$PATH
export PATH CMAKE_ARGS="-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"
$pip wheel --no-deps --no-build-isolation --wheel-dir "$work/wheel" --config-settings "build-dir=$work/build" "$source/python"
KVTEL_WHEEL=$(ls "$work"/wheel/kvtel-*-cp39-abi3-*.whl)
export KVTEL_WHEEL
$pip install --no-deps --no-index --force-reinstall "$KVTEL_WHEEL"

cd "$source/tests/python"
exec "$venv/bin/python" -X faulthandler -m pytest -q "$@"
