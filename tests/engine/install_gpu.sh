#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_gpu.sh SOURCE WORK: a virtual environment WORK/venv that sees the vLLM, NIXL and PyTorch of the python3 in PATH, and has kvtel
# of this checkout. `python3 -m tests.engine --gpu` says what is absent.
set -eu

source=$1 work=$2
venv=$work/venv
mkdir -p "$work"
[ -x "$venv/bin/python" ] || python3 -m venv --system-site-packages "$venv"
cp -r "$source/tests/engine/recorder" "$work" # pip writes beside what it builds
"$venv/bin/python" -m pip --quiet --disable-pip-version-check install --force-reinstall --no-deps \
    "$source/python" "$work/recorder"
HF_HUB_OFFLINE=1 "$venv/bin/python" "$source/tests/engine/model.py" "$work/model" large
