# SPDX-License-Identifier: Apache-2.0
"""kvtel.nixl: what it tells NIXL's plug-in, with a stand-in for NIXL's Python package and for the plug-in."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

STAND_INS = Path(__file__).parent / "stand_ins"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(STAND_INS), "KVTEL_NIXL": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class Library:
    """Keeps what it is told; raises where a test wants it."""

    def __init__(self):
        self.told, self.raises, self.open = [], False, {}

    def _tell(self, *what):
        if self.raises:
            raise OSError("no such function")
        self.told.append(what)

    def kvtel_nixl_outcome(self, handle, status):
        self._tell("outcome", handle, status)

    def kvtel_nixl_post(self, handle):
        return self.open.get(handle, 0)

    def kvtel_nixl_released(self, handle, post):
        self._tell("released", handle, post)

    def kvtel_nixl_peer(self, agent, name):
        self._tell("peer", agent, name)


@pytest.fixture
def nixl(monkeypatch):
    """The stand-in for NIXL, imported behind register(), and a library that NIXL has loaded."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("nixl_cu13", "vllm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.setenv("KVTEL_NIXL", "1")
    from kvtel import nixl as own

    monkeypatch.setattr("kvtel._hooks._said", set())
    library = Library()
    monkeypatch.setattr(own.plugin, "_library", library)
    own.register()
    own.register()
    from nixl_cu13 import _api as api

    agent = api.nixl_agent("local")
    yield SimpleNamespace(own=own, api=api, agent=agent, states=agent.agent.states, library=library, told=library.told)
    for name in [name for name in sys.modules if name.split(".")[0] in ("nixl_cu13", "vllm")]:
        del sys.modules[name]


def test_outcomes(nixl):
    handle = nixl.agent.make(7)
    for state in ("PROC", "PROC", "DONE"):
        nixl.states[7] = state
        call = nixl.agent.transfer if not nixl.told else nixl.agent.check_xfer_state
        assert call(handle) == state
    nixl.agent.release_xfer_handle(handle)
    nixl.agent.release_xfer_handle(handle)
    assert nixl.told == [("outcome", 7, 1), ("outcome", 7, 1), ("outcome", 7, 0)]  # nothing was open any more


def test_what_nixl_raises_is_told_and_raised(nixl):
    handle = nixl.agent.make(8)
    for error, status in (
        (nixl.api.nixlRemoteDisconnectError("x"), -10),
        (nixl.api.nixlBackendError("x"), -3),
        (ValueError("no status"), None),
    ):
        nixl.states[8] = error
        nixl.told.clear()
        for call in (nixl.agent.transfer, nixl.agent.check_xfer_state):
            with pytest.raises(type(error)):
                call(handle=handle)
        assert nixl.told == [("outcome", 8, status)] * 2 * (status is not None)


def test_a_release_that_fails_is_none(nixl):
    handle = nixl.agent.make(9)
    nixl.states[9], nixl.library.open[9] = "PROC", 90
    nixl.agent.transfer(handle)
    nixl.agent.agent.cannot_release.add(9)
    nixl.told.clear()
    with pytest.raises(nixl.api.nixlBackendError):
        handle.release()
    assert nixl.told == []
    nixl.agent.agent.cannot_release.clear()
    handle.release()
    assert nixl.told == [("released", 9, 90)]


def test_a_handle_that_goes_out_of_use(nixl):
    released, kept = nixl.agent.make(10), nixl.agent.make(11)
    for handle in (released, kept):
        nixl.states[handle._handle], nixl.library.open[handle._handle] = "PROC", 10 * handle._handle
        nixl.agent.transfer(handle)
    nixl.agent.agent.cannot_release.add(11)
    nixl.told.clear()
    del released, kept, handle
    gc.collect()
    assert nixl.told == [("released", 10, 100)] and nixl.agent.agent._leaked_xfer_handles == [11]


def test_a_number_that_nixl_gave_to_another_handle(nixl, monkeypatch):
    """The second one is posted by another thread before the release of the first is told."""
    first, second = nixl.agent.make(12), nixl.agent.make(12)
    nixl.states[12], nixl.library.open[12] = "PROC", 120
    nixl.agent.transfer(first)
    release = nixl.agent.agent.releaseXferReq

    def release_and_post(number):
        release(number)
        nixl.library.open[12] = 121
        nixl.agent.transfer(second)

    monkeypatch.setattr(nixl.agent.agent, "releaseXferReq", release_and_post)
    nixl.told.clear()
    first.release()
    monkeypatch.undo()
    assert nixl.told == [("outcome", 12, 1), ("released", 12, 120)]


