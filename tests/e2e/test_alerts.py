# SPDX-License-Identifier: Apache-2.0
"""The rules of deploy/: each alert fires when it should and not else, by promtool; sums over machines; what the runbook has."""

import json
import re
import shutil
import subprocess

import pytest

from exporter import ROOT
from mixin import MIXIN, metrics_of

DEPLOY = ROOT / "deploy"
RULES = {"rules.yml": "vllm:", "rules-kv.yml": "kv_"}
ENGINE = 'model_name="m",engine="0"'
OPEN = f'{ENGINE},connector="NixlConnector",operation="transfer"'
RUNNING = "vllm:num_requests_running"


def labels(text):
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def page(name, series, up="1x400", info="1x400", job="kvtel"):
    """Series of a scraped page. `info` None: a page that is not kvtel's."""
    where = f'instance="{name}",job="{job}"'
    found = {f"up{{{where}}}": up}
    if info:
        found[f'kvtel_build_info{{{where},version="0"}}'] = info
    for key, values in series.items():
        metric, _, own = key.rstrip("}").partition("{")
        found[f"{metric}{{{where}{',' if own else ''}{own}}}"] = values
    return found


NIXL_FAILED = f"vllm:nixl_num_failed_transfers_total{{{ENGINE}}}"
NIXL_TIMES = f"vllm:nixl_xfer_time_seconds_count{{{ENGINE}}}"
LATE = f"vllm:nixl_num_notifications_after_expiry_total{{{ENGINE}}}"
FAST = {
    f'vllm:nixl_xfer_time_seconds_bucket{{{ENGINE},le="{le}"}}': f"0+{step}x400"
    for le, step in (("0.5", 9), ("5.0", 10), ("+Inf", 10))
}
SLOW = {key: values.replace("+9x", "+5x") for key, values in FAST.items()}
FAST = {key: values.replace("+9x", "+10x") for key, values in FAST.items()}


def own(metric, values):
    return page("a", {metric: values})


