# SPDX-License-Identifier: Apache-2.0
"""What a call of a metric's method costs in Python with prometheus_client, in a program of one process and in the multiprocess mode, whose
values lie in files. bench_metrics_plugin.py does the same calls with kvtel's classes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS, CALLS = 15, 20000
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


def calls_of(library, **options):
    """[(row, function of a count of calls)]"""
    waits = library.Histogram("wait_seconds", "Waits.", ("model_name", "engine"), **options).labels("m", "0")
    jobs = library.Counter("jobs", "Jobs.", ("model_name", "engine"), **options)
    newest = library.Gauge("newest", "Newest.", multiprocess_mode="mostrecent", **options)
    job, exemplar = jobs.labels("m", "0"), {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}

    def observe(count):
        for _ in range(count):
            waits.observe(0.3)

    def observe_exemplar(count):
        for _ in range(count):
            waits.observe(0.3, exemplar)

    def increase(count):
        for _ in range(count):
            job.inc()

    def find_and_increase(count):
        for _ in range(count):
            jobs.labels("m", "0").inc()

    def set_gauge(count):
        for _ in range(count):
            newest.set(2.5)

    return [
        ("Python: observe() of a histogram", observe),
        ("Python: observe() with an exemplar", observe_exemplar),
        ("Python: inc() of a counter", increase),
        ("Python: labels().inc() of a counter", find_and_increase),
        ("Python: set() of a gauge", set_gauge),
    ]


def nanoseconds(call):
    start = time.thread_time_ns()
    call(CALLS)
    return (time.thread_time_ns() - start) / CALLS


def report(calls, **more):
    for name, call in calls:
        value = statistics.median(nanoseconds(call) for _ in range(ROUNDS))
        print(json.dumps({"name": name, "value": round(value, 1), "unit": "ns/call", **more}), flush=True)


def main():
    import prometheus_client

    report(calls_of(prometheus_client), peer="Python, several processes" if MULTIPROCESS in os.environ else "Python")
    if MULTIPROCESS not in os.environ:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            subprocess.run([sys.executable, *sys.argv], env={**os.environ, MULTIPROCESS: directory}, check=True)


if __name__ == "__main__":
    main()
