# SPDX-License-Identifier: Apache-2.0
"""An OpenTelemetry Collector takes what kvtel pushes."""

import contextlib
import json
import re
import socket
import subprocess
import time

import documents
from exporter import Exporter, free_port, wait_for
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_receiver import exponential_buckets, samples_of
from test_exemplars import SPAN, TRACE, TRACEPARENT, TRANSFER, Writer
from test_otlp import environment
from test_protobuf import FAMILIES, draw, model_of, recording, samples_of_text


def whole_lines(path):
    """Those that the Collector has ended: it may be writing one."""
    return path.read_text().split("\n")[:-1]


def newest(path):
    """The metrics of the last request in the file."""
    lines = whole_lines(path)
    message = json_format.Parse(lines[-1], ExportMetricsServiceRequest()) if lines else None
    return {metric.name: metric for metric in message.resource_metrics[0].scope_metrics[0].metrics} if message else {}


CONFIGURATION = """
receivers:
  otlp: { protocols: { http: { endpoint: 127.0.0.1:4318 } } }
exporters:
  file: { path: PATH }
service:
  pipelines:
    metrics: { receivers: [otlp], exporters: [file] }
"""


def is_open(port):
    with contextlib.closing(socket.socket()) as peer:
        return peer.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(program, directory, configuration):
    """A Collector that listens on a free port instead of the configuration's: its URL, and the file with its log."""
    port, log = free_port(), directory / "collector.log"
    address = "127.0.0.1:4318"
    assert configuration.count(address) == 1
    quiet = "  telemetry: { metrics: { level: none } }\n"  # no port for metrics of its own
    (directory / "collector.yaml").write_text(configuration.replace(address, f"127.0.0.1:{port}").rstrip() + "\n" + quiet)
    with log.open("w") as output:
        with subprocess.Popen([program("collector"), f"--config={directory}/collector.yaml"], stderr=output) as collector:
            try:
                wait_for(lambda: is_open(port) or collector.poll() is not None, "the Collector")
                assert collector.poll() is None, log.read_text()
                yield f"http://127.0.0.1:{port}", log
            finally:
                collector.terminate()


@contextlib.contextmanager
def collecting(program, path):
    """The URL of a Collector that writes each request into a file."""
    with running(program, path.parent, CONFIGURATION.replace("PATH", str(path))) as (url, _):
        yield url


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
    for line in reversed(whole_lines(path)):
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


def test_documented_configuration(program, stores, tmp_path):
    """That of docs/otlp.md prints what comes."""
    with running(program, tmp_path, documents.block("otlp.md", "receivers:")) as (url, log):
        with Exporter(stores, f"--otlp.endpoint={url}", env=environment(500)) as exporter:
            wait_for(lambda: exporter.samples()["kvtel_otlp_pushes_total"] >= 1, "a push")
            printed = re.compile(r'Metrics\t.*"data points": [1-9]')
            wait_for(lambda: printed.search(log.read_text()), "the exporter debug")
            assert not exporter.lines("cannot be pushed")
