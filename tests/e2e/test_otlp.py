# SPDX-License-Identifier: Apache-2.0
"""The push of metrics by OTLP."""

import os
import subprocess
import threading

import pytest

from exporter import Exporter, wait_for
from otlp_receiver import CUMULATIVE, Answer, Receiver, exponential_buckets, partial, samples_of
from test_protobuf import FAMILIES, draw, model_of, recording, samples_of_text

TRANSFER = FAMILIES[0]


def environment(interval=200, **variables):
    """The environment without OpenTelemetry's variables, and with these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**clean, "OTEL_METRIC_EXPORT_INTERVAL": str(interval), "no_proxy": "*", **variables}


def pushing(stores, receiver, *flags, path="", **variables):
    flags = [f"--otlp.endpoint={receiver.url(path)}", "--web.enable-stats-receiver", *flags]
    return Exporter(stores, *flags, env=environment(**variables))


def shown(exporter, name):
    return exporter.samples()[name]


def next_request(receiver):
    """One whose numbers are of a time after the call: the next one to come may be older."""
    return receiver.wait(len(receiver.requests) + 2)[-1]


@pytest.mark.parametrize("kind", ["both", "classic", "native"])
def test_the_same_as_the_text(stores, kind):
    columns = draw(300)
    with Receiver() as receiver:
        with pushing(stores, receiver, f"--metrics.histograms={kind}") as exporter:
            exporter.text("/api/v1/stats", recording(*columns))
            request = next_request(receiver)
            text = samples_of_text(exporter.text())
    assert request.path == "/v1/metrics" and request.headers["Content-Type"] == "application/x-protobuf"
    pushed = samples_of(request.metrics)
    for name, data in request.metrics.items():
        assert data.description
        if data.WhichOneof("data") == "sum":
            assert data.sum.is_monotonic and data.sum.aggregation_temporality == CUMULATIVE
            assert name.endswith("_total")
    assert request.metrics[TRANSFER].unit == "s" and request.metrics[FAMILIES[2]].unit == "By"
    # its own metrics moved between push and scrape
    theirs = {key: value for key, value in text.items() if not key[0].startswith(("kvtel_", "process_"))}
    if kind == "classic":
        assert {key: value for key, value in pushed.items() if key in theirs} == theirs
        assert request.metrics[TRANSFER].WhichOneof("data") == "histogram"
    else:
        without = {key: value for key, value in theirs.items() if not key[0].endswith("_bucket")}
        assert {key: value for key, value in pushed.items() if key in theirs} == without
    assert {key[0] for key in pushed} >= {"kvtel_build_info", "process_cpu_seconds_total"}


@pytest.mark.parametrize("schema", [3, 0, -4])
def test_exponential_buckets_are_exact(stores, schema):
    columns = draw(500)
    flags = [f"--metrics.native-histogram-schema={schema}", "--metrics.native-histogram-max-buckets=10000"]
    with Receiver() as receiver:
        with pushing(stores, receiver, *flags) as exporter:
            exporter.text("/api/v1/stats", recording(*columns))
            request = next_request(receiver)
    for name, values in zip(FAMILIES, columns, strict=True):
        (point,) = request.metrics[name].exponential_histogram.data_points
        assert request.metrics[name].exponential_histogram.aggregation_temporality == CUMULATIVE
        assert point.scale == schema and point.time_unix_nano > 1.6e18 and point.zero_threshold > 0
        assert exponential_buckets(point) == model_of([v for v in values if v > point.zero_threshold], schema)
        assert point.zero_count == sum(value <= point.zero_threshold for value in values)


def test_a_wide_series_has_fewer_buckets(stores):
    """From the lowest to the highest there are at most 160, empty ones counted."""
    values = [2e-6, 100]
    with Receiver() as receiver:
        with pushing(stores, receiver) as exporter:
            exporter.text("/api/v1/stats", recording(values, values, [1, 1], [1, 1]))
            (point,) = next_request(receiver).metrics[TRANSFER].exponential_histogram.data_points
    assert point.scale == 2 and len(point.positive.bucket_counts) <= 160
    assert exponential_buckets(point) == model_of(values, 2)


def test_variables(stores):
    with Receiver() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url("/base/"),
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20sesame%2C1, x-tenant = a",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "X-Tenant=b",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": "host.name=h%C3%B6st,service.name=overridden,k8s.pod.name=p",
            "OTEL_SERVICE_NAME": "transfers",
        }
        with Exporter(stores, env=environment(**variables)) as exporter:
            request = receiver.wait()[0]
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is counted")
            assert shown(exporter, "kvtel_otlp_sent_bytes_total") > 0
            assert shown(exporter, "kvtel_otlp_last_push_timestamp_seconds") > 1.6e9
            log = "".join(exporter.log)
            port = exporter.port
    assert request.path == "/base/v1/metrics" and request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Authorization"] == "Bearer sesame,1" and request.headers.get_all("x-tenant") == ["b"]
    assert request.headers["User-Agent"].startswith("kvtel/")
    resource = request.resource
    assert resource.pop("service.instance.id").endswith(f":{port}") and resource.pop("service.version")
    assert resource == {"host.name": "höst", "service.name": "transfers", "k8s.pod.name": "p"}
    assert "sesame" not in log


def test_the_variable_for_metrics_is_the_whole_url(stores):
    with Receiver() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.url("/in?key=secret1"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        }
        with Exporter(stores, env=environment(**variables)) as exporter:
            assert receiver.wait()[0].path == "/in?key=secret1"
            assert "secret1" not in "".join(exporter.log)


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_METRICS_EXPORTER=none"])
def test_variables_that_switch_it_off(stores, variable):
    name, value = variable.split("=")
    with Exporter(stores, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", **{name: value})) as exporter:
        assert "kvtel_otlp_pushes_total" not in exporter.text()


@pytest.mark.parametrize("status", [429, 503, None])
def test_a_push_is_sent_again(stores, status):
    answer = Answer(status, b"slow down", "text/plain", {"Retry-After": "1"} if status else None)
    with Receiver(answer, answer, Answer()) as receiver:
        with pushing(stores, receiver, interval=60000) as exporter:
            first, second, third = receiver.wait(3)[:3]
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") == 1, "a push that is counted")
            exporter.wait_for_log("/v1/metrics again")
            assert shown(exporter, "kvtel_otlp_retries_total") == 2
            assert shown(exporter, "kvtel_otlp_pushes_failed_total") == 0
            log = [line for line in exporter.log if "cannot be pushed" in line]
    assert first.content == second.content == third.content  # the same numbers
    if status:  # a connection that ends has several names
        assert len(log) == 1 and f"it answered {status}: slow down" in log[0]


def test_a_refused_push_is_not_sent_again(stores):
    refused = Answer(400, b"unknown tenant", "text/plain")
    with Receiver(refused, Answer()) as receiver:
        with pushing(stores, receiver) as exporter:
            receiver.wait(2)
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is counted")
            assert shown(exporter, "kvtel_otlp_pushes_failed_total") == 1
            assert shown(exporter, "kvtel_otlp_retries_total") == 0
            exporter.wait_for_log("it answered 400: unknown tenant")


def test_numbers_that_nobody_took_are_replaced_by_newer_ones(stores):
    with Receiver(Answer(503)) as receiver:
        with pushing(stores, receiver) as exporter:
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_failed_total") > 0, "a push that is given up")
            receiver.answers = [Answer()]
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is taken")
            exporter.wait_for_log("/v1/metrics again")  # which comes behind all other lines of it
            assert sum("it answered 503" in line for line in exporter.log) == 1


def test_partial_success_is_said_once(stores):
    text = "too many series of sesame" + 120 * "." + "sesame"  # of which the log has a part
    with Receiver(partial(7, text), partial(7, "again")) as receiver:
        with pushing(stores, receiver, **{"OTEL_EXPORTER_OTLP_HEADERS": "x-key=sesame"}) as exporter:
            wait_for(lambda: shown(exporter, "kvtel_otlp_points_rejected_total") >= 21, "three answers")
            exporter.wait_for_log("only in part")
            lines = [line for line in exporter.log if "only in part" in line]
            assert "sesam" not in "".join(exporter.log)
    assert len(lines) == 1 and "7 data points were not taken: too many series of ***." in lines[0]


@pytest.mark.parametrize("body,kind", [(b"<html>sign in</html>", "text/html"), (b"\xff" * 300000, "application/x-protobuf")])
def test_an_answer_that_is_none(stores, body, kind):
    with Receiver(Answer(200, body, kind)) as receiver:
        with pushing(stores, receiver) as exporter:
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_failed_total") > 0, "a push that failed")
            exporter.wait_for_log("no answer of OTLP")
            assert shown(exporter, "kvtel_otlp_pushes_total") == 0


def test_a_redirection_is_not_followed(stores):
    with Receiver(Answer(307, headers={"Location": "/elsewhere"})) as receiver:
        with pushing(stores, receiver) as exporter:
            exporter.wait_for_log("a redirection is not followed")
        assert {request.path for request in receiver.requests} == {"/v1/metrics"}


def test_an_endpoint_that_hangs(stores):
    """Scrapes go on, and the exporter ends in time."""
    hang = threading.Event()
    with Receiver(Answer(hang=hang)) as receiver:
        with pushing(stores, receiver, OTEL_EXPORTER_OTLP_TIMEOUT="600000") as exporter:
            receiver.wait()
            for _ in range(3):
                assert shown(exporter, "kvtel_otlp_pushes_total") == 0
            exporter.end()
        hang.set()


def test_an_endpoint_that_hangs_longer_than_the_timeout(stores):
    hang = threading.Event()
    with Receiver(Answer(hang=hang), Answer()) as receiver:
        with pushing(stores, receiver, OTEL_EXPORTER_OTLP_TIMEOUT="300") as exporter:
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is taken")
            exporter.wait_for_log("cannot be pushed")
        hang.set()


def test_nobody_listens(stores):
    with Exporter(stores, "--otlp.endpoint=http://127.0.0.1:1", env=environment()) as exporter:
        exporter.wait_for_log("metrics cannot be pushed to http://127.0.0.1:1/v1/metrics")
        assert shown(exporter, "kvtel_otlp_pushes_total") == 0


def test_the_last_numbers_are_pushed_at_the_end(stores):
    with Receiver() as receiver:
        with pushing(stores, receiver, interval=3600000) as exporter:
            receiver.wait()
            exporter.text("/api/v1/stats", recording([0.004], [0.001], [4096], [1]))
        point = receiver.wait(2)[-1].metrics[TRANSFER].exponential_histogram.data_points[0]
    assert point.count == 1


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True, timeout=60)


@pytest.fixture
def certificate(tmp_path):
    """A server's certificate that is its own authority."""
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl(tmp_path, "req", "-x509", *curve, "-nodes", "-days", "2", *name, "-keyout", "key.pem", "-out", "cert.pem")
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls(stores, certificate):
    with Receiver(certificate=certificate) as receiver:
        with pushing(stores, receiver, OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate[0])) as exporter:
            receiver.wait()
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is taken")


