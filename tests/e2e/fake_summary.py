# SPDX-License-Identifier: Apache-2.0
"""An exporter whose summary a test makes up, for kvtel top."""

import base64
import http.server
import json
import threading

VERSION = "0.1.0"


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


class FakeSummary:
    """Answers `now`: a summary, bytes, or (status, bytes), and `past`, a history, if there is one. `password`: that of the user "ops", if one is wanted."""

    def __init__(self, now, password=None):
        fake = self
        self.now, self.past, self.asked = now, None, 0
        wanted = f"Basic {base64.b64encode(f'ops:{password}'.encode()).decode()}"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fake.asked += self.path == "/api/v1/summary"
                status, body = fake.now if isinstance(fake.now, tuple) else (200, fake.now)
                if self.path == "/api/v1/history" and fake.past is not None:
                    status, body = 200, fake.past
                elif self.path != "/api/v1/summary":
                    status, body = 404, b""
                if password and self.headers["Authorization"] != wanted:
                    status, body = 401, b""
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
