# SPDX-License-Identifier: Apache-2.0
"""What vLLM's own classes make of a recording."""

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from tests.model.recording import with_tuples
from vllm.config import KVTransferConfig
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorLogging, KVConnectorProm
from vllm.plugins import load_general_plugins

load_general_plugins()  # they register connectors
disable_created_metrics()


def types_in(registry):
    """{prometheus_client's class: the same, registered there}."""

    def bound(cls):
        def init(self, *arguments, **options):
            cls.__init__(self, *arguments, registry=registry, **options)

        return type(cls.__name__, (cls,), {"__init__": init})

    return {cls: bound(cls) for cls in (Counter, Gauge, Histogram)}


def prom_in(registry):
    """vLLM's KVConnectorProm with its metrics in this registry."""
    types = types_in(registry)
    members = {"_gauge_cls": types[Gauge], "_counter_cls": types[Counter], "_histogram_cls": types[Histogram]}
    return type("KVConnectorProm", (KVConnectorProm,), members)


def outcome(objects):
    """(log lines, page) of a recording. vLLM has a KVConnectorLogging for each engine."""
    header, *rest = objects
    config, engines, lines = KVTransferConfig(**header["kv_transfer_config"]), header["engines"], []
    logs = {engine: KVConnectorLogging(config) for engine in engines}
    registry = CollectorRegistry()
    labels = {engine: [header["model_name"], str(engine)] for engine in engines}
    prom = prom_in(registry)(SimpleNamespace(kv_transfer_config=config), ["model_name", "engine"], labels)
    for item in rest:
        if "log" in item:
            for log in logs.values():
                log.log(lambda text, *values: lines.append(text % values))
        else:
            payload = with_tuples(item["payload"])
            prom.observe(payload, item["engine"])
            logs[item["engine"]].observe(payload)
    return lines, generate_latest(registry).decode()
