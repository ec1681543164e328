# SPDX-License-Identifier: Apache-2.0
"""A fleet on one machine: fleet.py FOLDER [EXPORTERS [SECONDS]].

Each exporter has eight engines, whose transfers it is posted. One Prometheus ($PROMETHEUS) scrapes all, with the rules of deploy/mixin,
first with explicit buckets, then with native histograms. The rules' totals must equal what was posted; what Prometheus and the exporters
need is printed."""

import contextlib
import json
import os
import random
import shutil
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from exporter import Exporter, samples, wait_for
from prometheus_server import Prometheus, native_histograms

PROGRAM = os.environ.get("PROMETHEUS", "prometheus")

ENGINES = 8
INTERVAL = 5  # seconds between scrapes, and between evaluations of the rules
RULES = [ROOT / "deploy" / "mixin" / name for name in ("rules.yml", "alerts.yml")]
RULE_SECONDS = "prometheus_rule_group_duration_seconds_sum"  # all evaluations so far
TICK = os.sysconf("SC_CLK_TCK")


def recording(draw, books):
    """Some transfers of each engine."""
    lines = [
        {
            "kvtel": 1,
            "kv_transfer_config": {"kv_connector": "NixlConnector"},
            "model_name": "m",
            "engines": list(range(ENGINES)),
        }
    ]
    for engine in range(ENGINES):
        sizes = [draw.randrange(2**14, 2**24) for _ in range(draw.randrange(1, 6))]
        times = [size / 1e9 * draw.lognormvariate(1, 0.7) for size in sizes]
        payload = {
            "transfer_duration": times,
            "post_duration": [one / 10 for one in times],
            "bytes_transferred": sizes,
            "num_descriptors": [2] * len(sizes),
        }
        books["kv_transfers"] += len(sizes)
        books["kv_bytes"] += sum(sizes)
        lines.append({"engine": engine, "payload": payload})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def used(process):
    """Its seconds of CPU and its resident bytes."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def all_used(exporters):
    """Their seconds of CPU and resident bytes together."""
    return [sum(one) for one in zip(*(used(exporter.process) for exporter in exporters), strict=True)]


def own(server, text):
    """What Prometheus says of itself: the sum of its samples whose name begins with `text`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=120) as answer:
        return sum(value for name, value in samples(answer.read().decode()).items() if name.startswith(text))


def configuration(exporters, settings):
    targets = json.dumps([f"127.0.0.1:{exporter.port}" for exporter in exporters])
    return f"""
global: {{ scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s, evaluation_interval: {INTERVAL}s }}
rule_files: {json.dumps([str(file) for file in RULES])}
scrape_configs: [{{ {"".join(one + ", " for one in settings)}job_name: kvtel, static_configs: [{{ targets: {targets} }}] }}]
"""


def run(folder, kind, exporters, books, seconds):
    """One Prometheus over all; returns what it and the exporters needed."""
    folder = folder / kind
    folder.mkdir()
    flags, settings = native_histograms(PROGRAM) if kind == "native" else ([], [])
    draw = random.Random(kind)
    with Prometheus(folder, None, *flags, program=PROGRAM, config=configuration(exporters, settings)) as server:
        wait_for(server.is_ready, "Prometheus", 120)
        wait_for(lambda: server.results(f"count(up == 1) == {len(exporters)}"), "all pages", 120)
        began, (cpu, _), (theirs, _) = time.monotonic(), used(server.process), all_used(exporters)
        rules = own(server, RULE_SECONDS)
        while time.monotonic() - began < seconds:
            for exporter in exporters:
                exporter.text("/api/v1/stats", recording(draw, books))
        elapsed, (after, memory) = time.monotonic() - began, used(server.process)
        theirs_after, their_memory = all_used(exporters)
        rules = own(server, RULE_SECONDS) - rules
        for name, value in books.items():
            query = f"sum(model:{name}:sum)"
            wait_for(
                lambda: server.query(query) == {(): value}, lambda: f"{query}: {server.query(query)} to be {value}", 120
            )
        return {
            "series": server.get("status/tsdb")["headStats"]["numSeries"],
            "cpu": (after - cpu) / elapsed,
            "memory": memory / 1e6,
            "rules": rules / elapsed * INTERVAL,
            "scrape": server.query("max(max_over_time(scrape_duration_seconds[1m]))")[()],
            "exporter": (theirs_after - theirs) / elapsed / len(exporters),
            "exporter_memory": their_memory / len(exporters) / 1e6,
        }


def main():
    folder, count, seconds = Path(sys.argv[1]), int((sys.argv[2:] or [200])[0]), float((sys.argv[3:] or [60])[0])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    books = {"kv_transfers": 0, "kv_bytes": 0}
    with contextlib.ExitStack() as held:
        exporters = []
        for number in range(count):
            (folder / f"stores-{number}").mkdir()
            flags = ["--web.enable-stats-receiver", "--log.interval=0"]
            exporters.append(held.enter_context(Exporter(folder / f"stores-{number}", *flags)))
        print(f"{count} exporters, {count * ENGINES} engines, scraped each {INTERVAL} s", flush=True)
        for kind in ("classic", "native"):
            row = run(folder, kind, exporters, books, seconds)
            print(
                f"{kind}: {row['series']} series, {row['cpu']:.3f} cores, {row['memory']:.0f} MB resident, "
                f"rules {row['rules'] * 1e3:.0f} ms each {INTERVAL} s, slowest scrape {row['scrape'] * 1e3:.0f} ms; "
                f"an exporter {row['exporter']:.4f} cores, {row['exporter_memory']:.1f} MB; load {os.getloadavg()[0]:.0f}",
                flush=True,
            )
        print(f"the rules' totals equal what was posted: {books['kv_transfers']} transfers, {books['kv_bytes']} bytes")


if __name__ == "__main__":
    main()