# (alert, when, series, labels with which it fires then; empty: it does not)
FAILS = f'instance="a",{ENGINE},connector="nixl",class="any",severity="warning"'
CASES = [
    ("KVTransfersFail", "10m", page("a", {NIXL_FAILED: "0x40 500x300"}), []),
    ("KVTransfersFail", "10m30s", page("a", {NIXL_FAILED: "0x40 500x300"}), [FAILS]),
    ("KVTransfersFail", "25m", page("a", {NIXL_FAILED: "0x40 500x300"}), []),
    # one in each half hour
    ("KVTransfersFail", "31m", page("a", {NIXL_FAILED: "7x119 8x119 9x119"}), [FAILS]),
    ("KVTransfersFail", "29m30s", page("a", {NIXL_FAILED: "7x119 8x119 9x119"}), []),
    # the first failures of a counter that was not there, and old failures of a page that was not scraped
    ("KVTransfersFail", "21m", page("a", {NIXL_FAILED: "_x80 12x120"}), [FAILS]),
    ("KVTransfersFail", "31m", page("a", {NIXL_FAILED: "_x80 12x120"}), []),
    ("KVTransfersFail", "11m", page("a", {NIXL_FAILED: "_x40 12x120"}, up="_x40 1x120", info="_x40 1x120"), []),
    # vLLM's own page under the same names does not count, beside kvtel's or alone
    ("KVTransfersFail", "10m30s", page("vllm", {NIXL_FAILED: "0x40 5x300"}, info=None), []),
    (
        "KVTransfersFail",
        "10m30s",
        page("a", {NIXL_FAILED: "0x40 5x300"}) | page("vllm", {NIXL_FAILED: "0x40 5x300"}, info=None),
        [FAILS],
    ),
    (
        "KVTransfersFail",
        "10m30s",
        page("a", {f"vllm:mooncake_num_failed_recvs_total{{{ENGINE}}}": "0x40 1x300"}),
        [FAILS.replace("nixl", "mooncake").replace("any", "receive")],
    ),
    (
        "KVTransfersFail",
        "10m30s",
        page("a", {f'nixl_transfer_failures_total{{{ENGINE},direction="rx",status="x"}}': "0x40 1x300"}),
        [FAILS.replace('"nixl"', '"nixl_agent"').replace("any", "transfer")],
    ),
    (
        "KVTransfersFailOften",
        "12m",
        page("a", {NIXL_FAILED: "0+10x100", NIXL_TIMES: "0+90x100"}),
        [f'instance="a",{ENGINE},connector="nixl",severity="critical"'],
    ),
    ("KVTransfersFailOften", "12m", page("a", {NIXL_FAILED: "0+1x100", NIXL_TIMES: "0+99x100"}), []),
    (
        "KVBlocksExpire",
        "10m30s",
        page("a", {f"vllm:nixl_num_kv_expired_reqs_total{{{ENGINE}}}": "0x40 3x300"}),
        [f'instance="a",{ENGINE},connector="nixl",severity="warning"'],
    ),
    ("KVBlocksExpire", "10m30s", page("a", {f"vllm:nixl_num_kv_expired_reqs_total{{{ENGINE}}}": "3x300"}), []),
    (
        "KVDataMayBeWrong",
        "10m30s",
        page("a", {LATE: "0x40 1x300"}),
        [f'instance="a",{ENGINE},severity="critical"'],
    ),
    (
        "KVDataMayBeWrong",
        "10m",
        page("a", {LATE: "1x300"}),
        [],
    ),
    # a counter that was not there, with its first event and with none; and an old one of a page that was not scraped
    ("KVDataMayBeWrong", "21m", page("a", {LATE: "_x80 1x120"}), [f'instance="a",{ENGINE},severity="critical"']),
    ("KVDataMayBeWrong", "21m", page("a", {LATE: "_x80 0x120"}), []),
    ("KVDataMayBeWrong", "36m", page("a", {LATE: "_x80 1x120"}), []),
    ("KVDataMayBeWrong", "11m", page("a", {LATE: "_x40 1x120"}, up="_x40 1x120", info="_x40 1x120"), []),
    ("KVDataMayBeWrong", "21m", page("vllm", {LATE: "_x80 1x120"}, info=None), []),
    (
        "KVTransfersStall",
        "11m",
        page("a", {f"kvtel_stalled_transfers_total{{{OPEN}}}": "0x40 1x300"}),
        [f'instance="a",job="kvtel",{OPEN},severity="warning"'],
    ),
    (
        "KVTransfersStall",
        "2m",
        page("a", {f"kvtel_oldest_open_seconds{{{OPEN}}}": "0+15x300"}),
        [f'instance="a",job="kvtel",{OPEN},severity="warning"'],
    ),
    ("KVTransfersStall", "10m", page("a", {f"kvtel_oldest_open_seconds{{{OPEN}}}": "2x300"}), []),
    ("KVTransfersSlow", "20m", page("a", SLOW), [f'instance="a",{ENGINE},connector="nixl",severity="warning"']),
    ("KVTransfersSlow", "8m", page("a", SLOW), []),
    ("KVTransfersSlow", "20m", page("a", FAST), []),
    (
        "KVNoTransfers",
        "31m30s",
        page("a", {NIXL_TIMES: "0+9x40 360x300"}) | page("v", {RUNNING + "{" + ENGINE + "}": "4x300"}, info=None),
        ['model_name="m",severity="warning"'],
    ),
    (
        "KVNoTransfers",
        "31m30s",
        page("a", {NIXL_TIMES: "0+9x300"}) | page("v", {RUNNING + "{" + ENGINE + "}": "4x300"}, info=None),
        [],
    ),
    (
        "KVNoTransfers",
        "31m30s",
        page("a", {NIXL_TIMES: "0+9x40 360x300"}) | page("v", {RUNNING + "{" + ENGINE + "}": "0x300"}, info=None),
        [],
    ),
    ("KvtelDown", "20m", page("a", {}, up="1x40 0x100", info="1x40"), ['instance="a",job="kvtel",severity="critical"']),
    ("KvtelDown", "12m", page("a", {}, up="1x40 0x100", info="1x40"), []),
    ("KvtelDown", "20m", page("vllm", {}, up="0x100", info=None), []),
    (
        "KvtelWriterKilled",
        "6m",
        own("kvtel_writers_unclosed_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelWriterKilled", "6m", own("kvtel_writers_unclosed_total", "1x120"), []),
    (
        "KvtelStoresRefused",
        "11m",
        own('kvtel_stores{state="refused"}', "0x20 1x100"),
        ['instance="a",job="kvtel",state="refused",severity="warning"'],
    ),
    ("KvtelStoresRefused", "6m", own('kvtel_stores{state="refused"}', "0x20 1x100"), []),
    ("KvtelStoresRefused", "11m", own('kvtel_stores{state="live"}', "1x120"), []),
    (
        "KvtelStoresUnread",
        "11m",
        own("kvtel_stores_stale", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    (
        "KvtelStoresUnread",
        "11m",
        own("kvtel_stores_postponed", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelStoresUnread", "6m", own("kvtel_stores_stale", "0x20 1x4 0x100"), []),
    (
        "KvtelRingFull",
        "6m",
        own("kvtel_nixl_ring_full_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    (
        "KvtelRingFull",
        "6m",
        own("nixl_events_dropped_total", "0x20 9x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelRingFull", "6m", own("kvtel_nixl_ring_full_total", "1x120"), []),
    (
        "KvtelRingFull",
        "21m",
        own('nixl_events_dropped_total{agent="n"}', "_x80 9x100"),
        ['instance="a",job="kvtel",agent="n",severity="warning"'],
    ),
    ("KvtelRingFull", "21m", own('nixl_events_dropped_total{agent="n"}', "_x80 0x100"), []),
    (
        "KvtelRingContended",
        "6m",
        own("kvtel_nixl_ring_contended_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelRingContended", "6m", own("kvtel_nixl_ring_contended_total", "0x120"), []),
    (
        "KvtelSeriesLimit",
        "6m",
        own("kvtel_totals_label_sets_folded_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    (
        "KvtelSeriesLimit",
        "6m",
        own("kvtel_store_series_dropped", "1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    (
        "KvtelSeriesLimit",
        "6m",
        own('kvtel_refused_total{reason="series_limit"}', "0x20 1x100"),
        ['instance="a",job="kvtel",reason="series_limit",severity="warning"'],
    ),
    ("KvtelSeriesLimit", "6m", own('kvtel_refused_total{reason="unknown_key"}', "0x20 1x100"), []),
    (
        "KvtelRecordsDropped",
        "6m",
        own("kvtel_store_records_dropped", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelRecordsDropped", "6m", own("kvtel_store_values_refused", "3x120"), []),
    (
        "KvtelTotalsFail",
        "6m",
        own("kvtel_totals_writes_failed_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="critical"'],
    ),
    (
        "KvtelTotalsFail",
        "6m",
        own("kvtel_totals_damaged_total", "1x100"),
        ['instance="a",job="kvtel",severity="critical"'],
    ),
    ("KvtelTotalsFail", "6m", own("kvtel_totals_damaged_total", "0x100"), []),
    (
        "KvtelPushFails",
        "12m",
        own("kvtel_otlp_pushes_failed_total", "0x20 1x100"),
        ['instance="a",job="kvtel",severity="warning"'],
    ),
    ("KvtelPushFails", "6m", own("kvtel_otlp_pushes_failed_total", "0x20 1x100"), []),
]


def sample(name, more, value):
    return {"labels": f"{name}{{{more}}}", "value": value}


MACHINES = page("a", {NIXL_TIMES: "0+15x40", f"vllm:nixl_bytes_transferred_sum{{{ENGINE}}}": "0+1500x40"})
MACHINES |= page("b", {NIXL_TIMES: "0+30x40", f"vllm:nixl_bytes_transferred_sum{{{ENGINE}}}": "0+3000x40"})
MACHINES |= page("vllm", {NIXL_TIMES: "0+30x40"}, info=None, job="vllm")
SUMS = [
    ("model:kv_transfers:rate5m", 'model_name="m",connector="nixl",operation="transfer"', 3),
    ("model:kv_bytes:rate5m", 'model_name="m",connector="nixl",operation="transfer"', 300),
    ("model:kv_transfers:sum", 'model_name="m",connector="nixl",operation="transfer"', 32 * 45),
    ("model:kv_bytes:sum", 'model_name="m",connector="nixl",operation="transfer"', 32 * 4500),
]


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unit_tests(file):
    """All cases in one run of the rules, each with machines and a model of its own."""

    def moved(text, number):
        text = re.sub(r'instance="(\w+)"', rf'instance="\g<1>{number}"', text)
        return text.replace('model_name="m"', f'model_name="m{number}"')

    series = dict(MACHINES)
    checks = [
        {
            "expr": f'{name}{{model_name="m",connector="nixl"}}',
            "eval_time": "8m",
            "exp_samples": [sample(name, more, value)],
        }
        for name, more, value in SUMS
    ]
    for number, (alert, when, given, fires) in enumerate(CASES):
        series |= {moved(key, number): values for key, values in given.items()}
        mine = f'model_name="m{number}"' if alert == "KVNoTransfers" else f'instance=~"[a-z]+{number}"'
        fired = f'alertname="{alert}",alertstate="firing"'
        checks.append(
            {
                "expr": f"ALERTS{{{fired},{mine}}}",
                "eval_time": when,
                "exp_samples": [sample("ALERTS", f"{fired},{moved(with_, number)}", 1) for with_ in fires],
            }
        )
    test = {
        "interval": "15s",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": checks,
    }
    # promtool takes groups in any order unless it is given one: alerts need what was recorded at the same time.
    order = re.findall(r"^  - name: (.+)$", file.read_text(), re.M)
    return {"rule_files": [str(file)], "evaluation_interval": "30s", "group_eval_order": order, "tests": [test]}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_rules(tmp_path):
    """With the default prefix: the rules of the other one are the same, as the next test shows."""
    for file in RULES:
        assert "SUCCESS" in promtool("check", "rules", DEPLOY / file)
    (tmp_path / "test.yml").write_text(json.dumps(unit_tests(DEPLOY / "rules.yml")))
    promtool("test", "rules", tmp_path / "test.yml")


def test_each_alert_has_a_case_that_fires_and_one_that_does_not():
    alerts = set(re.findall(r"- alert: (\w+)", (MIXIN / "alerts.yml").read_text()))
    assert (
        {alert for alert, _, _, fires in CASES if fires}
        == alerts
        == {alert for alert, _, _, fires in CASES if not fires}
    )


def groups(text):
    return text[text.index("\ngroups:") :]


def test_rules_of_both_prefixes_are_the_same():
    default, other = ((DEPLOY / file).read_text() for file in RULES)
    assert groups(default).replace("vllm:", "kv_").replace("kv_num_requests", "vllm:num_requests") == groups(other)
    assert set(re.findall(r"vllm:\w+", groups(other))) == {RUNNING}
    parts = [groups((MIXIN / name).read_text()).removeprefix("\ngroups:") for name in ("rules.yml", "alerts.yml")]
    assert groups(default) == "\ngroups:" + parts[0].rstrip("\n") + parts[1]


def test_every_metric_of_the_rules_is_documented():
    documented = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "serve.md", "totals.md"))
    text = groups((DEPLOY / "rules.yml").read_text())
    recorded = set(re.findall(r"- record: (\S+)", text))
    for expression in re.findall(r"expr: \|-\n((?: {10}.*\n)+)", text):
        for name in metrics_of(expression) - recorded - {"up", RUNNING}:
            name = re.sub(r"_(bucket|sum|count)$", "", name)
            assert f"`{name}`" in documented or f"`{name}{{" in documented, name


def test_each_alert_has_a_paragraph_that_its_annotation_names():
    text = (MIXIN / "alerts.yml").read_text()
    page = (ROOT / "docs/alerts.md").read_text()
    headings = {heading.lower(): heading for heading in re.findall(r"^### (\w+)$", page, re.M)}
    alerts = re.findall(r"- alert: (\w+)(.*?)(?=- alert:|\Z)", text, re.S)
    for alert, rest in alerts:
        assert re.search(r"runbook_url: >-\s+docs/alerts\.md#(\w+)\n", rest)[1] == alert.lower()
        assert headings[alert.lower()] == alert
        paragraph = page.split(f"### {alert}\n")[1].split("\n#")[0]
        severity = re.search(r'"severity": "(\w+)"', rest)[1]
        assert len(paragraph.split()) > 30 and f"`{severity}`" in paragraph, alert
        assert re.search(r"summary: >-\n +\S", rest) and re.search(r"description: >-\n +\S", rest)
        known = {label for name, _, _, fires in CASES if name == alert for with_ in fires for label in labels(with_)}
        assert set(re.findall(r"\$labels\.(\w+)", rest)) <= known, alert
    assert set(headings) == {alert.lower() for alert, _ in alerts}
