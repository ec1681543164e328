# SPDX-License-Identifier: Apache-2.0
"""What kvtel exports, read by others: prometheus_client's parser, and promtool with its lint."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

DATA = Path(os.environ.get("KVTEL_TEST_DATA", Path(__file__).resolve().parents[1] / "data"))
GOLDEN = sorted((DATA / "golden").glob("*.prom"))

# What promtool may say: docs/metrics-lint.md explains each.
FORCED_COMPLAINTS = [re.compile(r"vllm:\w+ metric names should not contain ':'")]


class Parsed:
    """A registry of what was parsed."""

    def __init__(self, text):
        self.families = list(text_string_to_metric_families(text))

    def collect(self):
        return self.families

    def samples(self):
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for f in self.families
            for sample in f.samples
        }


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request):
    return request.param


def exported(replay, golden):
    return replay(golden.with_suffix(".jsonl")).text


def test_prometheus_client_prints_the_same(replay, golden):
    """Read by prometheus_client and printed again, not a byte differs: names, order, escapes and numbers are as it writes them."""
    text = exported(replay, golden)
    assert generate_latest(Parsed(text)).decode() == text


def test_values_are_those_of_vllm(replay, golden):
    samples = Parsed(exported(replay, golden)).samples()
    for key, value in Parsed(golden.read_text()).samples().items():
        name = key[0]
        assert samples[key] == (pytest.approx(value, rel=1e-9) if name.endswith("_sum") or value % 1 else value), key


def test_promtool_finds_only_what_the_names_force(replay, golden):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=exported(replay, golden), capture_output=True, text=True
    )
    assert done.returncode in (0, 3), done.stderr  # 3: complaints
    complaints = done.stderr.splitlines() + done.stdout.splitlines()
    assert [line for line in complaints if not any(rule.fullmatch(line) for rule in FORCED_COMPLAINTS)] == []
