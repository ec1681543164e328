# SPDX-License-Identifier: Apache-2.0
"""Prometheus 3.16 scrapes kvtel in each format, and takes its pushes: what PromQL gives back equals what kvtel counted."""

import contextlib
import math
import subprocess
import time
import urllib.request

import pytest
from exporter import Exporter, wait_for
from prometheus_server import Prometheus
from test_exemplars import SPAN, TRACE, TRACEPARENT, TRANSFER, Writer
from test_exposition_parsers import FORCED_COMPLAINTS
from test_otlp import environment
from test_protobuf import FAMILIES, draw, quantile_of, recording, samples_of_text

NATIVE = "    scrape_native_histograms: true\n    always_scrape_classic_histograms: true"
WAYS = {
    "text": "    scrape_protocols: [PrometheusText0.0.4]",
    "openmetrics": "    scrape_protocols: [OpenMetricsText1.0.0]",
    "protobuf": f"    scrape_protocols: [PrometheusProto]\n{NATIVE}",
}
COLUMNS = draw(600)


def counted(exporter):
    """What kvtel counted, without the metrics of its own, which move."""
    found = samples_of_text(exporter.text())
    return {key: value for key, value in found.items() if not key[0].startswith(("kvtel_", "process_"))}


def known(prometheus, name):
    """{labels: value} of a name, without job and instance; `le` as a number."""
    found = {}
    for labels, value in prometheus.query(f'{{__name__="{name}"}}').items():
        numbers = tuple(sorted((k, float(v) if k == "le" else v) for k, v in labels))
        found[numbers] = value
    return found


def check_samples(prometheus, samples):
    for name in {key[0] for key in samples}:
        expected = {labels: value for (other, labels), value in samples.items() if other == name}
        assert known(prometheus, name) == expected, name


def check_native(prometheus):
    """Count, sum, and quantiles within the error of the schema, over exact ones of the data."""
    for name, values in zip(FAMILIES, COLUMNS, strict=True):
        native = f'{{__name__="{name}"}}'
        (count,) = prometheus.query(f"histogram_count({native})").values()
        (total,) = prometheus.query(f"histogram_sum({native})").values()
        assert count == len(values) and total == pytest.approx(sum(values))
        for q in (0.1, 0.5, 0.9, 0.99):
            (found,) = prometheus.query(f"histogram_quantile({q}, {native})").values()
            assert 2 ** (-1 / 8) <= found / quantile_of(values, q) <= 2 ** (1 / 8), (name, q)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("way", WAYS)
def test_scrapes(program, stores, tmp_path, way, coding):
    flags = ["--enable-feature=zstd-scrape"] if coding == "zstd" else []
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording(*COLUMNS))
        target = f"127.0.0.1:{exporter.port}"
        with Prometheus(tmp_path, target, *flags, scrape=WAYS[way], program=program("prometheus")) as prometheus:
            wait_for(lambda: prometheus.query("up") == {(): 1.0}, "a scrape")
            wait_for(lambda: prometheus.results("scrape_samples_scraped"), "its samples")
            samples = counted(exporter)
            assert len(samples) > 60
            check_samples(prometheus, samples)
            if way == "protobuf":
                check_native(prometheus)
            unit = "seconds" if way != "text" else ""
            assert prometheus.metadata(FAMILIES[0])["unit"] == unit


