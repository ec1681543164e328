# SPDX-License-Identifier: Apache-2.0
"""What explicit buckets and native histograms cost a Prometheus that scrapes 1,000 engines, all of which record between two scrapes.

Usage: cost.py PROMETHEUS LOAD_STORES SECONDS. kvtel is $KVTEL; LOAD_STORES is build/bench/load_stores."""

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from exporter import Exporter, samples, wait_for  # noqa: E402
from prometheus_server import Prometheus  # noqa: E402

NATIVE = "    scrape_protocols: [PrometheusProto]\n    scrape_native_histograms: true"
WAYS = {
    "explicit": ("    scrape_protocols: [OpenMetricsText1.0.0]", "classic"),
    "native": (NATIVE, "native"),
    "both": (f"{NATIVE}\n    always_scrape_classic_histograms: true", "both"),
}


def own(prometheus):
    with urllib.request.urlopen(f"http://127.0.0.1:{prometheus.port}/metrics", timeout=60) as answer:
        found = samples(answer.read().decode())
    return {
        "series": found["prometheus_tsdb_head_series"],
        "scrapes": sum(v for k, v in found.items() if k.startswith("prometheus_target_interval_length_seconds_count")),
        "CPU s": found["process_cpu_seconds_total"],
        "heap MB": found["go_memstats_heap_inuse_bytes"] / 1e6,
        "RSS MB": found["process_resident_memory_bytes"] / 1e6,
    }


def measure(program, load, seconds, way):
    scrape, kind = WAYS[way]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        place = Path(folder)
        (place / "stores").mkdir()
        with subprocess.Popen(
            [load, place / "stores", "100", "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as loader:
            assert loader.stdout.readline() == "done\n"
            with Exporter(place / "stores", f"--metrics.histograms={kind}") as exporter:
                with Prometheus(place, f"127.0.0.1:{exporter.port}", scrape=scrape, program=program) as prometheus:
                    wait_for(lambda: prometheus.query("up") == {(): 1.0}, "a scrape")
                    before, began = own(prometheus), time.monotonic()
                    while time.monotonic() < began + seconds:
                        loader.stdin.write("record 1000\n")
                        loader.stdin.flush()
                        loader.stdout.readline()
                        time.sleep(1)
                    after = own(prometheus)
                    wal = sum(path.stat().st_size for path in (place / "tsdb" / "wal").rglob("*") if path.is_file())
            loader.stdin.close()
    scrapes = max(after["scrapes"] - before["scrapes"], 1)
    print(
        f"{way}: {after['series']:.0f} series, {scrapes:.0f} scrapes, CPU {1000 * (after['CPU s'] - before['CPU s']) / scrapes:.0f} ms a scrape, "
        f"heap {after['heap MB']:.0f} MB, RSS {after['RSS MB']:.0f} MB, log {wal / 1e6 / scrapes:.2f} MB a scrape",
        flush=True,
    )


def main(program, load, seconds):
    for way in WAYS:
        measure(program, load, float(seconds), way)


if __name__ == "__main__":
    main(*sys.argv[1:])
