# SPDX-License-Identifier: Apache-2.0
"""kvtel's metrics in processes that fork and are killed, beside prometheus_client's multiprocess mode doing the same work."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))
from exporter import KVTEL, PATIENCE, Exporter, wait_for  # noqa: E402

PROCESSES, STEPS = 8, 300

# Forks eight workers, which inherit the metrics and count; half of them kill themselves, in the midst of a sum.
PROGRAM = """
import os, signal
from LIBRARY import Counter, Gauge, Histogram

jobs = Counter("jobs", "Jobs.", ["worker"])
waits = Histogram("wait_seconds", "Waits.", buckets=[1, 10])
running = Gauge("running", "Jobs that run.", multiprocess_mode="livesum")
newest = Gauge("newest", "The newest step.", multiprocess_mode="mostrecent")
jobs.labels("parent").inc(1000)

def work(worker):
    for step in range(1, STEPS + 1):
        jobs.labels(worker).inc()
        waits.observe(step % 4 * 4)
        running.inc()
        newest.set(step)
    if worker % 2:
        os.kill(os.getpid(), signal.SIGKILL)

pids = []
for worker in range(PROCESSES):
    pid = os.fork()
    if pid == 0:
        try:
            work(worker)
        finally:
            os._exit(0)
    pids.append(pid)
ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
assert ends == [0, -signal.SIGKILL] * (PROCESSES // 2), ends
jobs.labels("parent").inc(1)
"""

# Merges the files of the multiprocess mode, as a program's page does.
PAGE = """
import sys
from prometheus_client import CollectorRegistry, multiprocess
from prometheus_client.openmetrics.exposition import generate_latest
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
sys.stdout.write(generate_latest(registry).decode())
"""


def run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=10 * PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def program_of(library):
    return PROGRAM.replace("LIBRARY", library).replace("STEPS", str(STEPS)).replace("PROCESSES", str(PROCESSES))


def samples_of(page):
    parse = openmetrics.text_string_to_metric_families if page.endswith("# EOF\n") else text_string_to_metric_families
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(page)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def jobs_of(samples):
    return {dict(labels)["worker"]: value for (name, labels), value in samples.items() if name == "jobs_total"}


WANTED_JOBS = {"parent": 1001.0, **{str(worker): float(STEPS) for worker in range(PROCESSES)}}


def check_sums(samples):
    assert jobs_of(samples) == WANTED_JOBS
    assert samples["wait_seconds_count", ()] == PROCESSES * STEPS
    assert samples["wait_seconds_sum", ()] == PROCESSES * STEPS * 6
    assert samples["wait_seconds_bucket", (("le", "1.0"),)] == PROCESSES * STEPS / 4
    assert samples["newest", ()] == STEPS


@pytest.mark.skipif(not os.access(KVTEL, os.X_OK), reason="no kvtel in $KVTEL")
def test_eight_processes_of_which_four_are_killed(tmp_path):
    run(program_of("kvtel"), KVTEL_STORE_DIR=str(tmp_path))
    with Exporter(tmp_path) as exporter:
        samples = {}

        def is_complete():  # the ended stores move into the totals, whatever that takes
            with urllib.request.urlopen(exporter.url(), timeout=PATIENCE) as answer:
                samples.update(samples_of(answer.read().decode()))
            return jobs_of(samples) == WANTED_JOBS

        wait_for(is_complete, lambda: f"{WANTED_JOBS} in {samples}")
    check_sums(samples)
    gauges = [value for (name, _), value in samples.items() if name == "running"]
    assert sorted(gauges) == [0.0] + [float(STEPS)] * PROCESSES  # one of each process, by the label pid


def test_prometheus_client_doing_the_same(tmp_path):
    """Its files keep what killed processes counted, too. What it loses: a gauge of the dead stays in a sum until the program says which
    process died, exemplars, removed label sets. Files of the dead are never put together: each start of the program adds nine."""
    program = program_of("prometheus_client").replace("step % 4 * 4)", "step % 4 * 4, {'trace_id': 'x'})") + "jobs.remove('parent')"
    run(program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    page = run(PAGE, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    check_sums(samples_of(page))
    assert samples_of(page)["running", ()] == PROCESSES * STEPS and "trace_id" not in page
    files = len(list(tmp_path.glob("*.db")))
    run(program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert files > PROCESSES and len(list(tmp_path.glob("*.db"))) > files


def test_a_fork_in_a_fork(tmp_path):
    program = """
import os, kvtel
jobs = kvtel.Counter("jobs", "Jobs.", ["a"])
child = jobs.labels("x")
child.inc()
for _ in range(3):
    pid = os.fork()
    if pid:
        break
    child.inc()
jobs.remove("x")
if pid:
    os.waitpid(pid, 0)
    child.inc()
"""
    run(program, KVTEL_STORE_DIR=str(tmp_path))
    assert len(list(tmp_path.glob("*.kvtel"))) == 4


def test_removed_children_stay_away_after_a_fork(tmp_path):
    program = """
import os, kvtel
jobs = kvtel.Counter("jobs", "Jobs.", ["a"])
old = jobs.labels("old")
jobs.remove("old")
pid = os.fork()
old.inc()
jobs.labels("new").inc()
assert kvtel.REGISTRY.get_sample_value("jobs_total", {"a": "old"}) is None
assert kvtel.REGISTRY.get_sample_value("jobs_total", {"a": "new"}) == 1
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    run(program, KVTEL_STORE_DIR=str(tmp_path))


@pytest.mark.parametrize(
    "fault",
    ['os.environ["KVTEL_STORE_MODE"] = "99"', "kvtel.REGISTRY._open_store = [].pop"],
    ids=["a store with a warning", "no store"],
)
def test_a_handler_of_log_lines_counts_those_of_kvtel(tmp_path, fault):
    """What a child logs of its store, it logs while it makes a metric's child; the handler comes back to the same metric."""
    program = """
import logging, os, kvtel
lines = kvtel.Counter("log_lines", "Lines.", ["level"])
class Handler(logging.Handler):
    def emit(self, record):
        lines.labels(record.levelname).inc()
logging.getLogger().addHandler(Handler())
child = os.fork()
if child == 0:
    FAULT
    logging.getLogger().error("the first line of the child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {**os.environ, "KVTEL_STORE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", program.replace("FAULT", fault)]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
    assert "Traceback" not in done.stderr

