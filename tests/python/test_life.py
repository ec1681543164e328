# SPDX-License-Identifier: Apache-2.0
"""Forks, threads, references: what must hold whatever the numbers are."""

import array
import gc
import logging
import os
import pickle
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import kvtel
import msgspec
import pytest

from conftest import ENGINE, LABELNAMES, total


def test_fork(tmp_path, nixl):
    store = kvtel.Store.open("m", dir=tmp_path)
    recorder, prom = kvtel.Recorder(store, "NixlConnector"), kvtel.Prom("NixlConnector", LABELNAMES, ENGINE, store)
    stats = kvtel.Stats("NixlConnector", nixl)
    recorder.record_transfer(bytes=1)
    prom.observe(nixl)
    before = store.text()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert not recorder.record_transfer(bytes=1)
            prom.observe(nixl)
            assert stats.reduce()["Num successful transfers"] == 2
            own = kvtel.Store.open("m", dir=tmp_path)
            assert own.path and kvtel.Recorder(own, "NixlConnector").record_transfer(bytes=4)
            assert total(own, "vllm:nixl_bytes_transferred_sum") == 4
            del recorder, prom, store
            gc.collect()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.text() == before and recorder.record_transfer(bytes=1)
    assert len(list(tmp_path.glob("*.kvtel"))) == 2


@pytest.mark.parametrize("in_file", [True, False])
def test_what_a_child_records_is_counted(tmp_path, nixl, in_file):
    store = kvtel.Store.open("m", dir=tmp_path) if in_file else kvtel.Store("m")
    recorder, prom = kvtel.Recorder(store, "NixlConnector"), kvtel.Prom("NixlConnector", LABELNAMES, ENGINE, store)
    operation = recorder.operation()
    recorder.record_transfer(bytes=1)
    prom.observe(nixl)
    before = store.text()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert store.info()["records_dropped"] == 0
            assert not recorder.record_transfer(bytes=1)
            assert not recorder.operation().record(bytes=1)
            assert not operation.record(bytes=1)
            assert store.info()["records_dropped"] == 3
            prom.observe(nixl)
            assert store.info()["records_dropped"] > 3
            assert store.text() == before
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.text() == before
    assert (store.info()["records_dropped"] > 3) == in_file


def test_ten_thousand_proms_of_one_store(nixl):
    store = kvtel.Store("m")
    proms = [kvtel.Prom("NixlConnector", LABELNAMES, ENGINE, store) for _ in range(10000)]
    for prom in proms[::100]:
        prom.observe(nixl)
    assert store.info()["lanes"] == 1 and store.info()["records_dropped"] == 0


