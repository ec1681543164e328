# SPDX-License-Identifier: Apache-2.0
"""An exporter whose summary a test makes up, for kvtel top."""

import base64
import json
import urllib.parse

from fake_server import FakeServer

VERSION = "0.1.0"
PART = 256  # entries of an answer


def bins(values):
    """A histogram of {value: count}, with a bin's bound just above each value."""
    return {
        "count": sum(values.values()),
        "sum": sum(value * count for value, count in values.items()),
        "bins": [[value * 2 ** (1 / 128), count] for value, count in sorted(values.items())],
    }


def flow(name, transfers, size, times, **more):
    return {
        "name": name,
        "transfers": transfers,
        "bytes": float(transfers * size),
        "seconds": 1.0,
        "failures": {},
        "time": bins(times),
        **more,
    }


def entry(connector, engine, flows, failures=None, model="m"):
    failures = failures or {}
    return {
        "connector": connector,
        "model_name": model,
        "engine": engine,
        "flows": flows,
        "failed": sum(failures.values()),
        "failures": failures,
        "others": [],
        "others_total": 0,
    }


def summary(time, connectors, uptime=100.0, **more):
    return {
        "version": VERSION,
        "time": time,
        "uptime_seconds": uptime + time,
        "sources": [],
        "sources_total": 3,
        "recording": 2,
        "writers": [],
        "writers_total": 0,
        "open": [],
        "oldest_open": [],
        "refused": {},
        "connectors": connectors,
        "connectors_total": len(connectors),
        **more,
    }


class FakeSummary(FakeServer):
    """Answers `now`: a summary, in parts as an exporter, bytes, or (status, bytes), and `past`, a history, if there is one.
    `password`: that of the user "ops", if one is wanted."""

    def __init__(self, now, password=None):
        self.now, self.past, self.asked = now, None, 0
        self.wanted = password and f"Basic {base64.b64encode(f'ops:{password}'.encode()).decode()}"
        super().__init__(self.answer)

    def answer(self, target, headers):
        path, _, query = target.partition("?")
        offset = int(urllib.parse.parse_qs(query).get("offset", ["0"])[0])
        self.asked += path == "/api/v1/summary" and offset == 0
        status, body = self.now if isinstance(self.now, tuple) else (200, self.now)
        if isinstance(body, dict):
            body = {**body, "connectors": body["connectors"][offset : offset + PART]}
        if path == "/api/v1/history" and self.past is not None:
            status, body = 200, self.past
        elif path != "/api/v1/summary":
            status, body = 404, b""
        if self.wanted and headers["Authorization"] != self.wanted:
            status, body = 401, b""
        more = {"Location": "/elsewhere"} if status == 302 else {}
        return status, more, body if isinstance(body, bytes) else json.dumps(body).encode()
