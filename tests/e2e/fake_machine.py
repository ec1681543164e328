# SPDX-License-Identifier: Apache-2.0
"""A machine that a test makes up, for kvtel doctor: processes below ROOT/proc, and an exporter."""

import json
import os
import subprocess
import time

from exporter import KVTEL, PATIENCE
from fake_server import FakeServer
from fake_summary import VERSION, summary

COVERED = set()  # findings that some test asserts


def finds(*names):
    """The test asserts these findings."""
    COVERED.update(names)
    return lambda test: test


class Machine:
    """`root` is for --root. The machine has no process at first."""

    def __init__(self, path, stores):
        self.root, self.stores = path, stores
        (path / "proc").mkdir(parents=True)

    def process(self, pid, name="python3", maps=(), environment=None, command=(), open_files=None):
        """Maps are paths that it has mapped."""
        place = self.root / "proc" / str(pid)
        (place / "fd").mkdir(parents=True)
        lines = [
            f"7f00{i:04x}0000-7f00{i:04x}1000 r--p 00000000 00:1c 77 {' ' * 20}{path}\n" for i, path in enumerate(maps)
        ]
        (place / "maps").write_text("55d0-55d1 r--p 00000000 00:00 0 [heap]\n" + "".join(lines))
        (place / "comm").write_text(f"{name}\n")
        (place / "environ").write_text("".join(f"{key}={value}\0" for key, value in (environment or {}).items()))
        (place / "cmdline").write_text("".join(f"{word}\0" for word in command))
        if open_files:
            (place / "limits").write_text(
                f"Limit   Soft Limit   Hard Limit   Units\nMax open files   {open_files}   4096   files\n"
            )
        return place

    def doctor(self, *arguments, program=KVTEL, environment=None, **options):
        """(exit code, {name: [what is seen]}). Without --url nothing is asked."""
        arguments = [f"--store.dir={self.stores}", *arguments] if self.stores else list(arguments)
        if not any(str(each).startswith("--url") for each in arguments):
            arguments.append("--url=http://127.0.0.1:1")
        sanitizers = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        done = subprocess.run(
            [program, "doctor", "--json", f"--root={self.root}", *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={"PATH": "/nowhere", "HOME": "/nowhere", **sanitizers, **(environment or {})},
            **options,
        )
        assert done.returncode in (0, 1) and done.stderr == "", done.stderr
        answer = json.loads(done.stdout)
        found = {}
        for each in answer["findings"]:
            found.setdefault(each["name"], []).append(each["seen"])
            assert each["means"].endswith(".") and (each["next"].endswith(".") or each["next"] == "")
        problems = [each for each in answer["findings"] if each["state"] == "problem"]
        assert answer["problem"] == len(problems) and done.returncode == (1 if problems else 0)
        return done.returncode, found


METRICS = """# TYPE kvtel_build_info gauge
kvtel_build_info{version="0.1.0"} 1
# TYPE kvtel_last_scrape_timestamp_seconds gauge
kvtel_last_scrape_timestamp_seconds %.3f
# TYPE vllm:nixl_xfer_time_seconds histogram
vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"} 5
"""


class FakeExporter(FakeServer):
    """Answers with what `pages` has for a path: text, a status, or a function that returns a text. The metrics say that a scrape was 5 s
    ago."""

    def __init__(self, metrics="", prefix="vllm:", last=5, healthy="ok\n", version=VERSION, time_off=0, **more):
        now = time.time() + time_off
        body = METRICS.replace("vllm:", prefix) % (now - last if last is not None else 0)
        uptime = more.pop("uptime", 1000.0)

        def about():  # of now, however long the test takes
            now = time.time() + time_off
            return json.dumps(summary(now, [], uptime=uptime - now, **more) | {"version": version})

        self.pages = {"/-/healthy": healthy, "/api/v1/summary": about, "/metrics": body + metrics}
        super().__init__(self.answer)

    def answer(self, path, _):
        page = self.pages.get(path, 404)
        page = page() if callable(page) else page
        return (page, {}, b"") if isinstance(page, int) else (200, {}, page.encode())
