# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that scrapes kvtel serve."""

import json
import subprocess
import urllib.request

from exporter import PATIENCE, free_port


def native_histograms(program="prometheus"):
    """With what that Prometheus scrapes native histograms: (its flags, settings of a scrape configuration). A feature until 3.7."""
    said = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=PATIENCE)
    if "native-histograms" in said.stdout + said.stderr:
        return ["--enable-feature=native-histograms"], []
    return [], ["scrape_native_histograms: true"]


class Prometheus:
    """Scrapes `target`, or each of a list of them, unless that is None, every second. `scrape`: more lines of its scrape configuration.
    `rules`: files of rules, which are evaluated every second. `config`: all of the configuration, without a target."""

    def __init__(self, directory, target, *flags, scrape="", rules=(), program="prometheus", config=None):
        self.port = free_port()
        targets = json.dumps([target] if isinstance(target, str) else target)
        (directory / "prometheus.yml").write_text(
            f"""
global: {{ evaluation_interval: 1s }}
rule_files: {json.dumps([str(file) for file in rules])}
scrape_configs:
  - job_name: kvtel
    scrape_interval: 1s
    scrape_timeout: 1s
{scrape}
    static_configs: [{{ targets: {targets} }}]
"""
            if target
            else config or ""
        )
        command = [
            program,
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *flags,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=PATIENCE) as answer:
                return answer.status == 200
        except OSError:
            return False

    def results(self, expression):
        try:
            return self.get(f"query?query={urllib.request.quote(expression)}")["result"]
        except OSError:
            return []

    def query(self, expression):
        """Value by label set, without the name, the job and the instance."""
        dropped = {"__name__", "job", "instance"}
        return {
            tuple(sorted((k, v) for k, v in r["metric"].items() if k not in dropped)): float(r["value"][1])
            for r in self.results(expression)
        }

    def metadata(self, name):
        return self.get(f"metadata?metric={name}")[name][0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)
