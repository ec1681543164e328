# SPDX-License-Identifier: Apache-2.0
"""Limits that pages and headers give are the constants of the code."""

import re

import pytest
from pages import ROOT

# Page, what stands there around the number, the constant and its file. `{}` is the number as a person writes it.
LIMITS = (
    ("docs/instrumenting.md", "families of a store | | {} |", "KVTEL_LAYOUT_FAMILIES", "src/format/layout.h"),
    ("docs/instrumenting.md", "labels of a family | | {} |", "KVTEL_LAYOUT_LABELS", "src/format/layout.h"),
    ("docs/instrumenting.md", "explicit bounds of a family | | {} |", "KVTEL_LAYOUT_BOUNDS", "src/format/layout.h"),
    ("docs/instrumenting.md", "(`.max_lanes`) | {} |", "KVTEL_DEFAULT_MAX_LANES", "src/record/store.h"),
    ("docs/instrumenting.md", "a larger number means {}", "KVTEL_LAYOUT_LANES", "src/format/layout.h"),
    ("docs/instrumenting.md", "(`.max_series`) | {} |", "KVTEL_DEFAULT_MAX_SERIES", "src/record/store.h"),
    ("docs/instrumenting.md", "128 MiB in a file, 1 GiB in the heap | {};", "KVTEL_LAYOUT_LANE_BYTES", "src/format/layout.h"),
    ("docs/instrumenting.md", "bytes of a name or a label value | | {} |", "KVTEL_TEXT_LIMIT", "include/kvtel/base.h"),
    ("docs/instrumenting.md", "registered connectors | | {} |", "REGISTERED_LIMIT", "src/connectors/registry.c"),
    ("docs/instrumenting.md", "Every {}th call folds", "KVTEL_BLOCK_ROWS", "src/format/layout.h"),
    ("docs/connectors.md", "may register {} tables", "REGISTERED_LIMIT", "src/connectors/registry.c"),
    ("docs/store-format.md", "rows of a block, {} |", "KVTEL_BLOCK_ROWS", "src/format/layout.h"),
    ("docs/store-format.md", "layout version, {}.", "KVTEL_LAYOUT_VERSION", "src/format/layout.h"),
    ("docs/store-format.md", "exponential bounds, {} |", "KVTEL_LAYOUT_SCHEMA", "src/format/layout.h"),
    ("docs/recording-format.md", "deeper than {} levels", "KVTEL_VALUE_DEPTH", "src/value/value.h"),
    ("docs/recording-format.md", "longer than {}, of more", "KVTEL_RECORDING_OBJECT_LIMIT", "src/recording/recording.h"),
    ("docs/recording-format.md", "of more than {} values", "KVTEL_VALUE_COUNT", "src/value/value.h"),
    ("docs/recording-format.md", "At most {} |", "ENGINE_LIMIT", "src/recording/recording.c"),
    ("docs/recording-format.md", "have at most {} bytes and no NUL", "KVTEL_TEXT_LIMIT", "include/kvtel/base.h"),
    ("docs/serve.md", "the body is above {} (plain text)", "RECEIVER_BODY_LIMIT", "src/serve/receiver.h"),
    ("docs/serve.md", "unpacks to more than {}, or", "INFLATED_LIMIT", "src/serve/receiver.c"),
    ("docs/serve.md", "an object exceeds {} or", "OBJECT_LIMIT", "src/serve/receiver.c"),
    ("docs/serve.md", "or {} values |", "VALUE_LIMIT", "src/serve/receiver.c"),
    ("docs/serve.md", "the last number of {} sources", "RECEIVER_SOURCES", "src/serve/receiver_sources.h"),
    ("docs/serve.md", "address to listen on; repeatable, at most {} |", "LISTEN_ADDRESSES", "src/serve/options.h"),
    ("docs/serve.md", "machine's own; repeatable, at most {} |", "ALLOWED_HOSTS", "src/serve/options.h"),
    ("docs/serve.md", "at most {} and 256", "CONNECTIONS", "src/serve/descriptors.c"),
    ("docs/serve.md", "512 and {})", "RINGS", "src/serve/descriptors.c"),
    ("docs/totals.md", "The totals keep {} label sets", "TOTALS_DEFAULT_LIMIT", "src/totals/totals.h"),
    ("docs/totals.md", "and {} of all metrics", "TOTALS_SERIES", "src/totals/totals.h"),
    ("docs/totals.md", "at most {} metrics", "TOTALS_FAMILIES", "src/totals/totals.h"),
    ("docs/api-summary.md", "numbers come from, at most {}.", "SOURCES_SHOWN", "src/serve/exporter_summary.c"),
    ("docs/api-summary.md", "connector, model and engine, at most {}:", "SUMMARY_ENTRIES", "src/report/summary_json.h"),
    ("docs/api-summary.md", "the first {};", "SUMMARY_OTHERS", "src/report/summary_json.h"),
    ("docs/api-summary.md", "remembers the newest {}.", "WRITERS", "src/serve/writers.h"),
    ("docs/web-config.md", "may have {}.", "WEB_CONFIG_MOST_BYTES", "src/serve/web/config.h"),
    ("docs/web-config.md", "connections | {}, or a quarter", "CONNECTIONS", "src/serve/descriptors.c"),
    ("docs/web-config.md", "the last {} good ones", "REMEMBERED", "src/serve/web/auth.c"),
    ("docs/web-config.md", "less than {} a second", "SLOW_BYTES_A_SECOND", "src/serve/web/connection_table.c"),
    ("docs/nixl-rings.md", "more than {} rings", "MAX_RINGS", "src/nixl/rings.c"),
    ("docs/nixl-rings.md", "keeps at most {} rings open", "MAX_WARM", "src/nixl/rings.c"),
    ("docs/nixl-rings.md", "has lost up to {} events", "BATCH", "src/nixl/rings.c"),
    ("docs/nixl-rings.md", "not set, at most {} here", "KVTEL_NIXL_MAX_CAPACITY", "src/nixl/ring.h"),
    ("docs/architecture.md", "up to a limit ({} unless", "KVTEL_SAMPLE_LIMIT", "include/kvtel/stats.h"),
    ("docs/python.md", "sample_limit={python}", "KVTEL_SAMPLE_LIMIT", "include/kvtel/stats.h"),
    # Headers: the comment of a member or a function, in whatever words.
    ("include/kvtel/store.h", "max_series; .{{0,200}}{}", "KVTEL_DEFAULT_MAX_SERIES", "src/record/store.h"),
    ("include/kvtel/store.h", "max_lanes; .{{0,200}}{}", "KVTEL_DEFAULT_MAX_LANES", "src/record/store.h"),
    ("include/kvtel/store.h", "max_lanes; .{{0,200}}{}", "KVTEL_LAYOUT_LANES", "src/format/layout.h"),
    ("include/kvtel/store.h", "KVTEL_E_LIMIT.{{0,80}}{}", "KVTEL_LAYOUT_FAMILIES", "src/format/layout.h"),
)
PATTERNS = {"include/kvtel/store.h"}


