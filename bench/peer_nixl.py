# SPDX-License-Identifier: Apache-2.0
"""NIXL's own exporter for several processes, prometheus_mp: what an event costs, and the CPU of a scrape of 8 agents.

Usage: peer_nixl.py BUILD. The plugin is that of NIXL's wheel, which is fetched once (70 MB) into BUILD/nixl; without it there are no
figures. load_nixl_mp loads the plugin as NIXL does, so neither a GPU nor PyTorch is needed."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

WHEEL = "nixl-cu12==1.5.1"
PLUGIN = "plugins/libtelemetry_exporter_prometheus_mp.so"
PEER = "NIXL prometheus_mp"
AGENTS = 8
EVENTS_OF_A_TRANSFER = 4
SCRAPES = 300
PORT = 19465
TICK = os.sysconf("SC_CLK_TCK")


def note(text):
    print(f"bench: {text}: nothing of {PEER}", file=sys.stderr)


def fetched_plugin(directory):
    """The plugin's path, or None."""
    if not list(directory.glob(f"*/{PLUGIN}")):
        directory.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*pip, "--dest", directory, WHEEL]).returncode != 0:
            note(f"{WHEEL} cannot be fetched")
            return None
        with zipfile.ZipFile(next(directory.glob("*.whl"))) as wheel:
            wheel.extractall(directory)
    return next(directory.glob(f"*/{PLUGIN}"), None)


def cpu_ticks(processes):
    fields = [pathlib.Path(f"/proc/{each.pid}/stat").read_text().rsplit(")", 1)[1].split() for each in processes]
    return sum(int(field[11]) + int(field[12]) for field in fields)


def scrape_ms(agents):
    """CPU of all agents for a scrape; one of them answers and reads the files of all."""
    before = cpu_ticks(agents)
    for _ in range(SCRAPES):  # each over a connection of its own, because the agent closes it
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=60) as answer:
            page = answer.read().decode()
    spent = cpu_ticks(agents) - before
    seen = sum(f'agent_name="agent-{i}"' in page for i in range(AGENTS))
    if seen != AGENTS:
        sys.exit(f"the page of {PEER} has {seen} of {AGENTS} agents")
    return 1e3 * spent / TICK / SCRAPES


def report(name, value, unit):
    print(json.dumps({"name": name, "value": value, "unit": unit, "peer": PEER}))


def main():
    build = pathlib.Path(sys.argv[1])
    program = build / "bench/load_nixl_mp"
    if not program.is_file():
        return note("load_nixl_mp is not built")
    if not (plugin := fetched_plugin(build / "nixl")):
        return None
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        environment = os.environ | {
            "NIXL_TELEMETRY_MULTIPROC_DIR": directory,
            "NIXL_TELEMETRY_PROMETHEUS_PORT": str(PORT),
            "NIXL_TELEMETRY_PROMETHEUS_LOCAL": "y",
        }
        agents, times = [], []
        for i in range(AGENTS):
            command = [program, plugin, f"agent-{i}"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            agents.append(subprocess.Popen(command, env=environment, text=True, **pipes))
            times.append(float(agents[-1].stdout.readline() or sys.exit(f"{PEER}: an agent failed")))
        time.sleep(1)  # the one that answers looks for new files
        report("record a NIXL transfer, 1 thread", EVENTS_OF_A_TRANSFER * min(times), "ns")
        report("CPU of a scrape of 8 NIXL agents", scrape_ms(agents), "ms")
        for agent in agents:
            agent.stdin.close()
            agent.wait(20)
    return None


if __name__ == "__main__":
    main()
