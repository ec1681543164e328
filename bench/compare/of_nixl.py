# SPDX-License-Identifier: Apache-2.0
"""NIXL's ways to telemetry, and kvtel's under NIXL: two agents of a real NIXL, of which one is killed while it moves blocks."""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import known
import pages
from exporter import Exporter, free_port, wait_for
from known import FIRST, OPEN
from of_libraries import OPENMETRICS, PROTOBUF, fetch, scrape_ms
from prometheus_proto import parse
from row import Row, yes

HERE = Path(__file__).resolve().parent
SETTINGS = {"UCX_TLS": "tcp", "NIXL_TELEMETRY_ENABLE": "y", "NIXL_TELEMETRY_BUFFER_SIZE": "262144"}
ADDED = "what a READ of 64 bytes over shared memory takes longer"
VARIANTS = ("none", "ring", "prometheus", "prometheus_mp", "kvtel_both")  # of nixl_posts.py
AGENTS = "2 agents"
WHOSE = {"prometheus": "1 agent", "prometheus_mp": "3 agents"}
HOW = "not measured: `./run nixl-test` fetches NIXL, then `./run compare` again"


@functools.cache
def added_ns(build, site, rounds):
    """{variant: nanoseconds} of nixl_posts.py."""
    command = [sys.executable, HERE.parent / "nixl_posts.py", build, str(rounds), site, *VARIANTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = map(json.loads, done.stdout.splitlines())
    return {figure["name"].removeprefix("a NIXL transfer, "): figure["value"] for figure in figures}


class Worker:
    def __init__(self, site, place, environment):
        self.book = known.Book(f"{place}/book")
        environment = os.environ | SETTINGS | {"PYTHONPATH": str(site)} | environment
        self.errors = Path(place) / "errors"
        with self.errors.open("w") as errors:
            command = [sys.executable, HERE / "nixl_worker.py", f"{place}/book"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
            self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.wait("moved")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def wait(self, word):
        for line in self.process.stdout:
            if line == f"{word}\n":
                return
        sys.exit(f"compare: an agent of NIXL failed: {self.errors.read_text()[-2000:]}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def open(self):
        self.go_on()
        self.wait("opened")

    def move_until_killed(self, transfers=100):
        """Returns how many it has moved since, which are at least so many."""
        self.go_on()
        wait_for(lambda: self.book.count() >= transfers, seconds=300)
        self.process.kill()
        self.process.wait()
        return self.book.count()


def describe(row, page, prefixes, histogram):
    row.families = len(pages.families(page, prefixes))
    row.peers = yes("target-" in re.sub(r'agent_name="[^"]*"', "", page))
    bounds = [1e-6 * bound for bound, _ in pages.buckets(page, histogram)[:-1]] if histogram.endswith("_us") else None
    bounds = bounds or [bound for bound, _ in pages.buckets(page, histogram)[:-1]]
    row.quantiles, row.buckets = known.errors(known.of_explicit(known.counts_below(bounds))), "its buckets, computed"


@contextlib.contextmanager
def first_agent(site, environment):
    """An agent of another process, which answers scrapes for all and is not killed."""
    environment = os.environ | SETTINGS | {"PYTHONPATH": str(site)} | environment
    command = [sys.executable, HERE.parents[1] / "tests/nixl/agents.py", "target"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as agent:
        try:
            next(line for line in agent.stdout if line.startswith("["))
            yield agent
        finally:
            agent.kill()


def prometheus(kind, build, site, rounds):
    row = Row(
        f"NIXL's {kind} exporter", "here", transfer_what=ADDED, scrape_what=f"{WHOSE[kind]}, in the engine's process"
    )
    row.transfer_ns = added_ns(build, site, rounds)[kind]
    row.native = row.exemplars = "no"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place, contextlib.ExitStack() as workers:
        port = free_port()
        environment = {
            "NIXL_TELEMETRY_EXPORTER": kind,
            "NIXL_TELEMETRY_PROMETHEUS_LOCAL": "y",
            "NIXL_TELEMETRY_PROMETHEUS_PORT": str(port),
            "NIXL_TELEMETRY_MULTIPROC_DIR": place,
        }
        first = workers.enter_context(first_agent(site, environment)) if kind == "prometheus_mp" else None
        worker = workers.enter_context(Worker(site, place, environment))

        def page():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                return answer.read().decode()

        def count():
            return pages.total(page(), "agent_rx_requests_num_total")

        wait_for(lambda: count() == FIRST)
        describe(row, page(), ("agent_",), "agent_xfer_time_us")
        row.starts = yes(pages.has_starts(page(), ("agent_",)))
        row.scrape_ms = scrape_ms(first or worker.process, port)
        before = page()
        worker.open()
        time.sleep(0.5)  # NIXL passes its events every 0.1 s
        row.in_flight = yes(pages.total(before, "agent_rx_requests_num_total") != count())
        worker.go_on()
        row.recorded = worker.move_until_killed()
        seen = None
        with contextlib.suppress(OSError):
            seen = count()
        row.lost = row.recorded if seen is None else row.recorded - int(seen - FIRST - OPEN)
        row.afterwards = (
            "nothing; counts begin at 0 again"
            if seen is None
            else "what was passed on, while the agent that answers lives"
        )
    row.better = "comes with NIXL: no file to install, no further process"
    return row


def ring_reader(build, site, rounds):
    """telemetry_reader prints what an agent writes."""
    row = Row(
        "NIXL's ring and its telemetry_reader", "here", transfer_what=ADDED, scrape_what="it prints events, one by one"
    )
    row.transfer_ns = added_ns(build, site, rounds)["ring"]
    row.families, row.native, row.exemplars, row.starts = 0, "no", "no", "no"
    row.quantiles, row.buckets = [0.0, 0.0, 0.0], "each event, in microseconds"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place, contextlib.ExitStack() as workers:
        reader, rings, said = Path(place) / "reader", Path(place) / "rings", Path(place) / "said"
        rings.mkdir()
        reader.write_bytes((site / "nixl_cu13.scripts/telemetry_reader").read_bytes())
        reader.chmod(0o700)
        worker = workers.enter_context(Worker(site, place, {"NIXL_TELEMETRY_DIR": str(rings)}))
        libraries = {"LD_LIBRARY_PATH": str(next(site.glob(".nixl*.mesonpy.libs")))}
        with said.open("w") as out:
            command = ["stdbuf", "-oL", reader, rings / "initiator"]
            reading = subprocess.Popen(command, env=os.environ | libraries, stdout=out, stderr=subprocess.STDOUT)
            try:

                def count():
                    return said.read_text().count("agent_rx_requests_num")

                wait_for(lambda: count() == FIRST)
                row.peers = yes("target-" in said.read_text())
                worker.open()
                time.sleep(0.5)
                row.in_flight = yes(count() != FIRST)
                row.recorded = worker.move_until_killed()
                before = -1
                while before != count():
                    before = count()
                    time.sleep(1)
                row.lost = row.recorded - (before - FIRST - OPEN)
            finally:
                reading.kill()
                reading.wait()
    row.afterwards = "what the reader has not yet read stays in the ring's file"
    row.better = "every single event; comes with NIXL"
    return row


def kvtel(way, build, site, rounds):
    plugin = way == "plug-in"
    row = Row(f"kvtel, {'its plug-in in NIXL' if plugin else 'NIXL’s ring'}", "here", transfer_what=ADDED)
    row.scrape_what = f"{AGENTS}, `kvtel serve`"
    row.transfer_ns = added_ns(build, site, rounds)["kvtel_both" if plugin else "ring"]
    count = ("nixl_transfers_total", {"direction": "rx"}) if plugin else ("nixl_requests_total", {"direction": "rx"})
    histogram = "nixl_transfer_seconds" if plugin else "nixl_xfer_time_seconds"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        arguments = ["--nixl.peer-label"] if plugin else [f"--nixl.telemetry-dir={place}/rings"]
        with (
            Exporter(f"{place}/stores", *arguments, program=build / "kvtel") as exporter,
            contextlib.ExitStack() as workers,
        ):
            if plugin:
                command = [build / "kvtel", "nixl", "install", f"--site-packages={site}", f"--shadow={place}/shadow"]
                done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                environment = {
                    "NIXL_PLUGIN_DIR": re.search(r"NIXL_PLUGIN_DIR=(\S+)", done)[1],
                    "NIXL_TRACE_BACKENDS": "kvtel",
                    "NIXL_TELEMETRY_EXPORTER": "kvtel",
                    "KVTEL_STORE_DIR": f"{place}/stores",
                    "KVTEL_NIXL": "1",
                }
            else:
                environment = {"NIXL_TELEMETRY_DIR": f"{place}/rings"}
            worker = workers.enter_context(Worker(site, place, environment))

            def counted():
                return pages.total(exporter.text(), count[0], **count[1])

            wait_for(lambda: counted() == FIRST)
            page = exporter.text()
            describe(row, page, ("nixl_", "kvtel_open", "kvtel_unfinished"), histogram)
            if plugin:
                row.peers = yes(pages.total(page, "nixl_peer_transfers_total"))
            [family] = [each for each in parse(fetch(exporter.port, PROTOBUF)) if each.name == histogram]
            found = family.metric[0].histogram
            row.native, row.starts = yes(found.positive_span), yes(found.created_timestamp.seconds)
            row.quantiles, row.buckets = None, "native: as kvtel"
            row.exemplars = yes(pages.has_exemplars(fetch(exporter.port, OPENMETRICS).decode()))
            row.scrape_ms = scrape_ms(exporter.process, exporter.port)
            worker.open()
            time.sleep(0.5)
            row.in_flight = yes(pages.total(exporter.text(), "kvtel_open_transfers") == OPEN)
            row.recorded = worker.move_until_killed()
            before = -1
            while before != counted():
                before = counted()
                time.sleep(1)
            row.lost = row.recorded - int(before - FIRST - OPEN)
    row.afterwards = "all, and what was open counts as lost" if plugin else "what was in the ring"
    return row


ROWS = {
    "nixl-ring": ring_reader,
    "nixl-prometheus": functools.partial(prometheus, "prometheus"),
    "nixl-prometheus-mp": functools.partial(prometheus, "prometheus_mp"),
    "kvtel-nixl-ring": functools.partial(kvtel, "ring"),
    "kvtel-nixl-plugin": functools.partial(kvtel, "plug-in"),
}
