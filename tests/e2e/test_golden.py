# SPDX-License-Identifier: Apache-2.0
"""kvtel replay on every golden case, in both forms and through standard input, against what vLLM made of it."""

import json
from pathlib import Path

import pytest

from tests.model import compare, recording

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
CASES = sorted(path.with_suffix("") for path in GOLDEN.glob("*.prom"))
FAMILIES = json.loads((GOLDEN / "families.json").read_text())


@pytest.mark.parametrize("by_stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize("form", ["jsonl", "mp"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case, form, by_stdin, replay):
    got = replay(case.with_suffix("." + form), by_stdin)
    wanted = [json.loads(line) for line in case.with_suffix(".aggregated.jsonl").read_text().splitlines()]
    assert compare.exposition_differences(case.with_suffix(".prom").read_text(), got.text) == []
    assert compare.log_differences(case.with_suffix(".log").read_text().splitlines(), got.lines) == []
    assert compare.aggregated_differences(wanted, got.aggregated) == []


@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry["kv_transfer_config"]["kv_connector"])
def test_families(entry, replay, tmp_path):
    """A recording without payloads: every family of the configuration is there, in order, and no other."""
    configured = {key: entry[key] for key in ("kv_transfer_config", "kv_cache_metrics")}
    header = {"kvtel": 1, "model_name": "m", "engines": [0]} | configured
    wanted = [f"# TYPE {exposed_name(family)} {family['type']}" for family in entry["families"]]
    for path in recording.write([header], tmp_path / "header"):
        assert [line for line in compare.skeleton(replay(path).text) if line.startswith("# TYPE")] == wanted


def exposed_name(family):
    return family["name"].removesuffix("_total") + "_total" * (family["type"] == "counter")
