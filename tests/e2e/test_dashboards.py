# SPDX-License-Identifier: Apache-2.0
"""The dashboards of deploy/mixin: Grafana can load them, and each panel shows something of a real Prometheus."""

import re
import shutil
import subprocess

import pytest
from exporter import ROOT
from mixin import DASHBOARDS, MIXIN, dashboard, expressions, filled_in, metrics_of
from nixl_driver import PLUGIN
from panels import RULES, VALUES, check_panels, two_pages


def names_of(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize("path", DASHBOARDS, ids=names_of(DASHBOARDS))
def test_grafana_can_load_it(path):
    board = dashboard(path)
    assert board["schemaVersion"] >= 36 and re.fullmatch(r"[\w-]{1,40}", board["uid"]) and board["title"]
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24 and place["h"] > 0
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
        if panel["type"] not in ("row", "text"):
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            references = [target["refId"] for target in panel["targets"]]
            assert references and len(set(references)) == len(references)
    variables = [variable["name"] for variable in board["templating"]["list"]]
    assert variables[0] == "datasource" and len(set(variables)) == len(variables)
    known = {*variables, "__rate_interval"}
    for at, variable in enumerate(board["templating"]["list"]):
        used = set(re.findall(r"\$\{?(\w+)", variable["query"]["query"])) if variable["type"] == "query" else set()
        assert used <= set(variables[:at]), f"{variable['name']} uses a variable that comes after it"
    for title, expression in expressions(path):
        assert set(re.findall(r"\$\{?(\w+)", expression)) <= known, (title, expression)


def test_each_dashboard_has_its_own_uid_and_title():
    boards = [dashboard(path) for path in DASHBOARDS]
    assert len(boards) == 5
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 5


def documented():
    """Metrics of the reference, as their series are named."""
    text = (
        (ROOT / "docs/metrics.md").read_text()
        + (ROOT / "docs/serve.md").read_text()
        + (ROOT / "docs/totals.md").read_text()
    )
    found = set()
    for name in re.findall(r"`([a-z_]+:?[a-z_0-9]+)(?:\{[^}]*\})?`", text):
        found |= {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return found


def recorded():
    return set(re.findall(r"- record: (\S+)", (MIXIN / "rules.yml").read_text()))


def test_every_metric_is_in_the_reference():
    known = documented() | recorded() | {"ALERTS", "up"}
    unknown = {
        (path.name, title, name)
        for path in DASHBOARDS
        for title, expression in expressions(path)
        for name in metrics_of(filled_in(expression, {**VALUES, "instance": ".*"}))
        if name not in known
    }
    assert not unknown


def test_every_family_of_the_reference_is_in_a_dashboard_or_rule():
    shown = (
        "".join(path.read_text() for path in [*DASHBOARDS, *RULES])
        .replace("${prefix}", "vllm:")
        .replace("${transport}_", "nixl_")
    )
    shown += shown.replace("vllm:nixl_", "vllm:mooncake_") + shown.replace("vllm:nixl_", "vllm:moriio_")
    names = re.findall(r"^### `([^`]+)`", (ROOT / "docs/metrics.md").read_text(), re.M)
    left_out = {
        # of vLLM before 0.33: the newer names are shown
        "vllm:kv_offload_total_bytes_total",
        "vllm:kv_offload_total_time_total",
        "vllm:kv_offload_size",
        # about single blocks, of an engine with --kv-cache-metrics
        "vllm:hisparse_host_block_lifetime_seconds",
        "vllm:hisparse_host_block_idle_before_evict_seconds",
        "vllm:hisparse_host_block_reuse_gap_seconds",
        # beside others that say more
        "vllm:hisparse_pending_page_transfers",
        "vllm:ascend_store_delayed_release_requests",
        "vllm:simple_kv_offload_info",
        "vllm:umbp_transfer_submitted_total",
        "vllm:mooncake_store_operation_total",
    }
    assert {name for name in names if name not in shown} == left_out


def test_raw_metrics_are_of_kvtels_pages_alone():
    """vLLM's own page may have the same names. `instance` has kvtel's pages; the overview has recorded series, which do as well."""
    for path in DASHBOARDS:
        for title, expression in expressions(path):
            for name, selector in re.findall(r"([\w:${}]+)\{([^{}]*)\}(?![\w:]*\{)", expression):
                if name.startswith(("model:", "ALERTS")) or path.name == "overview.json":
                    continue
                assert 'instance=~"$instance"' in selector, (path.name, title, name)
    for expression in (
        expression for path in DASHBOARDS if path.name == "overview.json" for _, expression in expressions(path)
    ):
        allowed = recorded() | {"kvtel_build_info", "kvtel_open_transfers", "ALERTS"}
        assert metrics_of(filled_in(expression, VALUES)) <= allowed


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    with two_pages(tmp_path_factory.mktemp("sources")) as pages:
        yield pages


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
@pytest.mark.skipif(not PLUGIN.exists(), reason="NIXL's plug-in is not built")
@pytest.mark.parametrize("kind", ["classic", "native"])
def test_every_panel_shows_something(everything, tmp_path, kind):
    check_panels(*everything, tmp_path, kind)


@pytest.mark.skipif(not shutil.which("jsonnet"), reason="jsonnet is not installed")
def test_what_is_committed_is_made_from_the_sources(tmp_path):
    for directory in ("dashboards", "mixin"):
        (tmp_path / directory).mkdir()
    for flags, source in (
        (["-m", tmp_path / "dashboards"], "dashboards.jsonnet"),
        (["-S", "-m", tmp_path], "rules.jsonnet"),
    ):
        subprocess.run(["jsonnet", *flags, MIXIN / source], check=True, capture_output=True, timeout=60)
    pairs = {MIXIN / "dashboards" / path.name: path for path in (tmp_path / "dashboards").iterdir()}
    pairs |= {MIXIN.parent / path.relative_to(tmp_path): path for path in tmp_path.glob("**/*.yml")}
    assert set(DASHBOARDS) < set(pairs)
    assert len(pairs) == 9, sorted(pairs)
    different = [str(path.relative_to(ROOT)) for path, made in pairs.items() if path.read_text() != made.read_text()]
    assert not different, f"run ./run mixin: {different}"


@pytest.mark.skipif(not shutil.which("jsonnet"), reason="jsonnet is not installed")
def test_a_site_can_change_thresholds():
    example = re.search(r"```jsonnet\n(.*?)```", (ROOT / "docs/dashboards.md").read_text(), re.S)[1]
    alerts = subprocess.run(
        ["jsonnet", "-e", f"({example}).prometheusAlerts"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert "p99_5m > 0.25" in alerts and "share10m > 0.01" in alerts
    assert "https://wiki.example/kvtel/alerts#kvtransfersslow" in alerts
    keys = re.findall(r"^    (\w+): ", (MIXIN / "config.libsonnet").read_text(), re.M)
    table = (ROOT / "docs/dashboards.md").read_text().split("| key | default |")[1]
    assert len(keys) > 10 and not [key for key in keys if f"`{key}`" not in table]
