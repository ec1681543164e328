# SPDX-License-Identifier: Apache-2.0
"""Connectors that kvtel never heard of, whose classes make their own metrics as vLLM's connectors do: what they count through kvtel's
classes equals what they count through prometheus_client's."""

import gc
import runpy
import weakref
from types import SimpleNamespace

import kvtel
import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from tests.model import compare

from conftest import LABELNAMES, ROOT
from standins import OwnLogging, OwnProm, config_of, module, stats_of

disable_created_metrics()


class PromMetrics:
    """As vLLM's KVConnectorPromMetrics."""

    def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        self.gauge, self.counter, self.histogram = (metric_types[cls] for cls in (Gauge, Counter, Histogram))
        self.labelnames, self.labelvalues = labelnames, per_engine_labelvalues
        self.build(vllm_config)

    def per_engine(self, metric):
        return {engine: metric.labels(*values) for engine, values in self.labelvalues.items()}


class ColumnsProm(PromMetrics):
    def build(self, vllm_config):
        seconds = self.histogram(
            name="vllm:columns_seconds", documentation="S.", buckets=[0.01, 0.1, 1], labelnames=self.labelnames
        )
        failed = self.counter(name="vllm:columns_failed", documentation="F.", labelnames=self.labelnames)
        self.seconds, self.failed = self.per_engine(seconds), self.per_engine(failed)

    def observe(self, data, engine_idx=0):
        for value in data["seconds"]:
            self.seconds[engine_idx].observe(value)
        self.failed[engine_idx].inc(len(data["failed"]))


class TypedProm(PromMetrics):
    def build(self, vllm_config):
        self.moved = self.counter("vllm:typed_moved_bytes", "M.", labelnames=[*self.labelnames, "direction"])
        self.blocks = self.per_engine(
            self.gauge("vllm:typed_blocks", "B.", labelnames=self.labelnames, multiprocess_mode="mostrecent")
        )

    def observe(self, data, engine_idx=0):
        for labels, value in data["data"]["vllm:typed_moved_bytes"].items():
            self.moved.labels(*self.labelvalues[engine_idx], *labels).inc(value)
        self.blocks[engine_idx].set(data["data"]["vllm:typed_blocks"][()])


class CodeProm(PromMetrics):
    """Code of its own: a default gauge that goes up and down, default buckets, labels by name."""

    def build(self, vllm_config):
        self.tenant = vllm_config.kv_transfer_config.kv_connector_extra_config["tenant"]
        self.open = self.per_engine(self.gauge("code_open", "O.", self.labelnames))
        self.waits = self.histogram("code_wait_seconds", "W.", [*self.labelnames, "tenant"])

    def observe(self, data, engine_idx=0):
        if "boom" in data:
            raise KeyError("boom")
        self.open[engine_idx].inc(data["opened"])
        self.open[engine_idx].dec(data["closed"])
        names = dict(zip(self.labelnames, self.labelvalues[engine_idx]))
        self.waits.labels(tenant=self.tenant, **names).observe(data["wait"])


def connector(name, prom, **more):
    def build_prom_metrics(cls, vllm_config, metric_types, labelnames, per_engine_labelvalues):
        return prom and prom(vllm_config, metric_types, labelnames, per_engine_labelvalues)

    return type(name, (), {"build_prom_metrics": classmethod(build_prom_metrics), **more})


def broken(cls, *arguments):
    raise RuntimeError("no metrics today")


CLASSES = {
    "ColumnsConnector": connector("ColumnsConnector", ColumnsProm),
    "TypedConnector": connector("TypedConnector", TypedProm),
    "CodeConnector": connector("CodeConnectorV7", CodeProm),  # the configured name is not the class' own
    "SilentConnector": connector("SilentConnector", None),
    "BrokenConnector": type("BrokenConnector", (), {"build_prom_metrics": classmethod(broken)}),
}

