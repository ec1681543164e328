# SPDX-License-Identifier: Apache-2.0
"""Store and Recorder of the package: what is recorded natively, and in files."""

import array
import os
import time

import kvtel
import pytest

from kvtel.prometheus import StoreCollector

from conftest import ENGINE, LABELNAMES, samples, total


def test_recorder():
    store = kvtel.Store("m", engine=3)
    recorder = kvtel.Recorder(store, "NixlConnector")
    assert recorder.store is store
    assert recorder.record_transfer(duration_ns=3_026_000, post_ns=315_000, bytes=262144, descriptors=2)
    assert recorder.record_failure("handshake") and not recorder.record_failure("allocation")
    labels = '{engine="3",model_name="m"}'
    assert samples(store, "vllm:nixl_bytes_transferred_sum") == {"vllm:nixl_bytes_transferred_sum" + labels: 262144}
    assert samples(store, "vllm:nixl_num_failed_transfers_total") == {
        "vllm:nixl_num_failed_transfers_total" + labels: 1
    }
    with pytest.raises(kvtel.UnknownNameError):
        recorder.operation("no such flow")
    with pytest.raises(kvtel.UnknownNameError):
        recorder.instrument("no_such_key")


def test_recorder_of_operations_and_values():
    store = kvtel.Store("m")
    mooncake = kvtel.Recorder(store, "MooncakeStoreConnector", engine="7")
    put = mooncake.operation("save_put", "error")
    assert put.record(duration_ns=5_000_000, bytes=4096, descriptors=2, failed=1)
    assert total(store, "vllm:mooncake_store_operation_failed_keys_total") == 1
    usage = kvtel.Recorder(store, "HiSparseConnector").instrument("host_cache_usage_perc")
    assert usage.record(0.25) and usage.record(0.5)
    assert total(store, "vllm:hisparse_host_cache_usage_perc") == 0.5


def test_what_is_not_measured_has_no_value_and_what_cannot_be_is_counted():
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector")
    assert recorder.record_transfer(duration_ns=1_000_000, bytes=0)
    assert recorder.record_transfer(duration_ns=None, post_ns=1000, descriptors=3)
    for name, count in {
        "xfer_time_seconds": 1,
        "post_time_seconds": 1,
        "bytes_transferred": 1,
        "num_descriptors": 1,
    }.items():
        assert total(store, f"vllm:nixl_{name}_count") == count
    for number in (-10, 2**62, 2**64 - 10, 2**70):
        assert not recorder.record_transfer(duration_ns=number, bytes=1)
    assert store.info()["values_refused"] == 4 and total(store, "vllm:nixl_xfer_time_seconds_sum") == 0.001
    assert recorder.record_transfers(array.array("q", [5, -5]), descriptors=array.array("d", [1, 1])) == 1
    assert recorder.record_transfers(array.array("Q", [2**63, 2**64 - 10])) == 0
    assert store.info()["values_refused"] == 7
    prom = kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m", "0"]}, store)
    prom.observe({"transfer_duration": [1.0, 9.3e9], "bytes_transferred": [1, 2]}, 0)
    assert prom.refused == {"implausible": 1}


class Raises:
    def __init__(self, error):
        self.error = error

    def __float__(self):
        raise self.error

    @property
    def data(self):
        raise AttributeError


class RaisesAsData:
    def __init__(self, error):
        self.error = error

    @property
    def data(self):
        raise self.error


class RaisesAsIndex:
    def __init__(self, error):
        self.error = error

    def __index__(self):
        raise self.error


@pytest.mark.parametrize("kind", [Raises, RaisesAsData, RaisesAsIndex])
def test_only_a_wrong_value_is_a_wrong_value(kind):
    for error in (KeyboardInterrupt, SystemExit, MemoryError, RecursionError, RuntimeError):
        for observe in (
            lambda payload: kvtel.Stats("NixlConnector", payload),
            lambda payload: kvtel.Prom("NixlConnector", LABELNAMES, {0: ["m", "0"]}).observe(payload, 0),
            lambda payload: kvtel.Logging("NixlConnector").observe(payload),
        ):
            with pytest.raises(error):
                observe({"transfer_duration": [1.0, kind(error())]})
    for error in (TypeError, ValueError, OverflowError):
        stats = kvtel.Stats("NixlConnector", {"transfer_duration": [1.0, kind(error())]})
        assert stats.data["transfer_duration"] == [1.0] and stats.refused == {"wrong_type": 1}


