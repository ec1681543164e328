# SPDX-License-Identifier: Apache-2.0
"""The classes beyond the golden cases: arguments, errors, pickling."""

import copy
import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
from types import MappingProxyType, SimpleNamespace

import kvtel
import pytest

from conftest import ENGINE, LABELNAMES, samples, total


TABLE = {
    "kvtel_connector": 1,
    "names": ["PythonFileConnector"],
    "payload": "columns",
    "fields": [{"key": "n", "kind": "events"}],
    "metrics": [{"name": "vllm:python_file", "type": "counter", "help": "N.", "fields": ["n"]}],
}


def test_connector_files(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(TABLE))
    kvtel.load_connector(path)
    assert "PythonFileConnector" in kvtel.connectors()
    prom = kvtel.Prom("PythonFileConnector", LABELNAMES, ENGINE)
    prom.observe({"n": [1, 2]})
    assert total(prom.store, "vllm:python_file") == 3
    with pytest.raises(kvtel.ArgumentError, match="is taken"):
        kvtel.load_connector(str(path))
    path.write_text('{\n  "kvtel_connector": 2}')
    with pytest.raises(kvtel.Error) as raised:
        kvtel.load_connector(path)
    assert "is not 1" in str(raised.value)
    with pytest.raises(kvtel.StoreError):
        kvtel.load_connector(tmp_path / "none")


def test_connector_path(tmp_path):
    (tmp_path / "good.json").write_text(json.dumps(TABLE))
    (tmp_path / "wrong.json").write_text("{")
    program = "import logging; logging.basicConfig(); import kvtel; print('PythonFileConnector' in kvtel.connectors())"
    environment = {**os.environ, "KVTEL_CONNECTOR_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n"
    assert f"WARNING:kvtel:KVTEL_CONNECTOR_PATH: {tmp_path}/wrong.json:1:2:" in done.stderr


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
    made = pickle.loads(pickle.dumps(kvtel.Stats("NixlConnector", nixl)))
    assert made.data == nixl and made.connector == kvtel.Stats("NixlConnector").connector


def test_a_copy_keeps_the_sample_limit(nixl):
    stats = copy.deepcopy(kvtel.Stats("NixlConnector", nixl, sample_limit=10))
    for _ in range(20):
        stats.aggregate(kvtel.Stats("NixlConnector", nixl))
    assert stats.is_summarised


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
    for number in (-1, 2**62, 2**64, -10):  # the difference of two clocks, say
        with pytest.raises(kvtel.ArgumentError):
            stats.record_transfer(bytes=number)
    assert stats.refused == {"implausible": 4}
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


@pytest.mark.parametrize(
    "make, error",
    [
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
        (
            lambda: kvtel.Prom("NixlConnector", LABELNAMES, ENGINE).observe(kvtel.Stats("MooncakeConnector")),
            kvtel.MismatchError,
        ),
        (lambda: kvtel.Recorder(kvtel.Store(), "NobodysConnector"), kvtel.UnknownConnectorError),
        (lambda: kvtel.Recorder(None, "NixlConnector"), TypeError),
    ],
)
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
        stats.data = nixl | {
            "transfer_duration": [float("nan"), 0.5],
            "no_such_key": [1],
            "num_failed_transfers": ["x", object(), 1],
        }
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

    stats = kvtel.Stats(
        "NixlConnector",
        {
            "transfer_duration": [Float(0.5), 1, Real()],
            "bytes_transferred": (Index(), 2**63, 3),
            "num_failed_transfers": [True, 10**400, 1.0],
        },
    )
    assert stats.data["transfer_duration"] == [0.5, 1, 0.25] and stats.data["bytes_transferred"] == [7, 2.0**63, 3]
    assert stats.data["num_failed_transfers"] == [1.0] and stats.refused == {"wrong_type": 1, "not_finite": 1}


def test_numbers_of_numpy(nixl):
    numpy = pytest.importorskip("numpy")
    stats = kvtel.Stats(
        "NixlConnector",
        {
            "transfer_duration": [numpy.float64(0.5), numpy.float32(0.25)],
            "bytes_transferred": [numpy.int64(7), numpy.uint64(2**63)],
            "num_failed_transfers": [numpy.array([1, 2])],
            "num_failed_handshakes": numpy.array([1, 2]),
        },
    )
    assert stats.data["transfer_duration"] == [0.5, 0.25] and stats.data["bytes_transferred"] == [7, 2.0**63]
    assert stats.refused == {"wrong_type": 2}
    stats.record_transfer(duration_ns=numpy.int64(1_000_000), bytes=numpy.uint32(7))
    assert stats.data["transfer_duration"][2] == 0.001 and stats.data["bytes_transferred"][2] == 7
    recorder = kvtel.Recorder(kvtel.Store(), "NixlConnector")
    assert recorder.record_transfer(duration_ns=numpy.int64(1), bytes=numpy.int32(8))
    assert recorder.record_transfers(numpy.array([1.0, 2.0]), bytes=numpy.int64(8)) == 2
    assert total(recorder.store, "vllm:nixl_bytes_transferred_sum") == 24


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
        f'vllm:nixl_bytes_transferred_count{{engine="{engine}",model_name="m"}}': 2 + 2 * engine for engine in range(2)
    }


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


