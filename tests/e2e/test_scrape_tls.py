# SPDX-License-Identifier: Apache-2.0
"""Prometheus, TLS and a user, as docs/web-config.md says."""

import json
import re
import shutil
import subprocess

import pytest
from exporter import KVTEL, PATIENCE, ROOT, Exporter, wait_for
from prometheus_server import Prometheus


def findings(doctor):
    """Names; the exit code depends on what else runs on this machine."""
    done = subprocess.run(doctor, capture_output=True, text=True, timeout=PATIENCE)
    return {each["name"] for each in json.loads(done.stdout)["findings"]}


def test_prometheus_scrapes_with_tls_and_a_user_as_the_page_says(stores, tmp_path):
    """The commands and both files are those of docs/web-config.md, with another name, port and password."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    page = (ROOT / "docs/web-config.md").read_text()
    page = page[page.index("## Prometheus with TLS and a user") : page.index("## Changes")].replace(
        "kvtel.example.org", "localhost"
    )
    command = re.search(r"^    (openssl .*)$", page, re.M)[1]
    subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True, timeout=PATIENCE)
    web, scrape = re.findall(r"```yaml\n(.*?)```", page, re.S)
    # "open sesame" at cost 4
    hashed = "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy"
    (tmp_path / "web.yml").write_text(re.sub(r"\$2y\S+", lambda _: hashed, web))
    shutil.copy(tmp_path / "server.pem", tmp_path / "kvtel-server.pem")
    (tmp_path / "kvtel.password").write_text("open sesame\n")
    doctor = [KVTEL, "doctor", "--json", f"--store.dir={stores}", f"--url.ca-file={tmp_path / 'kvtel-server.pem'}"]
    with Exporter(stores, f"--web.config.file={tmp_path / 'web.yml'}") as exporter:
        scrape = scrape.replace("localhost:9466", f"localhost:{exporter.port}").replace(
            "scrape_interval: 15s", "scrape_interval: 1s"
        )
        with Prometheus(tmp_path, None, config=scrape) as prometheus:
            wait_for(lambda: prometheus.query("up") == {(): 1.0}, "a scrape")
        doctor += [
            f"--url=https://localhost:{exporter.port}",
            "--url.user=prometheus",
            f"--url.password-file={tmp_path / 'kvtel.password'}",
        ]
        assert {"exporter", "scraped", "probes-refused"} <= findings(doctor)
        (tmp_path / "kvtel.password").write_text("wrong\n")
        assert "exporter-refuses" in findings(doctor)
