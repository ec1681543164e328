# SPDX-License-Identifier: Apache-2.0
"""What kvtel's plugin costs vLLM for a payload, and what prometheus_client costs in its place (peer_plugin.py), in turns. The bar is a
twentieth of the latter. Needs the Python package kvtel: pip install ./python."""

import os
import statistics
import tempfile
from types import SimpleNamespace

from peer_plugin import ROUNDS, Frontend, nanoseconds, report

TIMES_BETTER = 20


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        os.environ["KVTEL_STORE_DIR"] = directory
        from kvtel.vllm import StatLogger

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


if __name__ == "__main__":
    main()
