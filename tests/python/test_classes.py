# SPDX-License-Identifier: Apache-2.0
"""The classes beyond the golden cases: arguments, errors, pickling, native recording, forks, threads, references."""

import array
import ast
import gc
import importlib.metadata
import inspect
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import kvtel
import msgspec
import pytest

from conftest import LABELNAMES

ENGINE = {0: ["m", "0"]}


def samples(store, name):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in store.text().splitlines() if line.startswith(name)}


def total(store, name):
    return sum(samples(store, name).values())


# Stats


def test_data_is_a_copy_and_can_be_set(nixl):
    stats = kvtel.Stats("NixlConnector", nixl)
    stats.data["transfer_duration"].append(1.0)
    assert stats.data == nixl == stats.to_dict()
    stats.data = {"transfer_duration": [1.0]}
    assert stats.to_dict() == {"transfer_duration": [1.0]}
    with pytest.raises(AttributeError):
        del stats.data


def test_aggregate_returns_self_and_leaves_the_other(nixl):
    one, other = kvtel.Stats("NixlConnector", nixl), kvtel.Stats("NixlConnector", nixl)
    assert one.aggregate(other) is one
    assert len(one.data["transfer_duration"]) == 4 and other.data == nixl
    with pytest.raises(kvtel.ArgumentError):
        one.aggregate(one)


def test_clone_and_reset_moves(nixl):
    stats = kvtel.Stats("NixlConnector", nixl)
    delta = stats.clone_and_reset()
    assert delta.reduce()["Num successful transfers"] == 2 and stats.is_empty()


def test_pickle(nixl):
    copy = pickle.loads(pickle.dumps(kvtel.Stats("NixlConnector", nixl)))
    assert copy.data == nixl and copy.connector == kvtel.Stats("NixlConnector").connector


def test_record():
    stats = kvtel.Stats("NixlConnector")
    stats.record_transfer(duration_ns=3_026_000, post_ns=315_000, bytes=262144, descriptors=2)
    stats.record_failure("handshake")
    assert stats.data["transfer_duration"] == [0.003026] and stats.reduce()["Num failed transfers"] == 1
    with pytest.raises(kvtel.UnknownNameError):
        stats.record_transfer("no such flow", duration_ns=1)
    with pytest.raises(kvtel.UnknownNameError):
        stats.record_failure("no such class")
    with pytest.raises(TypeError):
        stats.record_transfer(seconds=1)
    with pytest.raises((OverflowError, TypeError)):
        stats.record_transfer(bytes=-1)
    store = kvtel.Stats("MooncakeStoreConnector")
    store.record_operation("load_get", "ok", duration_ns=1_000_000, bytes=4096, descriptors=3)
    assert store.reduce()["load_get_count"] == 1
    typed = kvtel.Stats("OffloadingConnector")
    typed.record_value("vllm:kv_offload_load_bytes", 4096)
    assert typed.data["data"]["vllm:kv_offload_load_bytes"] == {(): 4096}


def test_sample_limit(nixl):
    stats = kvtel.Stats("NixlConnector", sample_limit=10)
    for _ in range(20):
        stats.aggregate(kvtel.Stats("NixlConnector", nixl))
    assert stats.is_summarised and stats.reduce()["Num successful transfers"] == 40
    for needs_the_list in (stats.to_dict, stats.encode, lambda: pickle.dumps(stats)):
        with pytest.raises(kvtel.SummarisedError):
            needs_the_list()


