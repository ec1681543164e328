# SPDX-License-Identifier: Apache-2.0
"""The plugin for vLLM, with a stand-in for vLLM's modules where vLLM is not installed: a StatLoggerBase with the methods of vLLM's, and
the two classes that KVTEL_REPLACE=1 replaces."""

import importlib.util
import logging
import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import kvtel
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from tests.model import compare
from tests.model.prom import Prom as ModelProm

from conftest import LABELNAMES, with_tuples
from standins import OwnLogging, OwnProm, RayProm, StandInBase, config_of, stats_of

disable_created_metrics()


def aggregated(case, record):
    """What vLLM's frontend gets: the payloads of an engine's workers as one."""
    first, *others = (with_tuples(payload) for payload in case.payloads(record))
    if not others:
        return first
    stats = kvtel.Stats(case.connector, first)
    for other in others:
        stats.aggregate(kvtel.Stats(case.connector, other))
    return stats.to_dict()


def test_golden_cases_reach_the_store(vllm, case):
    plugin = vllm.load()
    loggers = {engine: plugin(case.vllm_config, engine) for engine in case.labels}
    assert all(isinstance(logger, StandInBase) for logger in loggers.values())
    for record in case.records:
        engine = record.get("engine", 0)
        if "log" in record or engine not in loggers:
            continue
        loggers[engine].record(stats_of(aggregated(case, record)), None, engine_idx=engine)
    (store,) = {logger.store for logger in loggers.values()}
    got, wanted = compare.samples(store.text()), compare.samples(case.text(".prom"))
    assert compare.value_differences(wanted, got) == [] and wanted.keys() == got.keys()
    assert all(logger.errors == {} for logger in loggers.values())


def test_one_store_for_all_engines_of_a_process(vllm, nixl):
    plugin = vllm.load()
    loggers = [plugin(config_of(), engine) for engine in range(3)]
    for engine, logger in enumerate(loggers):
        logger.log_engine_initialized()
        logger.record(stats_of(nixl), None, None, engine)
        logger.record(stats_of(None), None, None, engine)
        logger.record(None, None, None, engine)
        logger.log()
    assert len(list(vllm.dir.glob("*.kvtel"))) == 1
    found = compare.samples(loggers[0].store.text())
    assert [
        found["vllm:nixl_bytes_transferred_count", (("engine", str(engine)), ("model_name", "m"))]
        for engine in range(3)
    ] == [2] * 3


def test_a_connector_without_a_table_that_describes_itself(vllm, caplog):
    plugin = vllm.load()
    logger = plugin(config_of("SomebodysConnector"), 0)
    typed = {"types": {"vllm:somebodys": "counter"}, "data": {"vllm:somebodys": {("a",): 2}}}
    entry = {"name": "vllm:somebodys_n", "type": "gauge", "documentation": "N.", "samples_path": "n", "sample_kind": "set_u64"}
    described = {"n": 4, "_metrics_descriptor": {"descriptor_version": 1, "connector_id": "c", "metrics": [entry]}}
    for payload in (typed, described, {"n": 5}):
        logger.record(stats_of(payload), None, None, 0)
    text = logger.store.text()
    assert 'vllm:somebodys_total{engine="0",label_1="a",model_name="m"} 2.0' in text.splitlines()
    assert 'vllm:somebodys_n{engine="0",model_name="m"} 5.0' in text.splitlines()
    assert logger.errors == {} and logger.prom.refused == {}
    other = plugin(config_of("SilentConnector"), 0)
    for _ in range(2):
        other.record(stats_of({"n": 5}), None, None, 0)
    assert other.errors == {} and other.prom.refused == {"unknown_connector": 2}
    assert sum("SilentConnector" in record.getMessage() for record in caplog.records) == 1


def test_arguments_by_place_and_by_name(vllm, nixl):
    logger = vllm.load()(config_of(), 1)
    stats = stats_of(nixl)
    logger.record(stats, None, None, 1)
    logger.record(stats, None, mm_cache_stats=None, engine_idx=1)
    logger.record(engine_idx=1, iteration_stats=None, scheduler_stats=stats)
    logger.record(
        **{"".join(("engine", "_idx")): 1, "".join(("scheduler", "_stats")): stats}
    )  # not the names' own objects
    for no_stats in ((), (None,)):
        logger.record(*no_stats, iteration_stats=stats, engine_idx=1)
    found = compare.samples(logger.store.text())
    assert found["vllm:nixl_bytes_transferred_count", (("engine", "1"), ("model_name", "m"))] == 4 * 2
    assert not logger.errors


