# SPDX-License-Identifier: Apache-2.0
"""kvtel replay against the model, on random recordings: good ones, and ones with fields and rows that must be refused.

KVTEL_DIFFERENTIAL_SEEDS (default 80) recordings per connector, from seed KVTEL_DIFFERENTIAL_FIRST_SEED (default 0) on."""

import os

import pytest

from tests.model import compare, generate

FIRST_SEED = int(os.environ.get("KVTEL_DIFFERENTIAL_FIRST_SEED", 0))
SEEDS = range(FIRST_SEED, FIRST_SEED + int(os.environ.get("KVTEL_DIFFERENTIAL_SEEDS", 80)))


@pytest.mark.parametrize("spoiled", [False, True], ids=["good", "spoiled"])
@pytest.mark.parametrize("connector", generate.CONNECTORS)
def test_differential(connector, spoiled, replay, tmp_path):
    failures = []
    for seed in SEEDS:
        paths, outcome = generate.write_case(generate.recording(seed, connector, spoiled), tmp_path / "case")
        for path in paths:
            differences = differences_of(outcome, replay(path), spoiled)
            if differences:
                command = f"python -m tests.model.generate --seed {seed} --connector {connector}{' --spoil' * spoiled} --out DIR"
                failures.append(f"{path.suffix}: {'; '.join(differences)[:1000]}\n    {command}")
    assert not failures, f"{len(failures)} recordings differ:\n" + "\n".join(failures[:5])


def differences_of(outcome, got, spoiled):
    tidy = compare.without_nothing if spoiled else compare.as_it_is
    return (
        compare.exposition_differences(outcome.text, got.text)
        + compare.count_differences(outcome, got.text)
        + compare.log_differences(outcome.lines, got.lines)
        + compare.aggregated_differences(outcome.aggregated, got.aggregated, tidy)
    )