def test_tls_with_a_certificate_of_our_own(stores, certificate):
    variables = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate[0]),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(certificate[0]),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(certificate[1]),
    }
    with Receiver(certificate=certificate, authority=certificate[0]) as receiver:
        with pushing(stores, receiver, **variables) as exporter:
            wait_for(lambda: shown(exporter, "kvtel_otlp_pushes_total") > 0, "a push that is taken")


def test_tls_of_somebody_else(stores, certificate):
    with Receiver(certificate=certificate) as receiver:
        with pushing(stores, receiver) as exporter:
            exporter.wait_for_log("cannot be pushed")
            assert shown(exporter, "kvtel_otlp_pushes_total") == 0
        assert not receiver.requests


BAD = [
    ("--otlp.endpoint", ["", "127.0.0.1:4318", "ftp://h", "http://", "http://:4318", "http://h:0", "http://h:x", "http://h h"]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", ["localhost:4318", "http://h:65536", "http://h/#f", "http://[::1"]),
    ("OTEL_EXPORTER_OTLP_HEADERS", ["novalue", "=v", "a b=v", "host=x", "k=%zz", "k=%0Av", "k=%FF"]),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", ["0", "10s", "-1"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", ["zip"]),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", ["grpc", "http/json"]),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", ["/nonexistent.pem"]),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", ["/dev/null"]),
    ("OTEL_RESOURCE_ATTRIBUTES", ["a"]),
    ("OTEL_METRIC_EXPORT_INTERVAL", ["99", "1m"]),
]


@pytest.mark.parametrize("name,values", BAD, ids=[name for name, _ in BAD])
def test_bad_settings(kvtel, stores, name, values):
    for value in values:
        variables = {} if name.startswith("--") else {name: value}
        if "ENDPOINT" not in name:
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
        flags = [f"{name}={value}"] if name.startswith("--") else []
        done = subprocess.run(
            [kvtel, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0", *flags],
            env={**environment(), **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2 and name in done.stderr, (value, done.stderr)
