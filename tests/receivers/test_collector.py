# SPDX-License-Identifier: Apache-2.0
"""The OpenTelemetry Collector's own receiver takes what kvtel pushes."""

import contextlib
import json
import subprocess
import time

from exporter import Exporter, free_port, wait_for
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_receiver import exponential_buckets, samples_of
from test_exemplars import SPAN, TRACE, TRACEPARENT, TRANSFER, Writer
from test_otlp import environment
from test_protobuf import FAMILIES, draw, model_of, recording, samples_of_text


def newest(path):
    """The metrics of the last request in the file."""
    lines = path.read_text().splitlines()
    message = json_format.Parse(lines[-1], ExportMetricsServiceRequest()) if lines else None
    return {metric.name: metric for metric in message.resource_metrics[0].scope_metrics[0].metrics} if message else {}


@contextlib.contextmanager
def collecting(program, path):
    """The receiver's URL."""
    port = free_port()
    with subprocess.Popen([program("collector"), f"127.0.0.1:{port}", path], stdout=subprocess.PIPE, text=True) as collector:
        try:
            assert collector.stdout.readline() == "ready\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            collector.terminate()


def test_pushes(program, stores, tmp_path):
    columns, path = draw(600), tmp_path / "requests"
    with collecting(program, path) as url:
        variables = environment(500, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        flags = [f"--otlp.endpoint={url}", "--web.enable-stats-receiver"]
        with Exporter(stores, *flags, env=variables) as exporter:
            exporter.text("/api/v1/stats", recording(*columns))
            text = samples_of_text(exporter.text())
            sent = exporter.samples()["kvtel_otlp_pushes_total"]
            wait_for(lambda: exporter.samples()["kvtel_otlp_pushes_total"] >= sent + 2, "two more pushes")
            assert not exporter.lines("cannot be pushed")
    metrics = newest(path)
    pushed = samples_of(metrics)
    for key, value in text.items():
        if key[0].startswith("vllm:") and not key[0].endswith("_bucket"):
            assert pushed[key] == value, key
    for name, values in zip(FAMILIES, columns, strict=True):
        (point,) = metrics[name].exponential_histogram.data_points
        assert exponential_buckets(point) == model_of([v for v in values if v > point.zero_threshold], 3)
        assert 0 < point.start_time_unix_nano <= time.time_ns()


def exemplars(path):
    """Those of the last request that took a transfer. In OTLP's JSON a trace is hexadecimal digits, unlike in protobuf's own."""
    for line in reversed(path.read_text().splitlines()):
        for metric in json.loads(line)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
            if metric["name"] == TRANSFER:
                return metric["exponentialHistogram"]["dataPoints"][0].get("exemplars", [])
    return []


def test_exemplars(program, stores, tmp_path):
    path, at = tmp_path / "requests", time.time_ns()
    with collecting(program, path) as url, Writer(stores) as writer:
        with Exporter(stores, f"--otlp.endpoint={url}", env=environment(500)):
            writer.record(7, at, TRACEPARENT, "r1")
            wait_for(lambda: exemplars(path), "an exemplar")
    (exemplar,) = exemplars(path)
    assert (exemplar["traceId"], exemplar["spanId"]) == (TRACE, SPAN)
    assert (exemplar["asDouble"], exemplar["timeUnixNano"]) == (0.007, str(at))
    assert exemplar["filteredAttributes"] == [{"key": "request_id", "value": {"stringValue": "r1"}}]
