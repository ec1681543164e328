# SPDX-License-Identifier: Apache-2.0
"""Two agents of a real NIXL in two processes: the target lends memory, the initiator moves blocks and keeps books.

agents.py target SIZE:           prints its metadata and the address, ends when its standard input does
agents.py initiator COUNT MODE:  prints its books as JSON: {"rx completed": [transfers, bytes], ...}
  MODE events: transfers that complete, of several threads
       told:   the plug-in is told of outcomes; transfers of each kind of end as well
       killed: told, and kills itself with transfers on the wire; {"rx lost": ...} are those
"""

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import nixl_cu13._api as api

SIZE, SLICES = 8 << 20, 4
SIZES = (64, 4096, 65536, 1 << 20)


def told():
    """The package's module that tells outcomes, without the extension module beside it."""
    package = types.ModuleType("kvtel_told")
    package.__path__ = [str(Path(__file__).resolve().parents[2] / "python" / "kvtel")]
    sys.modules[package.__name__] = package
    return importlib.import_module("kvtel_told.nixl")


def make(name):
    config = api.nixl_agent_config(backends=["UCX"], sync_mode=api.nixl_thread_sync_t.NIXL_THREAD_SYNC_STRICT)
    agent = api.nixl_agent(name, config)
    memory = np.zeros(SIZE * SLICES, dtype=np.uint8)
    agent.register_memory([(memory.ctypes.data, memory.nbytes, 0, "")], "DRAM")
    return agent, memory


def target():
    agent, memory = make(f"target-{os.getpid()}")
    print(json.dumps([agent.get_agent_metadata().hex(), memory.ctypes.data]), flush=True)
    sys.stdin.read()


