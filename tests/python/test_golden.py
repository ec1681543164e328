# SPDX-License-Identifier: Apache-2.0
"""Every golden case through the four classes: payloads as Python objects and as MessagePack, against what vLLM made of them."""

import json

import kvtel
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from tests.model import compare

from conftest import LABELNAMES, with_tuples
from kvtel.prometheus import StoreCollector

disable_created_metrics()

FORMS = {"dict": with_tuples, "msgpack": lambda payload: msgspec.msgpack.encode(with_tuples(payload))}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def has_stats(case):
    try:
        kvtel.Stats(case.connector)
    except (kvtel.NoStatsError, kvtel.UnknownConnectorError):
        return False
    return True


def aggregated(case, record, form):
    first, *others = (kvtel.Stats(case.connector, form(payload)) for payload in case.payloads(record))
    for other in others:
        first = first.aggregate(other)
    return first


def json_text(payload):
    """As JSON writes it, tuples as keys included."""
    if isinstance(payload, list):
        return [json_text(item) for item in payload]
    if isinstance(payload, dict):
        return {
            json.dumps(list(key)) if isinstance(key, tuple) else key: json_text(item) for key, item in payload.items()
        }
    return payload


def test_stats(case, form):
    wanted = [json.loads(line) for line in case.text(".aggregated.jsonl").splitlines()]
    got = []
    for record in case.records:
        if "log" in record:
            continue
        stats = aggregated(case, record, form) if has_stats(case) else None
        got.append(
            {
                "aggregated": stats and json_text(stats.to_dict()),
                "is_empty": stats and stats.is_empty(),
                "reduce": stats and stats.reduce(),
            }
        )
    wanted = [{key: line[key] for key in ("aggregated", "is_empty", "reduce")} for line in wanted]
    assert compare.aggregated_differences(wanted, got) == []


def test_logging(case, form):
    lines = []
    logging = kvtel.Logging(case.vllm_config.kv_transfer_config)
    for record in case.records:
        if "log" in record:
            logging.log(lambda text, *arguments: lines.append(text % arguments))
        elif has_stats(case):
            logging.observe(aggregated(case, record, form).encode())
    assert compare.log_differences(case.text(".log").splitlines(), lines) == []


def observe_all(case, form, prom):
    for record in case.records:
        if "log" not in record and has_stats(case) and record.get("engine", 0) in case.labels:
            prom.observe(aggregated(case, record, form), record.get("engine", 0))


def test_prom(case, form):
    prom = kvtel.Prom(case.vllm_config, LABELNAMES, case.labels)
    observe_all(case, form, prom)
    assert compare.exposition_differences(case.text(".prom"), prom.store.text()) == []


def page(registry):
    return generate_latest(registry).decode()


def test_prometheus_client_collects_the_store(case, form):
    prom = kvtel.Prom(case.vllm_config, LABELNAMES, case.labels)
    observe_all(case, form, prom)
    registry = CollectorRegistry()
    registry.register(StoreCollector(prom.store))
    assert compare.exposition_differences(case.text(".prom"), page(registry)) == []
    assert page(registry) == prom.store.text()


def test_prometheus_client_is_fed(case, form):
    """metric_types as vLLM gives them: real metrics of prometheus_client."""
    if not has_stats(case):
        with pytest.raises((kvtel.NoStatsError, kvtel.UnknownConnectorError)):
            kvtel.PromMetrics(case.vllm_config, None, LABELNAMES, case.labels)
        return
    registry = CollectorRegistry()

    def kind(cls):
        return lambda **options: cls(registry=registry, **options)

    types = {Counter: kind(Counter), Gauge: kind(Gauge), Histogram: kind(Histogram)}
    metrics = kvtel.PromMetrics(case.vllm_config, types, LABELNAMES, case.labels)
    observe_all(case, form, metrics)
    assert metrics.store is None
    assert compare.exposition_differences(case.text(".prom"), page(registry)) == []


def test_msgspec_reads_what_is_encoded(case):
    if not has_stats(case):
        return
    for record in case.records:
        if "log" in record:
            continue
        stats = aggregated(case, record, with_tuples)
        assert msgspec.msgpack.decode(stats.encode(), strict=False) == stats.to_dict()
        assert kvtel.Stats(case.connector, stats.to_dict()).encode() == stats.encode()
        assert json.loads(stats.encode("json")) == json_text(stats.to_dict())
