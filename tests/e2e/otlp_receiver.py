# SPDX-License-Identifier: Apache-2.0
"""A receiver of OTLP's metrics that answers as a test says, and what it was sent, decoded by OpenTelemetry's own classes."""

import gzip
import math
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from exporter import wait_for

CUMULATIVE = 2


class Answer:
    """`status` None: none, and the connection is closed. `hang`: an event until which nothing is answered."""

    def __init__(self, status=200, body=b"", kind="application/x-protobuf", headers=None, hang=None):
        self.status, self.body, self.kind, self.headers, self.hang = status, body, kind, headers or {}, hang


def partial(rejected, message):
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = rejected
    answer.partial_success.error_message = message
    return Answer(body=answer.SerializeToString())


class Request:
    def __init__(self, path, headers, content):
        self.path, self.headers, self.content = path, headers, content
        plain = gzip.decompress(content) if headers.get("Content-Encoding") == "gzip" else content
        self.message = ExportMetricsServiceRequest.FromString(plain)
        known = ExportMetricsServiceRequest()
        known.CopyFrom(self.message)
        known.DiscardUnknownFields()
        assert known.SerializeToString() == self.message.SerializeToString(), "there are unknown fields"

    @property
    def resource(self):
        (resource,) = self.message.resource_metrics
        return attributes(resource.resource.attributes)

    @property
    def metrics(self):
        (resource,) = self.message.resource_metrics
        (scope,) = resource.scope_metrics
        names = [metric.name for metric in scope.metrics]
        assert scope.scope.name == "kvtel" and len(names) == len(set(names))
        return {metric.name: metric for metric in scope.metrics}


def attributes(pairs):
    return {pair.key: pair.value.string_value for pair in pairs}


def samples_of(metrics):
    """{(name, labels): value}, as the text has them; of histograms count and sum, and the buckets of explicit ones."""
    found = {}
    for metric in metrics.values():
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            labels = attributes(point.attributes)
            assert list(labels) == sorted(labels)

            def add(name, value, **more):
                found[name, tuple(sorted({**labels, **more}.items()))] = value

            if metric.WhichOneof("data") in ("sum", "gauge"):
                add(metric.name, point.as_double)
                continue
            add(f"{metric.name}_count", point.count)
            add(f"{metric.name}_sum", point.sum)
            if metric.WhichOneof("data") == "histogram":
                assert sum(point.bucket_counts) == point.count
                below = 0
                for bound, count in zip([*point.explicit_bounds, math.inf], point.bucket_counts, strict=True):
                    below += count
                    add(f"{metric.name}_bucket", below, le=bound)
    return found


def exponential_buckets(point):
    """Count by the index that Prometheus would give a bucket: of its upper bound."""
    counts = {point.positive.offset + 1 + i: n for i, n in enumerate(point.positive.bucket_counts)}
    assert sum(counts.values()) + point.zero_count == point.count
    return {index: count for index, count in counts.items() if count}


class Receiver:
    """`answers`: one for each request; the last one is for all that follow. `requests` has what came."""

    def __init__(self, *answers, certificate=None, authority=None):
        receiver = self
        self.answers = list(answers) or [Answer()]
        self.requests, self.faults = [], []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            if authority:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(authority)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.server.handle_error = lambda *_: None  # a client that does not trust it, or that ended
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.port = self.server.server_address[1]

    def take(self, handler):
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        try:
            request = Request(handler.path, handler.headers, content)
        except Exception as error:  # for the test's own thread
            self.faults.append(error)
            raise
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.requests.append(request)
        if answer.hang:
            answer.hang.wait(60)
        if answer.status is None or answer.hang:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in {"Content-Type": answer.kind, **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def url(self, path=""):
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def wait(self, count=1):
        """The requests, once there are so many."""
        wait_for(lambda: self.faults or len(self.requests) >= count, f"{count} pushes")
        assert not self.faults, self.faults
        return self.requests

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(20)
