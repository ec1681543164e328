# SPDX-License-Identifier: Apache-2.0
"""Runs in the environment of ./run engine-test and prints JSON. As python -m bench.compare.vllm_worker

classes:                        what one transfer costs vLLM's own classes and kvtel's plugin, in a payload of one transfer
servers WORK KVTEL [ARGUMENT]   a prefill and a decode server move KV cache, with kvtel's plugin in the decode server's engine core;
                                the decode server, started with these arguments, is killed"""

import contextlib
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests/e2e")]

import pages  # noqa: E402

COUNT = "vllm:nixl_xfer_time_seconds_count"
TRANSFERS, SCRAPES, ROUNDS = 12, 100, 15
TICK = os.sysconf("SC_CLK_TCK")


def classes():
    from peer_plugin import nanoseconds
    from tests.engine.own import KVConnectorProm
    from vllm.config import KVTransferConfig

    config = KVTransferConfig(kv_connector="NixlConnector", kv_role="kv_both")
    prom = KVConnectorProm(SimpleNamespace(kv_transfer_config=config), ["model_name", "engine"], {0: ["m", "0"]})

    def record(stats, _):
        prom.observe(stats.kv_connector_stats, 0)

    found = {"vllm": statistics.median(nanoseconds(record, 1, 50) for _ in range(ROUNDS))}
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            os.environ["KVTEL_STORE_DIR"] = directory
            from kvtel.vllm import StatLogger

            names = SimpleNamespace(served_model_name="m")
            logger = StatLogger(SimpleNamespace(kv_transfer_config=config, model_config=names), 0)
            found["kvtel"] = statistics.median(nanoseconds(logger.record, 1, 1000) for _ in range(ROUNDS))
    return found


def cpu_of_frontends(session):
    """CPU seconds of a server's processes but its engine cores and workers."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, fields = stat.read_text().rsplit(")", 1)
            fields = fields.split()
            if int(fields[3]) == session and not re.search(r"\(VLLM::(Engine|Worker)", name):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def scrape_ms(engine):
    """CPU of the frontend for a scrape, above what it uses in that time without one; None where that cannot be told apart."""

    def used(call):
        began, before = time.monotonic(), cpu_of_frontends(engine.process.pid)
        call()
        return cpu_of_frontends(engine.process.pid) - before, time.monotonic() - began

    scraped, seconds = used(lambda: [engine.text("/metrics") for _ in range(SCRAPES)])
    idle, slept = used(lambda: time.sleep(max(seconds, 3)))
    more = scraped - idle * seconds / slept
    return 1e3 * more / SCRAPES if more > 2 / TICK else None


def servers(work, program, *arguments):
    from exporter import Exporter, wait_for
    from tests.engine.case import NIXL
    from tests.engine.engines import Client, Engine, Machine

    folder = Path(work) / "compare"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stores = folder / "stores"
    ranks = 2 if "--data-parallel-size" in arguments else 1
    recorded = {"KVTEL_STORE_DIR": str(stores), "KVTEL_AT": "engine", "VLLM_PLUGINS": "kvtel"}
    alone = {"VLLM_PLUGINS": "none", "VLLM_USE_RUST_FRONTEND": "0"}
    engines = []
    with Exporter(stores, program=program) as exporter:
        try:
            for name in ("prefill", "decode"):
                more, own = (arguments, recorded) if name == "decode" else ((), alone)
                model, its = str(Path(work) / "model"), ranks if name == "decode" else 1
                engines.append(Engine(Machine(), folder, name, NIXL, model, more, own, its))
            for engine in engines:
                engine.wait_until_ready()
            return measure(exporter, Client(*engines, (400, 1500)), wait_for)
        finally:
            for engine in engines:
                engine.end()


def measure(exporter, client, wait_for):
    decode = client.decode

    def counts():
        return pages.total(decode.text("/metrics"), COUNT), pages.total(exporter.text(), COUNT)

    def transfer():
        for _ in range(TRANSFERS):
            client.transfer(client.prompt())

    transfer()
    # One for each request. vLLM 0.32's frontend in Rust has NIXL's families on its page, and leaves them at 0.
    on_its_page = (TRANSFERS, 0) if os.environ.get("VLLM_USE_RUST_FRONTEND") == "1" else (TRANSFERS,)
    wait_for(lambda: counts()[1] == TRANSFERS and counts()[0] in on_its_page, counts)
    if 0 in on_its_page:  # a page that counts gets the time to begin
        time.sleep(5)
        wait_for(lambda: counts()[0] in on_its_page, counts)
    page = decode.text("/metrics")
    ours = exporter.text()
    found = {
        "counted": pages.total(page, COUNT),
        "families": len(pages.families(page, ("vllm:nixl_",))),
        "bounds": [bound for bound, _ in pages.buckets(page, COUNT.removesuffix("_count"))][:-1],
        "exemplars": pages.has_exemplars(page),
        "starts": pages.has_starts(page, ("vllm:nixl_",)),
        "peers": "peer" in page,
        "kvtel_families": len(pages.families(ours, ("vllm:nixl_", "kvtel_open", "kvtel_unfinished"))),
        "scrape_ms": scrape_ms(decode),
    }
    _, before = counts()
    transfer()
    time.sleep(2)  # both have the time to count what was moved
    decode.kill()
    with contextlib.suppress(OSError):
        decode.text("/metrics")
        sys.exit("a killed server answered")
    wait_for(lambda: not pages.total(exporter.text(), "kvtel_stores", state="live"))
    return found | {"recorded": TRANSFERS, "kvtel_lost": TRANSFERS - int(pages.total(exporter.text(), COUNT) - before)}


if __name__ == "__main__":
    print(json.dumps({"classes": classes, "servers": servers}[sys.argv[1]](*sys.argv[2:])))
