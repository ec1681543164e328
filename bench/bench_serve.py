#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kvtel serve as a whole process: what a scrape costs, what stores cost that come and go, and what it costs to stand idle. Peer where
Debian's is installed: node_exporter.

Usage: bench_serve.py BUILD"""

import fcntl
import gzip
import http.client
import json
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

IDLE_SECONDS = 30
WARMUP = 3
GZIP = {"Accept-Encoding": "gzip"}
PROTOBUF = {"Accept": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}
ENGINES = 1000  # of NIXL: 67 lines each


def report(name, value, unit, bar=None, peer=None, against=None):
    print(
        json.dumps(
            {"name": name, "value": value, "unit": unit}
            | ({"bar": bar} if bar else {})
            | ({"peer": peer} if peer else {})
            | ({"against": against} if against else {})
        ),
        flush=True,
    )


class Process:
    """A server that says its address, or is given one."""

    def __init__(self, command, port=None):
        self.process = subprocess.Popen(
            [str(part) for part in command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self.port = port
        for line in self.process.stderr:
            if not self.port and (found := re.search(r"address=127\.0\.0\.1:(\d+)", line)):
                self.port = int(found[1])
            if "is ready" in line or "Listening on" in line or "listening" in line and port:
                break
        # What it says later must not fill the pipe.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def cpu_seconds(self):
        """By the process's clock, as clock_getcpuclockid(3) finds it: of all threads, also of those that ended."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000

    def get(self, path="/metrics", data=None):
        headers = {"Content-Type": "application/jsonl"} if data else {}
        with urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers), timeout=60
        ) as answer:
            return answer.read()

    def scrapes(self, count, headers=None, before=lambda: None):
        """Median seconds of a scrape, median CPU seconds of one, and the last page. Like Prometheus, over one connection. `before`: called
        before each."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        times, used = [], []
        for _ in range(count + WARMUP):
            before()
            began, cpu = time.perf_counter(), self.cpu_seconds()
            connection.request("GET", "/metrics", headers=headers or {})
            page = connection.getresponse().read()
            times.append(time.perf_counter() - began)
            used.append(self.cpu_seconds() - cpu)
        connection.close()
        return statistics.median(times[WARMUP:]), statistics.median(used[WARMUP:]), page

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.drain.wait(20)


class Engines:
    """load_stores: stores of NIXL engines that record when they are told to."""

    def __init__(self, build, directory, stores, engines_each, lanes=0):
        self.process = subprocess.Popen(
            [build / "bench/load_stores", directory, str(stores), str(engines_each), str(lanes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.wait()

    def wait(self):
        if self.process.stdout.readline() != "done\n":
            sys.exit("bench_serve: load_stores failed")

    def tell(self, order, count):
        self.process.stdin.write(f"{order} {count}\n")
        self.process.stdin.flush()
        self.wait()

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


def serve(kvtel, directory, *arguments):
    return Process([kvtel, "serve", f"--store.dir={directory}", "--web.listen-address=127.0.0.1:0", *arguments])


def head(engines):
    """The first line of a recording of NIXL's connector in so many engines."""
    config = {"kv_connector": "NixlConnector"}
    return {"kvtel": 1, "kv_transfer_config": config, "model_name": "m", "engines": list(range(engines))}


def recording(engines):
    lines = [head(engines)]
    for engine in range(engines):
        columns = {
            "transfer_duration": [0.001 * (1 + (engine * 7 + i) % 50) for i in range(64)],
            "post_duration": [0.0001 * (1 + i % 20) for i in range(64)],
            "bytes_transferred": [65536 * (1 + i % 30) for i in range(64)],
            "num_descriptors": [1 + i % 40 for i in range(64)],
        }
        lines.append({"engine": engine, "payload": columns})
    return "\n".join(map(json.dumps, lines)).encode()


def make_stores(kvtel, directory, count):
    """Copies of a store of one engine, each held by a writer's lock. Returns the open files."""
    with tempfile.TemporaryDirectory() as made:
        server = serve(kvtel, made, "--web.enable-stats-receiver")
        server.get("/api/v1/stats", recording(1))
        server.end()
        store = next(pathlib.Path(made).glob("*.kvtel"))
        held = []
        for i in range(count):
            copy = pathlib.Path(directory) / f".{i:05d}.new"
            subprocess.run(["cp", "--sparse=always", store, copy], check=True)
            file = open(copy, "r+b")
            fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
            copy.rename(pathlib.Path(directory) / f"{i:05d}-0.kvtel")
            held.append(file)
        return held


