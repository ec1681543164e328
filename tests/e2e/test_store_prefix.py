# SPDX-License-Identifier: Apache-2.0
"""Prefixes of folds, read by the reader that was written from the manual of the format: every finished row counts once."""

import math
import os
import pathlib
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from store_reader import Store

PROGRAM = pathlib.Path(os.environ["KVTEL"]).parent / "tests" / "test_store_prefix"
CASES = ("integers", "more-integers", "mixed", "absent", "windows", "counters", "mixed-counters", "doubles")
EVERY = 61  # of the stores that add one to a cell; all prefixes are read by test_store_prefix.c


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    directory = tmp_path_factory.mktemp("folds")
    subprocess.run([PROGRAM, directory], check=True, stdout=subprocess.DEVNULL)
    return directory


def numbers(data):
    store = Store("the file", bytes(data))
    return [(s["count"], s["bins"], s["sum"], s["value"]) for s in store.series]


def assert_same(found, expected):
    for (count, bins, total, value), (other_count, other_bins, other_total, other_value) in zip(
        found, expected, strict=True
    ):
        assert count == other_count and bins == other_bins
        assert math.isclose(total, other_total, rel_tol=1e-12) and math.isclose(value, other_value, rel_tol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_each_prefix(folds, case):
    data = bytearray((folds / f"{case}.store").read_bytes())
    stores = list(struct.iter_unpack("=QQ", (folds / f"{case}.stores").read_bytes()))
    whole = bytearray(data)
    for at, value in stores:
        struct.pack_into("=Q", whole, at, value)
    expected = numbers(whole)
    last = -EVERY
    for i, (at, value) in enumerate(stores):
        adds = value == struct.unpack_from("=Q", data, at)[0] + 1
        if not adds or i - last >= EVERY:
            assert_same(numbers(data), expected)
            last = i
        struct.pack_into("=Q", data, at, value)
    assert data == whole
