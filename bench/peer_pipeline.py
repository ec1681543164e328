# SPDX-License-Identifier: Apache-2.0
"""The work of bench_pipeline.c with Python's usual parts: msgspec decodes, lists aggregate, prometheus_client observes, numpy reduces."""

import json
import statistics
import time

import msgspec
import numpy
from prometheus_client import CollectorRegistry, Counter, Histogram

from nixl_families import BUCKETS, COUNTERS

PAYLOADS = 16
ROUNDS = 7
MIB = 2**20
SAMPLES = ("transfer_duration", "post_duration", "bytes_transferred", "num_descriptors")
EVENTS = (
    "num_failed_transfers",
    "num_failed_notifications",
    "num_failed_handshakes",
    "num_kv_expired_reqs",
    "num_notifications_after_expiry",
)


def make_payload(payload, transfers):
    """The columns of one payload, as a dict."""
    steps = [1 + (payload * 31 + i * 17) % 101 for i in range(transfers)]
    data = {
        "transfer_duration": [1300000 * step / 1e9 for step in steps],
        "post_duration": [110000 * step / 1e9 for step in steps],
        "bytes_transferred": [4096 * step * step for step in steps],
        "num_descriptors": [3 * step for step in steps],
    }
    return data | {key: [] for key in EVENTS}


class Pipeline:
    def __init__(self):
        registry, labelnames, labels = CollectorRegistry(), ("model_name", "engine"), ("m", "0")
        self.histograms = {
            key: Histogram(key, "h", labelnames, buckets=buckets, registry=registry).labels(*labels)
            for key, buckets in BUCKETS.items()
        }
        self.counters = [
            (Counter(name, "c", labelnames, registry=registry).labels(*labels), keys) for name, keys in COUNTERS.items()
        ]
        self.decoder = msgspec.msgpack.Decoder()
        self.reset()

    def reset(self):
        self.interval = {key: [] for key in SAMPLES + EVENTS}

    def take(self, payload):
        incoming = self.decoder.decode(payload)
        for key, values in incoming.items():
            self.interval[key].extend(values)
        for key, histogram in self.histograms.items():
            for value in incoming[key]:
                histogram.observe(value)
        for counter, keys in self.counters:
            for key in keys:
                for amount in incoming[key]:
                    counter.inc(amount)
        self.reduce()
        self.reset()

    def reduce(self):
        durations, posts, sizes, descriptors = (numpy.asarray(self.interval[key]) for key in SAMPLES)
        megabytes = sizes / MIB
        return {
            "count": len(durations),
            "time": round(durations.mean() * 1e3, 3),
            "p90 time": round(numpy.percentile(durations, 90).item() * 1e3, 3),
            "post": round(posts.mean() * 1e3, 3),
            "p90 post": round(numpy.percentile(posts, 90).item() * 1e3, 3),
            "size": round(megabytes.mean(), 3),
            "rate": round(megabytes.sum().item() / durations.sum().item(), 3),
            "descriptors": round(descriptors.mean(), 1),
            "failed": sum(len(self.interval[key]) for key in COUNTERS["failed"]),
            "expired": len(self.interval["num_kv_expired_reqs"]),
            "after expiry": len(self.interval["num_notifications_after_expiry"]),
        }


def median_ns(transfers, payloads_a_round):
    """Nanoseconds for a transfer."""
    payloads = [msgspec.msgpack.encode(make_payload(i, transfers)) for i in range(PAYLOADS)]
    pipeline = Pipeline()
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter_ns()
        for i in range(payloads_a_round):
            pipeline.take(payloads[i % PAYLOADS])
        times.append((time.perf_counter_ns() - start) / (payloads_a_round * transfers))
    return statistics.median(times[1:])


def report(name, value, unit):
    print(
        json.dumps(
            {
                "name": f"decode, aggregate, observe, reduce: {name}",
                "value": round(value, 1),
                "unit": unit,
                "peer": "Python",
            }
        )
    )


if __name__ == "__main__":
    report("payloads of 1,000 transfers", median_ns(1000, 32), "ns/transfer")
    report("payloads of 1 transfer", median_ns(1, 2000), "ns/payload")