def test_nothing_is_raised_into_the_program(nixl, caplog):
    handle = nixl.agent.make(13)
    nixl.states[13] = "DONE"
    nixl.library.raises = True
    for _ in range(3):
        assert nixl.agent.transfer(handle) == "DONE" and nixl.agent.check_xfer_state(handle) == "DONE"
    handle.release()
    assert len(caplog.records) <= 3 and "OSError" in caplog.text
    nixl.library.raises = False
    nixl.states[14] = {"no": "state"}
    assert nixl.agent.transfer(nixl.agent.make(14)) == {"no": "state"}
    with pytest.raises(TypeError):
        nixl.agent.transfer()  # NIXL's own
    with pytest.raises(AttributeError):
        nixl.agent.transfer(None)


def test_without_the_plug_in_nothing_is_told(nixl, monkeypatch):
    monkeypatch.setattr(nixl.own.plugin, "_library", None)
    nixl.states[15] = "DONE"
    handle = nixl.agent.make(15)
    assert nixl.agent.transfer(handle) == "DONE"
    handle.release()
    assert nixl.told == []


def test_peers_by_vllms_engine_and_rank(nixl):
    from vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_worker import NixlBaseConnectorWorker

    worker = type("NixlPullConnectorWorker", (NixlBaseConnectorWorker,), {})()
    metadata = SimpleNamespace(engine_id="engine-7", agent_metadata=b"5a1c")
    assert worker.add_remote_agent(metadata, 1, remote_tp_size=2) == b"5a1c"
    assert worker.add_remote_agent(nixl_agent_meta=metadata, remote_tp_rank=3) == b"5a1c"
    assert worker.add_remote_agent(metadata) == b"5a1c"
    metadata.agent_metadata = "5a1c"  # as NIXL's annotation says
    assert worker.add_remote_agent(metadata, 4) == "5a1c"
    assert nixl.told == [("peer", b"5a1c", f"engine-7/{rank}".encode()) for rank in (1, 3, 0, 4)]
    assert worker.add_remote_agent(SimpleNamespace(agent_metadata=b"x")) == b"x"  # metadata that is not as known here


def test_a_nixl_that_is_not_as_known_here(nixl, caplog):
    empty = SimpleNamespace(__name__="nixl._api", nixl_agent=type("nixl_agent", (), {}))
    assert not nixl.own.watch(empty) and not nixl.own.watch(empty)
    nixl.own.watch_worker("Worker", SimpleNamespace(__name__="vllm.worker"))
    assert len(caplog.records) == 2


@pytest.mark.skipif(not shutil.which(os.environ.get("CC", "cc")), reason="no C compiler")
def test_the_library_that_is_loaded_is_found(tmp_path):
    """A library of the plug-in's name and functions, in the process as NIXL loads it."""
    source = tmp_path / "plugin.c"
    source.write_text("""
        #include <stdint.h>
        #include <stdio.h>
        void kvtel_nixl_outcome(uint64_t handle, int status) { printf("outcome %d %d\\n", (int)handle, status); fflush(stdout); }
        uint64_t kvtel_nixl_post(uint64_t handle) { return handle == 7 ? UINT64_MAX : 0; }
        void kvtel_nixl_released(uint64_t handle, uint64_t post) { printf("released %d %d\\n", (int)handle, post == UINT64_MAX); fflush(stdout); }
        void kvtel_nixl_peer(const char *agent, const char *name) { printf("peer %s %s\\n", agent, name); fflush(stdout); }
    """)
    library = tmp_path / "libtrace_backend_kvtel.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
    program = f"""
import ctypes
from vllm.plugins import load_general_plugins
load_general_plugins()
from types import SimpleNamespace
from vllm.distributed.kv_transfer.kv_connector.v1.nixl.base_worker import NixlBaseConnectorWorker
loaded = ctypes.CDLL({str(library)!r})
worker = NixlBaseConnectorWorker()
worker.add_remote_agent(SimpleNamespace(engine_id="e", agent_metadata=b"a"), 2)
agent = worker.nixl_wrapper
agent.agent.states[7] = "DONE"
handle = agent.make(7)
agent.transfer(handle)
handle.release()
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.split("\n")[:-1] == ["peer a e/2", "outcome 7 0", "released 7 1"], done.stderr


def test_nothing_is_wrapped_unless_it_is_asked_for():
    program = "from vllm.plugins import load_general_plugins\nload_general_plugins()\nimport nixl_cu13._api as api\nprint(hasattr(api.nixl_agent, '_kvtel_watches'))"
    for asked, wrapped in (("1", "True"), ("0", "False")):
        environment = {**ENVIRONMENT, "KVTEL_NIXL": asked}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == wrapped, done.stderr