@pytest.mark.parametrize("kind", ["native", "classic"])
def test_pushes(program, stores, tmp_path, kind):
    """An empty target list: what it knows was pushed."""
    with Prometheus(
        tmp_path, None, "--web.enable-otlp-receiver", program=program("prometheus")
    ) as prometheus:
        wait_for(prometheus.is_ready, "Prometheus")
        flags = [
            f"--otlp.endpoint=http://127.0.0.1:{prometheus.port}/api/v1/otlp",
            f"--metrics.histograms={kind}",
            "--web.enable-stats-receiver",
        ]
        with Exporter(stores, *flags, env=environment(500, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")) as exporter:
            exporter.text("/api/v1/stats", recording(*COLUMNS))
            samples = counted(exporter)
            histograms = ("_bucket", "_count", "_sum") if kind == "native" else ()
            samples = {key: value for key, value in samples.items() if not key[0].endswith(histograms)} if histograms else samples
            name = f"{FAMILIES[0]}_count" if kind == "classic" else FAMILIES[0]
            wait_for(lambda: prometheus.results(f'{{__name__="{name}"}}'), "a push")
            pushed = exporter.samples()["kvtel_otlp_pushes_total"]
            wait_for(lambda: exporter.samples()["kvtel_otlp_pushes_total"] >= pushed + 2, "two more pushes")
            check_samples(prometheus, samples)
            if kind == "native":
                check_native(prometheus)
            (series,) = prometheus.results("process_cpu_seconds_total")
            assert series["metric"]["job"] == "kvtel"
            assert series["metric"]["instance"].endswith(f":{exporter.port}")
            assert exporter.samples()["kvtel_otlp_points_rejected_total"] == 0
            assert not exporter.lines("cannot be pushed")


STARTED = ("protobuf", "openmetrics", "push")


def scraping(tmp_path, program, exporter, way, *flags):
    """Prometheus that gets the exporter's numbers by a way; by a push, if `exporter` is not there yet."""
    if way == "push":
        return Prometheus(tmp_path, None, "--web.enable-otlp-receiver", *flags, program=program("prometheus"))
    return Prometheus(tmp_path, f"127.0.0.1:{exporter.port}", *flags, scrape=WAYS[way], program=program("prometheus"))


@contextlib.contextmanager
def both(tmp_path, program, stores, way, *flags):
    """An exporter, and a Prometheus that gets its numbers by the way."""
    with contextlib.ExitStack() as stack:
        arguments, variables = ["--web.enable-stats-receiver", "--metrics.created"], {}
        if way == "push":
            prometheus = stack.enter_context(scraping(tmp_path, program, None, way, *flags))
            wait_for(prometheus.is_ready, "Prometheus")
            arguments.append(f"--otlp.endpoint=http://127.0.0.1:{prometheus.port}/api/v1/otlp")
            variables = {"env": environment(500)}
        exporter = stack.enter_context(Exporter(stores, *arguments, **variables))
        if way != "push":
            prometheus = stack.enter_context(scraping(tmp_path, program, exporter, way, *flags))
        yield exporter, prometheus


@pytest.mark.parametrize("way", ["protobuf", "openmetrics"])
def test_starts(program, stores, tmp_path, way):
    """A counter that was above zero at its first scrape has a zero at its start, so that rate() sees its first values."""
    began = time.time()
    with Exporter(stores, "--web.enable-stats-receiver", "--metrics.created") as exporter:
        exporter.text("/api/v1/stats", recording(*COLUMNS))
        flags = ["--enable-feature=created-timestamp-zero-ingestion"]
        with scraping(tmp_path, program, exporter, way, *flags) as prometheus:
            name = f'{{__name__="{FAMILIES[0]}_count"}}'
            wait_for(lambda: prometheus.results(name), "a scrape")
            (increase,) = prometheus.query(f"increase({name}[1h])").values()
            (series,) = prometheus.results(f"{name}[1h]")
            (first, zero), (_, value) = series["values"][:2]
            assert not prometheus.results(f'{{__name__="{FAMILIES[0]}_created"}}')
    assert float(zero) == 0 and float(value) == len(COLUMNS[0]) <= increase
    assert math.floor(began) <= first <= time.time()


@pytest.mark.parametrize("way", STARTED)
def test_starts_are_stored(program, stores, tmp_path, way):
    """With starts in the storage itself, PromQL knows since when a series counts, and increase() has what was before the first sample."""
    began = time.time()
    flags = ["--enable-feature=st-storage,use-start-timestamps,promql-experimental-functions"]
    with both(tmp_path, program, stores, way, *flags) as (exporter, prometheus):
        exporter.text("/api/v1/stats", recording(*COLUMNS))
        name = f'{{__name__="{FAMILIES[0]}{"" if way == "push" else "_count"}"}}'
        wait_for(lambda: prometheus.results(name), "a sample")
        (started,) = prometheus.query(f"start_timestamp({name})").values()
        if way != "push":
            wait_for(lambda: list(prometheus.query(f"increase({name}[1h])").values()) >= [len(COLUMNS[0])], "all of the first sample")
    assert math.floor(began) <= started <= time.time()


def exemplars_of(prometheus, name):
    """{(labels, value, time)} that Prometheus keeps for a name."""
    query = urllib.request.quote(f'{{__name__="{name}"}}')
    found = set()
    for series in prometheus.get(f"query_exemplars?query={query}&start={time.time() - 3600}&end={time.time() + 60}"):
        for exemplar in series["exemplars"]:
            found.add((tuple(sorted(exemplar["labels"].items())), float(exemplar["value"]), exemplar["timestamp"]))
    return found


@pytest.mark.parametrize("way", STARTED)
def test_exemplars(program, stores, tmp_path, way):
    """The slow transfer by its trace: what a writer left is what Prometheus answers."""
    begin = time.time_ns() // 10**6 * 10**6 - 5 * 10**9
    left = [(7, TRACEPARENT, "r1"), (900, "-", "slow"), (90_000, TRACEPARENT, "-")]
    trace = {"trace_id": TRACE, "span_id": SPAN}
    labels = [{**trace, "request_id": "r1"}, {"request_id": "slow"}, trace]
    expected = {
        (tuple(sorted(labels[i].items())), left[i][0] / 1e3, round((begin + i * 10**9) / 1e9, 3)) for i in range(len(left))
    }
    with both(tmp_path, program, stores, way, "--enable-feature=exemplar-storage") as (_, prometheus), Writer(stores) as writer:
        for i, (milliseconds, traceparent, request) in enumerate(left):
            writer.record(milliseconds, begin + i * 10**9, traceparent, request)
        names = {"protobuf": [TRANSFER, f"{TRANSFER}_bucket"], "openmetrics": [f"{TRANSFER}_bucket"], "push": [TRANSFER]}
        wait_for(prometheus.is_ready, "Prometheus")
        for name in names[way]:
            wait_for(lambda name=name: len(exemplars_of(prometheus, name)) >= len(expected), f"exemplars of {name}")
            assert exemplars_of(prometheus, name) == expected


def test_promtool(program, stores):
    """Its lint says of a page nothing but what docs/metrics-lint.md explains."""
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording(*COLUMNS))
        done = subprocess.run(
            [program("promtool"), "check", "metrics"], input=exporter.text(), capture_output=True, text=True, timeout=60
        )
    others = [line for line in (done.stdout + done.stderr).splitlines() if not any(p.fullmatch(line) for p in FORCED_COMPLAINTS)]
    assert others == []
