# SPDX-License-Identifier: Apache-2.0
"""Real NIXLs with the plug-in: the books of agents.py against `kvtel serve`.

books.py WORK [VERSION...]: fetches the wheels into WORK, installs the plug-in by `kvtel nixl install`, and compares.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from exporter import KVTEL, PATIENCE, Exporter, wait_for  # noqa: E402

VERSIONS = ("1.3.2", "1.4.0", "1.5.1")
TRANSPORTS = {"tcp": "tcp", "shm": "shm,cma,self,tcp"}
COUNT = 2000
TRIES = 3
PLUGIN = re.compile(r"lib(kvtel_nixl|trace_backend_kvtel|telemetry_exporter_kvtel)\.so")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)


def site_of(work, version):
    """The wheel's directory, with the plug-in in it, and a stand-in for PyTorch, which some versions import."""
    site = work / version
    if not (site / "complete").exists():
        wheels = work / "wheels"
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", wheels]
        if not list(wheels.glob(f"nixl_cu13-{version}-*")):
            print(f"fetching NIXL {version}: 60 MB", flush=True)
            subprocess.run([*fetch, f"nixl-cu13=={version}"], check=True)
        with zipfile.ZipFile(next(wheels.glob(f"nixl_cu13-{version}-*"))) as wheel:
            wheel.extractall(site)
        (site / "torch.py").write_text("class Tensor:\n    pass\n")
        (site / "complete").touch()
    return site


def install(*arguments):
    done = subprocess.run([KVTEL, "nixl", "install", *arguments], check=True, capture_output=True, text=True)
    found = re.search(r"NIXL_PLUGIN_DIR=(\S+)", done.stdout)
    return {"NIXL_PLUGIN_DIR": found[1]} if found else {}


def page_of(exporter):
    """[(name, labels, value)] of the exporter's page."""
    return [
        (name, dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value))
        for name, labels, value in SAMPLE.findall(exporter.text())
    ]


def counted(page, trace):
    """What the page has of the books' kind."""
    found = {}

    def add(key, place, value):
        entry = found.setdefault(key, [0, 0])
        entry[place] += int(value)

    for name, labels, value in page:
        if trace and name in ("nixl_transfers_total", "nixl_transfer_bytes_total"):
            add(f"{labels['direction']} {labels['outcome']}", "bytes" in name, value)
        if not trace and name in ("nixl_requests_total", "nixl_bytes_total"):
            add(labels["direction"], "bytes" in name, value)
        if name == "kvtel_unfinished_transfers_total" and labels["outcome"] == "lost":
            add(f"{labels['operation']} lost", 0, value)
    return {key: value for key, value in found.items() if value != [0, 0]}


def expected(books, trace):
    if trace:
        return {key: [value[0], 0] if key.endswith(" lost") else value for key, value in books.items()}
    found = {}
    for key, value in books.items():
        entry = found.setdefault(key.split()[0], [0, 0])
        entry[:] = [entry[0] + value[0], entry[1] + value[1]]
    return found


def failed_by_peer(page):
    """{direction: failed transfers with peers that have a name}."""
    found = {}
    for name, labels, value in page:
        if name == "nixl_peer_transfers_total" and labels["outcome"] == "failed" and labels["peer"].startswith("target-"):
            found[labels["direction"]] = found.get(labels["direction"], 0) + int(value)
    return {key: value for key, value in found.items() if value}


def times(page):
    """Seconds of all completed transfers, by the plug-in's clock and by NIXL's own."""
    return [sum(value for name, _, value in page if name == f"{family}_sum") for family in ("nixl_transfer_seconds", "nixl_xfer_time_seconds")]


def compare(books, page, trace):
    """The differences, in words."""
    wrong = []
    want, found = expected(books, trace), counted(page, trace)
    wrong += [f"{key}: {want.get(key)} booked, {found.get(key)} counted" for key in want.keys() | found.keys() if want.get(key) != found.get(key)]
    if not trace:
        return wrong
    failures = {key.split()[0]: value[0] for key, value in books.items() if key.endswith(" failed")}
    if failed_by_peer(page) != failures:
        wrong.append(f"failed by peer: {failures} booked, {failed_by_peer(page)} counted")
    ours, nixls = times(page)
    transfers = sum(value[0] for key, value in books.items() if "completed" in key)
    # NIXL's clock was seen to differ by 0.08 %, and on a busy machine time passes between its reading and the plug-in's
    if abs(ours - nixls) > 0.01 * nixls + transfers * 1e-3:
        wrong.append(f"times: {ours} s, NIXL says {nixls} s")
    return wrong


