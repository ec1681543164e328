# SPDX-License-Identifier: Apache-2.0
"""The files of the page with a summary that is made up here, for test_page.py."""

import json
import math
import re
import urllib.parse
from pathlib import Path

from fake_server import FakeServer

SERVE = Path(__file__).resolve().parents[2] / "src/serve"
CHART = Path("/usr/share/javascript/chart.js/chart.min.js")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


def policy():
    """What page.h says."""
    text = (SERVE / "page.h").read_text()
    return "".join(re.findall(r'"([^"]*)"', text[text.index("#define PAGE_CSP") :]))


def bins(values, per_octave=64):
    """A histogram as the summary has it."""
    counted = {}
    for value, count in values:
        bound = math.ceil(math.log2(value) * per_octave - 1e-9)
        counted[bound] = counted.get(bound, 0) + count
    return {
        "count": sum(count for _, count in values),
        "sum": sum(value * count for value, count in values),
        "bins": [[2 ** (bound / per_octave), count] for bound, count in sorted(counted.items())],
    }


def spread(middle, total, width):
    """`total` values about a middle, with a long tail."""
    steps = [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3]
    weights = [2, 4, 10, 18, 24, 18, 12, 7, 4, 1]
    return [(middle * 2 ** (step * width), int(total * weight / 100)) for step, weight in zip(steps, weights)]


def flow(name, transfers, size, seconds, post=None):
    """A flow that did `transfers` so far."""
    told = {
        "name": name,
        "transfers": transfers,
        "bytes": float(transfers * size),
        "seconds": transfers * seconds,
        "failures": {},
        "time": bins(spread(seconds, transfers, 0.8)),
        "size": bins(spread(size, transfers, 1.2)),
    }
    if post:
        told["post"] = bins(spread(post, transfers, 0.5))
    return told


def source(name, state, **more):
    return {
        "kind": "store",
        "name": name,
        "connector": "",
        "engine": 0,
        "rank": 0,
        "pid": 0,
        "state": state,
        "reason": None,
        "age_seconds": 0.0,
        **more,
    }


def writer(connector, engine, rank, pid, **more):
    return {
        "connector": connector,
        "model_name": "meta-llama/Llama-3.1-70B-Instruct",
        "engine": engine,
        "rank": rank,
        "pid": pid,
        "live": 1,
        "restarts": 0,
        "unclosed": 0,
        "last_seen_seconds": 0.0,
        **more,
    }


def peer(name, transfers, **more):
    return {
        "peer": name,
        "transfers": transfers,
        "bytes": float(transfers << 20),
        "failed": 0,
        "unseen": 0,
        "open": 0,
        "oldest_seconds": 0.0,
        **more,
    }