@pytest.mark.parametrize("make, error", [
    (lambda: kvtel.Stats("NobodysConnector"), kvtel.UnknownConnectorError),
    (lambda: kvtel.Stats("ExampleConnector"), kvtel.NoStatsError),
    (lambda: kvtel.Stats("NixlConnector", b"\x81"), kvtel.DecodeError),
    (lambda: kvtel.Stats("NixlConnector", b"\x80\x80"), kvtel.DecodeError),
    (lambda: kvtel.Stats("NixlConnector", []), kvtel.WrongTypeError),
    (lambda: kvtel.Stats("NixlConnector", {}, -1), kvtel.ArgumentError),
    (lambda: kvtel.Stats("NixlConnector").decode(b"{", "json"), kvtel.DecodeError),
    (lambda: kvtel.Stats("NixlConnector").encode("yaml"), kvtel.ArgumentError),
    (lambda: kvtel.Stats("NixlConnector").aggregate(kvtel.Stats("MooncakeConnector")), kvtel.MismatchError),
    (lambda: kvtel.Stats("NixlConnector").aggregate({}), TypeError),
    (lambda: kvtel.Logging("{"), kvtel.DecodeError),
    (lambda: kvtel.Logging("NixlConnector", "loud"), kvtel.ArgumentError),
    (lambda: kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m"]}), kvtel.ArgumentError),
    (lambda: kvtel.Prom("NixlConnector", LABELNAMES, {-1: ["m", "0"]}), OverflowError),
    (lambda: kvtel.PromMetrics("NobodysConnector", None, LABELNAMES, ENGINE), kvtel.UnknownConnectorError),
    (lambda: kvtel.PromMetrics(None, None, LABELNAMES, ENGINE), kvtel.NoStatsError),
    (lambda: kvtel.PromMetrics("NixlConnector", {}, LABELNAMES, ENGINE), kvtel.ArgumentError),
    (lambda: kvtel.Prom("NixlConnector", LABELNAMES, ENGINE).observe({}, 7), kvtel.UnknownEngineError),
    (lambda: kvtel.Prom("NixlConnector", LABELNAMES, ENGINE).observe(kvtel.Stats("MooncakeConnector")), kvtel.MismatchError),
    (lambda: kvtel.Recorder(kvtel.Store(), "NobodysConnector"), kvtel.UnknownConnectorError),
    (lambda: kvtel.Recorder(None, "NixlConnector"), TypeError),
])
def test_errors(make, error):
    with pytest.raises(error) as raised:
        make()
    assert isinstance(raised.value, kvtel.Error) or error in (TypeError, OverflowError)
    assert str(raised.value)


def test_a_decode_error_says_where(nixl):
    stats = kvtel.Stats("NixlConnector", nixl)
    with pytest.raises(kvtel.DecodeError) as raised:
        stats.decode(b'{"transfer_duration":\n [1, oops]}', "json")
    assert raised.value.line == 2 and raised.value.column > 1 and raised.value.offset > 20
    assert isinstance(raised.value, ValueError) and stats.data == nixl


def test_what_cannot_be_used_is_refused_and_said_once(nixl, caplog):
    stats = kvtel.Stats("NixlConnector")
    for _ in range(3):
        stats.data = nixl | {"transfer_duration": [float("nan"), 0.5], "no_such_key": [1], "num_failed_transfers": ["x", object(), 1]}
    assert stats.data["transfer_duration"] == [0.5] and stats.data["bytes_transferred"] == [1048576]
    assert stats.data["num_failed_transfers"] == [1]
    assert stats.refused == {"not_finite": 3, "unknown_key": 3, "wrong_type": 6}
    assert len(caplog.records) == 3 and {record.name for record in caplog.records} == {"kvtel"}


def test_numbers_of_any_kind(nixl):
    class Float(float):
        pass

    class Index:
        def __index__(self):
            return 7

    class Real:
        def __float__(self):
            return 0.25

    stats = kvtel.Stats("NixlConnector", {
        "transfer_duration": [Float(0.5), 1, Real()], "bytes_transferred": (Index(), 2**63, 3), "num_failed_transfers": [True, 10**400, 1.0]})
    assert stats.data["transfer_duration"] == [0.5, 1, 0.25] and stats.data["bytes_transferred"] == [7, 2.0**63, 3]
    assert stats.data["num_failed_transfers"] == [1.0] and stats.refused == {"wrong_type": 1, "not_finite": 1}


def test_objects_that_change_the_payload_while_it_is_read(nixl):
    class Mean:
        def __float__(self):
            nixl.clear()
            durations.clear()
            return 1.0

    durations = [Mean(), 2.0, 3.0]
    nixl["transfer_duration"] = durations
    kvtel.Stats("NixlConnector", nixl).data
    assert nixl == {}


def test_nesting_has_an_end(nixl):
    endless = []
    endless.append(endless)
    with pytest.raises(kvtel.DecodeError):
        kvtel.Stats("NixlConnector", nixl | {"transfer_duration": endless})


def test_children_that_are_stats_objects(nixl):
    """In one process vLLM hands a MultiConnector's children over as objects with their payload in `data`."""
    multi = kvtel.Stats("MultiConnector", {"NixlPullConnector": SimpleNamespace(data=nixl)})
    assert multi.data == {"NixlPullConnector": nixl}


# Logging and Prom


def test_logging_without_a_connector():
    logging = kvtel.Logging(None)
    logging.observe({"whatever": 1})
    logging.log(pytest.fail)
    logging.reset()


def test_logging_to_the_default_logger(nixl, caplog):
    caplog.set_level(logging.INFO, "kvtel")
    log = kvtel.Logging({"kv_connector": "NixlConnector"})
    log.observe(nixl)
    log.log()
    assert caplog.messages[0].startswith("KV Transfer metrics: Num successful transfers=2, ")
    log.log(pytest.fail)
    log.observe(nixl)
    log.reset()
    log.log(pytest.fail)


def test_logging_of_a_connector_nobody_knows(nixl, caplog):
    log = kvtel.Logging("NobodysConnector")
    log.observe(nixl)
    log.observe(nixl)
    log.log(pytest.fail)
    assert len(caplog.records) == 1 and log.refused == {"unknown_connector": 2}


def test_default_style_says_failures_and_quantiles(nixl):
    lines = []
    log = kvtel.Logging("NixlConnector", "default")
    log.observe(nixl, 3)
    log.log(lambda text, *arguments: lines.append(text % arguments), 10)
    assert len(lines) == 1 and "p99" in lines[0].lower() and "notification" in lines[0] and "3" in lines[0]


def test_prom_of_a_connector_without_stats(nixl):
    for connector in ("ExampleConnector", "NobodysConnector", None):
        kvtel.Prom(connector, LABELNAMES, ENGINE).observe(nixl, 0)


def test_proms_share_a_store(nixl):
    store = kvtel.Store()
    proms = [kvtel.Prom("NixlConnector", LABELNAMES, {engine: ["m", engine]}, store) for engine in range(2)]
    for engine in (0, 1, 1):
        proms[engine].observe(nixl, engine)
    assert proms[0].store is store
    assert samples(store, "vllm:nixl_bytes_transferred_count") == {
        f'vllm:nixl_bytes_transferred_count{{engine="{engine}",model_name="m"}}': 2 + 2 * engine for engine in range(2)}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="inspect cannot read the signature of a class")
