# SPDX-License-Identifier: Apache-2.0
"""A process that records transfers with one library: worker.py KIND BOOK [ARGUMENT].

It records the known transfers, prints what one costs, and waits for a line. Then it records without end, until it is killed."""

import json
import os
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import known  # noqa: E402
from nixl_families import BUCKETS  # noqa: E402

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ROUNDS = 5
NAMES = ("xfer_time_seconds", "post_time_seconds", "bytes_transferred", "num_descriptors")
BOUNDS = dict(zip(NAMES, BUCKETS.values()))  # vLLM's


def kvtel(directory):
    """A store, which `kvtel serve` reads."""
    import kvtel

    store = kvtel.Store.open(dir=directory, model_name="m", engine=0)
    nixl = kvtel.Recorder(store, "NixlConnector", exemplars=True, open_transfers=64)
    kvtel.kept = [nixl, nixl.begin(bytes=4096, peer="10.0.0.7:5600")]  # stays open
    record = nixl.operation().record
    exemplar = nixl.operation().record_exemplar

    def one(duration, post, size, descriptors):
        record(duration_ns=duration, post_ns=post, bytes=size, descriptors=descriptors)

    def slow(duration, post, size, descriptors):
        exemplar({"trace_id": TRACE}, duration_ns=duration, post_ns=post, bytes=size, descriptors=descriptors)

    return one, slow, lambda: None


def client(port):
    """prometheus_client. With a port it answers scrapes itself; without, PROMETHEUS_MULTIPROC_DIR has its files."""
    from prometheus_client import Histogram, start_http_server

    if port != "-":
        start_http_server(int(port), "127.0.0.1")
    duration_s, post_s, size_b, pieces = (
        Histogram(f"nixl_{name}", "h", ("model_name", "engine"), buckets=bounds).labels("m", "0")
        for name, bounds in BOUNDS.items()
    )

    def one(duration, post, size, descriptors):
        duration_s.observe(duration / 1e9)
        post_s.observe(post / 1e9)
        size_b.observe(size)
        pieces.observe(descriptors)

    def slow(duration, *rest):
        duration_s.observe(duration / 1e9, {"trace_id": TRACE})
        post_s.observe(rest[0] / 1e9)
        size_b.observe(rest[1])
        pieces.observe(rest[2])

    return one, slow, lambda: None


def opentelemetry(endpoint):
    """OpenTelemetry's SDK, which pushes by OTLP once a second (its default: once a minute). Times go into exponential histograms."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint), export_interval_millis=1000)
    view = View(instrument_name="*_seconds", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], views=[view])
    meter = provider.get_meter("m")
    duration_s, post_s, size_b, pieces = (
        meter.create_histogram(f"nixl_{name}", explicit_bucket_boundaries_advisory=bounds)
        for name, bounds in BOUNDS.items()
    )
    labels = {"model_name": "m", "engine": "0"}
    span = trace.SpanContext(int(TRACE, 16), 7, False, trace.TraceFlags(trace.TraceFlags.SAMPLED))
    traced = trace.set_span_in_context(trace.NonRecordingSpan(span))

    def one(duration, post, size, descriptors):
        duration_s.record(duration / 1e9, labels)
        post_s.record(post / 1e9, labels)
        size_b.record(size, labels)
        pieces.record(descriptors, labels)

    def slow(duration, *rest):
        duration_s.record(duration / 1e9, labels, traced)
        post_s.record(rest[0] / 1e9, labels)
        size_b.record(rest[1], labels)
        pieces.record(rest[2], labels)

    opentelemetry.kept = metrics, provider
    return one, slow, provider.force_flush


KINDS = {"kvtel": kvtel, "client": client, "opentelemetry": opentelemetry}


def cpu(call, *arguments):
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def record_all(one, transfers):
    for transfer in transfers:
        one(*transfer)


def main():
    kind, book, argument = sys.argv[1:]
    one, slow, flush = KINDS[kind](argument)
    book, transfers = known.Book(book), known.transfers()
    part = len(transfers) // ROUNDS
    costs = [cpu(record_all, one, transfers[i * part : (i + 1) * part]) / part for i in range(ROUNDS)]
    # The cost of an export is that of the push alone.
    pushes = sorted(cpu(flush) for _ in range(ROUNDS))
    print(
        json.dumps({"transfer_ns": 1e9 * sorted(costs)[ROUNDS // 2], "push_ms": 1e3 * pushes[ROUNDS // 2]}), flush=True
    )
    while sys.stdin.readline() == "slow\n":
        slow(*transfers[0])
        flush()
        print("done", flush=True)
    while True:
        for transfer in transfers:
            one(*transfer)
            book.add()


if __name__ == "__main__":
    main()
    os._exit(0)
