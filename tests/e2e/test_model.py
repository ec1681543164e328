# SPDX-License-Identifier: Apache-2.0
"""The model itself, against what real vLLM and its real servers wrote."""

import json
from pathlib import Path

import pytest

from tests.model import compare, intervals, prom, recording

DATA = Path(__file__).resolve().parents[1] / "data"
CASES = sorted(path.with_suffix("") for path in (DATA / "golden").glob("*.prom"))
FAMILIES = json.loads((DATA / "golden" / "families.json").read_text())
ENGINES = sorted((DATA / "engines").glob("*/*.jsonl"))


@pytest.mark.parametrize("form", ["jsonl", "mp"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_model_agrees_with_golden(case, form):
    outcome = recording.Outcome(recording.read(case.with_suffix("." + form)))
    wanted = [json.loads(line) for line in case.with_suffix(".aggregated.jsonl").read_text().splitlines()]
    assert outcome.text == case.with_suffix(".prom").read_text()
    assert outcome.lines == case.with_suffix(".log").read_text().splitlines()
    assert compare.aggregated_differences(wanted, outcome.aggregated) == []
    assert not outcome.refused or case.name == "no_stats_connector"


@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry["kv_transfer_config"]["kv_connector"])
def test_model_makes_the_families(entry):
    made = prom.Prom({"model_name": "m", "engines": [0]} | entry).metrics
    assert [described(family) for family in every_family(made)] == entry["families"]


def every_family(metrics):
    if metrics is None:
        return []
    children = [family for child in getattr(metrics, "children", {}).values() for family in every_family(child)]
    return [*metrics.families.values(), *children]


def described(family):
    [metric] = family.describe()
    total = "_total" if metric.type == "counter" and family_name(family).endswith("_total") else ""
    entry = {"name": metric.name + total, "type": metric.type, "labels": list(family._labelnames[2:])}
    return entry | {"buckets": list(family._kwargs["buckets"])} if metric.type == "histogram" else entry


def family_name(family):
    return family._documentation  # the model has no help texts: it puts the name there


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_model_agrees_with_engine(path):
    objects = recording.read(path)
    exported, logged = path.with_suffix(".prom"), path.with_suffix(".vllm-log")
    if exported.exists():
        wanted, got = compare.samples(exported.read_text()), compare.samples(recording.Outcome(objects).text)
        assert wanted.keys() <= got.keys()
        assert compare.value_differences(wanted, got) == []
    if logged.exists():
        for marked, lines in intervals.with_log_marks(objects, logged.read_text().splitlines()):
            assert recording.Outcome(marked).lines == lines