@pytest.mark.parametrize("kind", ["array", "numpy", "bytes", "bytearray", "memoryview"])
def test_recorder_takes_buffers(kind):
    store = kvtel.Store("m")
    durations, sizes = array.array("d", [1e6, 2e6, -1.0, float("nan")]), array.array("Q", [10, 20, 30, 40])
    if kind == "numpy":
        numpy = pytest.importorskip("numpy")
        durations, sizes = numpy.array(durations), numpy.array(sizes, dtype=numpy.uint64)[::1]
    elif kind == "bytes":
        sizes = bytes(sizes)
    elif kind == "bytearray":
        sizes = bytearray(sizes)
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
        ((array.array("B", range(16)),), kvtel.WrongTypeError),
        (("text",), TypeError),
    ]:
        with pytest.raises(error):
            recorder.record_transfers(*arguments)


def test_store_in_a_file(tmp_path, nixl):
    store = kvtel.Store.open("m", dir=tmp_path, connector="NixlConnector", engine=2)
    assert os.path.dirname(store.path) == str(tmp_path) and store.warnings == []
    kvtel.Recorder(store, "NixlConnector").record_transfer(bytes=1)
    info = store.info()
    assert (
        info["pid"] == os.getpid()
        and info["model_name"] == "m"
        and info["connector"] == "NixlConnector"
        and info["engine"] == 2
    )
    path = store.path
    del store
    assert os.path.exists(path)


def test_series_are_removed():
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector")
    expired = "vllm:nixl_num_kv_expired_reqs"
    for _ in range(3):
        recorder.record_failure("expired")

    def shown():
        return {family[0]: family[4] for family in store.collect()}

    assert shown()[expired] == [(("m", "0"), 3.0)]
    store.remove(expired, ("m", "0"))
    assert shown()[expired] == [] and expired + "_total{" not in store.text()
    assert not recorder.record_failure("expired") and store.info()["records_dropped"] == 1
    for wrong in (("?", ()), (expired, ("m", "0")), (expired, ("m", "1"))):
        with pytest.raises(kvtel.UnknownNameError):
            store.remove(*wrong)
    with pytest.raises(kvtel.ArgumentError):
        store.remove(expired, ("m",))

    recorder.record_transfer(duration_ns=1000)
    assert shown()["vllm:nixl_xfer_time_seconds"] != []
    store.clear(name="vllm:nixl_xfer_time_seconds")
    assert shown()["vllm:nixl_xfer_time_seconds"] == []
    with pytest.raises(kvtel.UnknownNameError):
        store.clear("?")


def test_store_where_no_file_can_be(tmp_path):
    (tmp_path / "file").touch()
    store = kvtel.Store.open("m", dir=tmp_path / "file" / "below")
    assert store.path is None and len(store.warnings) == 1
    assert kvtel.Recorder(store, "NixlConnector").record_transfer(bytes=1)
    assert kvtel.Store().path is None


def test_texts_that_are_cut_or_no_utf8(tmp_path):
    assert set(kvtel.Store("é" * 600).info()["model_name"][:-1]) == {"é"}
    (tmp_path / "file").touch()
    store = kvtel.Store.open("m", dir=os.fsencode(tmp_path / "file") + b"/\xff")
    assert "\ufffd" in store.warnings[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda name: kvtel.Stats(name),
        lambda name: kvtel.PromMetrics(name, None, LABELNAMES, ENGINE),
        lambda name: kvtel.Recorder(kvtel.Store(), name),
    ],
)
def test_an_unknown_connector_is_named(make):
    with pytest.raises(kvtel.UnknownConnectorError, match='unknown connector "NobodysConnector"'):
        make("NobodysConnector")


