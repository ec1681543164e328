# SPDX-License-Identifier: Apache-2.0
"""Payloads of a vLLM before 0.27: two histograms of its tiering have no label `tier` there, neither in the payload nor on its page."""

import json
import subprocess

from exporter import PATIENCE, Exporter

SYNC, ASYNC, READ = (
    f"vllm:kv_offload_tiering_{name}"
    for name in ("lookup_sync_delay_seconds", "lookup_async_delay_seconds", "read_bytes")
)
TIERS = {"spec_name": "TieringOffloadingSpec", "cpu_bytes_to_use": 1 << 30, "secondary_tiers": [{"type": "fs"}]}
HEADER = {
    "kvtel": 1,
    "kv_transfer_config": {"kv_connector": "OffloadingConnector", "kv_connector_extra_config": TIERS},
    "model_name": "m",
    "engines": [0],
}
PAYLOAD = {
    "types": {SYNC: "histogram", ASYNC: "histogram", READ: "counter"},
    "data": {SYNC: {"[]": [0.25, 0.5]}, ASYNC: {"[]": [2]}, READ: {'["1:fs"]': 4096}},
}
TWICE = {  # what two of them are together
    "types": PAYLOAD["types"],
    "data": {SYNC: {"[]": [0.25, 0.5] * 2}, ASYNC: {"[]": [2, 2]}, READ: {'["1:fs"]': 8192}},
}
RECORDING = "".join(
    json.dumps(line) + "\n" for line in (HEADER, *[{"engine": 0, "payload": PAYLOAD}] * 2, {"log": True})
)


def assert_page(page):
    """To Prometheus a label without a value is no label: these are the samples of vLLM's page."""
    lines = page.splitlines()
    assert f'{SYNC}_count{{engine="0",model_name="m",tier=""}} 4.0' in lines
    assert f'{SYNC}_bucket{{engine="0",le="0.1",model_name="m",tier=""}} 0.0' in lines
    assert f'{SYNC}_sum{{engine="0",model_name="m",tier=""}} 1.5' in lines
    assert f'{ASYNC}_count{{engine="0",model_name="m",tier=""}} 2.0' in lines
    assert f'{READ}_total{{engine="0",model_name="m",tier="1:fs"}} 8192.0' in lines


def test_replay(kvtel, tmp_path):
    recording, page, aggregated = (tmp_path / name for name in ("a.jsonl", "page", "aggregated"))
    recording.write_text(RECORDING)
    done = subprocess.run(
        [kvtel, "replay", "--log.style=vllm", "--log.output=-", f"--metrics.output={page}"]
        + [f"--aggregated.output={aggregated}", recording],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0 and "label" not in done.stderr
    assert f"{SYNC}_count=4, {SYNC}_sum=1.5, {ASYNC}_count=2, {ASYNC}_sum=4, {READ}:('1:fs',)=8192" in done.stdout
    assert_page(page.read_text())
    assert json.loads(aggregated.read_text().splitlines()[0])["aggregated"]["data"] == PAYLOAD["data"]


def test_serve(tmp_path):
    stores = tmp_path / "stores"
    stores.mkdir(mode=0o700)
    posted = json.dumps(HEADER) + "\n" + json.dumps({"engine": 0, "payload": TWICE}) + "\n"  # one payload, in one log line
    arguments = ("--web.enable-stats-receiver", "--log.style=vllm", "--log.interval=1")
    with Exporter(stores, *arguments) as exporter:
        assert json.loads(exporter.text("/api/v1/stats", posted.encode()))["refused"] == {}
        assert_page(exporter.text())
        exporter.wait_for_log(f"{SYNC}_count=4, {SYNC}_sum=1.5")
