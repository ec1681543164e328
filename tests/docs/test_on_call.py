# SPDX-License-Identifier: Apache-2.0
"""on-call.md, held against the metrics that exist and the page's headings."""

import re

from pages import ROOT

TEXT = (ROOT / "docs/on-call.md").read_text()
SUFFIXES = ("_count", "_sum", "_bucket")


def documented():
    """Every metric that metrics.md and serve.md describe."""
    names = set(re.findall(r"^### `([\w:]+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
    return names | set(re.findall(r"`(kvtel_\w+)", (ROOT / "docs/serve.md").read_text()))


def test_every_metric_that_it_names_exists():
    known = documented()
    named = set(re.findall(r"\b(?:vllm:\w+|nixl_\w+|kvtel_\w+)", TEXT))
    named -= {"kvtel_transfer_begin"}  # a function
    assert len(named) > 40
    wrong = [
        name
        for name in named
        if name not in known and not any(name.endswith(end) and name.removesuffix(end) in known for end in SUFFIXES)
    ]
    assert not wrong


def test_every_place_on_the_page_is_there():
    """Places are bold: a heading of the page, or the title of one of its charts."""
    page = "".join((ROOT / "src/serve/page" / name).read_text() for name in ("index.html", "page.js", "tables.js"))
    places = set(re.findall(r"\*\*([A-Z][\w ]+)\*\*", TEXT))
    assert {"Engines", "Under way", "Who records"} <= places
    assert "**1 h**" in TEXT and '"3600"> 1 h</label>' in page and "`/api/v1/history`" in TEXT
    assert not [place for place in places if f">{place}<" not in page and f'"{place}"' not in page]


def test_each_connector_with_failures_is_there():
    for name in documented():
        if re.search(r"fail|expir", name) and name.startswith("vllm:"):
            assert name in TEXT, name


def test_each_class_of_failure_has_the_sentence_of_the_program():
    source = (ROOT / "src/report/failure_text.c").read_text()
    table = source[source.index("explained[] = {") : source.index("};")]
    told = dict(re.findall(r'\{ "(\w+)", "([^"]+)" \}', table))
    assert len(told) > 20
    part = TEXT[TEXT.index("| class | what happened |") : TEXT.index("Other connectors:")]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ]
    written = {row[0].replace(" ", "_"): row[1] for row in rows if row[0] not in ("class", "status")}
    assert written == told