def test_names_of_arguments_are_vllms():
    """The signatures of vLLM's classes, as far as kvtel's go."""
    for function, names in {
        kvtel.Logging.observe: ["self", "transfer_stats_data"],
        kvtel.Logging.log: ["self", "log_fn"],
        kvtel.PromMetrics: ["vllm_config", "metric_types", "labelnames", "per_engine_labelvalues"],
        kvtel.PromMetrics.observe: ["self", "transfer_stats_data", "engine_idx"],
        kvtel.PromMetrics.create_metric_per_engine: ["self", "metric", "per_engine_labelvalues"],
        kvtel.Prom: ["vllm_config", "labelnames", "per_engine_labelvalues"],
        kvtel.Prom.observe: ["self", "transfer_stats_data", "engine_idx"],
    }.items():
        assert list(inspect.signature(function).parameters)[: len(names)] == names


def test_create_metric_per_engine():
    metrics = kvtel.PromMetrics("NixlConnector", None, LABELNAMES, ENGINE)
    metric = SimpleNamespace(labels=lambda *values: values)
    assert metrics.create_metric_per_engine(metric, {0: ["m", "0"], 1: ["m", "1"]}) == {0: ("m", "0"), 1: ("m", "1")}


def test_errors_of_metric_types_come_through(nixl):
    class Metric:
        def __init__(self, **options):
            pass

        def labels(self, *values):
            return self

        def inc(self, amount):
            pass

        def set(self, value):
            pass

        def observe(self, value):
            raise RuntimeError("full")

    types = {name: Metric for name in ("Gauge", "Counter", "Histogram")}
    metrics = kvtel.PromMetrics("NixlConnector", types, LABELNAMES, ENGINE)
    with pytest.raises(RuntimeError, match="full"):
        metrics.observe(nixl, 0)
    with pytest.raises(TypeError):
        kvtel.PromMetrics("NixlConnector", types | {"Gauge": None, "Histogram": None}, LABELNAMES, ENGINE)


