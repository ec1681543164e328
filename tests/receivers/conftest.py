# SPDX-License-Identifier: Apache-2.0
"""Tests with receivers that build.sh builds: ./run receivers-test."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
BUILT = Path(os.environ.get("KVTEL_RECEIVERS", ROOT / "build" / "receivers"))


@pytest.fixture(scope="session")
def program():
    """The program of a name."""

    def find(name):
        assert (BUILT / name).is_file(), f"{BUILT / name} is not built: tests/receivers/build.sh"
        return BUILT / name

    return find


@pytest.fixture
def stores(tmp_path):
    directory = tmp_path / "stores"
    directory.mkdir()
    return directory