class Fake:
    """The page's files and a summary that grows with `tick`, as an exporter would serve them."""

    def __init__(self):
        self.kind, self.tick, self.step, self.start = "empty", 0, 2.0, 1.8e9
        self.past = 0
        self.asked = {}  # the query of the latest request
        self.server = None
        self.port = 0

    def summary(self):
        self.tick += 1
        seconds = self.tick * self.step
        made = {
            "version": "0.1.0",
            "time": self.start + seconds,
            "uptime_seconds": 5400.0 + seconds,
            "sources": [],
            "sources_total": 0,
            "refused": {},
            "connectors": [],
            "connectors_total": 0,
            "recording": 0,
            "writers": [],
            "writers_total": 0,
            "failure_texts": {
                "transfer_or_handshake": ["the transfer ended with an error", "decode could not reach prefill"],
                "expired": ["nobody fetched the blocks"],
                "allocation": ["there was no room for the blocks"],
                "other": ["the connector tells no class"],
            },
        }
        if self.kind == "empty":
            return made
        wave = [
            int(seconds * rate + 22 * rate * math.sin(seconds / 31 + k)) + 100 * rate
            for k, rate in enumerate((90, 60, 14, 22))
        ]
        made["connectors"] = [
            self.entry(
                "NixlConnector",
                "0",
                [flow("transfer", wave[0], 1 << 20, 3.1e-3, 3.2e-4)],
                {"transfer_or_handshake": 2 + int(seconds / 60), "expired": 1},
            ),
            self.entry("NixlConnector", "1", [flow("transfer", wave[1], 1 << 20, 4.2e-3, 3.9e-4)], {}),
            self.entry(
                "OffloadingConnector",
                "0",
                [flow("load", wave[2], 6 << 20, 1.1e-3), flow("store", wave[3], 6 << 20, 1.6e-3)],
                {"allocation": int(seconds / 25)},
            ),
        ]
        made["connectors_total"] = 3
        made["recording"] = 0 if self.kind == "gone" else 3
        made["writers"] = [
            writer("NixlConnector", 0, 0, 4711),
            writer("NixlConnector", 0, 1, 4712, restarts=2, unclosed=1),
            writer("NixlConnector", 1, 0, 4801, live=0, unclosed=1, last_seen_seconds=95.0 + seconds),
        ]
        if self.kind == "gone":
            made["writers"] = [{**one, "live": 0, "last_seen_seconds": 30.0 + seconds} for one in made["writers"]]
        made["writers_total"] = 3
        made["sources"] = [
            source("prefill-0.kvtel", "live", connector="NixlConnector", rank=0, pid=4711, age_seconds=5300 + seconds),
            source("prefill-1.kvtel", "live", connector="NixlConnector", rank=1, pid=4712, age_seconds=5300 + seconds),
            source("decode-0.kvtel", "live", connector="NixlConnector", engine=1, pid=4801, age_seconds=5290 + seconds),
            source(
                "decode-1.kvtel",
                "ended",
                connector="NixlConnector",
                engine=1,
                rank=1,
                pid=4802,
                age_seconds=5290 + seconds,
            ),
            source("old.kvtel", "refused", reason="not a store of this version"),
        ]
        made["sources_total"] = 5
        made["peers"] = [
            peer("prefill-2/0", int(90 * seconds) + 4000, failed=3, open=2, oldest_seconds=31.0),
            peer("prefill-1/0", int(40 * seconds) + 9000, unseen=1),
            peer("10.0.0.7:5600", 0, open=1, oldest_seconds=0.2),
        ]
        made["peers_total"] = 5
        made["refused"] = {"unknown_metric": 12, "malformed": 1}
        return made

    def history(self):
        """What an exporter kept of the last hour before the page was opened: `past` seconds of it, in points of a minute."""
        ends = [self.start - 60.0 * k for k in range(int(self.past / 60) - 1, -1, -1)]
        old = bins(spread(0.1, 5400, 0.8), per_octave=8)
        flow = {
            "name": "transfer",
            "transfers": [5400] * len(ends),
            "bytes": [5400 << 20] * len(ends),
            **{key: {share: [0.1] * len(ends) for share in ("p50", "p90", "p99")} for key in ("time", "post")},
            "bands": [{"time": old, "post": old, "size": old}] * (3 if ends else 0),
            "at_end": {"transfers": 9000, "bytes": 9000 << 20},
        }
        entry = {
            "connector": "NixlConnector",
            "model_name": "meta-llama/Llama-3.1-70B-Instruct",
            "engine": "0",
            "flows": [flow],
            "failures": {"transfer_or_handshake": [1] * len(ends), "expired": [0] * len(ends)},
            "failures_at_end": {"transfer_or_handshake": 2, "expired": 1},
        }
        gone = {**entry, "engine": "gone"}
        return {
            "version": "0.1.0",
            "format": 1,
            "time": self.start,
            "duration_seconds": 3600.0,
            "bands": [60.0, 120.0, 180.0],
            "end": ends,
            "seconds": [60.0] * len(ends),
            "connectors": [entry, gone] if ends else [],
        }

    @staticmethod
    def entry(connector, engine, flows, failures, others=()):
        return {
            "connector": connector,
            "model_name": "meta-llama/Llama-3.1-70B-Instruct",
            "engine": engine,
            "flows": flows,
            "failed": sum(failures.values()),
            "failures": failures,
            "others": list(others),
            "others_total": len(others),
        }

    def answer(self, path):
        if path == "/api/v1/summary":
            return "application/json", json.dumps(self.summary()).encode()
        if path == "/api/v1/history":
            return "application/json", json.dumps(self.history()).encode()
        file = CHART if path == "/chart.js" else SERVE / "page" / ("index.html" if path == "/" else path[1:])
        return (TYPES[file.suffix], file.read_bytes()) if file.is_file() else (None, b"")

    def respond(self, path, _):
        target = urllib.parse.urlsplit(path)
        self.asked = dict(urllib.parse.parse_qsl(target.query))
        kind, body = self.answer(target.path)
        headers = {"Content-Type": kind or "text/plain", "Content-Security-Policy": policy()}
        return 200 if kind else 404, headers, body

    def open(self):
        self.server = FakeServer(self.respond, self.port)
        self.port = self.server.port
        return self.server.url + "/"

    def close(self):
        if self.server:
            self.server.close()
            self.server = None
