# SPDX-License-Identifier: Apache-2.0
"""The exporter as its users meet it: a real Prometheus scrapes it, curl posts recordings to it, systemd starts and ends it."""

import gzip
import json
import os
import random
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import ROOT
from exporter import KVTEL, PATIENCE, Exporter, Writer, samples, wait_for
from prometheus_server import Prometheus

DATA = ROOT / "tests" / "data"
GOLDEN = sorted(path for path in (DATA / "golden").glob("*.jsonl") if not path.name.endswith(".aggregated.jsonl"))


def connector_samples(text):
    return {name: value for name, value in samples(text).items() if not name.startswith(("kvtel_", "process_"))}


@pytest.mark.parametrize("recording", GOLDEN, ids=lambda path: path.stem)
def test_a_posted_recording_equals_its_replay(stores, replay, recording):
    if recording.stem == "no_stats_connector":
        pytest.skip("this connector has no stats: see test_what_is_refused_whole")
    expected = connector_samples(replay(recording).text)
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", recording.read_bytes())
        assert connector_samples(exporter.text()) == expected


@pytest.mark.parametrize("form", ["mp", "jsonl"])
def test_posted_by_curl_compressed_in_both_forms(stores, replay, tmp_path, form):
    recording = DATA / "golden" / f"nixl_ranks.{form}"
    body = tmp_path / "body.gz"
    body.write_bytes(gzip.compress(recording.read_bytes()))
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        command = [
            "curl",
            "-sS",
            "-H",
            "Content-Type: application/jsonl",
            "-H",
            "Content-Encoding: gzip",
            "--data-binary",
            f"@{body}",
            exporter.url("/api/v1/stats"),
        ]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout)
        assert answer["status"] == "success" and answer["accepted"] > 0
        assert connector_samples(exporter.text()) == connector_samples(replay(recording).text)


def header(**more):
    return {
        "kvtel": 1,
        "kv_transfer_config": {"kv_connector": "NixlConnector"},
        "model_name": "m",
        "engines": [0],
        **more,
    }


def payload(seq=None, **columns):
    body = {
        "engine": 0,
        "payload": {
            "transfer_duration": [0.1],
            "post_duration": [0.01],
            "bytes_transferred": [1],
            "num_descriptors": [1],
        },
    }
    body["payload"].update(columns)
    return body | ({"seq": seq} if seq is not None else {})


def lines(*objects):
    return "\n".join(json.dumps(o) if isinstance(o, dict) else o for o in objects).encode()


def post(exporter, body):
    try:
        return 200, json.loads(exporter.text("/api/v1/stats", body))
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'


def test_a_repeated_payload_is_acknowledged_and_not_counted_again(stores):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        first = lines(header(source="a"), payload(1), payload(2))
        assert post(exporter, first) == (200, {"status": "success", "accepted": 2, "repeated": 0, "refused": {}})
        assert post(exporter, first) == (200, {"status": "success", "accepted": 0, "repeated": 2, "refused": {}})
        assert post(exporter, lines(header(source="a"), payload(2), payload(3)))[1] == {
            "status": "success",
            "accepted": 1,
            "repeated": 1,
            "refused": {},
        }
        assert post(exporter, lines(header(source="b"), payload(1)))[1]["accepted"] == 1
        found = exporter.samples()
        assert found[COUNT] == 4
        assert found["kvtel_payloads_accepted_total"] == 4 and found["kvtel_payloads_repeated_total"] == 3
        assert found["kvtel_samples_accepted_total"] == 4 * 4


def test_what_is_refused_whole(stores):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        code, answer = post(exporter, lines(header(), payload(), '{"engine": 0, "payload": {"transfer_duration": [}}'))
        assert code == 400 and answer["error"]["line"] == 3 and answer["error"]["column"] > 40
        for body in [
            b"",
            b"\xff\xff",
            lines(payload()),
            lines(header(kvtel=2)),
            b"\x81" * 100,
            lines(header(), '{"engine": 0}'),
            lines(header(kv_transfer_config={"kv_connector": "Nobody"}), payload()),
            lines(header(kv_transfer_config={"kv_connector": "ExampleConnector"}), payload()),
        ]:
            code, answer = post(exporter, body)
            assert code == 400 and answer["error"]["reason"], body
        found = exporter.samples()
        assert found.get(COUNT, 0) == 0 and found["kvtel_posts_rejected_total"] == 9


