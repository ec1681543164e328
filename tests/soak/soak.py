#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kvtel serve for a long time under sources that come and go: are its totals exact at the end, and do its memory,
its descriptors and the cost of a scrape stay flat?

Usage: soak.py SECONDS [--build DIR] [--csv FILE] [--picture FILE.svg] [--only-exact]"""

import argparse
import csv
import gzip
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/e2e"), str(ROOT / "tests/soak")]

from exporter import KVTEL, Exporter, samples, wait_for  # noqa: E402
from nixl_agent import Agent  # noqa: E402
from picture import draw  # noqa: E402

WRITER = os.environ.get("KVTEL_SOAK_WRITER")
SCRAPERS = 4
SCRAPE_EVERY = 0.25
POST_EVERY = 0.05
POSTS_OF_A_SOURCE = 10
RING_EVERY = 1.0
RING_TRANSFERS = 100
COLUMNS = {  # of the CSV file: a heading of the picture for those that are drawn
    "seconds": None,
    "memory_mb": "resident memory of kvtel serve, MB",
    "descriptors": "open descriptors",
    "scrape_ms": "a scrape with gzip, median of each second, ms",
    "cpu_ms": "CPU of kvtel serve for each scrape, ms",
    "lines": "lines of the page",
    "stores": None,
}
# How much more the last quarter may show than the first quarter after the warm-up: a factor and an amount.
# The time of a scrape is drawn, but depends on what else the machine does; its CPU time does not.
FLAT = {"memory_mb": (1.1, 2), "descriptors": (1, 6), "cpu_ms": (1.3, 2)}
COUNTED = re.compile(rb"^vllm:nixl_xfer_time_seconds_count\{.* (\S+)$", re.M)


class Load:
    """Threads that repeat something until the end. An exception of one ends the soak."""

    def __init__(self):
        self.ended, self.failure, self.threads = threading.Event(), None, []

    def repeat(self, every, function):
        def run():
            try:
                while not self.ended.wait(every):
                    function()
            except BaseException as failure:  # whatever it is, the soak has failed
                self.failure = self.failure or failure
                self.ended.set()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


class Posts:
    """Every tenth post is the first of a new source. Engines repeat, because the exporter has room for so many series."""

    def __init__(self, exporter):
        self.exporter, self.sent, self.transfers = exporter, 0, 0

    def send(self):
        count = 1 + self.sent % 7
        head = {
            "kvtel": 1,
            "kv_transfer_config": {"kv_connector": "NixlConnector"},
            "model_name": "posted",
            "engines": [self.sent % 8],
            "source": f"source-{self.sent // POSTS_OF_A_SOURCE}",
        }
        columns = {"transfer_duration": [0.004] * count, "bytes_transferred": [4096] * count}
        payload = {"engine": self.sent % 8, "seq": self.sent, "payload": columns}
        body = f"{json.dumps(head)}\n{json.dumps(payload)}\n"
        answer = json.loads(self.exporter.text("/api/v1/stats", body.encode()))
        assert answer["accepted"] == 1 and not answer["refused"], answer
        self.sent += 1
        self.transfers += count


class Rings:
    """An agent begins, moves something, ends, and its ring is removed."""

    def __init__(self, folder):
        self.folder, self.begun = folder, 0

    def live_once(self):
        path = self.folder / f"agent-{self.begun}"
        agent = Agent(path)
        for i in range(RING_TRANSFERS):
            agent.transfer(i % 2 == 0, 1000 + i, 4096)
        agent.wait_until_read()
        agent.close()
        path.unlink()
        self.begun += 1


class Scraper:
    """A Prometheus, which keeps its connection and asks for gzip. No sum over all label sets may ever fall."""

    def __init__(self, exporter):
        self.port, self.times, self.counted = exporter.port, [], 0
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def scrape(self):
        began = time.perf_counter()
        self.connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        packed = answer.read()
        self.times.append(time.perf_counter() - began)
        assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip", answer.status
        self.page = gzip.decompress(packed)
        counted = sum(map(float, COUNTED.findall(self.page)))
        assert counted >= self.counted, f"transfers fell from {self.counted} to {counted}"
        self.counted = counted


class Sampler:
    """A row of COLUMNS for each second."""

    def __init__(self, exporter, scrapers, stores):
        self.process, self.scrapers, self.stores = Path(f"/proc/{exporter.process.pid}"), scrapers, stores
        self.began, self.rows, self.ticks = time.monotonic(), [], self.cpu_ticks()

    def cpu_ticks(self):
        fields = (self.process / "stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def sample(self):
        times = [self.scrapers[i].times.pop() for i in range(SCRAPERS) for _ in range(len(self.scrapers[i].times))]
        if not times:
            return  # a busy machine: the next row is of more than a second
        ticks = self.cpu_ticks()
        status = (self.process / "status").read_text()
        self.rows.append(
            {
                "seconds": round(time.monotonic() - self.began, 2),
                "memory_mb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000,
                "descriptors": len(os.listdir(self.process / "fd")),
                "scrape_ms": round(statistics.median(times) * 1e3, 3),
                "cpu_ms": round(1e3 * (ticks - self.ticks) / os.sysconf("SC_CLK_TCK") / len(times), 3),
                "lines": self.scrapers[0].page.count(b"\n"),
                "stores": len(list(self.stores.glob("*.kvtel"))),
            }
        )
        self.ticks = ticks


def check_flat(rows, warm, columns=FLAT):
    """What grew, as text: the medians of the first and of the last quarter after the warm-up."""
    rows = [row for row in rows if row["seconds"] > warm]
    quarter = len(rows) // 4
    if quarter == 0:
        return []  # on a machine too busy for a row a second
    grown = []
    for column in columns:
        factor, amount = FLAT[column]
        first, last = (
            statistics.median(row[column] for row in part) for part in (rows[:quarter], rows[len(rows) - quarter :])
        )
        flat = last <= first * factor + amount
        print(f"{column}: {first:g}, at the end {last:g}{'' if flat else ': GREW'}")
        if not flat:
            grown.append(f"{column} grew from {first:g} to {last:g}, more than {factor:g} times and {amount:g}")
    return grown


def check_exact(exporter, written, posts, rings):
    """All that was recorded is on the page, once."""
    page = {}
    for name, value in samples(exporter.text()).items():
        family = name.split("{", 1)[0]
        page[family] = page.get(family, 0) + value
    expected = {
        "vllm:nixl_xfer_time_seconds_count": written["transfers"] + posts.transfers,
        "vllm:nixl_bytes_transferred_sum": written["bytes"] + 4096 * posts.transfers,
        "vllm:nixl_num_failed_transfers_total": written["failures"],
        "nixl_xfer_time_seconds_count": RING_TRANSFERS * rings.begun,
        "nixl_bytes_total": 4096 * RING_TRANSFERS * rings.begun,
        "kvtel_payloads_accepted_total": posts.sent,
        "kvtel_stores_retired_total": written["begun"],
    }
    wrong = {name: (page.get(name), value) for name, value in expected.items() if page.get(name) != value}
    assert not wrong, f"on the page, and recorded: {wrong}"
    return expected


def all_retired(exporter):
    page = samples(exporter.text())
    return page['kvtel_stores{state="live"}'] == page['kvtel_stores{state="ended"}'] == 0


def soak(seconds, writer, program=KVTEL):
    """Returns the samples, the end of the warm-up, and what was counted."""
    limit = int(max(40, min(500, 2 * seconds)))  # label sets; ten new ones come each second
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="kvtel-soak-") as directory:
        stores, folder = Path(directory) / "stores", Path(directory) / "rings"
        stores.mkdir()
        arguments = [f"--store.totals-limit={limit}", f"--nixl.telemetry-dir={folder}", "--web.enable-stats-receiver"]
        with Exporter(stores, *arguments, "--log.interval=0", program=program) as exporter:
            writers = subprocess.Popen([writer, stores, str(seconds)], stdout=subprocess.PIPE, text=True)
            load, posts, rings = Load(), Posts(exporter), Rings(folder)
            scrapers = [Scraper(exporter) for _ in range(SCRAPERS)]
            for scraper in scrapers:
                load.repeat(SCRAPE_EVERY, scraper.scrape)
            load.repeat(POST_EVERY, posts.send)
            load.repeat(RING_EVERY, rings.live_once)
            sampler = Sampler(exporter, scrapers, stores)
            while time.monotonic() - sampler.began < seconds and not load.ended.wait(1):
                sampler.sample()
            load.end()
            written = json.loads(writers.communicate()[0])
            assert written["failed"] == 0 and written["writers"] == written["begun"], written
            wait_for(lambda: all_retired(exporter), "the end of all stores")
            counted = check_exact(exporter, written, posts, rings)
            assert exporter.process.poll() is None, "".join(exporter.log)
    return sampler.rows, max(limit / 10 + 2, seconds / 3), counted


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--csv", type=Path, help="a row for each second")
    parser.add_argument("--picture", type=Path, help="the same, drawn: an SVG file")
    parser.add_argument("--only-exact", action="store_true", help="memory may grow: a build with a sanitizer")
    given = parser.parse_args()
    rows, warm, counted = soak(given.seconds, given.build / "tests/soak_writer", given.build / "kvtel")
    if given.csv:
        with given.csv.open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)
    if given.picture:
        given.picture.write_text(draw(rows, {name: text for name, text in COLUMNS.items() if text}, warm))
    for name, value in counted.items():
        print(f"{name}: {value:,.0f}, exact")
    grown = check_flat(rows, warm)
    if grown and not given.only_exact:
        sys.exit("; ".join(grown))


if __name__ == "__main__":
    main()