def constant(name, path):
    text = (ROOT / path).read_text()
    found = re.search(rf"(?:\b{name} = |#define {name}\s+)([^,;}}\n/]+)", text)
    assert found, f"{path} has no {name}"
    value = re.sub(r"UINT64_C\((\w+)\)", r"\1", found.group(1)).strip()
    return int(eval(re.sub(r"(\d)[uUlL]+", r"\1", value), {"__builtins__": {}}))


def spellings(number):
    """10,000 and 16 MiB: how a person writes it."""
    yield f"{number:,}"
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if number >= 1 << shift and number % (1 << shift) == 0:
            yield f"{number >> shift} {unit}"


@pytest.mark.parametrize("page,words,name,path", LIMITS, ids=lambda value: str(value)[:40])
def test_a_limit_is_the_constant(page, words, name, path):
    number = constant(name, path)
    text = re.sub(r"\s+", " ", (ROOT / page).read_text())
    if page in PATTERNS:
        texts = [words.format(re.escape(spelling)) for spelling in spellings(number)]
        assert any(re.search(pattern, text) for pattern in texts), f"{page} says none of {texts}, {name} is {number}"
        return
    texts = [words.format(spelling, python=f"{number:_}") for spelling in spellings(number)]
    assert any(said in text for said in texts), f"{page} says none of {texts}, {name} is {number}"


def test_room_of_a_lane_is_what_pages_and_header_say():
    """A figure that was measured, not a constant: it has to be the same everywhere."""
    for page in ("docs/instrumenting.md", "docs/serve.md"):
        assert "3,000 histogram series" in re.sub(r"\s+", " ", (ROOT / page).read_text()), page
    assert "3,000 histogram series" in re.sub(r"[\s*]+", " ", (ROOT / "include/kvtel/store.h").read_text())
