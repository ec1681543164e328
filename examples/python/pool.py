# SPDX-License-Identifier: Apache-2.0
"""A pool of forked workers that count what they do: run `kvtel serve` beside it."""

import multiprocessing
import random

from kvtel import Counter, Gauge, Histogram

REQUESTS = Counter("router_requests_total", "Requests by backend.", ["backend"])
WAITS = Histogram("router_wait_seconds", "Seconds until a backend answered.", buckets=[0.01, 0.1, 1])
RUNNING = Gauge("router_running", "Requests that run.", multiprocess_mode="livesum")


def route(number):
    backend = f"decode-{number % 3}"
    with RUNNING.track_inprogress():
        REQUESTS.labels(backend=backend).inc()
        WAITS.observe(random.random(), {"request_id": str(number)})


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(route, range(300))
