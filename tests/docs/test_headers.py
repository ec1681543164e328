# SPDX-License-Identifier: Apache-2.0
"""The first comment of each public header says whether libkvtel_record has its functions."""

import re

import pytest
from pages import ROOT

RECORD = set((ROOT / "tests/abi/kvtel_record.symbols").read_text().split())


def expected(functions):
    """What the comment must say: a pattern."""
    absent = functions - RECORD
    if not functions:
        return r"It has no functions\.|Each header says whether libkvtel_record has its functions\."
    if absent == functions:
        return r"libkvtel_record does not have its functions?\."
    if not absent:
        return r"libkvtel_record has its functions?\."
    return r"libkvtel_record has its functions, except " + " and ".join(rf"{name}\(\)" for name in sorted(absent)) + r"\."


@pytest.mark.parametrize("header", sorted((ROOT / "include/kvtel").glob("*.h")), ids=lambda path: path.name)
def test_header_says_whether_libkvtel_record_has_its_functions(header):
    text = header.read_text()
    first = re.search(r"/\*\* @file(.*?)\*/", text, re.S).group(1)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    functions = set(re.findall(r"KVTEL_API[^;{]*?\b(kvtel_\w+)\(", code))
    said = " ".join(line.strip(" *") for line in first.splitlines())
    assert re.search(expected(functions), said), f"expected {expected(functions)}"
