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


def structs_of_headers():
    """The body of each struct that a public header defines, without comments."""
    found = {}
    for header in sorted((ROOT / "include/kvtel").glob("*.h")):
        code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        found.update(re.findall(r"^struct (kvtel_\w+) \{\n(.*?)^\};", code, re.S | re.M))
    return found


def rows_of_growth():
    """What docs/abi.md says of each struct."""
    page = (ROOT / "docs/abi.md").read_text()
    rows = re.findall(r"^\| (`kvtel_.*?`) \| (.*?) \|$", page, re.M)
    return {name: how for names, how in rows for name in re.findall(r"`(\w+)`", names)}


def test_page_says_how_each_public_struct_grows():
    structs, rows = structs_of_headers(), rows_of_growth()
    assert set(structs) == set(rows)
    for name, body in structs.items():
        members = [member.strip() for member in body.split(";") if member.strip()]
        if "`size`" in rows[name]:
            assert members[0] == "size_t size", f"{name}: {members[0]}"
        elif rows[name].startswith("reserved"):
            assert "reserved" in members[-1], f"{name}: {members[-1]}"
