# SPDX-License-Identifier: Apache-2.0
"""A case of the engine test: servers are started and driven, and what they say is compared with what kvtel says."""

import dataclasses
import http.client
import importlib.metadata
import json
import re
import shutil
import signal
import statistics
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.exporter import KVTEL, Exporter, wait_for
from tests.model import compare

from . import log_lines, own
from .engines import LOG_INTERVAL, Client, Engine
from .pages import (
    FAMILIES,
    added,
    counted,
    differences,
    key_of,
    of_connector,
    of_engine,
    own_samples,
    without_families_of_newer_vllm,
)

NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_both", "kv_buffer_device": "cpu"}
LEASE = 4  # seconds that a prefill server keeps what nobody fetches, where a case is about that
COMPLETED = ("completed", "completed_in_post")  # outcomes of NIXL's plug-in
# Of connectors that move KV cache between a server and its host, what says that they did.
MOVED = (
    "vllm:kv_offload_load_bytes_total",
    "vllm:kv_offload_store_bytes_total",
    "vllm:ledger_load_seconds_count",
    "vllm:ledger_save_seconds_count",
    "vllm:depot_moved_tokens_total",
)
READ_POSITION = 8  # of a NIXL ring, where its reader has got to; none of them wraps here


@dataclasses.dataclass
class Case:
    """What is started. Arguments and environment are the servers'."""

    name: str
    config: dict = dataclasses.field(default_factory=NIXL.copy)
    servers: tuple = ("prefill", "decode")
    arguments: list = dataclasses.field(default_factory=list)  # of each server
    decode: list = dataclasses.field(default_factory=list)
    environment: dict = dataclasses.field(default_factory=dict)
    ranks: int = 1  # of the decode server's engine, or the LLM's
    at: str = "frontend"  # where stats are recorded (KVTEL_AT)
    plugin: bool = False  # NIXL's plug-in in the place of rings
    transfers: int = 60
    stand_in: bool = False  # kvtel's classes in the place of vLLM's
    dead_peer: bool = False
    expiry: bool = False
    kill: bool = False  # while the peer is stopped, so that transfers hang
    kill_in_transfer: bool = False  # while transfers run: a stopped peer's GPU still gives what is asked of it
    rounds: int = 0  # of the same prompts; on a GPU more than its blocks can hold, so that they come back from the host
    prompts: tuple = (2000, 3000, 1500, 4000, 2500, 3500, 1000, 5000)  # tokens, of a round
    group: str = ""  # a name for several cases
    frontend: str = "python"  # or "rust", or "none": the class LLM
    ray: bool = False  # workers are actors of Ray
    of_scheduler: tuple = ()  # names of samples that a connector's scheduler side reports, which workers cannot record
    options: dict = dataclasses.field(default_factory=dict)  # arguments of the class LLM
    third_party: bool = False  # a connector of tests/engine/third_party, of which a recording tells kvtel nothing
    pause: float = 0  # seconds after each request: vLLM 0.26 ends with a KeyError where the host's memory is full of unwritten blocks


