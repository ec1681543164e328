# SPDX-License-Identifier: Apache-2.0
"""What `./run compare` computes and prints by itself; what it runs is not run here."""

import collections
import math
import sys

import pytest
from exporter import ROOT

sys.path.insert(0, str(ROOT / "bench/compare"))

import known  # noqa: E402
import of_vllm  # noqa: E402
import pages  # noqa: E402
import table  # noqa: E402
from row import Row  # noqa: E402

PAGE = """# HELP t_seconds Time.
# TYPE t_seconds histogram
t_seconds_bucket{peer="a \\" b",le="0.5"} 2 # {trace_id="1"} 0.4
t_seconds_bucket{peer="a \\" b",le="+Inf"} 3
t_seconds_bucket{peer="c",le="0.5"} 1
t_seconds_bucket{peer="c",le="+Inf"} 1
t_seconds_count{peer="a \\" b"} 3
t_seconds_count{peer="c"} 1
# TYPE t_seconds_created gauge
t_seconds_created{peer="c"} 1.7e9
# TYPE other counter
other 1
"""


def test_quantiles_of_explicit_buckets_are_those_of_prometheus():
    # 100 values, of which 40 are above 1 and not above 3: the P50 is interpolated, and above the last bound stays there
    assert known.of_explicit([(1, 30), (3, 70), (math.inf, 100)]) == [1 + 2 * 20 / 40, 3, 3]
    fine = known.counts_below([i / 1e5 for i in range(1, 3000)])
    assert max(known.errors(known.of_explicit(fine))) <= 0.2


def test_quantiles_of_exponential_buckets_are_within_a_bucket():
    for schema, bound in ((8, 0.3), (3, 9.1)):
        indexes = (math.ceil(math.log2(duration / 1e9) * 2**schema) for duration, *_ in known.transfers())
        assert max(known.errors(known.of_exponential(schema, collections.Counter(indexes)))) <= bound
    assert known.errors(known.exact()) == [0, 0, 0]


def test_a_page_says_what_it_shows():
    assert pages.families(PAGE, ("t_",)) == ["t_seconds"]
    assert pages.buckets(PAGE, "t_seconds") == [(0.5, 3), (math.inf, 4)]
    assert pages.total(PAGE, "t_seconds_count") == 4 and pages.total(PAGE, "t_seconds_count", peer="c") == 1
    assert pages.has_exemplars(PAGE) and not pages.has_exemplars(PAGE.replace(" # {", " "))
    assert pages.has_starts(PAGE, ("t_",)) and not pages.has_starts(PAGE, ("other",))


def test_a_book_outlives_its_process(tmp_path):
    book = known.Book(tmp_path / "book")
    for _ in range(3):
        book.add()
    assert known.Book(tmp_path / "book").count() == 3


@pytest.mark.parametrize("lost,said", [(0, "0 of 1,200"), (-1, "0 of 1,200"), (7, "7 of 1,200")])
def test_the_table_says_what_was_lost_and_what_was_not_measured(lost, said):
    rows = [
        Row("a", "here", 4, [0.1, 19.44, 2], "its buckets", recorded=1200, lost=lost),
        Row("b", "not measured: first c"),
    ]
    text = table.text("a machine", rows)
    assert f"| a | {said} |" in text and "0.1 / 19.4 / 2 % (its buckets)" in text
    assert "b: not measured: first c" in text and "| b |" not in text


@pytest.mark.parametrize("counted, shown", [(12, "buckets, computed"), (0, "all values stay 0")])
def test_a_page_that_counts_nothing_has_no_quantiles(counted, shown):
    found = {"counted": counted, "families": 8, "bounds": [0.005, 0.01], "recorded": 12, "scrape_ms": None}
    found |= dict.fromkeys(["exemplars", "starts", "peers"], False)
    row = of_vllm.row_of("a", found, "a page", "")
    assert shown in row.buckets and (row.quantiles is not None) == bool(counted) and row.lost == 12


def test_the_frontend_in_rust_is_found_where_it_was_fetched(tmp_path):
    venv = tmp_path / "venv"
    own = venv / "lib/python3.11/site-packages/vllm/vllm-rs"
    own.parent.mkdir(parents=True)
    (venv / "requirements.txt").touch()
    assert of_vllm.rust_frontend(venv) is None and of_vllm.rust(tmp_path, venv).measured == of_vllm.NO_RUST
    own.touch()
    assert of_vllm.rust_frontend(venv) == own
    (tmp_path / "vllm-rs").touch()
    assert of_vllm.rust_frontend(venv) == tmp_path / "vllm-rs"
