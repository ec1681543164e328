# SPDX-License-Identifier: Apache-2.0
"""Libraries in Python: one process records transfers that are known, is scraped, and is killed while it records."""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import known
import pages
from exporter import Exporter, free_port, wait_for
from otlp_receiver import Receiver
from prometheus_proto import native_buckets, parse
from row import Row, yes

WORKER = Path(__file__).parent / "worker.py"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
PROCESSES = 8  # of the figure of a scrape
SCRAPES = 20
PROGRAMMED = "what you program"
TRANSFER = "a call from Python: 4 values into histograms"


def cpu_seconds(process):
    """CPU time of a process, of all its threads."""
    return time.clock_gettime(~process.pid << 3 | 2)


class Worker:
    def __init__(self, kind, argument, place, environment=None):
        self.book = known.Book(f"{place}/book-{kind}")
        command = [sys.executable, WORKER, kind, f"{place}/book-{kind}", str(argument)]
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.costs = json.loads(self.process.stdout.readline() or sys.exit(f"compare: the worker {kind} failed"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def slow(self):
        """A transfer with a trace."""
        self.tell("slow")
        assert self.process.stdout.readline() == "done\n"

    def tell(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def record_until_killed(self, seconds=2.5):
        """Returns how many it has recorded since."""
        self.tell("on")
        wait_for(lambda: self.book.count() > 0)
        time.sleep(seconds)
        self.end()
        return self.book.count()

    def end(self):
        self.process.kill()
        self.process.wait()


def fetch(port, accept):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def scrape_ms(process, port):
    """Median CPU milliseconds that a process needs for a scrape, each over a connection of its own: NIXL's exporters keep none."""
    connection, used = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(SCRAPES):
        before = cpu_seconds(process)
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        connection.getresponse().read()
        connection.close()
        used.append(1e3 * (cpu_seconds(process) - before))
    return statistics.median(used)


def kvtel(build):
    row = Row("kvtel", "here", transfer_what=TRANSFER, scrape_what=f"`kvtel serve`, {PROCESSES} engines")
    count = "vllm:nixl_xfer_time_seconds_count"
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as place,
        Exporter(f"{place}/stores", program=build / "kvtel") as exporter,
        Worker("kvtel", f"{place}/stores", place) as worker,
    ):
        row.transfer_ns = worker.costs["transfer_ns"]
        wait_for(lambda: pages.total(exporter.text(), count) == known.COUNT)
        page = exporter.text()
        [family] = [f for f in parse(fetch(exporter.port, PROTOBUF)) if f.name == "vllm:nixl_xfer_time_seconds"]
        histogram = family.metric[0].histogram
        row.families = len(pages.families(page, ("vllm:nixl_", "kvtel_open", "kvtel_unfinished")))
        row.quantiles = known.errors(known.of_exponential(histogram.schema, native_buckets(histogram)))
        row.buckets, row.native = "native", yes(histogram.positive_span)
        row.starts = yes(histogram.created_timestamp.seconds)
        row.in_flight = yes(pages.total(page, "kvtel_open_transfers") == 1)
        row.peers = yes("10.0.0.7:5600" in exporter.text("/api/v1/summary")) + ": of open transfers"
        worker.slow()
        row.exemplars = yes(pages.has_exemplars(fetch(exporter.port, OPENMETRICS).decode()))
        before = pages.total(exporter.text(), count)
        row.recorded = worker.record_until_killed()
        wait_for(lambda: pages.total(exporter.text(), "kvtel_unfinished_transfers_total", outcome="lost") == 1)
        row.lost = row.recorded - int(pages.total(exporter.text(), count) - before)
        row.afterwards = "all, and the transfer that was open counts as lost"
        with contextlib.ExitStack() as others:
            for _ in range(PROCESSES):
                others.enter_context(Worker("kvtel", f"{place}/stores", place))
            wait_for(lambda: pages.total(exporter.text(), "kvtel_stores", state="live") == PROCESSES)
            row.scrape_ms = scrape_ms(exporter.process, exporter.port)
    return row


def describe(row, text, openmetrics):
    row.families = len(pages.families(text, ("nixl_",)))
    row.quantiles = known.errors(known.of_explicit(pages.buckets(text, "nixl_xfer_time_seconds")))
    row.buckets, row.native = "vLLM's buckets", "no"
    row.starts = yes(pages.has_starts(text, ("nixl_",)))
    row.exemplars = yes(pages.has_exemplars(openmetrics))
    row.peers = row.in_flight = PROGRAMMED


def client(build):
    row = Row(
        "prometheus_client",
        "here",
        transfer_what=TRANSFER,
        scrape_what="1 process, which records no transfers meanwhile",
    )
    port = free_port()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place, Worker("client", port, place) as worker:
        row.transfer_ns = worker.costs["transfer_ns"]
        row.scrape_ms = scrape_ms(worker.process, port)
        text = fetch(port, "text/plain").decode()
        worker.slow()
        describe(row, text, fetch(port, OPENMETRICS).decode())
        row.recorded = worker.record_until_killed()
        with contextlib.suppress(OSError):
            fetch(port, "text/plain")
            sys.exit("compare: a killed process answered")
    row.lost, row.afterwards = row.recorded, "nothing; counts begin at 0 again"
    row.better = "any metric with any labels in three lines; the page is in the process, so there is nothing to install"
    return row


PAGE = """
import os, sys, time
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
times = []
for _ in range(int(sys.argv[1])):
    began = time.process_time()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    page = generate_latest(registry)
    times.append(time.process_time() - began)
print(sorted(times)[len(times) // 2] * 1e3)
print(page.decode())
"""


def merged(environment, scrapes=1):
    """(CPU milliseconds of a scrape, the page) of the multiprocess mode."""
    command = [sys.executable, "-c", PAGE, str(scrapes)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    cost, text = done.stdout.split("\n", 1)
    return float(cost), text


def client_multiprocess(build):
    row = Row("prometheus_client, multiprocess mode", "here", transfer_what=TRANSFER)
    row.scrape_what = f"{PROCESSES} processes"
    count = "nixl_xfer_time_seconds_count"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place, contextlib.ExitStack() as workers:
        environment = {"PROMETHEUS_MULTIPROC_DIR": f"{place}/files"}
        Path(f"{place}/files").mkdir()
        worker = workers.enter_context(Worker("client", "-", place, environment))
        row.transfer_ns = worker.costs["transfer_ns"]
        text = merged(environment)[1]
        worker.slow()
        describe(row, text, merged(environment)[1])
        before = pages.total(merged(environment)[1], count)
        row.recorded = worker.record_until_killed()
        row.lost = row.recorded - int(pages.total(merged(environment)[1], count) - before)
        for _ in range(PROCESSES - 1):
            workers.enter_context(Worker("client", "-", place, environment))
        row.scrape_ms = merged(environment, SCRAPES)[0]
    row.afterwards = "all, until the program starts anew with an empty directory"
    row.better = "any metric with any labels; no further process"
    return row


def opentelemetry(build):
    row = Row("OpenTelemetry's SDK", "here, pushes once a second", transfer_what=TRANSFER)
    row.scrape_what = "1 process: a push of its 4 histograms"
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as place,
        Receiver() as receiver,
        contextlib.ExitStack() as workers,
    ):

        def histogram():
            """The newest point of the transfer times."""
            for request in reversed(receiver.requests):
                for resource in request.message.resource_metrics:
                    for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                        if metric.name == "nixl_xfer_time_seconds":
                            return metric.exponential_histogram.data_points[0], len(resource.scope_metrics[0].metrics)
            return None, 0

        worker = workers.enter_context(Worker("opentelemetry", receiver.url("/v1/metrics"), place))
        row.transfer_ns, row.scrape_ms = worker.costs["transfer_ns"], worker.costs["push_ms"]
        point, row.families = histogram()
        first = point.positive.offset + 1  # OTLP's bucket i ends at 2^((i + 1) / 2^scale)
        counts = {first + i: count for i, count in enumerate(point.positive.bucket_counts) if count}
        row.quantiles = known.errors(known.of_exponential(point.scale, counts))
        row.buckets, row.native = "exponential", "yes: exponential histograms of OTLP"
        row.starts = yes(point.start_time_unix_nano)
        row.peers = row.in_flight = PROGRAMMED
        worker.slow()
        point, _ = histogram()
        row.exemplars = yes(len(point.exemplars))
        before = point.count
        row.recorded = worker.record_until_killed()
        row.lost = row.recorded - (histogram()[0].count - before)
    row.afterwards = "what was pushed"
    row.better = "one API for metrics, traces and logs in ten languages; finer buckets; needs no scraper"
    return row


ROWS = {"kvtel": kvtel, "client": client, "client-multiprocess": client_multiprocess, "opentelemetry": opentelemetry}
