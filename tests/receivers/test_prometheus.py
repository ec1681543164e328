# SPDX-License-Identifier: Apache-2.0
"""Prometheus 3.16 scrapes kvtel in each format, and takes its pushes: what PromQL gives back equals what kvtel counted."""

import math
import time

import pytest
from exporter import Exporter, wait_for
from prometheus_server import Prometheus
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


def test_starts(program, stores, tmp_path):
    """A counter that was above zero at its first scrape has a zero at its start, so that rate() sees its first values."""
    began = time.time()
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording(*COLUMNS))
        flags = ["--enable-feature=created-timestamp-zero-ingestion"]
        with Prometheus(
            tmp_path, f"127.0.0.1:{exporter.port}", *flags, scrape=WAYS["protobuf"], program=program("prometheus")
        ) as prometheus:
            name = f'{{__name__="{FAMILIES[0]}_count"}}'
            wait_for(lambda: prometheus.results(name), "a scrape")
            (series,) = prometheus.results(f"{name}[1h]")
            (first, zero), (_, value) = series["values"][:2]
    assert float(zero) == 0 and float(value) == len(COLUMNS[0])
    assert math.floor(began) <= first <= time.time()
