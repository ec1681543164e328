# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on loopback, in the test's own process."""

import http.server
import threading


class FakeServer:
    """Each GET gets what `answer(path, headers)` returns: (status, {header: value}, body in bytes). A test may replace
    `answer` meanwhile. `port` 0: a free one."""

    def __init__(self, answer, port=0):
        self.answer = answer
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = owner.answer(self.path, self.headers)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(body)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # the client has gone

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
