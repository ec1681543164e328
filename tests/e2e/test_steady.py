# SPDX-License-Identifier: Apache-2.0
"""kvtel serve in its steady state: what a scrape, and the page beside it, take from the system."""

import errno
import http.client
import json
import re

import pytest
from exporter import Exporter, Writer, wait_for
from faults import Faults

WARM, MEASURED = 8, 10
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def get(connection, headers, path="/metrics"):
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return body


def allocations(exporter, faults, headers):
    """Of kvtel's own code, for each scrape once it has its memory. The main loop allocates a little each second, so the least of some
    rounds counts."""
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=60)
    for _ in range(WARM):
        get(connection, headers)
    least = []
    for _ in range(3):
        faults.on("malloc", errno.ENOMEM, every=2**31)  # none fails; they are counted
        for _ in range(MEASURED):
            get(connection, headers)
        least.append(faults.seen("malloc") / MEASURED)
        faults.off()
    connection.close()
    return min(least)


@pytest.mark.parametrize(
    "headers", [{}, {"Accept-Encoding": "gzip"}, {"Accept": PROTOBUF}], ids=["text", "gzip", "protobuf"]
)
def test_a_scrape_allocates_for_its_request_and_nothing_else(stores, tmp_path, headers):
    faults = Faults(tmp_path / "faults")
    with Exporter(stores, env=faults.environment) as exporter:
        writers = [Writer(stores, tmp_path / "book0", 1000).done()]
        one = allocations(exporter, faults, headers)
        writers += [Writer(stores, tmp_path / f"book{i}", 1000, engine=i).done() for i in range(1, 12)]
        many = allocations(exporter, faults, headers)
        for writer in writers:
            writer.end()
    # the exchange, its target and the answer; encoders of protobuf sort the labels of each family
    assert many < one + 2 and (one < 8 or "Accept" in headers), (one, many)


def test_summaries_and_log_lines_show_what_the_scrape_shows(stores, tmp_path):
    """They read one catalog, each in turn, while transfers come."""
    with Exporter(stores, "--log.interval=1") as exporter:
        connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=60)
        for i in range(1, 6):
            Writer(stores, tmp_path / f"book{i}", 100 * i, engine=i).done().end()
            wait_for(lambda: count_of(connection, i) == 100 * i, "the transfers on the page")
            found = json.loads(get(connection, {}, "/api/v1/summary"))
            engines = {entry["engine"] for entry in found["connectors"]}
            assert engines == {str(k) for k in range(1, i + 1)}
            assert count_of(connection, i) == 100 * i
        wait_for(lambda: logged(exporter) == 1500, "each transfer in one log line")
        connection.close()


def logged(exporter):
    """Transfers of all log lines so far."""
    return sum(int(found) for line in list(exporter.log) for found in re.findall(r" transfer ok=(\d+) ", line))


def count_of(connection, engine):
    for line in get(connection, {}).decode().splitlines():
        if line.startswith("vllm:nixl_xfer_time_seconds_count") and f'engine="{engine}"' in line:
            return float(line.rsplit(" ", 1)[1])
    return 0
