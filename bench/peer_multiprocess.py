# SPDX-License-Identifier: Apache-2.0
"""prometheus_client's multiprocess mode: 64 processes that recorded what load_stores.c's engines record, and the CPU of a scrape.

Each process has memory-mapped files of its own, which a scrape reads and merges; vLLM's servers with several API processes do so."""

import json
import os
import statistics
import tempfile
import time

PROCESSES = 64
TRANSFERS = 640
SCRAPES = 7


def record(engine, buckets, counters):
    """One process: NIXL's families for one engine."""
    from prometheus_client import Counter, Histogram

    labelnames, labels = ("model_name", "engine"), ("model", str(engine))
    histograms = [Histogram(key, "h", labelnames, buckets=bounds).labels(*labels) for key, bounds in buckets.items()]
    counts = [Counter(name, "c", labelnames).labels(*labels) for name in counters]
    scale = (0.0013, 0.00011, 4096, 3)
    for i in range(TRANSFERS):
        step = 1 + (engine * 31 + i * 17) % 101
        for histogram, unit in zip(histograms, scale):
            histogram.observe(unit * step)
        for count in counts:
            count.inc()


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # before the package is imported
        from peer_pipeline import BUCKETS, COUNTERS
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        for engine in range(PROCESSES):
            process = os.fork()
            if process == 0:
                record(engine, BUCKETS, COUNTERS)
                os._exit(0)
            if os.waitpid(process, 0)[1] != 0:
                raise SystemExit("a process that records failed")
        times = []
        for _ in range(SCRAPES):
            began = time.process_time()
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
            page = generate_latest(registry)
            times.append(time.process_time() - began)
        lines = sum(not line.startswith(b"#") for line in page.splitlines())
        if lines != 67 * PROCESSES:
            raise SystemExit(f"{lines} lines, not {67 * PROCESSES}")
        peer = {
            "name": "CPU of a scrape of 64 processes that recorded",
            "value": statistics.median(times) * 1e3,
            "unit": "ms",
            "peer": "prometheus_client, multiprocess",
        }
        print(json.dumps(peer))


if __name__ == "__main__":
    main()
