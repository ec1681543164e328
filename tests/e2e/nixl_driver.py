# SPDX-License-Identifier: Apache-2.0
"""A process that loads libkvtel_nixl.so as NIXL does (tests/nixl/driver.cpp), and what its store holds."""

import os
import subprocess
from pathlib import Path

from exporter import KVTEL, ROOT, samples

PLUGIN = Path(os.environ.get("KVTEL_NIXL_PLUGIN", ROOT / "build" / "libkvtel_nixl.so"))
DRIVER = Path(os.environ.get("KVTEL_NIXL_DRIVER", ROOT / "build" / "tests" / "nixl" / "nixl_driver"))


class Driver:
    """Runs commands of the driver one by one: driver("post", 0, "a0", "read", "peer", 64)."""

    def __init__(self, place, *, exporter=True, trace=True, library="nixl", load=True, **environment):
        self.place = Path(place)
        self.stores = self.place / "stores"
        self.errors = self.place / "driver.err"
        links = self.place / "plugins"
        links.mkdir(exist_ok=True)
        names = [links / "libtelemetry_exporter_kvtel.so", links / "libtrace_backend_kvtel.so"]
        for link in names:
            if not link.exists():
                link.symlink_to(PLUGIN)
        self.process = subprocess.Popen(
            [DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("a"),
            text=True,
            env={**os.environ, "KVTEL_STORE_DIR": str(self.stores), **environment},
        )
        if library:
            assert self("library", DRIVER.parent / library / "libnixl.so") == "ok"
        if load:
            self.loaded = self("load", names[0] if exporter else "-", names[1] if trace else "-")

    def __call__(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the driver ended: {self.process.wait(60)}\n{self.said()}"
        return answer.strip()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.end()
        assert kind or status in (0, -9), self.errors.read_text()

    def end(self, how="exit"):
        """Ends it; `how` is exit, _exit or kill. Returns its exit status."""
        if self.process.poll() is None:
            if how == "kill":
                self.process.kill()
            else:
                self.process.stdin.write(how + "\n")
            self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def said(self):
        """The plug-in's lines."""
        return [line for line in self.errors.read_text().splitlines() if line.startswith("kvtel:")]

    def stored(self):
        """What the stores of all processes hold: {name{labels}: value}, histograms by their counts."""
        found = {}
        for store in sorted(self.stores.glob("*.kvtel")):
            dump = subprocess.run([KVTEL, "dump", store], check=True, capture_output=True, text=True).stdout
            for line in dump.splitlines():
                name, _, value = line.rpartition("} ") if "} count " not in line else line.partition("} count ")
                if "{" in name and not value.startswith("count"):
                    name = (name + "}").replace('model_name="",engine="",', "").replace("{}", "")
                    found[name] = found.get(name, 0) + float(value.split()[0])
                elif " " in line and "{" not in line and line.split()[0].startswith(("nixl_", "kvtel_")):
                    words = line.split()
                    found[words[0]] = found.get(words[0], 0) + float(words[2] if words[1] == "count" else words[1])
        return found

    def transfers(self, direction="rx"):
        """{outcome: transfers} of those above 0."""
        prefix = f'nixl_transfers_total{{direction="{direction}",outcome="'
        return {
            name[len(prefix) : -2]: int(value)
            for name, value in self.stored().items()
            if name.startswith(prefix) and value > 0
        }


def agent(driver, name="worker", peer="peer"):
    answer = driver("agent", name)
    assert answer.split()[1:] == ["exporter", "4096", "trace", "kvtel"], driver.said()
    driver("peer", answer.split()[0], peer)
    return int(answer.split()[0])


def metrics(exporter):
    """The page without the labels that are empty here."""
    text = exporter.text()
    for empty in ('engine="",model_name="",', ',engine="",model_name=""'):
        text = text.replace(empty, "")
    return samples(text)