class Run:
    """One case that runs."""

    def __init__(self, case, machine, work, report):
        self.case, self.machine, self.report, self.folder = case, machine, report, work / case.name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.rings, self.stores = self.folder / "rings", self.folder / "stores"
        self.rings.mkdir()
        self.stores.mkdir(mode=0o700)
        self.texts = {}  # of the servers' own pages, the last
        self.prefill_id = ""  # the prefill server's engine, as vLLM's
        environment = {
            "KVTEL_STORE_DIR": str(self.stores),
            "NIXL_TELEMETRY_ENABLE": "y",
            "NIXL_TELEMETRY_DIR": str(self.rings),
        }
        if case.stand_in:
            environment["KVTEL_REPLACE"] = "1"
        if case.at != "frontend":
            environment["KVTEL_AT"] = case.at
        if case.plugin:
            environment |= self.nixl_plugin()
        model = str(work / "model")
        self.engines = []
        for name in case.servers:
            second = name == "decode"
            self.engines.append(
                Engine(
                    machine,
                    self.folder,
                    name,
                    case.config,
                    model,
                    case.arguments + (case.decode if second else []),
                    environment | case.environment,
                    case.ranks if second else 1,
                )
            )
        # A server that is alone computes prompts and gets them back.
        self.prefill, self.decode = self.engines[0], self.engines[-1]

    def nixl_plugin(self):
        """Variables that let NIXL load kvtel's plug-in, exporter and trace."""
        [site] = {
            str(Path(file.locate()).parents[1])
            for file in importlib.metadata.files("nixl")
            if file.name == "__init__.py"
        }
        shadow = self.folder / "plugins"
        command = [KVTEL, "nixl", "install", f"--site-packages={site}", f"--shadow={shadow}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return {
            "NIXL_PLUGIN_DIR": re.search(r"NIXL_PLUGIN_DIR=(\S+)", said)[1],
            "NIXL_TRACE_BACKENDS": "kvtel",
            "NIXL_TELEMETRY_EXPORTER": "kvtel",
            "KVTEL_NIXL": "1",
        }

    def close(self):
        for engine in self.engines:
            engine.end()

    def page(self, engine):
        """The connector's samples on a server's own page, the last ones of a server that was killed."""
        if engine.process.poll() is None:
            self.texts[engine.name] = of_connector(engine.text("/metrics"))
        return own_samples(self.texts[engine.name])

    def settled(self, exporter):
        """(vLLM's pages, kvtel's samples) once nothing changes any more, not for an interval of vLLM's log."""
        before, deadline = None, time.monotonic() + 60
        while time.monotonic() < deadline:
            pages, got = {engine.name: self.page(engine) for engine in self.engines}, compare.samples(exporter.text())
            got = {key: value for key, value in got.items() if key[0].startswith((*FAMILIES, "vllm:", "nixl_"))}
            now = pages, added([{key_of(*key): value} for key, value in got.items()])
            if now == before:
                return now
            before = now
            time.sleep(1.5 * LOG_INTERVAL)
        raise SystemExit(f"{self.case.name}: the numbers do not come to rest")

    def compare_exporter(self, exporter, when):
        pages, got = self.settled(exporter)
        wanted = added(pages.values())
        self.report.add(self.case.name, f"exporter{when}", len(wanted), differences(wanted, got))
        return wanted, got

    def replayed(self, objects):
        """(log lines, page) that kvtel replay makes of a recording. vLLM logs each engine by itself."""
        engines = objects[0]["engines"]
        if len(engines) == 1:
            return self.replayed_at_once(objects)
        lines = [line for engine in engines for line in self.replayed_at_once(of_engine(objects, engine))[0]]
        return lines, self.replayed_at_once(objects)[1]

    def replayed_at_once(self, objects):
        recording, metrics = self.folder / "replayed.jsonl", self.folder / "replayed.prom"
        recording.write_text("".join(json.dumps(item) + "\n" for item in objects))
        command = [KVTEL, "replay", "--log.style=vllm", "--log.output=-", f"--metrics.output={metrics}", recording]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return lines, metrics.read_text()

    def compare_recordings(self, by, outcome):
        """What servers wrote, and what somebody's classes make of their recordings."""
        for engine in self.engines:
            page, log, recordings = self.page(engine), engine.log_lines(), engine.recordings()
            outcomes = [outcome(objects) for objects in recordings]
            got, text = added(own_samples(text) for _, text in outcomes), self.texts[engine.name]
            if outcome is own.outcome:
                text = without_families_of_newer_vllm(text, outcomes)
                page = own_samples(text)
            found = differences(page, got)
            # Of a stand-in's page each line must be there, in its place. (Several API servers' pages are prometheus_client's.)
            if outcome is own.outcome and len(recordings) == 1:
                wanted, got = compare.skeleton(outcomes[0][1]), compare.skeleton(text)
                if self.case.third_party:  # what a connector registers itself stands before kvtel's families
                    wanted, got = sorted(wanted), sorted(got)
                found += ["the page's lines are others, or in another order"] * (wanted != got)
            self.report.add(self.case.name, f"{by}, {engine.name}'s samples", len(page), found)
            # vLLM logs nothing where there are several API servers, and a prefill server may have nothing to log.
            if len(recordings) == 1 and (log or engine is self.decode):
                several = len(recordings[0][0]["engines"]) > 1  # their lines stand between each other
                wanted, got = (sorted(lines) if several else lines for lines in (log, outcomes[0][0]))
                self.report.add(
                    self.case.name, f"{by}, {engine.name}'s log lines", len(log), log_lines.differences(wanted, got)
                )

    def compare_rings(self, wanted, got):
        """A ring has an event for each transfer that vLLM's stats have, in microseconds."""
        equal = {
            "vllm:nixl_xfer_time_seconds_count": "nixl_requests_total",
            "vllm:nixl_bytes_transferred_sum": "nixl_bytes_total",
            "vllm:nixl_xfer_time_seconds_sum": "nixl_xfer_time_seconds_sum",
            "vllm:nixl_post_time_seconds_sum": "nixl_post_time_seconds_sum",
            "vllm:nixl_bytes_transferred_count": "nixl_xfer_size_bytes_count",
        }
        found = []
        for ours, rings in equal.items():
            a, b = (
                sum(value for (name, _), value in samples.items() if name == wanted_name)
                for samples, wanted_name in ((wanted, ours), (got, rings))
            )
            if not (a and compare.near(a, b, 1e-9)):  # without transfers nothing was held against anything
                found.append(f"{rings}: {b!r}, not {a!r}")
        self.report.add(self.case.name, "NIXL's rings", len(equal), found)

    def compare_plugin(self, wanted, got, when=""):
        """What NIXL's plug-in saw of completed transfers, and vLLM's stats; the name of each peer is vLLM's."""

        def sum_of(name):
            return sum(
                value for (found, labels), value in got.items() if found == name and dict(labels).get("outcome") in COMPLETED
            )

        transfers = counted(wanted)
        size = sum(value for (name, _), value in wanted.items() if name == "vllm:nixl_bytes_transferred_sum")
        found = []
        for name, value in (
            ("nixl_transfers_total", transfers),
            ("nixl_transfer_bytes_total", size),
            ("nixl_peer_transfers_total", transfers),
        ):
            if not value or sum_of(name) != value:
                found.append(f"{name}: {sum_of(name)!r}, not {value!r}")
        self.report.add(self.case.name, f"NIXL's plug-in{when}", 3, found)
        peers = {
            dict(labels)["peer"]
            for (name, labels), value in got.items()
            if name == "nixl_peer_transfers_total" and value
        }
        found = [f"a peer {peer!r}, not {self.prefill_id}/RANK" for peer in peers if not self.is_prefill(peer)]
        self.report.add(self.case.name, f"peers by engine and rank{when}", len(peers), found)

    def is_prefill(self, peer):
        return re.fullmatch(re.escape(self.prefill_id) + r"/\d+", peer)

    def show_failures_by_peer(self, exporter):
        """Transfers from the dead peer have failed, or are open still."""
        _, got = self.settled(exporter)
        failed = sum(
            value
            for (name, labels), value in got.items()
            if name == "nixl_peer_transfers_total"
            and dict(labels)["outcome"] not in COMPLETED
            and self.is_prefill(dict(labels)["peer"])
        )
        open_now = sum(map(float, re.findall(r"^kvtel_open_transfers\{.* (\S+)$", exporter.text(), re.M)))
        print(f"  of the dead peer: {failed:g} failed, {open_now:g} open", flush=True)
        self.report.add(self.case.name, "transfers of the dead peer", int(failed + open_now), [])

    def count_failures(self, wanted):
        """That there was something to get right."""
        counted = {
            name: value
            for (name, _), value in wanted.items()
            if name.startswith("vllm:nixl_num_") and name.endswith("_total") and value
        }
        print(f"  vLLM counted {counted}", flush=True)
        self.report.add(self.case.name, "kinds of failures that vLLM counted", len(counted), [])

    def moved_by_one_server(self, wanted):
        """That there was something to get right."""
        moved = {
            " ".join(
                [name, *(f"{label}={text}" for label, text in labels if label not in ("engine", "model_name"))]
            ): value
            for (name, labels), value in wanted.items()
            if name in MOVED and value
        }
        print(f"  vLLM counted {moved}", flush=True)
        self.report.add(self.case.name, "ways in which blocks moved", len(moved), [])

    def transfers(self):
        """A table of what NIXL's transfers took by their size: medians of what vLLM's stats say of each."""
        columns = ("transfer_duration", "post_duration", "bytes_transferred", "num_descriptors")
        rows = []
        for objects in self.decode.recordings():
            for item in objects[1:]:
                payload = item.get("payload", {})
                children = [child["data"] for child in payload.values() if isinstance(child, dict) and "data" in child]
                payload = next((child for child in [payload, *children] if columns[0] in child), {})
                rows += zip(*(payload.get(column, []) for column in columns))
        sizes = {}
        for row in rows:
            sizes.setdefault(row[2], []).append(row)
        print("  MB        descriptors  transfers  transfer ms  post ms  GB/s")
        for size, some in sorted(sizes.items()):
            took, post = (statistics.median(row[i] for row in some) for i in (0, 1))
            print(
                f"  {size / 1e6:8.1f}  {some[0][3]:11.0f}  {len(some):9}  {took * 1e3:11.3f}  {post * 1e3:7.3f}  "
                f"{size / took / 1e9:.1f}"
            )

    def keep(self):
        """What the servers wrote, in the form of tests/data/engines: FOLDER/kept/NAME.*"""
        kept = self.folder / "kept"
        kept.mkdir()
        for engine in self.engines:
            recordings = engine.recordings()
            if len(recordings) == 1:
                objects = recordings[0]
            else:
                items = (item for _, *rest in recordings for item in rest if "log" not in item)
                objects = [recordings[0][0], *sorted(items, key=lambda item: item["ts"])]
            stem = kept / engine.name
            stem.with_suffix(".jsonl").write_text("".join(json.dumps(item) + "\n" for item in objects))
            stem.with_suffix(".prom").write_text(self.texts[engine.name])
            if log := engine.log_lines():
                stem.with_suffix(".vllm-log").write_text("".join(line + "\n" for line in log))
            for agent in () if self.case.plugin else engine.agents():
                ring = bytearray((self.rings / agent).read_bytes())
                struct.pack_into("<Q", ring, READ_POSITION, 0)  # as before kvtel read it
                (kept / f"{engine.name}.{agent}.ring").write_bytes(ring)

    def drive(self):
        client = Client(self.prefill, self.decode, self.machine.prompts)
        if self.case.rounds:
            prompts = [client.prompt(tokens) for tokens in self.case.prompts]
            requests = prompts * self.case.rounds
        else:
            requests = [client.prompt() for _ in range(self.case.transfers)]
        transfer = client.local if len(self.engines) == 1 else client.transfer

        def send(prompt):
            transfer(prompt)
            time.sleep(self.case.pause)

        with ThreadPoolExecutor(1 if self.case.rounds else 2) as pool:
            answers = pool.map(send, requests)
            for number, _ in enumerate(answers, 1):
                if number % 10 == 0:
                    print(f"  {number} of {len(requests)} requests", flush=True)
        return client

    def fail_with_wrong_peer(self, client):
        prompt = client.prompt(100)
        params = client.prefilled(prompt)
        self.prefill_id = params["remote_engine_id"]
        print("  a request to a wrong peer", flush=True)
        client.failing_transfer(prompt, params | {"remote_engine_id": "nobody"})

    def fail_with_dead_peer(self, client):
        prompts = [client.prompt(400) for _ in range(3)]
        params = [client.prefilled(prompt) for prompt in prompts]
        self.page(self.prefill)
        self.prefill.kill()
        print("  requests to a dead peer", flush=True)
        for prompt, one in zip(prompts, params):
            client.failing_transfer(prompt, one, 30)

    def kill_decode_in_transfer(self, client):
        """The prefill server is stopped, so that transfers from it hang; then the decode server dies in them."""
        prompts = [client.prompt(1500) for _ in range(4)]
        params = [client.prefilled(prompt) for prompt in prompts]
        finished = self.finished_transfers()
        self.prefill.signal(signal.SIGSTOP)
        with ThreadPoolExecutor(len(prompts)) as pool:
            answers = [pool.submit(client.failing_transfer, *one) for one in zip(prompts, params)]
            wait_for(lambda: self.in_transfer() == len(prompts), "that the decode server has all requests")
            self.wait_for_rest_of_decode()
            unfinished = self.in_transfer()
            found = [f"{count} transfers ended" for count in [self.finished_transfers() - finished] if count]
            self.decode.kill()
            self.prefill.signal(signal.SIGCONT)
            found += ["an answer" for answer in answers if answer.result()]
        self.report.add(self.case.name, "requests in transfer at the kill", unfinished, found)
        try:
            self.decode.text("/metrics")
            found = ["it answers"]
        except OSError:
            found = []
        self.report.add(self.case.name, "vLLM's page is gone", 1, found)

    def kill_decode_among_transfers(self, client):
        """The decode server dies while requests come; what it had shown is the least that is true."""
        prompts = [client.prompt(8000) for _ in range(6)]
        before = self.page(self.decode)
        with ThreadPoolExecutor(len(prompts)) as pool:
            answers = [pool.submit(self.transfer_or_none, client, prompt) for prompt in prompts]
            wait_for(lambda: self.finished_transfers() > counted(before) or self.in_transfer(), "a transfer")
            shown = self.page(self.decode)
            self.decode.kill()
            unanswered = sum(answer.result() is None for answer in answers)
        self.report.add(self.case.name, "requests without an answer", unanswered, [])
        return shown

    def transfer_or_none(self, client, prompt):
        try:
            return client.transfer(prompt)
        except (OSError, http.client.HTTPException):
            return None

    def compare_at_least(self, exporter, shown):
        """kvtel shows what the dead server's page had shown, or more: what it recorded after that page was read."""
        _, got = self.settled(exporter)
        found = [
            f"{name} {dict(labels)}: {got.get((name, labels))}, less than {value}"
            for (name, labels), value in shown.items()
            if got.get((name, labels), -1) < value * (1 - 1e-9)
        ]
        self.report.add(self.case.name, "exporter, at least what the dead server had shown", len(shown), found)

    def in_transfer(self):
        """Requests that the decode server has not answered."""
        found = compare.samples(self.decode.text("/metrics"))
        return int(
            sum(
                value
                for (name, _), value in found.items()
                if name in ("vllm:num_requests_waiting", "vllm:num_requests_running")
            )
        )

    def finished_transfers(self):
        return counted(self.page(self.decode))

    def wait_for_rest_of_decode(self):
        """Waits until the decode server's page does not change any more; the other may be stopped."""
        before, now = None, self.page(self.decode)
        while before != now:
            time.sleep(1)
            before, now = now, self.page(self.decode)

    def let_expire(self, client):
        """Prompts whose KV cache is not fetched in time, and one that is asked for when it is late."""
        prompts = [client.prompt(100) for _ in range(3)]
        params = [client.prefilled(prompt) for prompt in prompts]
        time.sleep(2 * LEASE)
        client.transfer(client.prompt())
        print("  a request that comes when its KV cache has expired", flush=True)
        client.failing_transfer(prompts[0], params[0])
        client.transfer(client.prompt())

    def run(self):
        flags = [f"--nixl.telemetry-dir={self.rings}", "--log.style=vllm", "--nixl.peer-label"]
        with Exporter(self.stores, *flags) as exporter:
            for engine in self.engines:
                engine.wait_until_ready()
            client = self.drive()
            if len(self.engines) > 1:
                self.fail_with_wrong_peer(client)
            if self.case.expiry:
                self.let_expire(client)
            wanted, got = self.compare_exporter(exporter, "")
            if len(self.engines) == 1:
                self.moved_by_one_server(wanted)
            else:
                self.compare_rings(wanted, got)
                if self.case.plugin:
                    self.compare_plugin(wanted, got)
            if self.case.dead_peer:
                self.fail_with_dead_peer(client)
                wanted, got = self.compare_exporter(exporter, ", a dead peer")
                self.compare_rings(wanted, got)
                if self.case.plugin:
                    self.compare_plugin(wanted, got, ", a dead peer")
                    self.show_failures_by_peer(exporter)
            if len(self.engines) > 1:
                self.count_failures(wanted)
            if self.case.kill:
                self.kill_decode_in_transfer(client)
                self.compare_exporter(exporter, ", killed")
            if self.case.kill_in_transfer:
                self.compare_at_least(exporter, self.kill_decode_among_transfers(client))
                self.keep()
                return
            if not self.case.third_party:
                self.compare_recordings("kvtel replay", self.replayed)
            if self.case.stand_in or self.case.third_party:
                self.compare_recordings("vLLM's own classes", own.outcome)
            if self.machine.gpus and len(self.engines) > 1:
                self.transfers()
            self.keep()
