# SPDX-License-Identifier: Apache-2.0
"""The books of agents.py against what the plug-in counted, for wheels of NIXL.

books.py PYTHON SITE... : each SITE is a folder with one NIXL, in which the plug-in is installed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KVTEL = os.environ.get("KVTEL", ROOT / "build" / "kvtel")
SAMPLE = re.compile(r'^nixl_transfer(s|_bytes)_total\{.*direction="(\w+)",outcome="(\w+)"\} (\S+)$', re.M)


def counted(stores):
    found = {}
    for store in stores.glob("*.kvtel"):
        dump = subprocess.run([KVTEL, "dump", store], check=True, capture_output=True, text=True).stdout
        for kind, direction, outcome, value in SAMPLE.findall(dump):
            entry = found.setdefault(f"{direction} {outcome}", [0, 0])
            entry[0 if kind == "s" else 1] += int(float(value))
    return {key: value for key, value in found.items() if value != [0, 0]}


def run(python, site, transport, mode, count):
    with tempfile.TemporaryDirectory() as place:
        stores = Path(place) / "stores"
        environment = {
            **os.environ,
            "PYTHONPATH": str(site),
            "UCX_TLS": transport,
            "NIXL_TRACE_BACKENDS": "kvtel",
            "NIXL_TELEMETRY_ENABLE": "y",
            "NIXL_TELEMETRY_EXPORTER": "kvtel",
            "NIXL_TELEMETRY_BUFFER_SIZE": "262144",
            "KVTEL_STORE_DIR": str(stores),
        }
        command = [python, str(ROOT / "tests/nixl/agents.py"), "initiator", str(count), mode]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return f"rc {done.returncode}\n{done.stderr[-3000:]}", {}
        books = json.loads(done.stdout.strip().splitlines()[-1])
        there = counted(stores)
        wrong = {key: (books.get(key), there.get(key)) for key in books.keys() | there.keys() if books.get(key) != there.get(key)}
        return (f"books, counted: {wrong}\n{done.stderr[-3000:]}" if wrong else ""), books


def main():
    python, sites = sys.argv[1], [Path(site) for site in sys.argv[2:]]
    failed = passed = 0
    for site in sites:
        for transport in ("tcp", "shm,cma,self,tcp"):
            for mode in ("told", "events"):
                wrong, books = run(python, site, transport, mode, 2000)
                print(f"{'FAILED' if wrong else 'ok'}: {site.name}, {transport}, {mode}: {wrong or books}", flush=True)
                failed, passed = failed + bool(wrong), passed + (not wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
