# SPDX-License-Identifier: Apache-2.0
"""What kvtel's plugin costs vLLM for a payload, and what prometheus_client costs in its place (peer_plugin.py), in turns. The bar is a
twentieth of the latter. Needs the Python package kvtel: pip install ./python."""

import json
import os
import statistics
import tempfile
from types import SimpleNamespace

from peer_plugin import ROUNDS, Frontend, SchedulerStats, nanoseconds, report

TIMES_BETTER = 20


class Stats:
    """As vLLM's KVConnectorStats."""

    def __init__(self, data):
        self.data = data

    def to_dict(self):
        return self.data


def step_of(vllm_config, watch_scheduler):
    """What vLLM's engine core calls in each step, with kvtel's wrapper, as the record() of a frontend."""

    class Scheduler:
        def make_stats(self, spec_decoding_stats=None, kv_connector_stats=None):
            return SchedulerStats(kv_connector_stats=kv_connector_stats.to_dict())

    watch_scheduler(SimpleNamespace(__name__="bench", Scheduler=Scheduler))
    scheduler = Scheduler()
    scheduler.vllm_config = vllm_config
    return lambda stats, iteration_stats: scheduler.make_stats(None, Stats(stats.kv_connector_stats))


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.environ["KVTEL_STORE_DIR"] = directory
        from kvtel.vllm import StatLogger
        from kvtel.vllm_process import watch_scheduler

        config = SimpleNamespace(
            kv_transfer_config=SimpleNamespace(kv_connector="NixlConnector", kv_connector_extra_config={}),
            model_config=SimpleNamespace(served_model_name="m"),
        )
        logger, frontend = StatLogger(config, 0), Frontend()
        for transfers, repeats in ((1, 200), (100, 4)):
            ours, peers = [], []
            for _ in range(ROUNDS):
                ours.append(nanoseconds(logger.record, transfers, repeats * TIMES_BETTER))
                peers.append(nanoseconds(frontend.record, transfers, repeats))
            report(transfers, statistics.median(ours), bar=round(statistics.median(peers) / TIMES_BETTER, 1))
        step = step_of(config, watch_scheduler)
        value = statistics.median(nanoseconds(step, 1, 200) for _ in range(ROUNDS))
        print(json.dumps({"name": "vLLM's make_stats() in the engine core, 1 transfer", "value": round(value, 1), "unit": "ns/step"}))


if __name__ == "__main__":
    main()