class CrashOfUcx(Exception):
    """UCX reads a connection that is gone, where an agent posts to a peer that died just now: seen in NIXL 1.4.0
    over tcp, 2 times of 34 on a busy machine. Where the plug-in stands in the stack of the signal, it is a failure."""


def crash_of_ucx(agent, said):
    return agent.returncode == -signal.SIGSEGV and "(ucp_" in said and not PLUGIN.search(said)


def run(site, plugins, version, transport, mode):
    """Differences, and the books. A crash of UCX's own is told, and the case begins again."""
    for tried in range(1, TRIES + 1):
        try:
            return run_once(site, plugins, version, transport, mode)
        except CrashOfUcx as crash:
            print(f"UCX ended the agent ({tried} of {TRIES}): {crash}", flush=True)
    return [f"UCX ended the agent {TRIES} times"], {}


def run_once(site, plugins, version, transport, mode):
    trace = version != "1.3.2"
    with tempfile.TemporaryDirectory() as place, Exporter(f"{place}/stores", "--nixl.peer-label") as exporter:
        environment = {
            **os.environ,
            **plugins,
            "PYTHONPATH": str(site),
            "UCX_TLS": TRANSPORTS[transport],
            "NIXL_TRACE_BACKENDS": "kvtel",
            "NIXL_TELEMETRY_ENABLE": "y",
            "NIXL_TELEMETRY_EXPORTER": "kvtel",
            "NIXL_TELEMETRY_BUFFER_SIZE": "262144",
            "KVTEL_STORE_DIR": f"{place}/stores",
            "UCX_HANDLE_ERRORS": "bt",  # a crash prints its stack
        }
        errors = Path(place) / "errors"
        command = [sys.executable, ROOT / "tests/nixl/agents.py", "initiator", str(COUNT), mode]
        with errors.open("w") as log, subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as agent:
            said = []
            for line in agent.stdout:
                if line.startswith("{"):
                    break
                said.append(line)
            else:
                line = "{}"
            books = json.loads(line)
            if mode == "killed":  # they are open before, and lost afterwards
                wait_for(lambda: any(name == "nixl_transfers_total" for name, _, _ in page_of(exporter)))
            agent.communicate("\n", timeout=PATIENCE)
        if crash_of_ucx(agent, "".join(said)):
            raise CrashOfUcx(next(line.strip() for line in said if "ucp_" in line))
        try:
            wait_for(lambda: books and not compare(books, page_of(exporter), trace), seconds=10)
        except AssertionError:
            ended = [f"the agent's exit code is {agent.returncode}", "".join(said)[-3000:], errors.read_text()[-3000:]]
            return [*compare(books, page_of(exporter), trace), *ended], books
        books["seconds, NIXL's"] = [round(value, 4) for value in times(page_of(exporter))]
        return [], books


def main():
    work, versions = Path(sys.argv[1]).resolve(), sys.argv[2:] or VERSIONS
    failed = passed = 0
    for version in versions:
        site = site_of(work, version)
        (work / "shadows").mkdir(exist_ok=True)
        ways = {"links": install(f"--site-packages={site}"), "shadow": install(f"--site-packages={site}", f"--shadow={work}/shadows/{version}")}
        cases = [("links", transport, mode) for transport in TRANSPORTS for mode in ("events", "told", "killed")]
        for way, transport, mode in [*cases, ("shadow", "tcp", "events")]:
            if version == "1.3.2" and mode != "events":
                continue  # without a trace no other outcome is known
            wrong, books = run(site, ways[way], version, transport, mode)
            print(f"{'FAILED' if wrong else 'ok'}: NIXL {version}, {way}, {transport}, {mode}: {books}", *wrong, sep="\n  ", flush=True)
            failed, passed = failed + bool(wrong), passed + (not wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
