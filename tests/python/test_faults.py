# SPDX-License-Identifier: Apache-2.0
"""System calls and allocations of the extension fail: an exception or a value left out, no crash, no leak of descriptors; and all is
right as soon as the fault is gone, in the same process."""

import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from faults import CALLS, LIBRARY, Faults, name, rows

pytestmark = pytest.mark.skipif(not LIBRARY or not ROOT.joinpath(LIBRARY).exists(), reason="the library is not built")

PLACES = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
SCRIPT = """
import gc, os, sys, kvtel
payload = {"transfer_duration": [0.1, 0.2], "post_duration": [0.1, 0.1], "bytes_transferred": [1, 2], "num_descriptors": [1, 1],
           "num_failed_transfers": [], "num_failed_notifications": [], "num_kv_expired_reqs": []}

def work():
    store = kvtel.Store.open("m", dir=sys.argv[1])
    recorder = kvtel.Recorder(store, "NixlConnector")
    prom = kvtel.Prom("NixlConnector", ["model_name", "engine"], {0: ["m", "0"]}, store)
    booked = sum(recorder.record_transfer(bytes=1) for _ in range(50))
    prom.observe(payload)
    stats, other = kvtel.Stats("NixlConnector", payload), kvtel.Stats("NixlConnector")
    other.decode(stats.encode("json"), "json")
    assert other.to_dict() == stats.to_dict()
    other.aggregate(stats).reduce()
    return booked, store.text()

def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

before = descriptors()
print("ready", flush=True)
sys.stdin.readline()
try:
    work()
except (MemoryError, OSError, ValueError, AssertionError) as error:
    print(type(error).__name__, file=sys.stderr)
print("tried", flush=True)
sys.stdin.readline()
booked, text = work()
assert booked == 50, booked
assert "\\nvllm:nixl_bytes_transferred_count{" in text
for line in text.splitlines():
    if line.startswith("vllm:nixl_bytes_transferred_count{"):
        assert line.endswith(" 52.0") or line.endswith(" 52"), line
assert descriptors() <= before + int(sys.argv[2]), (before, descriptors())
print("done", flush=True)
"""


@pytest.mark.parametrize("row", [row for row in rows() if row[1] == CALLS[row[0]][0]], ids=name)
def test_extension(tmp_path, row):
    call, error = row
    left = call == "stat"  # a descriptor of which nothing can be found out may be the host's by now: it is not closed
    for place in PLACES:
        faults = Faults(tmp_path / "faults")
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", SCRIPT, tmp_path, str(int(left))],
            env=faults.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        faults.on(call, error, place, once=True, process=process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        tried = process.stdout.readline()
        failed = faults.failed(call)
        faults.off()
        out, errors = process.communicate("\n", timeout=60)
        assert (tried, out, process.returncode) == ("tried\n", "done\n", 0), (place, errors)
        assert failed or place > 1 or call not in ("open", "mmap", "fallocate", "malloc", "rename")
        if not failed:
            break