PAYLOADS = {
    "ColumnsConnector": [{"seconds": [0.5, 0.05, 2.0], "failed": []}, {"seconds": [], "failed": [1, 1]}],
    "TypedConnector": [
        {
            "types": {"vllm:typed_moved_bytes": "counter", "vllm:typed_blocks": "gauge"},
            "data": {"vllm:typed_moved_bytes": {("load",): 4096, ("store",): 8}, "vllm:typed_blocks": {(): blocks}},
        }
        for blocks in (7, 3)
    ],
    "CodeConnectorV7": [{"opened": 3, "closed": 1, "wait": 0.25}, {"opened": 0, "closed": 2, "wait": 8}],
}


class KVTransferConfig:
    """As vLLM's, as far as it matters."""

    def __init__(self, kv_connector=None, engine_id=None, kv_connector_extra_config=None, **more):
        self.kv_connector, self.engine_id = kv_connector, engine_id
        self.kv_connector_extra_config = kv_connector_extra_config or {}


class KVConnectorFactory:
    @classmethod
    def get_connector_class(cls, kv_transfer_config):
        if kv_transfer_config.kv_connector == "NixlConnector":
            return type("NixlPullConnector", (), {})
        return CLASSES[kv_transfer_config.kv_connector]


@pytest.fixture
def factory(vllm):
    """vLLM's factory and configuration beside its loggers."""
    vllm.install(module("vllm.config", KVTransferConfig=KVTransferConfig))
    vllm.install(module("vllm.distributed.kv_transfer.kv_connector.factory", KVConnectorFactory=KVConnectorFactory))
    return vllm


def name_of(cls_name):
    return next(name for name, cls in CLASSES.items() if cls.__name__ == cls_name)


def own_config(cls_name):
    return {"kv_connector": name_of(cls_name), "kv_connector_extra_config": {"tenant": "t"}}


def multi(*children):
    return config_of("MultiConnector", connectors=list(children))


def wanted(cls_name, engines=(0,)):
    """What vLLM's page has of these payloads: the class' own code, with prometheus_client's metrics."""
    registry = CollectorRegistry()

    def within(cls):
        return lambda *arguments, **options: cls(*arguments, registry=registry, **options)

    config = SimpleNamespace(kv_transfer_config=KVTransferConfig(**own_config(cls_name)))
    types = {cls: within(cls) for cls in (Counter, Gauge, Histogram)}
    labels = {engine: ["m", str(engine)] for engine in engines}
    metrics = CLASSES[name_of(cls_name)].build_prom_metrics(config, types, LABELNAMES, labels)
    for engine in engines:
        for payload in PAYLOADS[cls_name]:
            metrics.observe(payload, engine)
    return compare.samples(generate_latest(registry).decode())


@pytest.mark.parametrize("cls_name", PAYLOADS)
def test_the_plugin_counts_what_vllms_page_has(factory, cls_name):
    plugin = factory.load()
    config = config_of(name_of(cls_name), tenant="t")
    loggers = [plugin(config, engine) for engine in range(2)]
    for engine, logger in enumerate(loggers):
        for payload in PAYLOADS[cls_name]:
            logger.record(stats_of(payload), None, None, engine)
    assert compare.samples(loggers[0].store.text()) == wanted(cls_name, (0, 1))
    assert all(logger.errors == {} and logger.prom.refused == {} for logger in loggers)
    assert len(list(factory.dir.glob("*.kvtel"))) == 1


def test_idle_engines_show_zeros(factory):
    plugin = factory.load()
    loggers = [plugin(config_of("ColumnsConnector"), engine) for engine in range(2)]
    lines = loggers[0].store.text().splitlines()
    for engine in range(2):
        assert f'vllm:columns_failed_total{{engine="{engine}",model_name="m"}} 0.0' in lines


def test_an_engine_that_the_logger_was_not_made_for(factory):
    logger = factory.load()(config_of("ColumnsConnector"), 0)
    for payload in PAYLOADS["ColumnsConnector"]:
        logger.record(stats_of(payload), None, engine_idx=3)
    shown = compare.samples(logger.store.text())
    assert {sample: shown[sample] for sample in wanted("ColumnsConnector", (3,))} == wanted("ColumnsConnector", (3,))
    assert logger.errors == {}


def multi_payload(nixl, *cls_names):
    return [{"NixlPullConnector": nixl, **{name: PAYLOADS[name][i] for name in cls_names}} for i in range(2)]