def test_subclasses_may_have_an_init_of_their_own(nixl):
    class Mine(kvtel.PromMetrics):
        def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
            super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
            self.mine = 1

    Mine("NixlConnector", None, LABELNAMES, ENGINE).observe(nixl)


# Store and Recorder


def test_recorder():
    store = kvtel.Store("m", engine=3)
    recorder = kvtel.Recorder(store, "NixlConnector")
    assert recorder.store is store
    assert recorder.record_transfer(duration_ns=3_026_000, post_ns=315_000, bytes=262144, descriptors=2)
    assert recorder.record_failure("handshake") and not recorder.record_failure("allocation")
    labels = '{engine="3",model_name="m"}'
    assert samples(store, "vllm:nixl_bytes_transferred_sum") == {"vllm:nixl_bytes_transferred_sum" + labels: 262144}
    assert samples(store, "vllm:nixl_num_failed_transfers_total") == {"vllm:nixl_num_failed_transfers_total" + labels: 1}
    with pytest.raises(kvtel.UnknownNameError):
        recorder.operation("no such flow")
    with pytest.raises(kvtel.UnknownNameError):
        recorder.channel("no_such_key")


def test_recorder_of_operations_and_values():
    store = kvtel.Store("m")
    mooncake = kvtel.Recorder(store, "MooncakeStoreConnector", engine="7")
    put = mooncake.operation("save_put", "error")
    assert put.record(duration_ns=5_000_000, bytes=4096, descriptors=2, failed=1)
    assert total(store, "vllm:mooncake_store_operation_failed_keys_total") == 1
    usage = kvtel.Recorder(store, "HiSparseConnector").channel("host_cache_usage_perc")
    assert usage.record(0.25) and usage.record(0.5)
    assert total(store, "vllm:hisparse_host_cache_usage_perc") == 0.5


@pytest.mark.parametrize("kind", ["array", "numpy", "bytes", "memoryview"])
def test_recorder_takes_buffers(kind):
    store = kvtel.Store("m")
    durations, sizes = array.array("d", [1e6, 2e6, -1.0, float("nan")]), array.array("Q", [10, 20, 30, 40])
    if kind == "numpy":
        numpy = pytest.importorskip("numpy")
        durations, sizes = numpy.array(durations), numpy.array(sizes, dtype=numpy.uint64)[::1]
    elif kind == "bytes":
        durations, sizes = array.array("d", durations), bytes(sizes)
    elif kind == "memoryview":
        durations, sizes = memoryview(durations), memoryview(sizes)
    recorder = kvtel.Recorder(store, "NixlConnector")
    assert recorder.record_transfers(durations, post_ns=1000, bytes=sizes, descriptors=None) == 2
    assert recorder.operation().record_many(durations, None, sizes) == 2
    assert total(store, "vllm:nixl_bytes_transferred_sum") == 60
    assert total(store, "vllm:nixl_xfer_time_seconds_sum") == pytest.approx(0.006)


