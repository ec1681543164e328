# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for vLLM's modules, which are not installed here: classes and functions with the names and the arguments of vLLM's."""

import importlib
import importlib.metadata
import importlib.util
import sys
import types
from types import SimpleNamespace

import pytest


class StandInBase:
    """Stands in for vllm.v1.metrics.loggers.StatLoggerBase: vLLM is not installed."""

    def __init__(self, vllm_config, engine_index=0):
        raise NotImplementedError

    def record(self, scheduler_stats, iteration_stats, mm_cache_stats=None, engine_idx=0):
        raise NotImplementedError

    def log(self):
        raise NotImplementedError

    def log_engine_initialized(self):
        raise NotImplementedError


class OwnLogging:
    """Stands in for vLLM's KVConnectorLogging."""

    def __init__(self, kv_transfer_config):
        self.config = kv_transfer_config


class OwnProm:
    """Stands in for vLLM's KVConnectorProm."""

    def __init__(self, vllm_config, labelnames, per_engine_labelvalues):
        self.config = vllm_config


class RayProm(OwnProm):
    """Stands in for RayKVConnectorProm, whose metrics are Ray's."""


def module(name, **members):
    made = types.ModuleType(name)
    made.__dict__.update(members)
    return made


@pytest.fixture
def vllm(monkeypatch, tmp_path):
    """vLLM's modules, stand-ins, and a fresh kvtel.vllm that found them. `load(replace)` gives the plugin as vLLM loads it."""
    if importlib.util.find_spec("vllm"):
        pytest.skip("vLLM itself is installed: its own engines test the plugin")

    class PrometheusStatLogger:
        _kv_connector_cls = OwnProm

    class RayPrometheusStatLogger(PrometheusStatLogger):
        _kv_connector_cls = RayProm

    metrics = module(
        "vllm.distributed.kv_transfer.kv_connector.v1.metrics", KVConnectorLogging=OwnLogging, KVConnectorProm=OwnProm
    )
    loggers = module(
        "vllm.v1.metrics.loggers",
        StatLoggerBase=StandInBase,
        KVConnectorLogging=OwnLogging,
        KVConnectorProm=OwnProm,
        PrometheusStatLogger=PrometheusStatLogger,
        RayPrometheusStatLogger=RayPrometheusStatLogger,
    )

    def install(found):
        parts = found.__name__.split(".")
        for length in range(1, len(parts)):
            parent = ".".join(parts[:length])
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent) or module(parent, __path__=[]))
        monkeypatch.setitem(sys.modules, found.__name__, found)
        setattr(sys.modules[".".join(parts[:-1])], parts[-1], found)

    for found in (metrics, loggers):
        install(found)
    monkeypatch.setenv("KVTEL_STORE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "kvtel.vllm", None)

    def load(replace=False):
        monkeypatch.setenv("KVTEL_REPLACE", "1" if replace else "0")
        sys.modules.pop("kvtel.vllm", None)
        found, group = importlib.metadata.entry_points(), "vllm.stat_logger_plugins"
        points = found.select(group=group) if hasattr(found, "select") else found[group]  # CPython 3.9 has a dict
        return next(point for point in points if point.name == "kvtel").load()

    return SimpleNamespace(load=load, install=install, metrics=metrics, loggers=loggers, dir=tmp_path)


def config_of(connector="NixlConnector", model="m", **extra):
    transfer = connector and SimpleNamespace(kv_connector=connector, kv_connector_extra_config=extra)
    return SimpleNamespace(kv_transfer_config=transfer, model_config=SimpleNamespace(served_model_name=model))


def stats_of(payload):
    return SimpleNamespace(kv_connector_stats=payload)
