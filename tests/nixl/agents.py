# SPDX-License-Identifier: Apache-2.0
"""Two agents of a real NIXL in two processes: the target lends memory, the initiator moves blocks and keeps books.

agents.py target SIZE:      prints its metadata and the address, ends when its standard input does
agents.py initiator COUNT:  prints its books as JSON: {"rx completed": [transfers, bytes], ...}
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import nixl_cu13._api as api

SIZE = 8 << 20


def told():
    """The module that tells outcomes, without the rest of the package."""
    path = Path(__file__).resolve().parents[2] / "python" / "kvtel" / "nixl.py"
    spec = importlib.util.spec_from_file_location("kvtel_nixl_told", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(name):
    agent = api.nixl_agent(name, api.nixl_agent_config(backends=["UCX"]))
    memory = np.zeros(SIZE, dtype=np.uint8)
    agent.register_memory([(memory.ctypes.data, SIZE, 0, "")], "DRAM")
    return agent, memory


def target():
    agent, memory = make("target")
    print(json.dumps([agent.get_agent_metadata().hex(), memory.ctypes.data]), flush=True)
    sys.stdin.read()


class Initiator:
    def __init__(self):
        self.agent, self.memory = make("initiator")
        self.books = {}

    def start_target(self):
        peer = subprocess.Popen([sys.executable, __file__, "target"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        metadata, address = json.loads(next(line for line in peer.stdout if line.startswith("[")))  # after NIXL's log
        name = self.agent.add_remote_agent(bytes.fromhex(metadata))
        return peer, name if isinstance(name, str) else name.decode(), address

    def request(self, write, size, peer, address):
        local = self.agent.get_xfer_descs([(self.memory.ctypes.data, size, 0)], "DRAM")
        remote = self.agent.get_xfer_descs([(address, size, 0)], "DRAM")
        return self.agent.initialize_xfer("WRITE" if write else "READ", local, remote, peer, b"")

    def book(self, write, outcome, size):
        entry = self.books.setdefault(f"{'tx' if write else 'rx'} {outcome}", [0, 0])
        entry[0] += 1
        entry[1] += size

    def move(self, write, size, peer, address, wait=0.0):
        """One transfer, until it is done or fails."""
        handle = self.request(write, size, peer, address)
        outcome = "failed"
        try:
            state = self.agent.transfer(handle)
            outcome = "completed_in_post" if state == "DONE" else "completed"
            time.sleep(wait)
            while state == "PROC":
                state = self.agent.check_xfer_state(handle)
            outcome = outcome if state == "DONE" else "failed"
        except Exception as error:  # of NIXL's bindings
            outcome = "failed"
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        self.book(write, outcome, size)
        try:
            handle.release()
        except Exception as error:
            print(f"release: {error}", file=sys.stderr)

    def run(self, count, failures):
        peer, name, address = self.start_target()
        choose = random.Random(1)
        for i in range(count):
            self.move(i % 3 == 0, choose.choice((64, 4096, 65536, 1 << 20)), name, address, 0.001 if i % 50 == 0 else 0)
        if failures:
            self.fail(name, address)
        peer.kill()
        peer.wait()
        if failures:  # its death shows as a failure of the next transfers
            for write in (False, True):
                self.move(write, 4096, name, address)

    def fail(self, name, address):
        """Outcomes that only the application knows."""
        handle = self.request(False, SIZE, name, address)
        state = self.agent.transfer(handle)
        self.book(False, "released" if state == "PROC" else "completed_in_post", SIZE)
        try:
            handle.release()
        except Exception as error:
            print(f"release: {error}", file=sys.stderr)
        handle = self.request(True, SIZE, name, address)
        state = self.agent.transfer(handle)
        first = "completed_in_post" if state == "DONE" else "completed"
        if state == "PROC":
            try:
                self.agent.transfer(handle)
                self.book(True, "completed_in_post", SIZE)  # the first one was done meanwhile
            except Exception as error:
                assert "RepostActive" in type(error).__name__, error
                self.book(True, "failed", SIZE)
            while self.agent.check_xfer_state(handle) == "PROC":
                pass
        self.book(True, first, SIZE)
        handle.release()


def initiator(count, failures):
    if failures:
        assert told().watch(api)
    made = Initiator()
    made.run(count, failures)
    time.sleep(0.5)  # NIXL passes its events every 0.1 s, and none when an agent ends
    print(json.dumps(made.books), flush=True)
    os._exit(0)  # an agent whose peer was killed may wait for it when it is destroyed


if __name__ == "__main__":
    if sys.argv[1] == "target":
        target()
    else:
        initiator(int(sys.argv[2]), sys.argv[3] == "told")
