# SPDX-License-Identifier: Apache-2.0
"""An exporter that has every kind of source, so that every family of metrics is on its page, and moves."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from exporter import ROOT, Exporter
from nixl_agent import Agent
from nixl_driver import Driver, agent
from otlp_receiver import Receiver
from test_open_transfers import OpenWriter

DATA = Path(os.environ.get("KVTEL_TEST_DATA", ROOT / "tests" / "data"))
DEMO = Path(os.environ.get("KVTEL", ROOT / "build" / "kvtel")).parent / "kvtel-demo"
GOLDEN = [
    "hf3fs",
    "hisparse",
    "mooncake_basic",
    "mooncake_store",
    "nixl_many",
    "offloading_info",
    "offloading_threshold",
]
GOLDEN += ["offloading_tiering", "simple_cpu_offload", "umbp"]
TRANSFERS = {"transfer_duration": [0.006, 0.009], "bytes_transferred": [2**18, 2**20], "num_descriptors": [4, 9]}
DISCONNECTED = -10  # NIXL's status
POSTED = {
    "MoRIIOConnector": {**TRANSFERS, "post_duration": [0.0002, 0.0003], "num_failed_transfers": [1]},
    "AscendStoreConnector": {
        "load_get_duration_seconds": [0.004],
        "load_get_keys": 5,
        "delayed_release_requests": 2,
        "delayed_release_blocks": 9,
    },
}

TIER = "vllm:kv_offload_tiering_"
TIERING = {
    "promotion_job_failures": ("counter", 1),
    "cascade_job_failures": ("counter", 2),
    "backpressure_stores_dropped": ("counter", 3),
    "backpressure_blocks_dropped": ("counter", 4),
    "backpressure_store_latency_ema": ("gauge", 0.2),
    "active_cascade_jobs": ("gauge", 1),
    "primary_write_usage_perc": ("gauge", 0.3),
    "primary_read_usage_perc": ("gauge", 0.1),
    "lookup_async_delay_seconds": ("histogram", [0.002, 0.03]),
}
POSTED["OffloadingConnector"] = {
    "types": {TIER + name: kind for name, (kind, _) in TIERING.items()},
    "data": {TIER + name: {'["1:example"]': value} for name, (_, value) in TIERING.items()},
    "info": None,
}
CONFIGS = {"OffloadingConnector": {"spec_name": "TieringOffloadingSpec", "secondary_tiers": [{"type": "example"}]}}


def recording(connector, payload):
    config = {"kv_connector": connector, "kv_connector_extra_config": CONFIGS.get(connector, {})}
    header = {"kvtel": 1, "kv_transfer_config": config, "model_name": "m", "engines": [0]}
    return "".join(json.dumps(line) + "\n" for line in (header, {"engine": 0, "payload": payload}))


class EverySource:
    """`move()` lets each source count something more."""

    def __init__(self, directory, *flags):
        self.directory, self.flags, self.moves = directory, flags, 0
        self.stores, self.rings = directory / "stores", directory / "rings"
        self.stores.mkdir()
        self.rings.mkdir(mode=0o700)

    def __enter__(self):
        with contextlib.ExitStack() as held:
            self.receiver = held.enter_context(Receiver())
            self.open = OpenWriter(self.stores)
            held.callback(self.open.end)
            self.driver = held.enter_context(Driver(self.directory, NIXL_TELEMETRY_ENABLE="y"))
            self.agent = agent(self.driver)
            self.ring = Agent(self.rings / "agent.ring")
            held.callback(self.ring.close)
            self.demo = subprocess.Popen(
                [
                    DEMO,
                    "--duration=600",
                    f"--store.dir={self.stores}",
                    "--web.listen-address=none",
                    "--kill-worker=none",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            held.callback(self.demo.wait)
            held.callback(self.demo.terminate)
            self.exporter = held.enter_context(
                Exporter(
                    self.stores,
                    "--web.enable-stats-receiver",
                    f"--nixl.telemetry-dir={self.rings}",
                    "--nixl.peer-label",
                    f"--otlp.endpoint={self.receiver.url()}",
                    *self.flags,
                    env={**os.environ, "OTEL_METRIC_EXPORT_INTERVAL": "500", "no_proxy": "*"},
                )
            )
            self.held = held.pop_all()
        return self

    def __exit__(self, *_):
        self.held.close()

    def post(self, text):
        answer = json.loads(self.exporter.text("/api/v1/stats", text.encode()))
        assert answer["status"] == "success", answer

    def move(self):
        for name in GOLDEN:
            self.post((DATA / "golden" / f"{name}.jsonl").read_text())
        self.post((DATA / "engines" / "lmcache-mp" / "node.jsonl").read_text())
        for connector, payload in POSTED.items():
            self.post(recording(connector, payload))
        if self.moves < 20:  # it has room for 64
            self.open.do("begin 4096 peer/0 2000000000")
            self.open.do("begin 4096 peer/1 0")
            self.open.do("end")
        self.moves += 1
        self.ring.transfer(True, 300, 65536)
        self.ring.write(4, 4096)
        for handle, kind in (("a0", "read"), ("b0", "write")):
            self.driver("post", self.agent, handle, kind, "peer", 65536)
            self.driver("mark", self.agent, handle)
        self.driver("post", self.agent, "c0", "read", "peer", 64)
        self.driver("told", "c0", DISCONNECTED)