def test_what_is_refused_in_part(stores):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert (
            post(
                exporter,
                lines(header(), payload(bogus=1, num_failed_transfers=[1, "x"]), payload(transfer_duration=[-1])),
            )[0]
            == 200
        )
        found = exporter.samples()
        assert found[COUNT] == 1
        assert found['kvtel_refused_total{reason="unknown_key"}'] == 1
        assert found['kvtel_refused_total{reason="wrong_type"}'] == 1
        assert found['kvtel_refused_total{reason="negative"}'] == 1


def test_posts_whose_bytes_are_changed_at_random(stores):
    """Each is taken or refused with a reason; the exporter goes on."""
    draw = random.Random(3)
    whole = [path.read_bytes() for path in GOLDEN] + [path.with_suffix(".mp").read_bytes() for path in GOLDEN]
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        codes = set()
        for _ in range(600):
            body = bytearray(draw.choice(whole)[:20000])
            for _ in range(draw.randint(1, 5)):
                body[draw.randrange(len(body))] = draw.choice(
                    [0, 0xC1, 0xDF, 0xFF, ord("["), ord("}"), ord("-"), draw.randrange(256)]
                )
            if draw.random() < 0.2:
                body = gzip.compress(body)[: draw.randrange(20, 4000)]
            request = urllib.request.Request(
                exporter.url("/api/v1/stats"),
                data=body,
                headers={
                    "Content-Type": "application/jsonl",
                    **({"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}),
                },
            )
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    codes.add(answer.status)
            except urllib.error.HTTPError as error:
                codes.add(error.code)
                assert json.loads(error.read())["error"]["reason"]
        assert codes == {200, 400}
        families = text_string_to_metric_families(exporter.text())
        assert "kvtel_refused" in {family.name for family in families}
        exporter.text("/api/v1/summary")


def test_the_receiver_is_off_unless_asked_for(stores):
    with Exporter(stores) as exporter, pytest.raises(urllib.error.HTTPError) as error:
        exporter.text("/api/v1/stats", lines(header()))
    assert error.value.code == 404


def test_a_part_of_the_summary(stores):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text("/api/v1/stats", lines(header()))
        exporter.text("/api/v1/stats", (ROOT / "tests/data/golden/nixl_basic.jsonl").read_bytes())
        [entry] = json.loads(exporter.text("/api/v1/summary?filter=NIXLconnector%20eng&x=y"))["connectors"]
        assert entry["connector"] == "NixlConnector"
        for query, total in (("offset=9", 1), ("filter=none", 0)):
            told = json.loads(exporter.text("/api/v1/summary?" + query))
            assert told["connectors"] == [] and told["connectors_total"] == total
        for query in ("offset=x", "filter=%0", "filter=" + 300 * "x"):
            with pytest.raises(urllib.error.HTTPError) as error:
                exporter.text("/api/v1/summary?" + query)
            assert error.value.code == 400 and error.value.read().decode().startswith(query[:6])


def test_pages_and_readiness(stores):
    with Exporter(stores) as exporter:
        assert "healthy" in exporter.text("/-/healthy") and "ready" in exporter.text("/-/ready")
        assert json.loads(exporter.text("/api/v1/summary"))["version"]
        with urllib.request.urlopen(exporter.url("/")) as page:
            assert "default-src" in page.headers["Content-Security-Policy"]
            assert "<html" in page.read().decode()
        families = list(text_string_to_metric_families(exporter.text()))
        assert {"process_cpu_seconds", "process_resident_memory_bytes", "kvtel_build_info"} <= {
            family.name for family in families
        }
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=exporter.text(), capture_output=True, text=True, timeout=PATIENCE
        )
        assert checked.returncode == 0, checked.stderr


OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    "accept,content_type",
    [
        (None, TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("text/html,application/xhtml+xml", TEXT_TYPE),
        (
            f"{OPENMETRICS},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS_TYPE,
        ),  # 2.42
        (
            f"{OPENMETRICS};escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            f"{OPENMETRICS_TYPE}; escaping=allow-utf-8",
        ),  # 3.4
        (f"{OPENMETRICS};q=0, text/plain;q=0.1", TEXT_TYPE),
    ],
)
def test_scrapers_get_the_format_that_they_ask_for(stores, accept, content_type):
    with Exporter(stores) as exporter:
        for method in ["GET", "HEAD"]:
            request = urllib.request.Request(
                exporter.url(), headers={"Accept": accept, "Accept-Encoding": "gzip"} if accept else {}, method=method
            )
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                assert answer.headers["Content-Type"] == content_type
                assert int(answer.headers["Content-Length"]) > 0
                assert set(answer.headers.get_all("Vary")) == {"Accept", "Accept-Encoding"}
                body = answer.read()
            if method == "HEAD":
                assert body == b""
            else:
                body = gzip.decompress(body) if accept else body
                assert b"kvtel_build_info{" in body
                assert body.endswith(b"\n# EOF\n") == ("openmetrics" in content_type)


def test_200_clients_at_once(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 30).done()
    with Exporter(stores, "--web.max-requests=0") as exporter:
        barrier, found = threading.Barrier(200), []

        def scrape():
            barrier.wait()
            found.append(exporter.samples()[COUNT])

        threads = [threading.Thread(target=scrape) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [30] * 200
    writer.end()


def test_clients_that_read_a_byte_at_a_time_hold_nobody_up(stores):
    """Its answer is larger than what the kernel keeps for it."""
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        exporter.text(
            "/api/v1/stats", lines(header(engines=list(range(2000))), *(payload() | {"engine": i} for i in range(2000)))
        )
        slow = []
        for _ in range(30):
            client = socket.create_connection(("127.0.0.1", exporter.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.append(client)
        for _ in range(3):
            assert all(client.recv(1) for client in slow)
            assert exporter.samples()[COUNT] == 1
        for client in slow:
            client.close()


def test_every_flag_is_in_the_docs():
    usage = subprocess.run(
        [KVTEL, "serve", "--help"], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout
    documented = (ROOT / "docs" / "serve.md").read_text()
    flags = set(re.findall(r"--[a-z][a-z.-]+", usage))
    assert len(flags) > 15 and not [flag for flag in flags if f"`{flag}" not in documented]


def test_what_is_in_deploy():
    for check, name in [("rules", "rules.yml"), ("config", "prometheus.yml")]:
        done = subprocess.run(
            ["promtool", "check", check, name], cwd=ROOT / "deploy", capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr


def test_sigterm_ends_it_with_a_last_line(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 30).done()
    exporter = Exporter(stores, "--log.interval=1h")
    assert exporter.samples()[COUNT] == 30
    second = Writer(stores, tmp_path / "book2", 7).done()
    wait_for(lambda: exporter.samples()[COUNT] == 37, "the second store")
    exporter.end()  # not after the interval
    assert exporter.process.returncode == 0
    assert exporter.lines("ok=7 ") and "SIGTERM" in exporter.log[-1]
    writer.end()
    second.end()


def test_it_tells_systemd_that_it_is_ready(stores, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        with Exporter(stores, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}):
            assert listener.recv(100) == b"READY=1"
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["--bogus"], 2, "kvtel serve: unrecognized option '--bogus'\nTry 'kvtel serve --help'."),
        (["extra"], 2, "takes no argument"),
        (["--log.level=loud"], 2, "debug, info, warn or error"),
        (["--log.interval=-1"], 2, "--log.interval"),
        (["--web.telemetry-path=metrics"], 2, "begins with /"),
        (["--metrics.prefix=9x"], 2, "--metrics.prefix"),
        (["--metrics.prefix=" + 64 * "x"], 2, "at most 63"),
        (["--web.max-requests=x"], 2, "number from 0"),
        (["--web.listen-address=9466"], 1, "9466"),
        (["--web.config.file=/nonexistent.yml"], 1, "nonexistent"),
        (["--web.config.file=/dev/zero"], 1, "/dev/zero: not a file"),
        (["--web.systemd-socket"], 1, "systemd"),
        (["--store.dir=/proc/nonexistent/x"], 1, "/proc/nonexistent"),
    ],
)
def test_wrong_usage_says_what_is_wrong(tmp_path, arguments, code, message):
    command = [KVTEL, "serve", f"--store.dir={tmp_path}", "--web.listen-address=127.0.0.1:0", *arguments]
    if "--web.systemd-socket" in arguments:
        command.remove("--web.listen-address=127.0.0.1:0")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == code, done.stderr  # wrong usage comes with a line about --help


def certificate(tmp_path):
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def bcrypt_of(password):
    code = "import crypt,sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 6)))"
    return subprocess.run(
        ["/usr/bin/python3", "-W", "ignore", "-c", code, password], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_real_prometheus_scrapes_it_over_tls_with_a_user(stores, tmp_path):
    certificate(tmp_path)
    web = tmp_path / "web.yml"
    web.write_text(
        f"tls_server_config: {{ cert_file: cert.pem, key_file: key.pem }}\nbasic_auth_users: {{ prometheus: '{bcrypt_of('secret')}' }}\n"
    )
    subprocess.run(["promtool", "check", "web-config", web], check=True, capture_output=True)
    scrape = f"""
    scheme: https
    basic_auth: {{ username: prometheus, password: secret }}
    tls_config: {{ ca_file: {tmp_path}/cert.pem, server_name: localhost }}
"""
    writers = [Writer(stores, tmp_path / f"book{i}", 1000 * (i + 1), engine=i).done() for i in range(2)]
    with Exporter(stores, f"--web.config.file={web}") as exporter:
        denied = subprocess.run(
            ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", exporter.url().replace("http:", "https:")],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert denied.stdout == "401"
        with Prometheus(tmp_path, f"127.0.0.1:{exporter.port}", scrape=scrape) as prometheus:
            wait_for(lambda: prometheus.query("up") == {(): 1.0}, "a scrape")
            for engine in range(2):
                labels = (("engine", str(engine)), ("model_name", "m"))
                wait_for(lambda: labels in prometheus.query("vllm:nixl_xfer_time_seconds_count"), "the series")
                assert prometheus.query("vllm:nixl_xfer_time_seconds_count")[labels] == 1000 * (engine + 1)
                assert prometheus.query("vllm:nixl_bytes_transferred_sum")[labels] == 262144000 * (engine + 1)
            quantile = prometheus.query("histogram_quantile(0.5, sum by (le) (vllm:nixl_xfer_time_seconds_bucket))")
            assert 0 < quantile[()] <= 0.005
            scraped = prometheus.metadata("vllm:nixl_xfer_time_seconds")
            assert scraped["type"] == "histogram" and scraped["unit"] == "seconds"  # UNIT is OpenMetrics' alone
    for writer in writers:
        writer.end()


def test_nixl_rings_beside_stores(stores, tmp_path):
    """What vLLM's own page said of the same transfers (tests/data/engines/nixl-pd), from the ring that NIXL wrote."""
    rings = tmp_path / "rings"
    rings.mkdir()
    (rings / "agent").write_bytes((DATA / "engines" / "nixl-pd" / "decode.ring").read_bytes())
    theirs = samples((DATA / "engines" / "nixl-pd" / "decode.prom").read_text())
    with Exporter(stores, f"--nixl.telemetry-dir={rings}") as exporter:
        wait_for(lambda: "nixl_xfer_time_seconds_count" in exporter.text(), "the ring")
        ours = exporter.samples()
        count = next(v for k, v in theirs.items() if k.startswith("vllm:nixl_xfer_time_seconds_count"))
        total = next(v for k, v in theirs.items() if k.startswith("vllm:nixl_xfer_time_seconds_sum"))
        assert sum(v for k, v in ours.items() if re.match(r"nixl_xfer_time_seconds_count\b", k)) == count
        assert sum(v for k, v in ours.items() if re.match(r"nixl_xfer_time_seconds_sum\b", k)) == pytest.approx(
            total, rel=1e-9
        )
        assert ours['kvtel_nixl_rings{state="read"}'] == 1
    with Exporter(stores) as exporter:  # that reads no rings: their counters stay, their state is not known
        found = exporter.samples()
        assert sum(v for k, v in found.items() if re.match(r"nixl_xfer_time_seconds_count\b", k)) == count
        assert not any(k.startswith(("kvtel_nixl_rings", "nixl_memory_bytes")) for k in found)