def large_post(megabytes):
    """A recording that unpacks to so much, of payloads of 1,000 transfers; and what it is packed."""
    columns = {
        "transfer_duration": [0.00123456] * 1000,
        "bytes_transferred": [1048576] * 1000,
        "num_descriptors": [16] * 1000,
    }
    line = json.dumps({"engine": 0, "payload": columns}) + "\n"
    return gzip.compress((json.dumps(head(1)) + "\n" + line * (megabytes * 10**6 // len(line))).encode(), 6)


def scrapes_beside(server, body, posts):
    """Seconds of each scrape while so many posts are taken at once, and seconds until the last one is answered."""

    def send():
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/api/v1/stats", data=body)
        request.add_header("Content-Encoding", "gzip")
        request.add_header("Content-Type", "application/jsonl")
        urllib.request.urlopen(request, timeout=600).read()

    threads = [threading.Thread(target=send) for _ in range(posts)]
    started, times = time.perf_counter(), []
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    while any(thread.is_alive() for thread in threads) or not times:
        began = time.perf_counter()
        server.get()
        times.append(time.perf_counter() - began)
        time.sleep(0.02)
    return times, time.perf_counter() - started


def bench_scrapes(build):
    """67,000 lines, from 100 stores."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        engines = Engines(build, directory, 100, ENGINES // 100)
        server = serve(build / "kvtel", directory)
        latency, cpu, page = server.scrapes(30, before=lambda: engines.tell("record", ENGINES))
        lines = sum(line.startswith(b"vllm:") for line in page.splitlines())
        if lines != 67 * ENGINES:
            sys.exit(f"bench_serve: {lines} lines, not {67 * ENGINES}")
        report("kvtel serve: scrape of 67,000 series over HTTP", latency * 1e3, "ms")
        report("kvtel serve: CPU of a scrape of 67,000 series", cpu * 1e3, "ms")
        for changed, text, bar in (
            (ENGINES, "all changed", 9),
            (ENGINES // 100, "1 % changed", 3),
            (0, "nothing changed", None),
        ):
            latency, cpu, page = server.scrapes(60, GZIP, lambda: changed and engines.tell("record", changed))
            gzip.decompress(page)
            report(
                f"kvtel serve: CPU of a scrape of 67,000 series as Prometheus asks, gzip, {text}", cpu * 1e3, "ms", bar
            )
        report("kvtel serve: resident memory with 67,000 series", server.resident_mb(), "MB", 60)
        latency, cpu, page = server.scrapes(60, GZIP | PROTOBUF, lambda: engines.tell("record", ENGINES))
        report("kvtel serve: CPU of a scrape of 67,000 series as protobuf, gzip, all changed", cpu * 1e3, "ms")
        report("kvtel serve: resident memory with 67,000 series, read as protobuf", server.resident_mb(), "MB")
        server.end()
        engines.end()


def bench_processes(build, count, name, against):
    """Processes of one engine each, as peers have them."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        engines = Engines(build, directory, count, 1)
        server = serve(build / "kvtel", directory)
        _, cpu, _ = server.scrapes(500, before=lambda: engines.tell("record", count))
        report(name, cpu * 1e3, "ms", against=against)
        server.end()
        engines.end()


def bench_lanes(build):
    """1,000 stores of eight lanes, at rest and with a transfer in each lane before each scrape."""
    stores = 1000
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        engines = Engines(build, directory, stores, 1, 7)  # and the lane of its thread
        server = serve(build / "kvtel", directory)
        for text, before, bar in (("at rest", lambda: None, 3), ("all busy", lambda: engines.tell("record", stores), 30)):
            latency, cpu, _ = server.scrapes(30, before=before)
            report(f"kvtel serve: CPU of a scrape of 1,000 stores of 8 lanes, {text}", cpu * 1e3, "ms", bar)
        server.end()
        engines.end()


def bench_churn(build):
    """Stores that come and go, until all are in the totals."""
    count = 1000
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        engines = Engines(build, directory, 0, 0)
        server = serve(build / "kvtel", directory)
        server.get()
        used, began = server.cpu_seconds(), time.perf_counter()
        engines.tell("churn", count)
        while f"kvtel_stores_retired_total {count}" not in server.get().decode():
            time.sleep(0.05)
        report(
            "kvtel serve: CPU of a store that comes and goes", 1e3 * (server.cpu_seconds() - used) / count, "ms"
        )
        report("kvtel serve: 1,000 stores come and go", time.perf_counter() - began, "s")
        server.end()
        engines.end()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    kvtel = build / "kvtel"
    bench_scrapes(build)
    peer = {"peer": "prometheus_client, multiprocess", "times": 50}
    bench_processes(build, 64, "CPU of a scrape of 64 processes that recorded", peer)
    bench_processes(build, 8, "CPU of a scrape of 8 NIXL agents", {"peer": "NIXL prometheus_mp", "times": 1})
    bench_lanes(build)
    bench_churn(build)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        server = serve(kvtel, directory, "--web.enable-stats-receiver")
        body = large_post(120)
        for posts in (1, 8):
            times, whole = scrapes_beside(server, body, posts)
            report(
                f"kvtel serve: scrape while {posts} posts of 120 MB are taken, median",
                statistics.median(times) * 1e3,
                "ms",
            )
            report(f"kvtel serve: scrape while {posts} posts of 120 MB are taken, longest", max(times) * 1e3, "ms")
            report(f"kvtel serve: {posts} posts of 120 MB at once", whole, "s")
        server.end()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        held = make_stores(kvtel, directory, 1000)
        server = serve(kvtel, directory)
        latency, cpu, _ = server.scrapes(30)
        report("kvtel serve: scrape of 1,000 stores over HTTP", latency * 1e3, "ms")
        report("kvtel serve: CPU of a scrape of 1,000 stores", cpu * 1e3, "ms")
        server.end()
        del held
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        held = make_stores(kvtel, directory, 10)
        server = serve(kvtel, directory)
        server.get()
        before = server.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        report(
            "kvtel serve: idle with ten stores, of a core",
            100 * (server.cpu_seconds() - before) / IDLE_SECONDS,
            "%",
            0.1,
        )
        report("kvtel serve: resident memory with ten stores", server.resident_mb(), "MB", 20)
        server.end()
        del held
    if node_exporter := shutil.which("prometheus-node-exporter"):
        server = Process([node_exporter, "--web.listen-address=127.0.0.1:19100"], 19100)
        time.sleep(1)
        for _ in range(5):
            server.get()
        report("kvtel serve: resident memory with ten stores", server.resident_mb(), "MB", peer="node_exporter")
        server.end()


if __name__ == "__main__":
    main()
