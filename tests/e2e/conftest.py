# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the repository's root on the import path, and kvtel replay as a function."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_machine import Machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def kvtel():
    """The binary: $KVTEL, or the one of the usual build folder."""
    path = Path(os.environ.get("KVTEL", ROOT / "build" / "kvtel"))
    if not path.is_file():
        pytest.fail(f"no kvtel at {path}: build it, or say where it is in $KVTEL")
    return path


@pytest.fixture
def replay(kvtel, tmp_path):
    """Replays a recording: what it logged, exported and aggregated. `by_stdin`: the recording goes through standard input."""

    def run(recording, by_stdin=False):
        log, metrics, aggregated = (tmp_path / name for name in ("log", "metrics", "aggregated"))
        outputs = ["--log.output", log, "--metrics.output", metrics, "--aggregated.output", aggregated]
        command = [kvtel, "replay", "--log.style=vllm", *outputs, "-" if by_stdin else recording]
        with recording.open("rb") as content:
            done = subprocess.run(
                command, stdin=content if by_stdin else subprocess.DEVNULL, capture_output=True, timeout=120
            )
        errors = done.stderr.decode(errors="replace")
        assert done.returncode == 0, f"kvtel replay ended with {done.returncode}: {errors}"
        return SimpleNamespace(
            lines=[without_prefix(line) for line in log.read_text().splitlines()],
            text=metrics.read_text(),
            aggregated=[json.loads(line) for line in aggregated.read_text().splitlines()],
            errors=errors,
        )

    return run


def without_prefix(line):
    """A log line from vLLM's own words on: a logger may put the time before them."""
    _, found, rest = line.partition("KV Transfer metrics: ")
    return found + rest if found else line


@pytest.fixture
def stores(tmp_path):
    directory = tmp_path / "stores"
    directory.mkdir()
    return directory


@pytest.fixture
def machine(tmp_path, stores):
    """A machine that is made up, for kvtel doctor."""
    return Machine(tmp_path / "root", stores)
