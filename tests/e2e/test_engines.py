# SPDX-License-Identifier: Apache-2.0
"""kvtel replay on recordings of real servers, against those servers' own /metrics and log."""

from pathlib import Path

import pytest

from tests.model import compare, intervals, recording

ENGINES = Path(__file__).resolve().parents[1] / "data" / "engines"
RECORDINGS = sorted(ENGINES.glob("*/*.jsonl"))


def name_of(path):
    return f"{path.parent.name}-{path.stem}"


@pytest.mark.parametrize("path", [path for path in RECORDINGS if path.with_suffix(".prom").exists()], ids=name_of)
def test_metrics_of_engine(path, replay):
    """The servers ran vLLM 0.32, which lacks families of later versions: what they did export must be there and equal."""
    wanted, got = (compare.samples(text) for text in (path.with_suffix(".prom").read_text(), replay(path).text))
    assert wanted.keys() - got.keys() == set()
    assert compare.value_differences(wanted, got) == []


@pytest.mark.parametrize("path", [path for path in RECORDINGS if path.with_suffix(".vllm-log").exists()], ids=name_of)
def test_log_of_engine(path, replay, tmp_path):
    lines = path.with_suffix(".vllm-log").read_text().splitlines()
    for i, (objects, own_lines) in enumerate(intervals.with_log_marks(recording.read(path), lines)):
        for written in recording.write(objects, tmp_path / f"marked_{i}"):
            assert compare.log_differences(own_lines, replay(written).lines) == []
