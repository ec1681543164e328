# SPDX-License-Identifier: Apache-2.0
"""Two agents of a real NIXL on two GPUs: what the plug-in adds to READs of 64 KiB to 256 MiB, and its books.

gpu.py WORK [GPU GPU]: with NIXL and PyTorch as this Python has them. Without GPUs named, those of the first two; on a machine with
one it is both. `cpu cpu`: the same in the host's memory with a hundredth of the
transfers, to try the script itself.

One process has three agents that read the same memory of a fourth, in another process, in turns: one without telemetry, another
such one, whose difference from the first is noise, and one with the plug-in, exporter and trace. They count what they move; `kvtel
serve` must count the same.
"""

import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
sys.path.insert(0, str(ROOT / "tests/nixl"))
from books import compare, install, page_of  # noqa: E402
from exporter import PATIENCE, Exporter, wait_for  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
# Bytes of a descriptor, descriptors, transfers of each agent.
CASES = ((64 * KIB, 1, 400), (MIB, 1, 400), (256 * KIB, 16, 300), (MIB, 64, 200), (16 * MIB, 16, 100))
SIZE = 256 * MIB
WARM = 3  # transfers before those that count
AGENTS = {"plain": {}, "plain again": {}, "plug-in": {"NIXL_TRACE_BACKENDS": "kvtel", "NIXL_TELEMETRY_EXPORTER": "kvtel", "NIXL_TELEMETRY_ENABLE": "y"}}
TRANSPORTS = {"cpu": "shm,cma,self,tcp"}  # else:
GPU_TRANSPORTS = "cuda_copy,cuda_ipc,sm,tcp,self"


def nixl():
    """NIXL's module, or None."""
    for name in ("nixl_cu13._api", "nixl_cu12._api", "nixl._api"):
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
    return None


