# SPDX-License-Identifier: Apache-2.0
"""KVTEL_AT: recording in the engine core or in the workers, in processes of their own, with stand-ins for vLLM's modules."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))
from exporter import KVTEL, PATIENCE, Exporter, wait_for  # noqa: E402

STAND_INS = Path(__file__).parent / "stand_ins"
pytestmark = pytest.mark.skipif(
    not os.access(KVTEL, os.X_OK) or importlib.util.find_spec("vllm") is not None,
    reason="no kvtel in $KVTEL, or vLLM itself",
)

# vLLM's processes in one: a worker for each rank, the engine core, and the frontend.
PROGRAM = """
import logging, sys
from types import SimpleNamespace
logging.basicConfig(level=logging.INFO)
from vllm.plugins import load_general_plugins
load_general_plugins()
load_general_plugins()  # as vLLM may
from vllm.config import KVTransferConfig
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory, KVConnectorRole, KVConnectorStats
from vllm.v1.core.sched.scheduler import AsyncScheduler
load_general_plugins()

def config_of(rank, connector="NixlConnector"):
    parallel = SimpleNamespace(data_parallel_rank=0, data_parallel_index=3, rank=rank)
    return SimpleNamespace(kv_transfer_config=KVTransferConfig(connector), parallel_config=parallel,
        model_config=SimpleNamespace(served_model_name=["m"]))

def payload_of(rank, step):
    keys = ("num_failed_transfers", "num_failed_notifications", "num_failed_handshakes", "num_kv_expired_reqs",
        "num_notifications_after_expiry")
    return {"transfer_duration": [0.5], "post_duration": [0.25], "bytes_transferred": [2**rank * 1024],
        "num_descriptors": [step], **{key: [] for key in keys}}

RANKS, STEPS = range(2), range(1, 6)
workers = [KVConnectorFactory.create_connector(config_of(rank), KVConnectorRole.WORKER, None) for rank in RANKS]
other = KVConnectorFactory.create_connector(config_of(0), KVConnectorRole.SCHEDULER, kv_cache_config=None)
scheduler = AsyncScheduler(config_of(0), log_stats=LOG_STATS)
frontend = None
if FRONTEND:
    from kvtel.vllm import StatLogger
    frontend = StatLogger(config_of(0), 3)
    frontend.log_engine_initialized()
for step in STEPS:
    merged = {}
    for rank, worker in enumerate(workers):
        worker.stats.append(payload_of(rank, step))
        stats = worker.get_kv_connector_stats()
        assert stats.data == payload_of(rank, step)
        for key, values in stats.data.items():
            merged.setdefault(key, []).extend(values)
    assert workers[0].get_kv_connector_stats() is None
    other.stats.append(payload_of(0, step))
    assert other.get_kv_connector_stats().data
    made = scheduler.make_stats(None, KVConnectorStats(merged))
    scheduler.make_stats()
    if LOG_STATS:
        assert made.kv_connector_stats == merged
    if frontend:
        frontend.record(made, None, None, 3)
        frontend.record(scheduler.make_stats(kv_connector_stats=None), None, None, 3)
        frontend.log()
"""


def run(program, directory, **environment):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("KVTEL_", "VLLM_"))},
        "PYTHONPATH": str(STAND_INS),
        "KVTEL_STORE_DIR": str(directory),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=5 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def program_of(frontend=True, log_stats=True):
    return PROGRAM.replace("LOG_STATS", str(log_stats)).replace("FRONTEND", str(frontend))


def page_of(directory, *arguments):
    """The samples of the count of bytes, once they are there."""
    with Exporter(directory, *arguments) as exporter:
        found = {}

        def is_there():
            found.update(
                {name: value for name, value in exporter.samples().items() if "nixl_bytes_transferred_" in name}
            )
            return any(name.startswith("vllm:nixl_bytes_transferred_sum") for name in found)

        wait_for(is_there)
    return {name.split("nixl_bytes_transferred_")[1]: value for name, value in found.items() if "bucket" not in name}


ONCE = {'count{engine="3",model_name="m"}': 10.0, 'sum{engine="3",model_name="m"}': 5 * 3072.0}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"KVTEL_AT": "frontend", "VLLM_USE_RUST_FRONTEND": "1"},
        {"KVTEL_AT": "engine"},
        {"VLLM_USE_RUST_FRONTEND": "1"},
    ],
    ids=lambda environment: " ".join("=".join(pair) for pair in environment.items()) or "default",
)
def test_exactly_once(tmp_path, environment):
    log = run(program_of(), tmp_path, **environment)
    assert page_of(tmp_path) == ONCE
    assert len(list(tmp_path.glob("*.kvtel"))) <= 1 and "WARNING" not in log


def test_in_the_engine_core_without_a_frontend(tmp_path):
    """As under vLLM's Rust frontend, and as the class LLM does it, which makes no SchedulerStats."""
    for log_stats in (True, False):
        directory = tmp_path / str(log_stats)
        directory.mkdir(mode=0o700)
        log = run(program_of(frontend=False, log_stats=log_stats), directory, KVTEL_AT="engine")
        assert page_of(directory) == ONCE and f"KV connector stats go to {directory}" in log


