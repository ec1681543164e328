# SPDX-License-Identifier: Apache-2.0
"""When counts began: neither a restart of a writer nor one of the exporter is a reset."""

import time
import urllib.request

from exporter import Exporter, Writer, wait_for
from prometheus_proto import parse

MEDIA = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
TRANSFER = "vllm:nixl_xfer_time_seconds"
FAILURES = "vllm:nixl_num_failed_transfers_total"


def families_of(exporter):
    request = urllib.request.Request(exporter.url(), headers={"Accept": MEDIA})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return {family.name: family for family in parse(answer.read())}


def count_of(exporter):
    family = families_of(exporter).get(TRANSFER)
    return family.metric[0].histogram.sample_count if family else 0


def starts_of(exporter):
    """In nanoseconds: of a histogram and of a counter."""
    families = families_of(exporter)
    histogram = families[TRANSFER].metric[0].histogram.created_timestamp
    counter = families[FAILURES].metric[0].counter.created_timestamp
    return [start.seconds * 10**9 + start.nanos for start in (histogram, counter)]


def test_no_restart_is_a_reset(stores, tmp_path):
    before = time.time_ns()
    first = Writer(stores, tmp_path / "first", 5).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: count_of(exporter) == 5, "the first writer's counts")
        starts = starts_of(exporter)
        assert all(before <= start <= time.time_ns() for start in starts)
        first.kill()
        wait_for(lambda: not first.path.exists(), "the end of the first store")
        assert starts_of(exporter) == starts  # the totals keep them
        second = Writer(stores, tmp_path / "second", 7).done()
        wait_for(lambda: count_of(exporter) == 12, "the second writer's counts")
        assert starts_of(exporter) == starts
    with Exporter(stores) as exporter:
        wait_for(lambda: count_of(exporter) == 12, "the counts behind a restart of the exporter")
        assert starts_of(exporter) == starts
        for family in families_of(exporter).values():
            for metric in family.metric:
                assert family.type == 1 or (metric.counter if family.type == 0 else metric.histogram).HasField(
                    "created_timestamp"
                ), family.name
    second.end()