def test_transfers_that_are_begun_and_end():
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector", open_transfers=2)
    transfer = recorder.begin(bytes=4096, peer="10.0.0.7:5600", began_ns=kvtel.now_ns())
    assert transfer.end(descriptors=2) and not transfer.end() and not transfer.fail()
    with recorder.operation("transfer").begin(bytes=8) as transfer:
        assert isinstance(transfer, kvtel.Transfer)
    with pytest.raises(ZeroDivisionError), recorder.begin(bytes=1):
        print(1 // 0)
    with recorder.begin(bytes=16) as transfer:
        assert transfer.fail("handshake")  # the block's end does not end it again
    assert total(store, "vllm:nixl_bytes_transferred_sum") == 4096 + 8
    assert total(store, "vllm:nixl_xfer_time_seconds_count") == 2
    unfinished = samples(store, "kvtel_unfinished_transfers_total")
    assert {key.split('outcome="')[1][:-2]: number for key, number in unfinished.items()} == {
        "failed": 2,
        "lost": 0,
        "abandoned": 0,
    }
    assert store.info()["tokens_refused"] == 2 and store.info()["transfers_untracked"] == 0
    begun = [recorder.begin() for _ in range(3)]
    assert store.info()["transfers_untracked"] == 1 and all(transfer.end() for transfer in begun)
    with pytest.raises(TypeError):
        recorder.begin(4096)
    with pytest.raises(kvtel.UnknownNameError):
        recorder.begin().fail("no such class")


def test_begun_transfers_without_a_table():
    store = kvtel.Store("m")
    with kvtel.Recorder(store, "NixlConnector").begin(bytes=8, peer="peer"):
        assert samples(store, "kvtel_") == {}
    assert total(store, "vllm:nixl_bytes_transferred_sum") == 8


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_exemplars():
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector", exemplars=True)
    assert kvtel.trace_labels(TRACEPARENT + "-more") == kvtel.trace_labels("") == {}
    trace = kvtel.trace_labels(TRACEPARENT)
    assert trace == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}
    before = time.time_ns()
    assert recorder.record_exemplar({**trace, "request_id": "older"}, duration_ns=6_000_000, bytes=4096)
    assert recorder.operation().record_exemplar({**trace, "request_id": "r\u00e9"}, duration_ns=7_000_000, bytes=4096)
    assert recorder.record_exemplar(exemplar={"no name": "x", "peer": "p" * 200}, duration_ns=900_000_000, bytes=1)
    assert not recorder.record_exemplar({"peer": "p"}, duration_ns=2**62, bytes=1)
    first, second = store.exemplars()
    name = "vllm:nixl_xfer_time_seconds"
    assert first[:4] == (name, ("m", "0"), 0.01, 0.007) and before <= first[4] <= time.time_ns()
    assert first[5] == {**trace, "request_id": "r\u00e9"}
    assert second[3] == 0.9 and second[5] == {}  # what cannot be a label is left out
    for wrong in (None, ["peer"], {"peer": 1}, {1: "peer"}):
        with pytest.raises(TypeError):
            recorder.record_exemplar(wrong, duration_ns=1)
    with pytest.raises(TypeError):
        kvtel.trace_labels(None)
    assert total(store, name + "_count") == 3
    family = next(f for f in StoreCollector(store).collect() if f.name == name)
    [shown] = [sample.exemplar for sample in family.samples if sample.exemplar and sample.exemplar.value == 0.007]
    assert shown.labels == first[5]


def test_exemplars_of_begun_transfers():
    store = kvtel.Store("m")
    recorder = kvtel.Recorder(store, "NixlConnector", open_transfers=2, exemplars=True)
    transfer = recorder.begin(bytes=4096)
    for wrong in (None, ["peer"], {"peer": 1}):
        with pytest.raises(TypeError):
            transfer.end_exemplar(wrong)
    with pytest.raises(TypeError):
        transfer.end_exemplar({"peer": "a"}, 7)
    assert transfer.end_exemplar({"peer": "a"}, duration_ns=7_000_000)  # wrong arguments left it open
    assert not transfer.end_exemplar({"peer": "b"}, duration_ns=8_000_000)
    with recorder.operation().begin() as transfer:
        assert transfer.end_exemplar(exemplar={"request_id": "cmpl-7"}, duration_ns=900_000_000, bytes=1)
    assert [(value, labels) for *_, value, _, labels in store.exemplars()] == [
        (0.007, {"peer": "a"}),
        (0.9, {"request_id": "cmpl-7"}),
    ]
    assert total(store, "vllm:nixl_xfer_time_seconds_count") == 2
    assert total(store, "vllm:nixl_bytes_transferred_sum") == 4097
