# SPDX-License-Identifier: Apache-2.0
"""What kvtel exports, read by others: prometheus_client's parsers, and promtool with its lint."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter import PATIENCE, Exporter, Writer, wait_for

DATA = Path(os.environ.get("KVTEL_TEST_DATA", Path(__file__).resolve().parents[1] / "data"))
GOLDEN = sorted((DATA / "golden").glob("*.prom"))

# What promtool may say: docs/metrics-lint.md explains each.
FORCED_COMPLAINTS = [re.compile(r"vllm:\w+ metric names should not contain ':'")]


class Parsed:
    """A registry of what was parsed."""

    def __init__(self, text, parse=text_string_to_metric_families):
        self.families = list(parse(text))

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


def assert_openmetrics_says_the_same(text, openmetrics_text):
    """Its parser is strict: names, suffixes, units, counts of buckets and the end are checked."""
    plain = Parsed(text)
    strict = Parsed(openmetrics_text, openmetrics.text_string_to_metric_families)
    assert strict.samples() == plain.samples()
    by_name = {family.name: family for family in plain.families}
    for family in strict.families:
        assert family.documentation == by_name[family.name].documentation and family.type == by_name[family.name].type
        assert family.unit == "" or family.name.endswith("_" + family.unit)
    assert [f.name for f in strict.families] == list(by_name)


def test_openmetrics_says_the_same(kvtel, golden):
    text, openmetrics_text = (
        subprocess.run(
            [kvtel, "replay", "--metrics.output=-", f"--metrics.format={name}", golden.with_suffix(".jsonl")],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        for name in ("text", "openmetrics")
    )
    assert_openmetrics_says_the_same(text, openmetrics_text)


def test_openmetrics_of_a_whole_exporter(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 20).done()
    with Exporter(stores, "--web.enable-stats-receiver", f"--nixl.telemetry-dir={tmp_path}/rings") as exporter:
        wait_for(lambda: "vllm:nixl_xfer_time_seconds" in exporter.text(), "the store")
        families = openmetrics.text_string_to_metric_families(
            exporter.text(headers={"Accept": "application/openmetrics-text"})
        )
        units = {family.name: family.unit for family in families}
    writer.end()
    assert {"process_cpu_seconds": "seconds", "vllm:nixl_xfer_time_seconds": "seconds", "kvtel_stores": ""}.items() <= (
        units.items()
    )


def test_a_format_that_is_not_there(kvtel, golden):
    done = subprocess.run(
        [kvtel, "replay", "--metrics.format=xml", golden.with_suffix(".jsonl")], capture_output=True, text=True
    )
    assert done.returncode == 2 and 'not "xml"' in done.stderr and "openmetrics" in done.stderr


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