def test_buffers_that_cannot_be():
    recorder = kvtel.Recorder(kvtel.Store(), "NixlConnector")
    for arguments, error in [
        ((1, 2), kvtel.ArgumentError),
        ((array.array("d", [1]), array.array("d", [1, 2])), kvtel.ArgumentError),
        ((b"12345",), kvtel.ArgumentError),
        ((array.array("f", [1, 2]),), kvtel.WrongTypeError),
        (("text",), TypeError),
    ]:
        with pytest.raises(error):
            recorder.record_transfers(*arguments)


def test_store_in_a_file(tmp_path, nixl):
    store = kvtel.Store.open("m", dir=tmp_path, connector="NixlConnector", engine=2)
    assert os.path.dirname(store.path) == str(tmp_path) and store.warnings == []
    kvtel.Recorder(store, "NixlConnector").record_transfer(bytes=1)
    info = store.info()
    assert info["pid"] == os.getpid() and info["model_name"] == "m" and info["connector"] == "NixlConnector" and info["engine"] == 2
    path = store.path
    del store
    assert os.path.exists(path)


def test_store_where_no_file_can_be(tmp_path):
    (tmp_path / "file").touch()
    store = kvtel.Store.open("m", dir=tmp_path / "file" / "below")
    assert store.path is None and len(store.warnings) == 1
    assert kvtel.Recorder(store, "NixlConnector").record_transfer(bytes=1)
    assert kvtel.Store().path is None


# Forks, threads, references


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
    typed = kvtel.Stats("OffloadingConnector", {"types": {"vllm:kv_offload_load_bytes": "counter"},
                                                "data": {"vllm:kv_offload_load_bytes": {(): 1}}, "info": [{"cpu_num_chunks": "1"}]})
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
    kvtel.Recorder(store, "HiSparseConnector").channel("host_cache_usage_perc", ()).record(0.5)
    for fails in (lambda: kvtel.Stats("?"), lambda: stats.decode(b"\xff"), lambda: prom.observe(nixl, 9), lambda: fed.observe(3),
                  lambda: recorder.channel("?"), lambda: recorder.record_transfers(1), lambda: kvtel.Logging({"kv_connector": 1}),
                  lambda: kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m"]}), lambda: kvtel.Stats("NixlConnector", {"a": [[]] * 3, 1: 2}),
                  lambda: stats.aggregate(typed), lambda: log.log(1), lambda: stats.record_transfer(oops=1)):
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
    before, memory, resident = [sys.getrefcount(item) for item in objects], tracemalloc.get_traced_memory()[0], resident_bytes()
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


# The wheel


def extension():
    return Path(sys.modules["kvtel._kvtel"].__file__)


def test_the_wheel_needs_libc_alone():
    assert extension().name == "_kvtel.abi3.so"
    listed = subprocess.run(["ldd", extension()], capture_output=True, text=True, check=True).stdout
    needed = {line.split()[0].split("/")[-1] for line in listed.splitlines()}
    assert {name for name in needed if not name.startswith(("linux-vdso", "linux-gate", "ld-linux", "libc.", "libm.", "libpthread."))} == set()


def test_auditwheel_finds_nothing_outside():
    wheel = os.environ.get("KVTEL_WHEEL")
    pytest.importorskip("auditwheel")
    if not wheel:
        pytest.skip("no wheel in $KVTEL_WHEEL")
    shown = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "manylinux_" in shown.stdout
    named = set(re.findall(r"lib[\w+-]+\.so[.\d]*", shown.stdout))
    assert named <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}


def test_what_is_installed():
    files = {str(path) for path in importlib.metadata.files("kvtel")}
    assert {"kvtel/py.typed", "kvtel/_kvtel.pyi", "kvtel/vllm.py"} <= files
    assert not [name for name in files if name.endswith((".h", ".a", ".pc", ".cmake"))]
    assert kvtel.__version__ == importlib.metadata.version("kvtel")


def test_stubs_name_what_is_there():
    native = sys.modules["kvtel._kvtel"]
    tree = ast.parse(Path(extension()).with_name("_kvtel.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            assert callable(getattr(native, node.name))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    assert hasattr(getattr(native, node.name), member.name), (node.name, member.name)
    for name in kvtel.__all__:
        assert getattr(kvtel, name).__doc__, name