def test_arguments_of_an_older_vllm(vllm, nixl):
    logger = vllm.load()(config_of(), 1)
    logger.record(stats_of(nixl), None, 1)
    logger.record(stats_of(nixl), None, engine_idx=1)
    found = compare.samples(logger.store.text())
    assert found["vllm:nixl_bytes_transferred_count", (("engine", "1"), ("model_name", "m"))] == 2 * 2
    assert not logger.errors


def test_an_engine_it_was_not_made_for(vllm, nixl):
    logger = vllm.load()(config_of(), 0)
    logger.record(stats_of(nixl), None, engine_idx=5)
    logger.record(stats_of(nixl), None, engine_idx=5)
    assert logger.prom.refused == {}  # it was recorded, so nothing was refused
    found = compare.samples(logger.store.text())
    assert (
        found["vllm:nixl_bytes_transferred_count", (("engine", "5"), ("model_name", "m"))] == 4 and logger.errors == {}
    )


def test_a_child_of_a_fork_has_a_store_of_its_own(vllm, nixl):
    plugin = vllm.load()
    parent = plugin(config_of(), 0)
    child = os.fork()
    if child == 0:
        logger = plugin(config_of(), 1)
        logger.record(stats_of(nixl), None, engine_idx=1)
        os._exit(0 if logger.store.path != parent.store.path and logger.errors == {} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(vllm.dir.glob("*.kvtel"))) == 2


def test_nothing_is_raised_and_all_is_said_once(vllm, nixl, caplog):
    logger = vllm.load()(config_of(), 0)
    for _ in range(3):
        logger.record(stats_of(b"\xc1"), None)
        logger.record(stats_of([1]), None)
        logger.record(object(), None)
        logger.record(stats_of(nixl), None, engine_idx="zero")
    assert logger.errors == {"DecodeError": 3, "WrongTypeError": 3, "AttributeError": 3, "TypeError": 3}
    assert len(caplog.records) == 4
    logger.record(stats_of(nixl), None)
    assert "vllm:nixl_bytes_transferred_count" in logger.store.text()


@pytest.mark.parametrize(
    "config", [config_of(None), SimpleNamespace(), config_of("ExampleConnector"), config_of("NobodysConnector")]
)
def test_nothing_to_record(vllm, nixl, config):
    logger = vllm.load()(config, 0)
    logger.record(stats_of(nixl), None)
    logger.log()
    logger.log_engine_initialized()
    assert logger.errors == {}


def test_a_configuration_that_is_none(vllm, nixl):
    logger = vllm.load()(SimpleNamespace(kv_transfer_config=SimpleNamespace(kv_connector="NixlConnector")), 0)
    logger.record(stats_of(nixl), None)
    assert logger.errors == {"AttributeError": 1}  # it has no model


@pytest.fixture
def logs():
    """vLLM's logger with a handler that keeps records, and kvtel's as nobody configured it."""
    kept = []
    handler = logging.Handler()
    handler.emit = kept.append
    own, vllm_own = loggers = logging.getLogger("kvtel"), logging.getLogger("vllm")
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    own.handlers, vllm_own.handlers = [], [handler]
    vllm_own.setLevel(logging.INFO)
    yield SimpleNamespace(own=own, kept=kept)
    for logger, (logger.handlers, logger.propagate, level) in zip(loggers, before):
        logger.setLevel(level)


def test_what_is_said_is_in_vllms_log(vllm, logs):
    logger = vllm.load()(config_of(), 0)
    logger.log_engine_initialized()
    assert [(record.levelname, str(vllm.dir) in record.getMessage()) for record in logs.kept] == [("INFO", True)]


def test_a_configured_logger_is_left_alone(vllm, logs):
    own = logging.NullHandler()
    logs.own.handlers = [own]
    vllm.load()(config_of(), 0).log_engine_initialized()
    assert logs.kept == [] and logs.own.handlers == [own]


def test_where_no_file_can_be(vllm, nixl, caplog, monkeypatch):
    (vllm.dir / "file").touch()
    monkeypatch.setenv("KVTEL_STORE_DIR", str(vllm.dir / "file" / "below"))
    logger = vllm.load()(config_of(), 0)
    logger.record(stats_of(nixl), None)
    logger.log()
    logger.log()
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1 and logger.errors == {}


