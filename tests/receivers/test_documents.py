# SPDX-License-Identifier: Apache-2.0
"""Configurations in docs/formats.md are those that their readers know. test_collector.py runs that of docs/otlp.md."""

import subprocess

from documents import block


def test_scrape_configuration(program, tmp_path):
    (tmp_path / "prometheus.yml").write_text(block("formats.md", "scrape_configs:"))
    done = subprocess.run(
        [program("promtool"), "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read(program, text):
    return subprocess.run([program("podmonitor")], input=text, capture_output=True, text=True, timeout=60)


def test_pod_monitor(program):
    """The operator's type has each of its fields."""
    text = block("formats.md", "apiVersion: monitoring.coreos.com/v1")
    done = read(program, text)
    assert (done.returncode, done.stderr) == (0, "")
    for field in ("scrapeNativeHistograms", "scrapeClassicHistograms", "podMetricsEndpoints", "matchLabels"):
        assert text.count(f"{field}:") == 1
        assert read(program, text.replace(f"{field}:", f"{field}Too:")).returncode != 0, "another field is refused"
