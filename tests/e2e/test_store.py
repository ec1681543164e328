# SPDX-License-Identifier: Apache-2.0
"""Stores written by the shared library, read by `kvtel dump` and by a reader that was written from the manual of the format."""

import ctypes
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from store_reader import Store

KVTEL = os.environ["KVTEL"]
LIBRARY = pathlib.Path(KVTEL).with_name("libkvtel.so")


class Transfer(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "duration_ns",
            "post_ns",
            "bytes",
            "descriptors",
            "failed",
            "submitted_ns",
            "posted_ns",
            "first_byte_ns",
            "done_ns",
        )
    ]


WRITER = """
import ctypes, random, sys, threading
sys.path.insert(0, sys.argv[4])
from test_store import Transfer, load_library
library = load_library(sys.argv[1])
store = library.kvtel_store_open(None)
nixl = library.kvtel_recorder_create(store, library.kvtel_connector_find(b"NixlConnector"), None)
keys = library.kvtel_recorder_create(store, library.kvtel_connector_find(b"MooncakeStoreConnector"), None)
sparse = library.kvtel_recorder_create(store, library.kvtel_connector_find(b"HiSparseConnector"), None)
put = library.kvtel_recorder_operation(keys, b"save_put", b"ok")
level = library.kvtel_recorder_instrument(sparse, b"host_cache_usage_perc", None, 0)
def record(seed):
    draw = random.Random(seed)
    for i in range(int(sys.argv[2])):
        transfer = Transfer(int(draw.lognormvariate(15, 1)), int(draw.lognormvariate(12, 1)), draw.randrange(1 << 30), draw.randrange(2000),
                            draw.randrange(3))
        library.kvtel_record_transfer(nixl, ctypes.byref(transfer))
        library.kvtel_record_operation(put, ctypes.byref(transfer))
        if i % 100 == 0:
            library.kvtel_record_failure(nixl, 1)
            library.kvtel_record_value(level, draw.random())
threads = [threading.Thread(target=record, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
print("started", flush=True)
for thread in threads:
    thread.join()
if sys.argv[3] == "remove":
    for series in range(0, 100, 3):
        library.kvtel_store_series_remove(store, series)
print("done", flush=True)
if sys.argv[3] != "exit":
    sys.stdin.read()
"""


def load_library(path):
    library = ctypes.CDLL(path)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("kvtel_store_open", pointer, [pointer]),
        ("kvtel_connector_find", pointer, [text]),
        ("kvtel_recorder_create", pointer, [pointer, pointer, pointer]),
        ("kvtel_recorder_operation", pointer, [pointer, text, text]),
        ("kvtel_recorder_instrument", pointer, [pointer, text, pointer, ctypes.c_size_t]),
        ("kvtel_record_transfer", ctypes.c_bool, [pointer, pointer]),
        ("kvtel_record_operation", ctypes.c_bool, [pointer, pointer]),
        ("kvtel_record_failure", ctypes.c_bool, [pointer, ctypes.c_int]),
        ("kvtel_record_value", ctypes.c_bool, [pointer, ctypes.c_double]),
        ("kvtel_store_series_remove", ctypes.c_int, [pointer, ctypes.c_uint32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def start_writer(directory, transfers, then):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(LIBRARY), str(transfers), then, str(pathlib.Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KVTEL_STORE_DIR": str(directory)},
    )
    if process.stdout.readline() != "started\n":
        pytest.skip("the library cannot be loaded into Python here (a sanitizer's build)")
    return process


def dump(path):
    done = subprocess.run([KVTEL, "dump", "--json", str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compare(path):
    ours, theirs = dump(path), Store(path)
    assert ours["connector"] == theirs.connector and ours["lanes"] == theirs.lane_count
    assert [family["name"] for family in ours["families"]] == [
        family["name"] + ("_total" if family["type"] == "counter" else "") for family in theirs.families
    ]  # as /metrics has them
    for family, expected in zip(ours["families"], theirs.families):
        assert family["type"] == expected["type"] and family["help"] == expected["help"]
        if family["type"] == "histogram":
            assert len(family["bounds"]) == len(expected["bounds"])
            assert all(math.isclose(a, b, rel_tol=1e-15) for a, b in zip(family["bounds"], expected["bounds"]))
        of_family = [series for series in theirs.series if series["family"] is expected]
        assert len(family["series"]) == len(of_family)
        for series, other in zip(family["series"], of_family):
            assert series["labels"] == other["labels"]
            if family["type"] == "histogram":
                assert series["count"] == other["count"] == sum(n for _, n in series["bins"])
                assert math.isclose(series["sum"], other["sum"], rel_tol=1e-12)
                assert series["bins"] == [[i, n] for i, n in enumerate(other["bins"]) if n]
            else:
                assert math.isclose(series["value"], other["value"], rel_tol=1e-12)
    return ours


def only_store(directory):
    (path,) = directory.glob("*.kvtel")
    return path


def count_of(dumped, name):
    return next(family for family in dumped["families"] if family["name"] == name)["series"][0]["count"]


def test_resting_and_ended(tmp_path):
    process = start_writer(tmp_path, 1000, "wait")
    assert process.stdout.readline() == "done\n"
    live = compare(only_store(tmp_path))
    assert live["state"] == "live" and count_of(live, "vllm:nixl_xfer_time_seconds") == 3000
    process.stdin.close()
    assert process.wait() == 0
    ended = compare(only_store(tmp_path))
    assert ended["state"] == "ended" and count_of(ended, "vllm:mooncake_store_operation_time_seconds") == 3000


def test_removed_series(tmp_path):
    process = start_writer(tmp_path, 1000, "remove")
    assert process.stdout.readline() == "done\n"
    series = Store(only_store(tmp_path)).series
    live = compare(only_store(tmp_path))
    process.stdin.close()
    assert process.wait() == 0
    ended = compare(only_store(tmp_path))
    for dumped in live, ended:
        left = sum(len(family["series"]) for family in dumped["families"])
        assert left == len(series) and any(not family["series"] for family in dumped["families"])


def test_killed(tmp_path):
    draw = random.Random(3)
    for round_number in range(8):
        directory = tmp_path / str(round_number)
        process = start_writer(directory, 10**9, "wait")
        time.sleep(0.05 + draw.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        dumped = compare(only_store(directory))
        assert dumped["state"] == "ended"
        assert count_of(dumped, "vllm:nixl_xfer_time_seconds") == count_of(dumped, "vllm:nixl_bytes_transferred") > 0


def test_text_and_errors(tmp_path):
    process = start_writer(tmp_path, 300, "exit")
    assert process.wait() == 0
    text = subprocess.run([KVTEL, "dump", only_store(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert (
        "ended, pid" in text
        and 'vllm:nixl_xfer_time_seconds{model_name="",engine="0"} count 900 sum' in text
        and " P99 " in text
    )
    junk = tmp_path / "junk"
    junk.write_bytes(b"x" * 5000)
    done = subprocess.run([KVTEL, "dump", junk, tmp_path / "missing"], capture_output=True, text=True)
    assert done.returncode == 1 and "not a store" in done.stderr and "No such file" in done.stderr
    assert subprocess.run([KVTEL, "dump"], capture_output=True).returncode == 2
