# SPDX-License-Identifier: Apache-2.0
"""A short soak: sources come and go for half a minute. ./run soak takes as long as it is told."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

import soak  # noqa: E402

SECONDS = 30


def test_half_a_minute():
    rows, warm, counted = soak.soak(SECONDS, soak.WRITER)
    assert counted["kvtel_stores_retired_total"] > 3  # even on a busy machine
    grown = soak.check_flat(rows, warm, ["memory_mb", "descriptors"])  # the CPU's time is for ./run soak to judge
    assert not grown or "KVTEL_SANITIZED" in os.environ, grown