def test_where_no_room_is(vllm, nixl, caplog, tmp_path):
    """A file that is made, and cannot grow, as in a directory that is full."""
    caplog.set_level(logging.INFO)
    plugin = vllm.load()
    empty = kvtel.Store.open("m", dir=tmp_path / "empty")
    size = os.stat(empty.path).st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        logger = plugin(config_of(), 0)
        logger.log_engine_initialized()
        logger.log()
        logger.record(stats_of(nixl), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert logger.errors == {"MemoryError": 2} and len(list(vllm.dir.glob("*.kvtel"))) == 1
    assert [("no room" in record.getMessage(), record.levelname) for record in caplog.records] == [(True, "WARNING")]

    caplog.clear()
    logger.log()  # there is room now
    logger.record(stats_of(nixl), None)
    assert [(logger.store.path in record.getMessage(), record.levelname) for record in caplog.records] == [
        (True, "INFO")
    ]
    assert (
        compare.samples(logger.store.text())[
            "vllm:nixl_bytes_transferred_count", (("engine", "0"), ("model_name", "m"))
        ]
        == 2
    )


def test_a_mode_that_is_none(vllm, caplog, monkeypatch):
    monkeypatch.setenv("KVTEL_STORE_MODE", "rw")
    logger = vllm.load()(config_of(), 0)
    for _ in range(2):
        logger.log()
    assert not logger.errors and os.stat(logger.store.path).st_mode & 0o777 == 0o600
    assert caplog.text.count("KVTEL_STORE_MODE is not an octal number") == 1


def test_who_may_read_the_store(vllm, monkeypatch):
    assert os.stat(vllm.load()(config_of(), 0).store.path).st_mode & 0o777 == 0o600
    monkeypatch.setenv("KVTEL_STORE_MODE", "0644")
    assert os.stat(vllm.load()(config_of(), 0).store.path).st_mode & 0o777 == 0o644


# KVTEL_REPLACE=1


def test_replacing(vllm):
    vllm.load()
    assert (
        vllm.metrics.KVConnectorLogging is OwnLogging and vllm.loggers.PrometheusStatLogger._kv_connector_cls is OwnProm
    )
    vllm.load(replace=True)
    assert isinstance(vllm.loggers.KVConnectorLogging(SimpleNamespace(kv_connector="NixlConnector")), kvtel.Logging)
    assert isinstance(vllm.loggers.KVConnectorLogging(None), OwnLogging)
    assert vllm.loggers.PrometheusStatLogger._kv_connector_cls is vllm.loggers.KVConnectorProm is not OwnProm
    # Ray's classes derive from what they find there, whenever they are imported.
    assert vllm.metrics.KVConnectorProm is OwnProm and vllm.loggers.RayPrometheusStatLogger._kv_connector_cls is RayProm


NIXL, NOBODYS = {"kv_connector": "NixlConnector"}, {"kv_connector": "NobodysConnector"}
TIERING = {"spec_name": "TieringOffloadingSpec"}


@pytest.mark.parametrize(
    "known, connector, extra",
    [
        (True, "NixlConnector", {"connectors": "no children"}),
        (False, "NobodysConnector", {}),
        (False, "MoRIIOConnector", {}),
        (
            True,
            "MultiConnector",
            {
                "connectors": [
                    NIXL,
                    {"kv_connector": "MultiConnector", "kv_connector_extra_config": {"connectors": [NIXL]}},
                ]
            },
        ),
        (False, "MultiConnector", {"connectors": [NIXL, NOBODYS]}),
        (
            False,
            "MultiConnector",
            {
                "connectors": [
                    {"kv_connector": "MultiConnector", "kv_connector_extra_config": {"connectors": [NOBODYS]}}
                ]
            },
        ),
        (True, "OffloadingConnector", {"store_threshold": 2}),
        (True, "OffloadingConnector", TIERING | {"secondary_tiers": [{"type": "fs"}]}),
        (False, "OffloadingConnector", {"spec_name": "SharedStorageOffloadingSpec", "spec_module_path": "somebodys"}),
        (
            False,
            "OffloadingConnector",
            TIERING | {"secondary_tiers": [{"type": "fs"}, {"type": "kvcr", "enable_telemetry": True}]},
        ),
        (False, "OffloadingConnector", TIERING | {"secondary_tiers": [{"type": "Own", "module_path": "somebodys"}]}),
    ],
)
def test_what_is_not_known_stays_vllms(vllm, monkeypatch, known, connector, extra):
    monkeypatch.setattr("prometheus_client.REGISTRY", CollectorRegistry())
    vllm.load(replace=True)
    config = config_of(connector, **extra)
    assert isinstance(
        vllm.loggers.KVConnectorLogging(config.kv_transfer_config), kvtel.Logging if known else OwnLogging
    )
    assert isinstance(vllm.loggers.KVConnectorProm(config, LABELNAMES, {}), kvtel.Prom if known else OwnProm)


def test_the_page_and_the_log_stay_as_they_are(vllm, case, monkeypatch):
    """vLLM's page, made by prometheus_client from real metrics, and its log lines, against the stand-ins': to the letter."""
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    vllm.load(replace=True)
    prom = vllm.loggers.PrometheusStatLogger._kv_connector_cls(case.vllm_config, LABELNAMES, case.labels)
    log = vllm.loggers.KVConnectorLogging(case.vllm_config.kv_transfer_config)
    if isinstance(prom, OwnProm):
        return
    lines = []
    for record in case.records:
        if "log" in record:
            log.log(lambda text, *arguments: lines.append(text % arguments))
            continue
        payload = aggregated(case, record)
        log.observe(payload)
        prom.observe(payload, record.get("engine", 0))
    got = generate_latest(registry).decode()
    assert compare.exposition_differences(case.text(".prom"), got) == []
    assert compare.log_differences(case.text(".log").splitlines(), lines) == []


@pytest.mark.parametrize("with_files", [False, True], ids=["one process", "PROMETHEUS_MULTIPROC_DIR"])
def test_the_page_beside_prometheus_client(vllm, nixl, monkeypatch, with_files):
    """The same payloads into prometheus_client's own metrics: the pages are equal byte for byte but for HELP."""
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    if with_files:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(vllm.dir))
        for cls in (Counter, Gauge, Histogram):
            monkeypatch.setattr(f"prometheus_client.{cls.__name__}", in_registry(cls, registry))
    vllm.load(replace=True)
    config = config_of()
    model = ModelProm({"model_name": "m", "engines": [0, 1], "kv_transfer_config": {"kv_connector": "NixlConnector"}})
    prom = vllm.loggers.KVConnectorProm(config, LABELNAMES, {engine: ["m", str(engine)] for engine in range(2)})
    assert isinstance(prom, kvtel.PromMetrics if with_files else kvtel.Prom)
    for i in range(20):
        payload = nixl | {"transfer_duration": [0.25 * i, 0.5], "bytes_transferred": [2**i, 4096]}
        prom.observe(msgspec.msgpack.decode(msgspec.msgpack.encode(payload)), i % 2)
        model.observe(SimpleNamespace(data=payload), i % 2)
    lines = generate_latest(registry).decode().splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("# HELP")) == model.text()


