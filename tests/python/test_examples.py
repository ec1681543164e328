# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/ in Python: each runs as it is, and counts what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))
from exporter import KVTEL, PATIENCE, Exporter, wait_for  # noqa: E402

pytestmark = pytest.mark.skipif(not os.access(KVTEL, os.X_OK), reason="no kvtel in $KVTEL")


def run(path, directory):
    environment = {**os.environ, "KVTEL_STORE_DIR": str(directory)}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, timeout=5 * PATIENCE)
    assert done.returncode == 0, done.stderr


def samples_of(exporter):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exporter.text())
        for sample in family.samples
    }


def test_pool(tmp_path):
    run(ROOT / "examples/python/pool.py", tmp_path)
    with Exporter(tmp_path) as exporter:

        def is_counted():
            samples = samples_of(exporter)
            return (
                [samples.get(("router_requests_total", (("backend", f"decode-{i}"),))) for i in range(3)] == [100.0] * 3
                and samples["router_wait_seconds_count", ()] == 300
                and {value for (name, _), value in samples.items() if name == "router_running"} == {0.0}
            )

        wait_for(is_counted)