def test_children_of_a_multi_connector(factory, nixl):
    names = list(PAYLOADS)
    logger = factory.load()(multi({"kv_connector": "NixlConnector"}, *map(own_config, names)), 0)
    for payload in multi_payload(nixl, *names):
        logger.record(stats_of(payload), None)
    shown = compare.samples(logger.store.text())
    for name in names:
        assert {sample: shown[sample] for sample in wanted(name)} == wanted(name)
    assert shown["vllm:nixl_bytes_transferred_count", (("engine", "0"), ("model_name", "m"))] == 4
    assert logger.errors == {} and logger.prom.refused == {}


def test_a_multi_connector_in_a_multi_connector(factory):
    inner = {"kv_connector": "MultiConnector", "kv_connector_extra_config": {"connectors": [own_config("ColumnsConnector")]}}
    CLASSES["MultiConnector"] = type("MultiConnector", (), {})
    try:
        logger = factory.load()(multi(inner), 0)
    finally:
        del CLASSES["MultiConnector"]
    for payload in PAYLOADS["ColumnsConnector"]:
        logger.record(stats_of({"MultiConnector": {"ColumnsConnector": payload}}), None)
    assert logger.errors == {} and logger.prom.refused == {}
    shown = compare.samples(logger.store.text())
    assert {sample: shown[sample] for sample in wanted("ColumnsConnector")} == wanted("ColumnsConnector")


def test_what_its_code_raises_is_counted_and_said_once(factory, caplog):
    logger = factory.load()(config_of("CodeConnector", tenant="t"), 0)
    for _ in range(3):
        logger.record(stats_of({"boom": 1}), None)
        logger.record(stats_of({}), None)
    logger.record(stats_of(PAYLOADS["CodeConnectorV7"][0]), None)
    assert logger.errors == {"KeyError": 6}
    assert len(caplog.records) == 1 and "'boom'" in caplog.text
    assert 'code_open{engine="0",model_name="m"} 2.0' in logger.store.text().splitlines()


def test_a_class_that_makes_no_metrics_leaves_payloads_that_describe_themselves(factory, caplog):
    plugin = factory.load()
    for name, errors in (("SilentConnector", {}), ("BrokenConnector", {"RuntimeError": 1})):
        logger = plugin(config_of(name), 0)
        typed = {"types": {f"vllm:{name}": "counter"}, "data": {f"vllm:{name}": {(): 2}}}
        logger.record(stats_of(typed), None)
        assert f'vllm:{name}_total{{engine="0",model_name="m"}} 2.0' in logger.store.text().splitlines()
        assert logger.errors == errors
    assert "no metrics today" in caplog.text


def test_a_logger_that_nobody_has_any_more_is_freed(factory):
    logger = factory.load()(config_of("ColumnsConnector"), 0)
    logger.record(stats_of(PAYLOADS["ColumnsConnector"][0]), None)
    assert logger.takes and logger.errors == {}
    gone = weakref.ref(logger)
    del logger
    gc.collect()
    assert gone() is None


def test_a_class_that_cannot_be_found(factory):
    logger = factory.load()(config_of("NobodysConnector"), 0)
    logger.record(stats_of({"n": 1}), None)
    assert logger.errors == {"KeyError": 1} and logger.prom.refused == {"unknown_connector": 1}


def test_two_connectors_that_disagree_on_a_metric(factory, caplog):
    """The second one's class raises where it makes its metric, and kvtel goes on with the first."""

    class Other(PromMetrics):
        def build(self, vllm_config):
            self.gauge("vllm:columns_failed", "F.", self.labelnames)

        def observe(self, data, engine_idx=0):
            raise AssertionError

    CLASSES["OtherConnector"] = connector("OtherConnector", Other)
    try:
        logger = factory.load()(multi(own_config("ColumnsConnector"), {"kv_connector": "OtherConnector"}), 0)
    finally:
        del CLASSES["OtherConnector"]
    for payload in PAYLOADS["ColumnsConnector"]:
        logger.record(stats_of({"ColumnsConnector": payload, "OtherConnector": {}}), None)
    assert logger.errors == {"ValueError": 1} and "vllm:columns_failed" in caplog.text
    shown = compare.samples(logger.store.text())
    assert {sample: shown[sample] for sample in wanted("ColumnsConnector")} == wanted("ColumnsConnector")


