# SPDX-License-Identifier: Apache-2.0
"""Cases in which kvtel records in vLLM's engine core, since nothing loads a plug-in above it: under the frontend in Rust, and in a program
that uses the class LLM. What vLLM's own classes make of what the engine core reported says what kvtel must show."""

import json
import os
import shutil
import subprocess
import sys

from tests.e2e.exporter import Exporter, wait_for
from tests.model import compare

from . import own, ray_cluster
from .case import Run
from .pages import FAMILIES, added, counted, differences, key_of, own_samples

PATIENCE = 1800  # seconds until an LLM is made and has answered, on a machine that does other things


def told_by_vllm(recordings):
    """The samples that vLLM's own classes make of recordings."""
    return added(own_samples(own.outcome(objects)[1]) for objects in recordings)


def shown_by(exporter):
    return {key: value for key, value in compare.samples(exporter.text()).items() if key[0].startswith(FAMILIES)}


class Core(Run):
    """A case under the frontend in Rust."""

    def __init__(self, case, machine, work, report):
        case.environment |= {
            "VLLM_USE_RUST_FRONTEND": "1",
            "VLLM_RUST_FRONTEND_PATH": str(work / "vllm-rs"),
            "ENGINE_RECORDINGS_AT": "engine",
        }
        super().__init__(case, machine, work, report)

    def run(self):
        with Exporter(self.stores, f"--nixl.telemetry-dir={self.rings}", "--log.style=vllm") as exporter:
            for engine in self.engines:
                engine.wait_until_ready()
            client = self.drive()
            if len(self.engines) > 1:
                self.fail_with_wrong_peer(client)
            pages, got = self.settled(exporter)
            page, wanted = added(pages.values()), told_by_vllm(self.recordings())
            self.report.add(self.case.name, "exporter, and vLLM's classes", len(wanted), differences(wanted, got))
            self.compare_page(page, got)
            if counted(wanted):
                self.compare_rings(wanted, got)

    def recordings(self):
        return [objects for engine in self.engines for objects in engine.recordings()]

    def compare_page(self, page, got):
        """NIXL's families are on the frontend's page, at 0 where there is no NIXL. It has no others."""
        nixl = {key: value for key, value in page.items() if key[0].startswith("vllm:nixl_")}
        others = sorted({name for name, _ in page.keys() - nixl.keys()})
        if any(name.startswith("vllm:nixl_") for name, _ in got):
            # vLLM 0.32's frontend in Rust leaves all of them at 0, without kvtel too; then their names are compared.
            what = "the page of the frontend" if any(nixl.values()) else "names on the page of the frontend, all at 0"
            found = differences(nixl, got) if any(nixl.values()) else [f"{key}: missing" for key in nixl.keys() - got.keys()]
            self.report.add(self.case.name, f"exporter, and {what}", len(nixl), found)
        hidden = sorted({name for name, _ in got.keys() - page.keys() if name.startswith(FAMILIES)})
        print(f"  not on the frontend's page: {len(hidden)} names of samples", flush=True)
        self.report.add(self.case.name, "families that the page should lack", len(hidden) + len(others), others)


class Offline:
    """A case with the class LLM in the place of a server."""

    def __init__(self, case, machine, work, report):
        self.case, self.machine, self.report, self.work = case, machine, report, work
        self.folder = work / case.name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None

    def run(self):
        stores, recordings = self.folder / "stores", self.folder / "recordings"
        for folder in (recordings, stores):
            folder.mkdir(parents=True, mode=0o700)
        environment = {
            "KVTEL_STORE_DIR": str(stores),
            "KVTEL_AT": self.case.at,
            "ENGINE_RECORDINGS_AT": "engine",
            "ENGINE_RECORDINGS": str(recordings),
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_HOST_IP": "127.0.0.1",
        }
        command = [sys.executable, "-m", "tests.engine.offline"]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(self.work / "model"), json.dumps(self.case.config), json.dumps(self.case.options)],
                env=os.environ | environment | self.machine.environment(False) | self.case.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.process.wait(PATIENCE) != 0:
            raise SystemExit(f"LLM failed; see {log.name}:\n{(self.folder / 'log').read_text()[-3000:]}")
        objects = [[json.loads(line) for line in path.read_text().splitlines()] for path in recordings.glob("*.jsonl")]
        wanted = told_by_vllm(objects)
        with Exporter(stores) as exporter:
            wait_for(lambda: shown_by(exporter), "the stores' samples")
            shown = shown_by(exporter)
        got = added([{key_of(*key): value} for key, value in shown.items()])
        wanted = {key: value for key, value in wanted.items() if not key[0].startswith(self.case.of_scheduler)}
        self.report.add(self.case.name, "exporter, and vLLM's classes", len(wanted), differences(wanted, got))
        self.report.add(self.case.name, "samples above 0", sum(value > 0 for value in wanted.values()), [])
        ranks = {dict(labels).get("rank") for (_, labels), value in shown.items() if value}
        recorders = {str(rank) for rank in range(self.case.ranks)} if self.case.at == "worker" else {None}
        self.report.add(self.case.name, "ranks", len(ranks), [f"{ranks}, not {recorders}"] * (ranks != recorders))

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class OnRay:
    """A case in a cluster of Ray of its own: `kind` is what runs there."""

    def __init__(self, kind, case, machine, work, report):
        self.kind, self.case, self.arguments = kind, case, (machine, work, report)
        self.cluster = self.inner = None

    def run(self):
        machine, work, report = self.arguments
        if not ray_cluster.is_installed():
            report.leave_out(self.case.name, "Ray is not installed")
            return
        self.cluster = ray_cluster.Cluster(work / f"{self.case.name}.cluster-log")
        self.case.environment |= self.cluster.environment
        self.inner = self.kind(self.case, machine, work, report)
        self.inner.run()

    def close(self):
        try:
            if self.inner:
                self.inner.close()
        finally:
            if self.cluster:
                self.cluster.close()
