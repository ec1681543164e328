# SPDX-License-Identifier: Apache-2.0
"""Each panel of the dashboards of deploy/mixin, in a real Prometheus that scrapes every kind of source."""

import contextlib
import math
import re
import urllib.request

from every_source import EverySource
from exporter import samples, wait_for
from fake_server import FakeServer
from mixin import DASHBOARDS, MIXIN, dashboard, expressions, filled_in
from prometheus_server import Prometheus, native_histograms

RULES = [MIXIN / "rules.yml", MIXIN / "alerts.yml"]
VALUES = {"__rate_interval": "30s", "prefix": "vllm:", "transport": "nixl"}
VALUES |= dict.fromkeys(["cluster", "namespace", "model", "engine"], ".*")
# Panels of explicit buckets alone.
CLASSIC = {"Transfers by time"}


def other_page(exporter):
    """A page with the same numbers under the same names, as vLLM's own has."""

    def answer(*_):
        text = "".join(line + "\n" for line in exporter.text().splitlines() if line.startswith("vllm:"))
        return 200, {"Content-Type": "text/plain; version=0.0.4"}, text.encode()

    return FakeServer(answer)


@contextlib.contextmanager
def two_pages(directory):
    """Every kind of source, and another page with the same names: what check_panels() is given."""
    with EverySource(directory) as source:
        source.move()
        with other_page(source.exporter) as other:
            yield source, other


def label_values(server, query):
    """What Grafana makes of label_values(SELECTOR, LABEL)."""
    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
    match = urllib.request.quote(selector)
    return server.get(f"label/{label}/values?match[]={match}")


def shows(results):
    return any(not math.isnan(float(result["value"][1])) for result in results)


def check_panels(source, other, folder, kind, program="prometheus"):
    """`kind`: the buckets that Prometheus keeps, classic, native or both (from 3.0 on)."""
    page = f"127.0.0.1:{source.exporter.port}"
    flags, settings = native_histograms(program) if kind != "classic" else ([], [])
    if kind == "both":
        settings = [*settings, "always_scrape_classic_histograms: true"]
    scrape = "".join(f"    {setting}\n" for setting in settings)
    targets = [page, f"127.0.0.1:{other.port}"]
    with Prometheus(folder, targets, *flags, scrape=scrape, rules=RULES, program=program) as server:
        wait_for(server.is_ready, "Prometheus")
        wait_for(lambda: server.results("count(up == 1) == 2"), "both pages")
        source.move()
        left = {
            (path.name, title, expression): filled_in(expression, {**VALUES, "instance": page})
            for path in DASHBOARDS
            for title, expression in expressions(path)
            if not (kind == "native" and title in CLASSIC)
        }

        def all_show():
            source.move()
            for key in [key for key, expression in left.items() if shows(server.results(expression))]:
                del left[key]
            return not left

        wait_for(all_show, lambda: f"these panels show nothing: {sorted(left)}", 600)
        # Variables: kvtel's pages alone, and each has values.
        for path in DASHBOARDS:
            for variable in dashboard(path)["templating"]["list"]:
                if variable["type"] != "query" or variable["name"] in ("cluster", "namespace"):
                    continue
                found = label_values(server, filled_in(variable["query"]["query"], {**VALUES, "instance": page}))
                assert found, (path.name, variable["name"])
                if variable["name"] == "instance":
                    assert found == [page]
        # The other page's numbers are in no total.
        now = samples(source.exporter.text())
        posted = ("mooncake", "moriio")  # what the demo moves goes on
        shown = {
            (("connector", name),): sum(
                v for k, v in now.items() if k.startswith(f"vllm:{name}_xfer_time_seconds_count")
            )
            for name in posted
        }
        query = 'sum by (connector) (model:kv_transfers:sum{connector=~"mooncake|moriio"})'
        wait_for(lambda: server.query(query) == shown, lambda: f"{server.query(query)} to equal {shown}")
