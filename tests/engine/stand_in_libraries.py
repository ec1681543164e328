# SPDX-License-Identifier: Apache-2.0
"""python stand_in_libraries.py SITE_PACKAGES: writes stand-ins for the CUDA libraries that PyTorch's libraries name, 2 GB less to fetch
where there is no GPU. A stand-in defines what PyTorch wants of that library, under the versions that it wants; each function says that
there is no device."""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

CUDA_ERROR_NO_DEVICE = 100  # cudaErrorNoDevice, and CUDA_ERROR_NO_DEVICE


def wanted_of(libraries):
    """({library: its versions}, {version or "": symbols}) that ELF files want of CUDA."""
    versions, symbols = defaultdict(set), defaultdict(set)
    for library in libraries:
        elf = subprocess.run(
            ["readelf", "-W", "-d", "-V", "--dyn-syms", library], capture_output=True, text=True, check=True
        ).stdout
        for name in re.findall(r"\(NEEDED\).*\[(lib(?:cu|nv|nccl)[\w.]+)\]", elf):
            versions[name] |= set()
        for name, block in re.findall(r"Version: 1  File: (\S+)  Cnt: \d+\n((?:.*  Name: .*\n)+)", elf):
            versions[name] |= set(re.findall(r"  Name: (\S+)", block))
        for symbol, version in re.findall(r" UND (\w+)(?:@(\S+))?", elf):
            if version or re.match("cu|nv|nccl", symbol):
                symbols[version].add(symbol)
    return {name: found for name, found in versions.items() if re.match("lib(cu|nv|nccl)", name)}, symbols


def write(folder, library, versions, symbols):
    names = set().union(symbols[""], *(symbols[version] for version in versions))
    source = "".join(f"int {name}(void) {{ return {CUDA_ERROR_NO_DEVICE}; }}\n" for name in sorted(names))
    with tempfile.NamedTemporaryFile("w", suffix=".map") as script:
        for version in versions:
            script.write(
                f"{version} {{ {' '.join(['global:', *(name + ';' for name in symbols[version])] if symbols[version] else '')} }};\n"
            )
        script.flush()
        options = [
            "-shared",
            "-fPIC",
            "-w",
            "-fno-builtin",
            f"-Wl,-soname,{library}",
            f"-Wl,--version-script={script.name}",
        ]
        command = ["gcc", "-x", "c", "-", *(options if versions else options[:-1]), "-o", folder / library]
        subprocess.run(command, input=source, text=True, check=True)


if __name__ == "__main__":
    site = Path(sys.argv[1])
    folder = site / "nvidia" / "cu13" / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    versions, symbols = wanted_of(sorted((site / "torch" / "lib").glob("*.so")))
    for library in versions:
        if not (folder / library).exists():
            write(folder, library, versions[library], symbols)