def in_registry(cls, registry):
    return type(
        cls.__name__,
        (cls,),
        {"__init__": lambda self, *arguments, **options: cls.__init__(self, *arguments, registry=registry, **options)},
    )


def test_vllm_clears_its_registry_of_the_collector(vllm, monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    vllm.load(replace=True)
    for _ in range(2):
        vllm.loggers.KVConnectorProm(config_of(), LABELNAMES, {0: ["m", "0"]})
        for collector in list(registry._collector_to_names):
            if "vllm" in getattr(collector, "_name", ""):
                registry.unregister(collector)


def test_a_configuration_that_cannot_be_written_keeps_vllms_classes(vllm, caplog):
    vllm.load(replace=True)
    config = config_of("OffloadingConnector", bounds={("a", "b"): 1})
    made = (
        vllm.loggers.KVConnectorLogging(config.kv_transfer_config),
        vllm.loggers.KVConnectorProm(config, LABELNAMES, {0: ["m", "0"]}),
    )
    assert [type(each) for each in made] == [OwnLogging, OwnProm] and "KVTEL_REPLACE=1" in caplog.text


def test_replacing_what_is_not_there(vllm, caplog):
    del vllm.loggers.KVConnectorProm
    vllm.load(replace=True)
    assert "KVTEL_REPLACE=1" in caplog.text and vllm.loggers.KVConnectorLogging is OwnLogging


def test_the_plugin_is_made_without_vllm_too(monkeypatch):
    if importlib.util.find_spec("vllm"):
        pytest.skip("vLLM itself is installed")
    monkeypatch.setitem(sys.modules, "kvtel.vllm", None)
    sys.modules.pop("kvtel.vllm")
    assert issubclass(importlib.import_module("kvtel.vllm").StatLogger, object)
    assert Path(sys.modules["kvtel.vllm"].__file__).name == "vllm.py"
