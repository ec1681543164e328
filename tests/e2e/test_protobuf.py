# SPDX-License-Identifier: Apache-2.0
"""Prometheus' protobuf format with native histograms, decoded by Google's library and scraped by a real Prometheus."""

import json
import math
import os
import random
import subprocess
import urllib.request
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import PATIENCE, Exporter, wait_for
from prometheus_proto import TYPES, native_buckets, parse
from prometheus_server import Prometheus

DATA = Path(os.environ.get("KVTEL_TEST_DATA", Path(__file__).resolve().parents[1] / "data"))
GOLDEN = sorted((DATA / "golden").glob("*.prom"))
MEDIA = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
ACCEPT_NATIVE_242 = (
    f"{MEDIA},application/openmetrics-text;version=1.0.0;q=0.8,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
TRANSFER = "vllm:nixl_xfer_time_seconds"
COLUMNS = ["transfer_duration", "post_duration", "bytes_transferred", "num_descriptors"]


def replayed(kvtel, recording, form):
    command = [kvtel, "replay", "--metrics.output=-", f"--metrics.format={form}", recording]
    return subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout


def scraped(exporter, accept=MEDIA):
    request = urllib.request.Request(exporter.url(), headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == MEDIA.replace(";", "; ")
        return {family.name: family for family in parse(answer.read())}


def samples_of(families):
    """As the text would have them."""
    found = {}
    for family in families:
        for metric in family.metric:
            labels = {label.name: label.value for label in metric.label}
            assert list(labels) == sorted(labels)

            def add(name, value, **more):
                found[name, tuple(sorted({**labels, **more}.items()))] = value

            kind = TYPES[family.type]
            assert [field.name for field, _ in metric.ListFields() if field.name != "label"] == [kind]
            if kind != "histogram":
                add(family.name, getattr(metric, kind).value)
                continue
            histogram = metric.histogram
            for bucket in histogram.bucket:
                bound = bucket.upper_bound
                add(f"{family.name}_bucket", bucket.cumulative_count, le=bound)
            add(f"{family.name}_bucket", histogram.sample_count, le=math.inf)
            add(f"{family.name}_count", histogram.sample_count)
            add(f"{family.name}_sum", histogram.sample_sum)
    return found


def samples_of_text(text):
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: float(value) if name == "le" else value for name, value in sample.labels.items()}
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


def check_native(histogram):
    """Both kinds of buckets are of the same values."""
    counts = native_buckets(histogram)
    assert sum(counts.values()) + histogram.zero_count == histogram.sample_count
    assert histogram.zero_threshold > 0 and len(histogram.positive_span) > 0
    assert not histogram.negative_span and not histogram.negative_delta

    def upper(index):
        return 2 ** (index / 2**histogram.schema)

    for bucket in histogram.bucket:
        least = sum(count for index, count in counts.items() if upper(index) <= bucket.upper_bound)
        most = sum(count for index, count in counts.items() if upper(index - 1) < bucket.upper_bound)
        zeros = histogram.zero_count
        below = bucket.cumulative_count
        assert least + (zeros if histogram.zero_threshold <= bucket.upper_bound else 0) <= below <= most + zeros


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_the_same_as_the_text(kvtel, golden):
    recording = golden.with_suffix(".jsonl")
    text = replayed(kvtel, recording, "text").decode()
    families = parse(replayed(kvtel, recording, "protobuf"))
    assert samples_of(families) == samples_of_text(text)
    by_name = {family.name: family for family in text_string_to_metric_families(text)}
    for family in families:
        name = family.name.removesuffix("_total") if family.type == 0 else family.name
        assert (family.help, TYPES[family.type]) == (by_name[name].documentation, by_name[name].type)
        assert family.unit == "" or name.endswith("_" + family.unit)
        for metric in family.metric:
            if family.type == 4:
                check_native(metric.histogram)


def recording(*columns):
    """One payload: a list of values for each column of NIXL."""
    header = {
        "kvtel": 1,
        "kv_transfer_config": {"kv_connector": "NixlConnector"},
        "model_name": "m",
        "engines": [0],
    }
    empty = [
        "num_failed_transfers",
        "num_failed_notifications",
        "num_failed_handshakes",
        "num_kv_expired_reqs",
        "num_notifications_after_expiry",
    ]
    payload = {**dict(zip(COLUMNS, columns, strict=True)), **{name: [] for name in empty}}
    return (json.dumps(header) + "\n" + json.dumps({"engine": 0, "payload": payload}) + "\n").encode()


def index_of(value, schema):
    """The bucket of a value, in exact arithmetic: 2^((i-1)/2^schema) < value <= 2^(i/2^schema)."""
    power, scale = Fraction(value), 1
    for _ in range(schema):
        power, scale = power * power, scale * 2
    for _ in range(-schema):
        scale = scale / 2
    index = math.floor(math.log2(value) * scale) - 1
    while (Fraction(2) ** index if scale >= 1 else Fraction(2) ** round(index / scale)) < power:
        index += 1
    return index


def draw(count=1000):
    """Times around 4 ms and around 200 ms, sizes, and pieces of which many are one."""
    source = random.Random(5)
    times = [source.lognormvariate(math.log(0.004 if i % 3 else 0.2), 0.3) for i in range(count)]
    posts = [source.lognormvariate(math.log(0.0002), 1) for _ in range(count)]
    sizes = [source.randrange(1, 1 << 30) for _ in range(count)]
    pieces = [source.choice([1, 1, 1, 2, 3, 64, 1000]) for _ in range(count)]
    return times, posts, sizes, pieces


FAMILIES = [TRANSFER, "vllm:nixl_post_time_seconds", "vllm:nixl_bytes_transferred", "vllm:nixl_num_descriptors"]


def model_of(values, schema):
    counts = {}
    for value in values:
        index = index_of(value, schema)
        counts[index] = counts.get(index, 0) + 1
    return counts


@pytest.mark.parametrize("schema", [-4, -1, 0, 2, 3])
def test_native_buckets_are_exact(stores, schema):
    columns = draw()
    flags = [f"--metrics.native-histogram-schema={schema}", "--metrics.native-histogram-max-buckets=10000"]
    with Exporter(stores, "--web.enable-stats-receiver", *flags) as exporter:
        exporter.text("/api/v1/stats", recording(*columns))
        families = scraped(exporter)
    for name, values in zip(FAMILIES, columns, strict=True):
        histogram = families[name].metric[0].histogram
        counts = {index: count for index, count in native_buckets(histogram).items() if count}
        assert histogram.schema == schema and histogram.sample_count == len(values)
        assert counts == model_of([v for v in values if v > histogram.zero_threshold], schema)
        assert histogram.zero_count == sum(v <= histogram.zero_threshold for v in values)
        check_native(histogram)


def test_each_scrape_has_the_newest_values(stores):
    """From the second scrape on the exporter keeps sums for native buckets. The second exporter adds those of the first one's store."""
    columns, counts = draw(320), {}
    for exporters in range(2):
        with Exporter(stores, "--web.enable-stats-receiver") as exporter:
            for begin in range(160 * exporters, 160 * (exporters + 1), 40):
                new = [column[begin : begin + 40] for column in columns]
                exporter.text("/api/v1/stats", recording(*new))
                for index, count in model_of(new[0], 3).items():
                    counts[index] = counts.get(index, 0) + count
                histogram = scraped(exporter)[TRANSFER].metric[0].histogram
                assert {index: count for index, count in native_buckets(histogram).items() if count} == counts
                assert histogram.sample_count == begin + 40
                check_native(histogram)


def test_many_buckets_halve_the_resolution(stores):
    values = [1e-6 * 1.01**i for i in range(1500)]
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording(values, values, [1] * len(values), [1] * len(values)))
        histogram = scraped(exporter)[TRANSFER].metric[0].histogram
    assert histogram.schema == 2  # 21.5 octaves: 8 buckets an octave would be 172
    assert {i: n for i, n in native_buckets(histogram).items() if n} == model_of(values, 2)