class Peer:
    def __init__(self, agent):
        command = [sys.executable, __file__, "target"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.process.stdout if line.startswith("["))  # after NIXL's log
        metadata, self.address = json.loads(line)
        name = agent.add_remote_agent(bytes.fromhex(metadata))
        self.name = name if isinstance(name, str) else name.decode()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Initiator:
    def __init__(self):
        self.agent, self.memory = make("initiator")
        self.books, self.lock = {}, threading.Lock()

    def book(self, write, outcome, size):
        with self.lock:
            entry = self.books.setdefault(f"{'tx' if write else 'rx'} {outcome}", [0, 0])
            entry[0] += 1
            entry[1] += size

    def request(self, peer, write, size, slice=0):
        local = self.agent.get_xfer_descs([(self.memory.ctypes.data + slice * SIZE, size, 0)], "DRAM")
        remote = self.agent.get_xfer_descs([(peer.address + slice * SIZE, size, 0)], "DRAM")
        return self.agent.initialize_xfer("WRITE" if write else "READ", local, remote, peer.name, b"")

    def end(self, handle, write, size, state):
        """Polls until the transfer that was posted has an end."""
        outcome = "completed_in_post" if state == "DONE" else "completed"
        try:
            while state == "PROC":
                state = self.agent.check_xfer_state(handle)
        except Exception as error:  # of NIXL's bindings
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            state = "ERR"
        self.book(write, outcome if state == "DONE" else "failed", size)

    def post(self, handle, write, size):
        """The state after the post; None: it failed."""
        try:
            return self.agent.transfer(handle)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            self.book(write, "failed", size)
            return None

    def release(self, handle):
        try:
            handle.release()
        except Exception as error:
            print(f"release: {error}", file=sys.stderr)

    def move(self, peer, write, size, wait=0.0, slice=0):
        """One transfer, until it is done or fails."""
        handle = self.request(peer, write, size, slice)
        state = self.post(handle, write, size)
        if state:
            time.sleep(wait)
            self.end(handle, write, size, state)
        self.release(handle)

    def move_many(self, peer, count, slice):
        choose = random.Random(slice)
        for i in range(count):
            late = 0.001 if i % 50 == 0 else 0
            self.move(peer, i % 3 == 0, choose.choice(SIZES), late, slice)

    def move_in_threads(self, peer, count):
        threads = [threading.Thread(target=self.move_many, args=(peer, count // SLICES, slice)) for slice in range(SLICES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # Each kind of end that only the application knows.

    def release_early(self, peer):
        handle = self.request(peer, False, SIZE)
        state = self.post(handle, False, SIZE)
        self.book(False, "released" if state == "PROC" else "completed_in_post", SIZE)
        self.release(handle)

    def post_again(self, peer):
        handle = self.request(peer, True, 4096)
        for _ in range(3):
            self.end(handle, True, 4096, self.post(handle, True, 4096))
        self.release(handle)

    def post_while_active(self, peer):
        handle = self.request(peer, True, SIZE)
        state = self.post(handle, True, SIZE)
        if state == "PROC":
            try:
                again = self.agent.transfer(handle)
            except Exception as error:
                assert "RepostActive" in type(error).__name__, error
                self.book(True, "failed", SIZE)
            else:  # the first one was done, and no look has seen it
                self.book(True, "unknown", SIZE)
                state = again
        self.end(handle, True, SIZE, state)
        self.release(handle)

    def refused(self, call, *arguments):
        try:
            call(*arguments)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        else:
            sys.exit(f"NIXL took a call that is wrong: {call.__name__}{arguments}")

    def ask_for_what_is_wrong(self, peer):
        """No post comes of it: another number of bytes, an unknown peer, memory that nobody registered, and calls that name peers."""
        strange = np.zeros(4096, dtype=np.uint8)
        for name, address, size in (
            (peer.name, self.memory.ctypes.data, 128),
            ("nobody", self.memory.ctypes.data, 64),
            (peer.name, strange.ctypes.data, 64),
        ):
            local = self.agent.get_xfer_descs([(address, 64, 0)], "DRAM")
            remote = self.agent.get_xfer_descs([(peer.address, size, 0)], "DRAM")
            self.refused(self.agent.initialize_xfer, "READ", local, remote, name, b"")
        self.refused(self.agent.add_remote_agent, b"no metadata")
        self.refused(self.agent.make_connection, "nobody")
        self.refused(self.agent.send_notif, "nobody", b"x")

    def let_go(self, peer):
        """Nobody looks, and the handle's object goes."""
        handle = self.request(peer, True, SIZE)
        state = self.post(handle, True, SIZE)
        self.book(True, "released" if state == "PROC" else "completed_in_post", SIZE)
        del handle

    def remove_in_flight(self, peer):
        handle = self.request(peer, False, SIZE)
        state = self.post(handle, False, SIZE)
        self.agent.remove_remote_agent(peer.name)
        self.end(handle, False, SIZE, state)
        self.release(handle)

    def lose(self, peer):
        """The peer is killed with a transfer on the wire."""
        handles = [self.request(peer, write, SIZE, slice) for slice, write in enumerate((False, True))]
        states = [self.post(handle, write, SIZE) for handle, write in zip(handles, (False, True))]
        peer.kill()
        for handle, write, state in zip(handles, (False, True), states):
            if state:
                self.end(handle, write, SIZE, state)
            self.release(handle)

    def post_to_the_dead(self, peer, handles):
        peer.kill()
        for write, handle in handles.items():
            state = self.post(handle, write, 4096)
            if state:
                self.end(handle, write, 4096, state)
            self.release(handle)

    def post_to_the_removed(self, peer, handle):
        self.agent.remove_remote_agent(peer.name)
        state = self.post(handle, False, 4096)
        if state:
            self.end(handle, False, 4096, state)
        self.release(handle)

    def fail(self, peer):
        self.move(peer, False, SIZE, wait=2)
        self.release_early(peer)
        self.let_go(peer)
        self.post_again(peer)
        self.post_while_active(peer)
        self.ask_for_what_is_wrong(peer)
        second, third = Peer(self.agent), Peer(self.agent)
        self.post_to_the_dead(second, {write: self.request(second, write, 4096) for write in (False, True)})
        self.post_to_the_removed(third, self.request(third, False, 4096))
        third.kill()
        fourth = Peer(self.agent)
        self.remove_in_flight(fourth)
        fourth.kill()
        self.lose(peer)


def initiator(count, mode):
    if mode != "events":
        assert told().watch(api)
    made = Initiator()
    peer = Peer(made.agent)
    made.move_in_threads(peer, count)
    if mode == "killed":
        for slice in range(SLICES):
            handle = made.request(peer, False, SIZE, slice)
            state = made.post(handle, False, SIZE)
            made.book(False, "lost" if state == "PROC" else "completed_in_post", SIZE)
            made.kept = getattr(made, "kept", []) + [handle]
    elif mode == "told":
        made.fail(peer)
    time.sleep(0.5)  # NIXL passes its events every 0.1 s, and none when an agent ends
    print(json.dumps(made.books), flush=True)
    if mode == "killed":
        sys.stdin.readline()  # until the exporter has seen them
    peer.kill()
    os.kill(os.getpid(), signal.SIGKILL)  # an agent whose peer was killed may wait for it when it is destroyed


if __name__ == "__main__":
    if sys.argv[1] == "target":
        target()
    else:
        initiator(int(sys.argv[2]), sys.argv[3])
