# SPDX-License-Identifier: Apache-2.0
"""What telemetry adds to a transfer of a real NIXL: 64-byte READs over shared memory, in one process, variants in turns.

Usage: nixl_posts.py BUILD [ROUNDS [SITE [VARIANT...]]]. SITE is a directory with NIXL's wheel; without it that of
./run nixl-test. The variants "nothing" are a trace backend that records nothing (load_nixl_nothing.cpp): what NIXL itself takes.
Where kvtel's exporter is in the process, its trace keeps the open table; the trace without it does not.
The variants "..._anew" are a second process, which makes a request for each transfer and releases it, as vLLM does, and
tells kvtel's trace what became of it; the open table is kept. They are compared with "none_anew".
Where the machine has GPUs, NIXL wants UCX_TLS=shm,cma,self,tcp,cuda_copy."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

PORT = 19466
ON = "NIXL_TELEMETRY_ENABLE=y NIXL_TELEMETRY_BUFFER_SIZE=262144"


def variants(place):
    exporter, trace = "NIXL_TELEMETRY_EXPORTER=", "NIXL_TRACE_BACKENDS=kvtel"
    prometheus = f"NIXL_TELEMETRY_PROMETHEUS_LOCAL=y NIXL_TELEMETRY_PROMETHEUS_PORT={PORT}"
    return {
        "none": "",
        "none_again": "",
        "ring": f"{ON} NIXL_TELEMETRY_DIR={place}/rings",
        "prometheus": f"{ON} {exporter}prometheus {prometheus}",
        "prometheus_mp": f"{ON} {exporter}prometheus_mp NIXL_TELEMETRY_MULTIPROC_DIR={place}/mp {prometheus[:-1]}7",
        "kvtel_exporter": f"{ON} {exporter}kvtel",
        "nothing": "NIXL_TRACE_BACKENDS=nothing",
        "nothing_spans": "NIXL_TRACE_BACKENDS=nothing",
        "nothing_clock": "NIXL_TRACE_BACKENDS=nothing",
        "kvtel_trace": trace,
        "kvtel_both": f"{ON} {exporter}kvtel {trace}",
    }


def variants_anew():
    trace = "NIXL_TRACE_BACKENDS="
    return {"none_anew": "", "none_anew_again": "", "nothing_anew_clock": f"{trace}nothing", "kvtel_anew_trace": f"{trace}kvtel"}


def plugins_of(site, build, place):
    """A directory with NIXL's plug-ins, kvtel's, and the one that does nothing. NIXL's find their libraries beside it."""
    plugins = pathlib.Path(place) / "m/plugins"
    plugins.mkdir(parents=True)
    for libraries in site.glob("nixl_*.libs"):
        (pathlib.Path(place) / libraries.name).symlink_to(libraries)
    for file in next(site.glob(".nixl*.mesonpy.libs")).glob("plugins/*.so"):
        (plugins / file.name).symlink_to(file)
    for name, file in {
        "telemetry_exporter_kvtel": build / "libkvtel_nixl.so",
        "trace_backend_kvtel": build / "libkvtel_nixl.so",
        "trace_backend_nothing": build / "bench/libtrace_backend_nothing.so",
    }.items():
        link = plugins / f"lib{name}.so"
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    return str(plugins)


def show(done, kind):
    if done.returncode != 0:
        sys.exit(done.stderr[-3000:])
    for line in done.stdout.splitlines():
        name, median, low, high = line.split()
        name = f"transfer{kind}" if name == "transfer" else name
        print(json.dumps({"name": f"a NIXL transfer, {name}", "value": float(median), "quartiles": [float(low), float(high)], "unit": "ns"}))


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = sys.argv[2] if len(sys.argv) > 2 else "20000"
    site = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else build / "nixl-test/1.5.1"
    chosen = sys.argv[4:]
    library = next(site.glob(".nixl*.mesonpy.libs/libnixl_capi.so"), None)
    if not library:
        print("bench: no NIXL: ./run nixl-test fetches it", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        for name in ("rings", "mp", "stores"):
            (pathlib.Path(place) / name).mkdir()
        plugins = plugins_of(site, build, place)
        environment = os.environ | {"UCX_TLS": os.environ.get("UCX_TLS", "shm,cma,self,tcp"), "KVTEL_STORE_DIR": f"{place}/stores", "NIXL_PLUGIN_DIR": plugins}
        command = [build / "bench/load_nixl_posts", library, rounds]
        for table, last in (variants(place), []), (variants_anew(), [f"{plugins}/libtrace_backend_kvtel.so"]):
            lines = "".join(f"{name} {settings}\n" for name, settings in table.items() if not chosen or name in chosen)
            if lines:
                done = subprocess.run([*command, *last], check=False, input=lines, env=environment, capture_output=True, text=True)
                show(done, "_anew" if last else "")


if __name__ == "__main__":
    main()