@pytest.mark.parametrize("kind,classic,native", [("both", 13, True), ("classic", 13, False), ("native", 0, True)])
def test_which_buckets_a_histogram_has(stores, kind, classic, native):
    with Exporter(stores, "--web.enable-stats-receiver", f"--metrics.histograms={kind}") as exporter:
        exporter.text("/api/v1/stats", recording([0.004], [0.001], [4096], [1]))
        histogram = scraped(exporter, ACCEPT_NATIVE_242)[TRANSFER].metric[0].histogram
        assert "_bucket{" in exporter.text()
    assert (len(histogram.bucket) > 0) == (classic > 0)
    assert histogram.HasField("schema") == native == histogram.HasField("zero_threshold")
    assert (len(histogram.positive_span) > 0) == native and histogram.sample_count == 1


@pytest.mark.parametrize(
    "flag",
    [
        "--metrics.histograms=neither",
        "--metrics.native-histogram-schema=4",
        "--metrics.native-histogram-schema=-5",
        "--metrics.native-histogram-schema=",
        "--metrics.native-histogram-max-buckets=0",
        "--metrics.native-histogram-max-buckets=1x",
    ],
)
def test_bad_flags(kvtel, flag):
    done = subprocess.run([kvtel, "serve", flag], capture_output=True, text=True, timeout=PATIENCE)
    name, value = flag.split("=")
    assert done.returncode == 2 and name in done.stderr and f'not "{value}"' in done.stderr


def quantile_of(values, q):
    return sorted(values)[math.ceil(q * len(values)) - 1]


def test_a_real_prometheus_with_native_histograms(stores, tmp_path):
    """Its quantiles agree with the exact ones within the schema's error."""
    columns = draw()
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording(*columns))
        with Prometheus(
            tmp_path, f"127.0.0.1:{exporter.port}", "--enable-feature=native-histograms"
        ) as prometheus:
            wait_for(lambda: prometheus.query("up") == {(): 1.0}, "a scrape")
            wait_for(lambda: prometheus.results(FAMILIES[0]), "the series")
            assert prometheus.results(f"{FAMILIES[0]}_bucket") == []  # 2.42 takes one kind, the native one
            for name, values in zip(FAMILIES, columns, strict=True):
                (count,) = prometheus.query(f"histogram_count({name})").values()
                (total,) = prometheus.query(f"histogram_sum({name})").values()
                assert count == len(values) and total == pytest.approx(sum(values))
                for q in (0.1, 0.5, 0.9, 0.99):
                    (found,) = prometheus.query(f"histogram_quantile({q}, {name})").values()
                    exact = quantile_of(values, q)
                    assert 2 ** (-1 / 8) <= found / exact <= 2 ** (1 / 8), (name, q)
            scrapes = prometheus.query("kvtel_scrapes_total")
            assert scrapes[()] >= 0 and prometheus.metadata("kvtel_scrapes_total")["type"] == "counter"