@pytest.mark.parametrize("at, rank", [("engine", ""), ("worker", ',rank="0"')])
def test_an_idle_engine_is_there_at_zero(tmp_path, at, rank):
    """From its first step on, as vLLM's page shows an engine that has moved nothing."""
    begin = program_of(frontend=False).split("for step in STEPS:")[0]
    run(begin + "scheduler.make_stats()\nworkers[0].get_kv_connector_stats()", tmp_path, KVTEL_AT=at)
    wanted = {f'{kind}{{engine="3",model_name="m"{rank}}}': 0.0 for kind in ("count", "sum")}
    assert page_of(tmp_path) == wanted


@pytest.mark.parametrize("to_dict", [True, False], ids=["vLLM 0.32", "vLLM 0.26"])
def test_each_worker_with_its_rank(tmp_path, to_dict):
    program = program_of()
    if not to_dict:
        program = program.replace("RANKS, STEPS =", "del KVConnectorStats.to_dict\nRANKS, STEPS =")
    log = run(program, tmp_path, KVTEL_AT="worker")
    wanted = {
        f'{kind}{{engine="3",model_name="m",rank="{rank}"}}': value
        for rank in range(2)
        for kind, value in (("count", 5.0), ("sum", 5 * 2**rank * 1024.0))
    }
    assert page_of(tmp_path, "--store.rank-label") == wanted
    assert "KVTEL_AT=worker: KV connector stats are recorded there" in log


@pytest.mark.parametrize(
    "at, module, name",
    [
        ("engine", "vllm.v1.core.sched.scheduler", "Scheduler"),
        ("worker", "vllm.distributed.kv_transfer.kv_connector.factory", "KVConnectorFactory"),
    ],
)
def test_a_vllm_that_has_no_such_place(tmp_path, at, module, name):
    program = f"""
import sys, types
import {module.rsplit(".", 1)[0]}
sys.modules["{module}"] = types.ModuleType("{module}")
from kvtel.vllm_process import register
register()
register()
"""
    log = run(program, tmp_path, KVTEL_AT=at)
    assert log.count(f"has no {name}.") == 1


def test_a_place_that_is_none(tmp_path):
    log = run("from kvtel.vllm_process import register\nregister()\nregister()", tmp_path, KVTEL_AT="moon")
    assert log.count("KVTEL_AT=moon") == 1 and "frontend" in log


def test_nothing_is_raised_into_the_engine(tmp_path):
    program = """
from types import SimpleNamespace
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm.v1.core.sched.scheduler import Scheduler
class Stats:
    def to_dict(self):
        return {"x": object()}
class Broken:
    def to_dict(self):
        raise RuntimeError("broken")
for config in (None, SimpleNamespace(), SimpleNamespace(kv_transfer_config=SimpleNamespace(kv_connector="NixlConnector"))):
    scheduler = Scheduler(config)
    for _ in range(3):
        assert scheduler.make_stats(kv_connector_stats=Stats()).kv_connector_stats
    scheduler.log_stats = False
    assert scheduler.make_stats(kv_connector_stats=Broken()) is None
    try:
        Scheduler(config).make_stats(kv_connector_stats=Broken())
    except RuntimeError:
        pass  # vLLM's own
    else:
        raise AssertionError
"""
    assert "Traceback" not in run(program, tmp_path, KVTEL_AT="engine")


def test_the_frontend_imports_nothing_of_the_engine(tmp_path):
    program = """
import sys
from vllm.plugins import load_general_plugins
load_general_plugins()
names = [name for name in sys.modules if name.startswith(("vllm.v1", "vllm.distributed", "nixl"))]
assert names == [], names
"""
    for at in ("frontend", "engine", "worker"):
        run(program, tmp_path, KVTEL_AT=at, KVTEL_NIXL="1")


def test_a_child_of_a_fork_of_the_engine_core(tmp_path):
    fork = "import os\nif os.fork() == 0:\n    scheduler.make_stats(None, KVConnectorStats(payload_of(0, 1)))\nelse:\n    assert os.wait()[1] == 0\n"
    run(program_of(frontend=False) + fork, tmp_path, KVTEL_AT="engine")
    assert len(list(tmp_path.glob("*.kvtel"))) == 2
    assert page_of(tmp_path)['count{engine="3",model_name="m"}'] == 11.0


PASSED_ON = """
import sys, types
from vllm.plugins import load_general_plugins
LOAD_BEFORE
import vllm.ray.ray_env as ray_env
load_general_plugins()
print(sorted(getattr(ray_env, "DEFAULT_ENV_VAR_PREFIXES", [])), file=sys.stderr)
"""


@pytest.mark.parametrize("load_before", ["", "load_general_plugins()"], ids=["imported before the plugin", "imported after it"])
@pytest.mark.parametrize(
    "module, passed_on",
    [
        ("DEFAULT_ENV_VAR_PREFIXES = {'VLLM_', 'NCCL_'}\n", "['KVTEL_', 'NCCL_', 'VLLM_']"),
        ("DEFAULT_ENV_VAR_PREFIXES = ('VLLM_',)\n", "['VLLM_']"),
        ("", "[]"),
    ],
    ids=["a set", "something else", "a vLLM without it"],
)
def test_variables_are_passed_on_to_actors_of_ray(tmp_path, module, passed_on, load_before):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/__init__.py").touch()
    (tmp_path / "ray/ray_env.py").write_text(module)
    extend = f"import vllm\nvllm.__path__.append({str(tmp_path)!r})\n"
    log = run(extend + PASSED_ON.replace("LOAD_BEFORE", load_before), tmp_path, KVTEL_AT="worker")
    assert log.splitlines()[-1] == passed_on
