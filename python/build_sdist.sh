#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_sdist.sh SOURCE WORK SDISTS PYTHON: the source distribution. python/ builds from a checkout, whose library is beside it; in the
# sdist both are below one folder, and pyproject.toml is at the top. PYTHON has build and scikit-build-core.
set -eu

source=$1 work=$2 sdists=$3 python=$4
tree=$work/sdist
rm -rf "$tree"
mkdir -p "$tree/python" "$sdists"
cd "$source"
cp -r CMakeLists.txt LICENSE cmake include nixl_plugin src "$tree"
cp -r python/CMakeLists.txt python/README.md python/exports.map python/kvtel python/licenses python/src "$tree/python"
find "$tree" -name __pycache__ -prune -exec rm -r {} +
sed -e 's|^cmake.source-dir = .*|cmake.source-dir = "python"|' -e 's|^wheel.packages = .*|wheel.packages = ["python/kvtel"]|' \
    -e 's|^readme = .*|readme = "python/README.md"|' python/pyproject.toml >"$tree/pyproject.toml"
"$python" -m build --sdist --no-isolation --outdir "$sdists" "$tree" >"$work/sdist.log" 2>&1 || {
    cat "$work/sdist.log" >&2
    exit 1
}
