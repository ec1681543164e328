# SPDX-License-Identifier: Apache-2.0
"""Exemplars from a writer's store to every reader: the page's formats, kvtel dump, the summary."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter import ROOT, Exporter, wait_for
from otlp_receiver import Receiver, attributes
from prometheus_proto import parse
from test_otlp import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from store_reader import Store  # noqa: E402

WRITER = os.environ.get("KVTEL_EXEMPLAR_WRITER", ROOT / "build" / "tests" / "exemplar_writer")
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
TRANSFER = "vllm:nixl_xfer_time_seconds"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
BEGIN = 1_700_000_000_000_000_000


class Writer:
    """A process that leaves exemplars."""

    def __init__(self, directory):
        self.process = subprocess.Popen([WRITER, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.path = Path(line.split(" ", 1)[1].strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()

    def record(self, milliseconds, at, traceparent="-", request="-"):
        self.process.stdin.write(f"{int(milliseconds * 1e6)} {at} {traceparent} {request}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "recorded\n"


def get(exporter, accept):
    request = urllib.request.Request(exporter.url(), headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def openmetrics(exporter):
    """{upper bound: exemplar} of the transfers, as prometheus_client reads them."""
    text = get(exporter, OPENMETRICS).decode()
    assert text.endswith("# EOF\n")
    [family] = [family for family in text_string_to_metric_families(text) if family.name == TRANSFER]
    return {float(sample.labels["le"]): sample.exemplar for sample in family.samples if sample.exemplar}


def protobuf(exporter):
    [family] = [family for family in parse(get(exporter, PROTOBUF)) if family.name == TRANSFER]
    return family.metric[0].histogram


def of_message(exemplar):
    time_ns = exemplar.timestamp.seconds * 10**9 + exemplar.timestamp.nanos
    return exemplar.value, time_ns, {label.name: label.value for label in exemplar.label}


def test_from_a_writer_to_every_reader(stores, kvtel):
    odd = 'r "1" \\ é'
    labels = {"trace_id": TRACE, "span_id": SPAN, "request_id": odd}
    with Writer(stores) as writer, Exporter(stores, "--metrics.created") as exporter:
        wait_for(lambda: f"{TRANSFER}_count" in exporter.text(), "the store")
        before = exporter.text()
        assert openmetrics(exporter) == {} and " # {" not in before
        writer.record(6, BEGIN, request="older")
        writer.record(7, BEGIN + 123456789, TRACEPARENT, odd)
        writer.record(900, BEGIN + 1, request="slow")
        writer.record(90_000, BEGIN + 2)
        wait_for(lambda: len(openmetrics(exporter)) == 3, "three exemplars")
        found = openmetrics(exporter)
        assert sorted(found) == [0.01, 1.0, float("inf")]
        assert (found[0.01].value, found[0.01].labels) == (0.007, labels)
        assert float(found[0.01].timestamp) == pytest.approx(BEGIN / 1e9 + 0.123456789, abs=1e-6)
        assert found[1.0].labels == {"request_id": "slow"} and found[float("inf")].labels == {}
        # the same in protobuf: at explicit buckets, and beside native ones
        histogram = protobuf(exporter)
        buckets = {bucket.upper_bound: of_message(bucket.exemplar) for bucket in histogram.bucket if bucket.HasField("exemplar")}
        assert buckets == {
            0.01: (0.007, BEGIN + 123456789, labels),
            1.0: (0.9, BEGIN + 1, {"request_id": "slow"}),
            float("inf"): (90.0, BEGIN + 2, {}),
        }
        assert [of_message(exemplar) for exemplar in histogram.exemplars] == list(buckets.values())
        # a newer one takes the place of an older one; an older one does not
        writer.record(8, BEGIN + 200000000, request="newer")
        wait_for(lambda: openmetrics(exporter)[0.01].labels == {"request_id": "newer"}, "the newer one")
        writer.record(9, BEGIN, request="late")
        writer.record(901, BEGIN + 3, request="behind")
        wait_for(lambda: openmetrics(exporter)[1.0].labels == {"request_id": "behind"}, "the writer's last one")
        assert openmetrics(exporter)[0.01].labels == {"request_id": "newer"}
        # the text has none, and OpenMetrics tells when counts began
        text = exporter.text()
        assert "#" not in "".join(line for line in text.splitlines() if not line.startswith("# "))
        assert "_created" not in text
        families = {f.name: f for f in text_string_to_metric_families(get(exporter, OPENMETRICS).decode())}
        for family in families.values():
            created = [sample for sample in family.samples if sample.name.endswith("_created")]
            counts = [sample for sample in family.samples if sample.name.endswith(("_total", "_sum"))]
            assert len(created) == (0 if family.type == "gauge" else len(counts)), family.name
        [created] = [s for s in families[TRANSFER].samples if s.name.endswith("_created")]
        assert created.labels == {"engine": "0", "model_name": "m"} and 0 <= time.time() - created.value < 3600
        # without the exporter, which keeps what was newer: the file, which has the last one, by another reader and kvtel dump
        [series] = [s for s in Store(writer.path).series if s["family"]["name"] == TRANSFER]
        assert series["exemplars"][1] == (0.009, BEGIN, {"request_id": "late"})
        dump = json.loads(subprocess.run([kvtel, "dump", "--json", writer.path], capture_output=True, check=True, timeout=60).stdout)
        [family] = [family for family in dump["families"] if family["name"] == TRANSFER]
        assert family["series"][0]["exemplars"] == [
            {"upper_bound": 0.01, "value": 0.009, "time_ns": BEGIN, "labels": {"request_id": "late"}},
            {"upper_bound": 1.0, "value": 0.901, "time_ns": BEGIN + 3, "labels": {"request_id": "behind"}},
            {"upper_bound": None, "value": 90.0, "time_ns": BEGIN + 2, "labels": {}},
        ]
        shown = subprocess.run([kvtel, "dump", writer.path], capture_output=True, check=True, text=True, timeout=60).stdout
        assert 'request_id="behind"' in shown


@pytest.mark.parametrize("kind", ["native", "classic"])
def test_a_push_has_them(stores, kind):
    """Trace and span in fields of their own, from where a receiver finds the trace; other labels as attributes."""
    with Receiver() as receiver, Writer(stores) as writer:
        writer.record(7, BEGIN + 123456789, TRACEPARENT, "é")
        writer.record(900, BEGIN + 1)
        flags = [f"--otlp.endpoint={receiver.url()}", f"--metrics.histograms={kind}"]
        with Exporter(stores, *flags, env=environment()):
            wait_for(lambda: any(TRANSFER in request.metrics for request in receiver.requests), "a push with the store")
            metric = receiver.requests[-1].metrics[TRANSFER]
    (point,) = getattr(metric, "histogram" if kind == "classic" else "exponential_histogram").data_points
    first, second = point.exemplars
    assert (first.trace_id.hex(), first.span_id.hex()) == (TRACE, SPAN)
    assert (first.as_double, first.time_unix_nano) == (0.007, BEGIN + 123456789)
    assert attributes(first.filtered_attributes) == {"request_id": "é"}
    assert (second.as_double, second.time_unix_nano) == (0.9, BEGIN + 1)
    assert not second.trace_id and not second.span_id and not second.filtered_attributes


def test_the_default_has_no_starts(stores):
    with Writer(stores) as writer, Exporter(stores) as exporter:
        before = time.time_ns()
        writer.record(7, 0, TRACEPARENT)  # the time is that of the call
        wait_for(lambda: len(protobuf(exporter).exemplars) == 1, "an exemplar")
        assert before <= of_message(protobuf(exporter).exemplars[0])[1] <= time.time_ns()
        assert "_created" not in get(exporter, OPENMETRICS).decode()


def test_an_ended_store_takes_its_exemplars_along(stores):
    with Exporter(stores) as exporter:
        with Writer(stores) as writer:
            writer.record(7, BEGIN, TRACEPARENT)
            wait_for(lambda: f"{TRANSFER}_count" in exporter.text() and len(openmetrics(exporter)) == 1, "an exemplar")
        wait_for(lambda: not writer.path.exists(), "the end of the store")
        assert openmetrics(exporter) == {} and protobuf(exporter).sample_count == 1