def test_label_values_that_change_while_they_are_read():
    class Value:
        def __str__(self):
            labels.clear()
            kept.extend([f"other {i}" for i in range(6)] for _ in range(100))  # into memory that is free
            return "m"

    kept, labels = [], {0: [Value(), *(f"value {i}" for i in range(5))]}
    prom = kvtel.Prom("NixlConnector", [f"label{i}" for i in range(6)], labels)
    assert labels == {} and 'label5="value 4"' in prom.store.text()


def test_a_child_for_each_engine():
    class Metric:
        def labels(self, *values):
            per_engine.clear()
            return values

    key, per_engine = 10**6, {}
    for keywords in ({}, {"metric": Metric(), "per_engine_labelvalues": per_engine}):
        per_engine.update({key + 1: ["m", "1"]})
        made = kvtel.PromMetrics.create_metric_per_engine(
            kvtel.PromMetrics("NixlConnector", None, LABELNAMES, ENGINE),
            *([] if keywords else [Metric(), per_engine]),
            **keywords,
        )
        assert made == {key + 1: ("m", "1")} and per_engine == {}


def test_label_values_that_are_gone_while_they_are_read():
    class Values:
        def __init__(self, per_engine):
            self.per_engine = per_engine

        def __iter__(self):
            self.per_engine.clear()
            return iter(["m", "0"])

    class Metric:
        def labels(self, *values):
            return values

    for _ in range(100):
        per_engine = {}
        per_engine[0] = Values(per_engine)
        metrics = kvtel.PromMetrics("NixlConnector", None, LABELNAMES, ENGINE)
        assert metrics.create_metric_per_engine(Metric(), per_engine) == {0: ("m", "0")}


@pytest.mark.parametrize("per_engine", [None, 5, "m", ["m", "0"], [(0, ["m", "0"])], (0,), {0}, object()])
def test_engines_that_are_no_mapping(per_engine):
    class Metric:
        def labels(self, *values):
            return values

    metrics = kvtel.PromMetrics("NixlConnector", None, LABELNAMES, ENGINE)
    for call in (
        lambda: kvtel.Prom("NixlConnector", LABELNAMES, per_engine),
        lambda: kvtel.PromMetrics("NixlConnector", None, LABELNAMES, per_engine),
        lambda: metrics.create_metric_per_engine(Metric(), per_engine),
    ):
        with pytest.raises(TypeError, match="per_engine_labelvalues is a dict of engines"):
            call()


def test_engines_in_any_mapping():
    prom = kvtel.Prom("NixlConnector", LABELNAMES, MappingProxyType({0: ["m", "0"]}))
    assert 'engine="0"' in prom.store.text()


def test_subclasses_may_have_an_init_of_their_own(nixl):
    class Mine(kvtel.PromMetrics):
        def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
            super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
            self.mine = 1

    Mine("NixlConnector", None, LABELNAMES, ENGINE).observe(nixl)