class Memory:
    """SIZE bytes of a GPU, or of the host."""

    def __init__(self, device, agents, full):
        self.device = device
        self.kind, self.number = ("DRAM", 0) if device == "cpu" else ("VRAM", int(device))
        if device == "cpu":
            import numpy

            self.array = numpy.arange(SIZE // 4, dtype=numpy.int32) if full else numpy.zeros(SIZE // 4, dtype=numpy.int32)
            self.address = self.array.ctypes.data
        else:
            import torch

            make = torch.arange if full else torch.zeros
            self.array = make(SIZE // 4, dtype=torch.int32, device=f"cuda:{device}")
            torch.cuda.synchronize(self.number)
            self.address = self.array.data_ptr()
        for agent in agents:
            agent.register_memory([(self.address, SIZE, self.number, "")], self.kind)

    def has_all(self):
        """Whether it holds what a full one does."""
        if self.device == "cpu":
            import numpy as library
        else:
            import torch as library

            library.cuda.synchronize(self.number)
        return bool((self.array == library.arange(SIZE // 4, dtype=library.int32, **({} if self.device == "cpu" else {"device": self.array.device}))).all())


def make_agent(api, name, settings):
    os.environ.update(settings)
    agent = api.nixl_agent(name.replace(" ", "-"), api.nixl_agent_config(backends=["UCX"]))
    for key in settings:
        del os.environ[key]
    return agent


def target(device):
    """Lends its memory until its standard input ends."""
    agent = make_agent(nixl(), "target", {})
    memory = Memory(device, [agent], full=True)
    print(json.dumps([agent.get_agent_metadata().hex(), memory.address]), flush=True)
    sys.stdin.read()


class Initiator:
    def __init__(self, devices):
        api = nixl()
        self.agents = {name: make_agent(api, name, settings) for name, settings in AGENTS.items()}
        self.memory = Memory(devices[0], self.agents.values(), full=False)
        self.there = devices[1]
        command = [sys.executable, __file__, "target", self.there]
        self.target = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.target.stdout if line.startswith("["))  # after NIXL's log
        metadata, self.address = json.loads(line)
        for agent in self.agents.values():
            agent.add_remote_agent(bytes.fromhex(metadata))
        self.books = {}

    def read(self, name, size, pieces, at):
        """Microseconds of a READ, from the post to the look that finds it done."""
        agent = self.agents[name]
        spans = [at + i * size for i in range(pieces)]
        local = agent.get_xfer_descs([(self.memory.address + span, size, self.memory.number) for span in spans], self.memory.kind)
        far = 0 if self.there == "cpu" else int(self.there)
        remote = agent.get_xfer_descs([(self.address + span, size, far) for span in spans], self.memory.kind)
        handle = agent.initialize_xfer("READ", local, remote, "target", b"")
        began = time.perf_counter_ns()
        state = agent.transfer(handle)
        in_post = state == "DONE"
        while state == "PROC":
            state = agent.check_xfer_state(handle)
        took = (time.perf_counter_ns() - began) / 1e3
        assert state == "DONE", state
        agent.release_xfer_handle(handle)
        if name == "plug-in":
            entry = self.books.setdefault("rx completed_in_post" if in_post else "rx completed", [0, 0])
            entry[0] += 1
            entry[1] += size * pieces
        return took

    def compare(self, size, pieces, count):
        """{agent: microseconds of each READ}. The agents take turns, each time in another order."""
        times = {name: [] for name in self.agents}
        turns = list(self.agents)
        print(f"READs of {size} bytes x {pieces}", file=sys.stderr, flush=True)
        for i in range(count + WARM):
            random.shuffle(turns)
            for name in turns:
                took = self.read(name, size, pieces, i * size * pieces % (SIZE - size * pieces + 1) // 4096 * 4096)
                if i >= WARM:  # connections and caches are warm
                    times[name].append(took)
        return times


def initiator(devices):
    made = Initiator(devices)
    share = 100 if devices[0] == "cpu" else 1
    rows = [{"bytes": size * pieces, "descriptors": pieces, "times": made.compare(size, pieces, count // share)} for size, pieces, count in CASES]
    time.sleep(0.5)  # NIXL passes its events every 0.1 s
    print(json.dumps({"books": made.books, "right": made.memory.has_all(), "rows": rows}), flush=True)
    sys.stdin.read()  # until the exporter has seen them
    made.target.kill()
    os._exit(0)


def quartiles(values):
    values = sorted(values)
    return [values[len(values) * part // 4] for part in (1, 2, 3)]


def print_table(rows):
    print("| bytes | descriptors | READs | µs without | again without | with the plug-in | GB/s |\n|---|---|---|---|---|---|---|")
    for row in rows:
        cells = []
        for name in AGENTS:
            low, median, high = quartiles(row["times"][name])
            cells.append(f"{median:.1f} ({low:.1f} to {high:.1f})")
        rate = row["bytes"] / quartiles(row["times"]["plug-in"])[1] / 1e3
        print(f"| {row['bytes']:,} | {row['descriptors']} | {len(row['times']['plain'])} | {' | '.join(cells)} | {rate:.1f} |")


def names_of(devices):
    if devices[0] == "cpu":
        return "host memory"
    import torch

    return " and ".join(f"{torch.cuda.get_device_name(int(device))} (GPU {device})" for device in devices)


def lacks(devices):
    """What this Python does not have, in words."""
    api = nixl()
    if api is None:
        return "NIXL: pip install nixl"
    if devices and devices[0] == "cpu":
        return None
    try:
        import torch
    except ImportError:
        return "PyTorch: pip install torch"
    return None if torch.cuda.is_available() else "a GPU that PyTorch can use"


def main(work, devices):
    absent = lacks(devices)
    if absent:
        print(f"nixl-test --gpu: {sys.executable} lacks {absent}", file=sys.stderr)
        return 1
    if not devices:
        import torch

        devices = ["0", "1" if torch.cuda.device_count() > 1 else "0"]
    work = Path(work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    site = Path(nixl().__file__).resolve().parents[1]
    plugin = os.environ.get("KVTEL_NIXL_PLUGIN", ROOT / "build/libkvtel_nixl.so")
    plugins = install(f"--site-packages={site}", f"--shadow={work}/shadow", f"--plugin={plugin}")
    with tempfile.TemporaryDirectory() as place, Exporter(f"{place}/stores", "--nixl.peer-label") as exporter:
        settings = {"UCX_TLS": TRANSPORTS.get(devices[0], GPU_TRANSPORTS), "NIXL_TELEMETRY_BUFFER_SIZE": "262144", "KVTEL_STORE_DIR": f"{place}/stores"}
        command = [sys.executable, __file__, "initiator", *devices]
        with (work / "errors").open("w") as errors, subprocess.Popen(command, env=os.environ | plugins | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as agents:
            told = json.loads(next((line for line in agents.stdout if line.startswith("{")), "{}"))
            if not told:
                agents.communicate(timeout=PATIENCE)
                print(f"FAILED: the agents ended\n{(work / 'errors').read_text()[-3000:]}")
                return 1
            try:
                wait_for(lambda: not compare(told["books"], page_of(exporter), True), seconds=10)
            except AssertionError:
                pass
            wrong = compare(told["books"], page_of(exporter), True)
            agents.communicate(timeout=PATIENCE)
    (work / "transfers.json").write_text(json.dumps(told))
    print(f"READs, {names_of(devices)}")
    print_table(told["rows"])
    wrong += [] if told["right"] else ["the memory does not hold what was read"]
    print(f"books: {told['books']}", *[f"FAILED: {line}" for line in wrong] or ["equal in kvtel serve"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1] == "target":
        target(sys.argv[2])
    elif sys.argv[1] == "initiator":
        initiator(sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