def test_the_example_of_the_docs(factory, monkeypatch):
    """examples/python/connector.py, as docs/any-connector.md shows it."""

    class Base:
        def __init__(self, vllm_config, metric_types, labelnames, per_engine_labelvalues):
            self.per_engine_labelvalues = per_engine_labelvalues

    factory.metrics.KVConnectorPromMetrics = Base
    factory.install(module("vllm.distributed.kv_transfer.kv_connector.v1.base", KVConnectorBase_V1=object))
    example = runpy.run_path(str(ROOT / "examples/python/connector.py"))
    monkeypatch.setitem(CLASSES, "PondConnector", example["PondConnector"])
    logger = factory.load()(config_of("PondConnector"), 0)
    logger.record(stats_of({"waits": [0.02, 0.3], "blocks": {"load": 7, "store": 2}}), None)
    lines = logger.store.text().splitlines()
    assert 'vllm:pond_blocks_total{direction="load",engine="0",model_name="m"} 7.0' in lines
    assert 'vllm:pond_wait_seconds_count{engine="0",model_name="m"} 2.0' in lines and logger.errors == {}


# KVTEL_REPLACE=1


@pytest.mark.parametrize("cls_name", PAYLOADS)
def test_vllms_page(factory, monkeypatch, cls_name):
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    factory.load(replace=True)
    prom = factory.loggers.KVConnectorProm(config_of(name_of(cls_name), tenant="t"), LABELNAMES, {0: ["m", "0"]})
    assert not isinstance(prom, OwnProm)
    for payload in PAYLOADS[cls_name]:
        prom.observe(payload, 0)
    assert compare.samples(generate_latest(registry).decode()) == wanted(cls_name)


def test_vllms_page_of_a_multi_connector(factory, monkeypatch, nixl):
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    factory.load(replace=True)
    config = multi({"kv_connector": "NixlConnector"}, own_config("TypedConnector"))
    prom = factory.loggers.KVConnectorProm(config, LABELNAMES, {0: ["m", "0"]})
    for payload in multi_payload(nixl, "TypedConnector"):
        prom.observe(payload)
    shown = compare.samples(generate_latest(registry).decode())
    assert {sample: shown[sample] for sample in wanted("TypedConnector")} == wanted("TypedConnector")
    assert shown["vllm:nixl_bytes_transferred_count", (("engine", "0"), ("model_name", "m"))] == 4


@pytest.mark.parametrize("name", ["SilentConnector", "BrokenConnector", "NobodysConnector"])
def test_vllms_own_class_stays_where_there_are_no_metrics(factory, monkeypatch, name):
    monkeypatch.setattr("prometheus_client.REGISTRY", CollectorRegistry())
    factory.load(replace=True)
    for config in (config_of(name), multi({"kv_connector": "NixlConnector"}, {"kv_connector": name})):
        assert isinstance(factory.loggers.KVConnectorProm(config, LABELNAMES, {0: ["m", "0"]}), OwnProm)


def test_log_lines_stay_vllms(factory):
    """vLLM's KVConnectorLogging prints what the class' build_kv_connector_stats() makes of a payload; kvtel would print it twice."""
    factory.load(replace=True)
    for config in (config_of("ColumnsConnector"), multi({"kv_connector": "NixlConnector"}, own_config("ColumnsConnector"))):
        assert isinstance(factory.loggers.KVConnectorLogging(config.kv_transfer_config), OwnLogging)


def test_the_types_that_a_connector_is_given():
    from kvtel.metrics import metric_types

    store = kvtel.Store()
    types = metric_types(lambda: store)
    assert set(types) == {Counter, Gauge, Histogram}
    for cls in types.values():
        assert issubclass(cls, getattr(kvtel, cls.__name__))
    for _ in range(2):  # one metric, whoever makes it
        types[Counter]("jobs", "J.", registry=prometheus_client.REGISTRY).inc()
    assert "jobs_total 2.0" in store.text().splitlines()