def test_fork_while_another_thread_encodes(nixl):
    stats = kvtel.Stats("NixlConnector", {key: values * 200000 for key, values in nixl.items()})
    thread = threading.Thread(target=lambda: [stats.encode() for _ in range(3)])
    thread.start()
    while thread.is_alive():
        child = os.fork()
        if child == 0:
            os._exit(0 if stats.reduce()["Num successful transfers"] == 400000 and stats.encode() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


def test_threads_record_and_encode_at_once(nixl):
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector")
    stats = kvtel.Stats("NixlConnector", {key: values * 20000 for key, values in nixl.items()})
    whole = stats.encode()
    wrong = []

    def work():
        for _ in range(20):
            recorder.record_transfers(array.array("d", [1e6] * 1000), bytes=8)
            if stats.encode() != whole or stats.reduce()["Num successful transfers"] != 40000:
                wrong.append("encode")
            store.text()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and total(store, "vllm:nixl_bytes_transferred_count") == 4 * 20 * 1000


def test_a_thread_replaces_while_another_one_encodes(nixl):
    payloads = [
        msgspec.msgpack.encode({key: values * count for key, values in nixl.items()}) for count in (4000, 9000, 20000)
    ]
    stats = kvtel.Stats("NixlConnector", payloads[0])
    thread = threading.Thread(target=lambda: [stats.decode(payload) for payload in payloads * 100])
    thread.start()
    while thread.is_alive():
        assert stats.encode() in payloads
        time.sleep(0.001)  # or the other one would hardly get a turn
    thread.join()


def test_long_payloads_are_decoded_without_the_gil(nixl):
    payload = msgspec.msgpack.encode({key: values * 50000 for key, values in nixl.items()})
    stats = kvtel.Stats("NixlConnector", payload)
    assert stats.reduce()["Num successful transfers"] == 100000


def everything(nixl, store, types):
    """Each function once, failures included."""
    packed = msgspec.msgpack.encode(nixl)
    stats = kvtel.Stats("NixlConnector", nixl)
    stats.data = nixl | {"unknown": 1}
    stats.decode(packed)
    stats.decode(kvtel.Stats("NixlConnector", packed).encode("json"), "json")
    stats.aggregate(pickle.loads(pickle.dumps(stats))).clone_and_reset().reduce()
    stats.record_transfer("transfer", duration_ns=1)
    stats.record_failure("handshake")
    stats.refused, stats.connector, stats.is_summarised, stats.is_empty(), stats.to_dict()
    typed = kvtel.Stats(
        "OffloadingConnector",
        {
            "types": {"vllm:kv_offload_load_bytes": "counter"},
            "data": {"vllm:kv_offload_load_bytes": {(): 1}},
            "info": [{"cpu_num_chunks": "1"}],
        },
    )
    typed.record_value("vllm:kv_offload_load_bytes", 1.0, ())
    typed.to_dict()
    log = kvtel.Logging({"kv_connector": "NixlConnector"})
    log.observe(nixl)
    log.log(lambda *arguments: None)
    prom = kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m", "0"]}, store)
    prom.observe(nixl)
    prom.observe(packed)
    prom.observe(transfer_stats_data=stats, engine_idx=0)
    fed = kvtel.PromMetrics("NixlConnector", types, LABELNAMES, {0: ["m", "0"]})
    fed.observe(nixl)
    fed.create_metric_per_engine(types["Counter"](), {0: ["m", "0"]})
    recorder = kvtel.Recorder(store, "NixlConnector")
    recorder.record_transfer(bytes=1)
    recorder.record_transfers(array.array("d", [1.0]), bytes=memoryview(array.array("Q", [1])))
    recorder.operation().record(bytes=1)
    kvtel.Recorder(store, "HiSparseConnector").instrument("host_cache_usage_perc", ()).record(0.5)
    for fails in (
        lambda: kvtel.Stats("?"),
        lambda: stats.decode(b"\xff"),
        lambda: prom.observe(nixl, 9),
        lambda: fed.observe(3),
        lambda: recorder.instrument("?"),
        lambda: recorder.record_transfers(1),
        lambda: kvtel.Logging({"kv_connector": 1}),
        lambda: kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m"]}),
        lambda: kvtel.Stats("NixlConnector", {"a": [[]] * 3, 1: 2}),
        lambda: stats.aggregate(typed),
        lambda: log.log(1),
        lambda: stats.record_transfer(oops=1),
        lambda: store.remove("?"),
        lambda: store.remove("vllm:nixl_xfer_time_seconds", ["m"]),
        lambda: store.clear("?"),
    ):
        try:
            fails()
        except (kvtel.Error, TypeError):
            pass
    store.collect(), store.text(), store.info(), store.warnings, kvtel.connectors()


def test_no_reference_and_no_memory_leaks(nixl):
    logging.getLogger("kvtel").disabled = True
    metric = SimpleNamespace(inc=lambda amount: None, set=lambda value: None, observe=lambda value: None)
    metric.labels = lambda *values: metric
    types = {name: lambda **options: metric for name in ("Gauge", "Counter", "Histogram")}
    store = kvtel.Store("m")
    for _ in range(50):
        everything(nixl, store, types)
    objects = (nixl, nixl["transfer_duration"], store, metric, types["Gauge"], None, 0, kvtel.Stats, kvtel.Prom)
    gc.collect()
    tracemalloc.start()
    before, memory, resident = (
        [sys.getrefcount(item) for item in objects],
        tracemalloc.get_traced_memory()[0],
        resident_bytes(),
    )
    for _ in range(300):
        everything(nixl, store, types)
    gc.collect()
    after = [sys.getrefcount(item) for item in objects]
    assert all(abs(b - a) < 50 for a, b in zip(before, after)), list(zip(before, after))
    assert tracemalloc.get_traced_memory()[0] - memory < 100_000
    tracemalloc.stop()
    assert resident_bytes() - resident < 16 << 20
    logging.getLogger("kvtel").disabled = False


def test_hot_calls_do_not_leak(nixl):
    prom = kvtel.Prom("NixlConnector", LABELNAMES, ENGINE)
    recorder = kvtel.Recorder(kvtel.Store(), "NixlConnector")
    fresh = msgspec.msgpack.Decoder()
    packed = msgspec.msgpack.encode(nixl)
    keys = list(nixl)
    counts = [sys.getrefcount(key) for key in keys]
    tracemalloc.start()
    for i in range(10_000):
        prom.observe(nixl, 0)
        prom.observe(fresh.decode(packed), 0)
        recorder.record_transfer(duration_ns=i, bytes=i)
        if i == 1000:
            memory = tracemalloc.get_traced_memory()[0]
    assert tracemalloc.get_traced_memory()[0] - memory < 20_000
    tracemalloc.stop()
    assert all(abs(sys.getrefcount(key) - count) <= 4 for key, count in zip(keys, counts))


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
