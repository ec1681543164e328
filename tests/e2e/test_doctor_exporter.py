# SPDX-License-Identifier: Apache-2.0
"""kvtel doctor: what it finds about the exporter."""

import json
import subprocess

import pytest
from exporter import KVTEL, PATIENCE, Exporter
from fake_machine import FakeExporter, finds


@finds("exporter-absent")
def test_no_exporter(machine):
    done = subprocess.run(
        [KVTEL, "doctor", "--json", f"--store.dir={machine.stores}", f"--root={machine.root}"],
        capture_output=True,
        timeout=PATIENCE,
    )
    found = [each["name"] for each in json.loads(done.stdout)["findings"]]
    if "exporter" not in found:  # else one runs on this machine
        assert "exporter-absent" in found or "exporter-refuses" in found or "exporter-other" in found


@finds("exporter-unknown")
def test_a_machine_without_libcurl(machine, tmp_path):
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("libcurl-gnutls.so.4", "libcurl.so.4"):
        (libraries / name).touch()  # found first, and no library
    with FakeExporter() as fake:
        code, found = machine.doctor(f"--url={fake.url}", environment={"LD_LIBRARY_PATH": libraries})
    assert found["exporter-unknown"] == [
        "--url needs libcurl, which cannot be loaded: install it (Debian: libcurl3-gnutls)"
    ]
    assert not {name for name in found if name.startswith("exporter")} - {"exporter-unknown"}


@finds(
    "exporter-stuck", "exporter-refuses", "exporter-misconfigured", "exporter-busy", "exporter-other", "probes-refused"
)
def test_answers(machine):
    for path, status, name in (
        ("/-/healthy", 503, "exporter-stuck"),
        ("/-/healthy", 401, "probes-refused"),
        ("/api/v1/summary", 401, "exporter-refuses"),
        ("/api/v1/summary", 500, "exporter-misconfigured"),
        ("/api/v1/summary", 404, "exporter-other"),
        ("/api/v1/summary", "no JSON", "exporter-other"),
        ("/api/v1/summary", "{}", "exporter-other"),
        ("/api/v1/summary", 429, "exporter-busy"),
        ("/metrics", 503, "exporter-busy"),
        ("/metrics", 500, "exporter-misconfigured"),
    ):
        with FakeExporter() as fake:
            fake.pages[path] = status
            assert name in machine.doctor(f"--url={fake.url}")[1], (path, status)


@finds("exporter-version", "nobody-records", "clock-skew", "not-scraped", "not-scraped-yet", "own-metrics-off")
def test_what_the_exporter_says_of_itself(machine):
    for name, how, seen in (
        ("exporter-version", {"version": "9.9.9"}, "the exporter is 9.9.9"),
        ("nobody-records", {"recording": 0}, "no source records"),
        ("clock-skew", {"time_off": 60}, "s ahead"),
        ("clock-skew", {"time_off": -60}, "s behind"),
        ("not-scraped", {"last": 400}, "the last scrape was"),
        ("not-scraped", {"last": None}, "no scrape since the exporter's start"),
        ("not-scraped-yet", {"last": None, "uptime": 20.0}, "has run for 20 s"),
    ):
        with FakeExporter(**how) as fake:
            assert seen in machine.doctor(f"--url={fake.url}")[1][name][0], name
    with FakeExporter() as fake:
        fake.pages["/metrics"] = "# TYPE vllm:x counter\n"
        assert "own-metrics-off" in machine.doctor(f"--url={fake.url}")[1]
        fake.pages["/metrics"] = 404
        assert "404" in machine.doctor(f"--url={fake.url}")[1]["own-metrics-off"][0]


WATCHED = {
    'kvtel_stores{state="refused"}': "store-refused",
    'kvtel_stores{state="retired"}': "directory-sticky",
    "kvtel_stores_deleted_total": "store-deleted",
    "kvtel_stores_stale": "shortage",
    "kvtel_stores_postponed": "shortage",
    "kvtel_own_stores_renewed_total": "store-deleted",
    "kvtel_writers_unclosed_total": "store-unclosed",
    "kvtel_store_series_dropped": "store-drops",
    "kvtel_store_records_dropped": "store-drops",
    "kvtel_store_values_refused": "store-drops",
    "kvtel_totals_damaged_total": "totals-damaged",
    "kvtel_totals_writes_failed_total": "totals-unwritten",
    "kvtel_scrapes_failed_total": "scrapes-fail",
    "kvtel_scrapes_repeated_total": "shortage",
    "kvtel_log_lines_dropped_total": "log-dropped",
    "kvtel_posts_rejected_total": "posts-rejected",
    "kvtel_otlp_pushes_failed_total": "push-fails",
    'kvtel_nixl_rings{state="contended"}': "ring-contended",
    'kvtel_nixl_rings{state="blocked"}': "ring-full",
    'kvtel_nixl_rings{state="unreadable"}': "ring-unusable",
    'kvtel_nixl_rings{state="unsupported_version"}': "ring-unusable",
    'kvtel_nixl_rings{state="over_limit"}': "ring-unusable",
}


@finds(*WATCHED.values())
def test_counters_that_should_be_zero(machine):
    with FakeExporter("".join(f"{name} 0\n" for name in WATCHED)) as fake:
        assert not set(WATCHED.values()) & set(machine.doctor(f"--url={fake.url}")[1])
    for name, finding in WATCHED.items():
        with FakeExporter(f"{name} 2\n") as fake:
            assert machine.doctor(f"--url={fake.url}")[1][finding] == [f"{name} is 2"]


def test_the_watched_metrics_are_exported(stores, tmp_path):
    arguments = [
        "--web.enable-stats-receiver",
        f"--nixl.telemetry-dir={tmp_path / 'rings'}",
        "--otlp.endpoint=http://127.0.0.1:1",
    ]
    with Exporter(stores, *arguments) as exporter:
        assert set(WATCHED) - set(exporter.samples()) == set()


@finds("prefix-changed", "counted-twice")
def test_names_of_metrics(machine):
    with FakeExporter() as fake:
        assert not {"prefix-changed", "counted-twice"} & set(machine.doctor(f"--url={fake.url}")[1])
        machine.process(5, "vllm")
        assert "counted-twice" in machine.doctor(f"--url={fake.url}")[1]
    with FakeExporter(prefix="kv_") as fake:
        found = machine.doctor(f"--url={fake.url}")[1]
        assert (
            found["prefix-changed"] == ["the exporter shows kv_nixl_xfer_time_seconds"] and "counted-twice" not in found
        )


def test_a_scrape_is_seen_and_a_look_by_doctor_is_not(machine):
    with Exporter(machine.stores) as exporter:
        url = f"--url={exporter.url('')}"
        for _ in range(2):
            assert "not-scraped-yet" in machine.doctor(url)[1]
        assert exporter.samples()["kvtel_last_scrape_timestamp_seconds"] == 0
        assert "scraped" in machine.doctor(url)[1]


def test_a_post_that_a_web_page_could_have_sent_is_counted(machine):
    with Exporter(machine.stores, "--web.enable-stats-receiver") as exporter:
        for headers in ({"Content-Type": "text/plain"}, {"Origin": "http://evil.example"}):
            with pytest.raises(Exception, match="HTTP Error 4"):
                exporter.text("/api/v1/stats", data=b"x", headers=headers)
        assert exporter.samples()["kvtel_posts_rejected_total"] == 2
        assert "posts-rejected" in machine.doctor(f"--url={exporter.url('')}")[1]
