# SPDX-License-Identifier: Apache-2.0
"""What a payload of NIXL's costs in a frontend that records it with prometheus_client: a histogram's observe() for each value of each
list, a counter's inc() for each event, as vLLM does it. bench_plugin.py does the same work with kvtel's plugin."""

import dataclasses
import json
import statistics
import time

from prometheus_client import CollectorRegistry, Counter, Histogram

from peer_pipeline import BUCKETS, COUNTERS, PAYLOADS, make_payload

ROUNDS = 15


@dataclasses.dataclass
class SchedulerStats:
    """The members that matter here, of a class of this kind."""

    num_running_reqs: int = 0
    num_waiting_reqs: int = 0
    kv_cache_usage: float = 0.0
    kv_connector_stats: dict | None = None


class Frontend:
    def __init__(self):
        registry, labelnames, labels = CollectorRegistry(), ("model_name", "engine"), ("m", "0")
        self.histograms = [
            (key, {0: Histogram(key, "h", labelnames, buckets=buckets, registry=registry).labels(*labels)})
            for key, buckets in BUCKETS.items()
        ]
        self.counters = [
            (keys, {0: Counter(name, "c", labelnames, registry=registry).labels(*labels)})
            for name, keys in COUNTERS.items()
        ]

    def record(self, scheduler_stats, iteration_stats, mm_cache_stats=None, engine_idx=0):
        if stats := scheduler_stats.kv_connector_stats:
            self.observe(stats, engine_idx)

    def observe(self, stats, engine_idx):
        for key, histogram in self.histograms:
            for value in stats[key]:
                histogram[engine_idx].observe(value)
        for keys, counter in self.counters:
            for key in keys:
                for amount in stats[key]:
                    counter[engine_idx].inc(amount)


def nanoseconds(record, transfers, repeats):
    """Nanoseconds of CPU time for a payload."""
    steps = [SchedulerStats(kv_connector_stats=make_payload(payload, transfers)) for payload in range(PAYLOADS)]
    start = time.thread_time_ns()
    for _ in range(repeats):
        for stats in steps:
            record(stats, None)
    return (time.thread_time_ns() - start) / (repeats * PAYLOADS)


def report(transfers, value, **more):
    name = f"vLLM's record() of a payload, {transfers} transfer{'s' if transfers > 1 else ''}"
    print(json.dumps({"name": name, "value": round(value, 1), "unit": "ns/payload", **more}))


if __name__ == "__main__":
    for transfers, repeats in ((1, 200), (100, 4)):
        frontend = Frontend()
        report(
            transfers,
            statistics.median(nanoseconds(frontend.record, transfers, repeats) for _ in range(ROUNDS)),
            peer="Python",
        )
