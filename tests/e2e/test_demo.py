# SPDX-License-Identifier: Apache-2.0
"""kvtel-demo: its books and the exporter's totals are equal, whatever is killed, and it leaves nothing behind."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from exporter import PATIENCE, samples, wait_for

EQUAL = "All totals are equal."


class Demo:
    """A running demo whose temporary files go to a directory of its own, by which its processes are known too."""

    def __init__(self, kvtel, place, *arguments):
        self.place = place
        environment = {**os.environ, "TMPDIR": str(place)}
        self.process = subprocess.Popen(
            [kvtel.with_name("kvtel-demo"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def read_until(self, pattern):
        """Standard output up to the first line with the pattern."""
        for line in self.process.stdout:
            found = re.search(pattern, line)
            if found:
                return found
        pytest.fail(f"it ended without {pattern!r}: {self.process.stderr.read()}")

    def processes(self):
        """pid -> name of all processes that have the directory in their environment."""
        mark, found = f"TMPDIR={self.place}\0".encode(), {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                pass  # it ended meanwhile, or is another user's
        return found

    def process_named(self, name):
        """The pid of one of them."""
        return next(pid for pid, comm in self.processes().items() if comm == name)

    def finish(self, code):
        """Waits for the end: standard output and standard error."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == code, output + errors
        return output, errors

    def assert_nothing_left(self):
        wait_for(lambda: self.processes() == {}, "the end of all processes")
        assert list(self.place.iterdir()) == []


@pytest.fixture
def demo(kvtel, tmp_path):
    """Starts a demo; it is killed when a test leaves it running."""
    started = []

    def start(*arguments):
        place = tmp_path / f"place-{len(started)}"
        place.mkdir()
        started.append(Demo(kvtel, place, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def rows(output):
    """The table at the end: (engine, total) -> (books, shown)."""
    found = {}
    for engine, what, books, shown in re.findall(
        r"^  (\d+ \w+) +(\S.*?|  \S.*?) +([\d.]+) +([\d.]+)  equal$", output, re.M
    ):
        found[engine, what] = float(books), float(shown)
    return found


def test_totals_are_equal_and_nothing_stays(demo):
    running = demo("--duration", "4")
    output, errors = running.finish(0)
    assert errors == ""
    assert EQUAL in output
    table = rows(output)
    for key in [("1 decode", "transfers"), ("2 decode", "transfers")]:
        assert table[key][0] == table[key][1] > 0
    running.assert_nothing_left()


FAILURES = ("--failure-rate", "0.2", "--workers", "5", "--kill-worker", "prefill", "--speed", "2")


def test_failures_on_purpose_are_counted(demo):
    """Of each kind there is one, at the latest in a minute on a busy machine."""
    for duration in ("4", "15", "60"):
        running = demo("--duration", duration, *FAILURES)
        output, errors = running.finish(0)
        assert errors == ""
        assert EQUAL in output
        wrong, on_purpose = map(int, re.search(r"(\d+) were wrong \((\d+) on purpose\)", output).groups())
        assert wrong == on_purpose
        running.assert_nothing_left()
        totals = {"on purpose": on_purpose}
        for (_, what), (books, _) in rows(output).items():
            totals[what] = totals.get(what, 0) + books
        kinds = ("on purpose", "transfers", "loads", "stores", "failed transfers", "leases expired", "refused stores")
        missing = [what for what in kinds if totals.get(what, 0) == 0]
        if not missing:
            break
    assert missing == []


def test_trace_file_without_exporter(demo, tmp_path):
    trace, stores = tmp_path / "trace.jsonl", tmp_path / "stores"
    good = [
        {"timestamp": 10 * i, "input_length": 1500, "output_length": 40, "hash_ids": [0, i, i + 1]} for i in range(100)
    ]
    lines = [json.dumps(request) for request in good]
    lines[3:3] = [
        '{"timestamp": 30, "input_length": 1,',
        '{"timestamp": 30, "input_length": 9, "output_length": 1, "hash_ids": ["x"]}',
        "",
    ]
    trace.write_text("\n".join(lines) + "\n")
    running = demo(
        "--duration", "1", "--trace", trace, "--web.listen-address", "none", "--store.dir", stores, "--kill-worker=none"
    )
    output, errors = running.finish(0)
    said = errors.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"kvtel-demo: {trace}:4: ")
    assert said[1].startswith(f'kvtel-demo: {trace}:5: "hash_ids"')
    assert EQUAL in output and "exporter:" not in output
    assert len(list(stores.iterdir())) == 4  # for others to look at
    running.assert_nothing_left()


@pytest.mark.parametrize("content", ["", "\n\n", "[]\n", '{"timestamp": 1}\n', "\0\n"])
def test_trace_without_a_request(demo, tmp_path, content):
    trace = tmp_path / "trace.jsonl"
    trace.write_text(content)
    running = demo("--trace", trace)
    _, errors = running.finish(1)
    assert "no request in it" in errors
    running.assert_nothing_left()


@pytest.mark.parametrize("to_all", [False, True], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_it_well(demo, to_all):
    running = demo("--duration", "100")
    model = running.read_until(r'model "(kvtel-demo-\w+)"').group(1)
    address = running.read_until(r"exporter: (http://\S+)").group(1)
    running.read_until(r"\d+ transfers")
    text = urllib.request.urlopen(address + "metrics", timeout=PATIENCE).read().decode()
    assert f'model_name="{model}"' in text
    if to_all:
        os.killpg(running.process.pid, signal.SIGINT)
    else:
        running.process.send_signal(signal.SIGTERM)
    output, errors = running.finish(0)
    assert errors == ""
    assert EQUAL in output
    running.assert_nothing_left()


def test_its_processes_end_with_it(demo):
    running = demo("--duration", "100")
    running.read_until(r"\d+ transfers")
    assert len(running.processes()) == 6
    running.process.kill()
    running.process.communicate()
    wait_for(lambda: running.processes() == {}, "the end of all processes")


@pytest.mark.parametrize("victim", ["prefill 1", "decode 0"])
def test_a_worker_that_ends_by_itself_is_an_error(demo, victim):
    running = demo("--duration", "100", "--kill-worker=none")
    running.read_until(r"\d+ transfers")
    os.kill(running.process_named(victim), signal.SIGKILL)
    _, errors = running.finish(1)
    assert "was ended by signal 9" in errors
    running.assert_nothing_left()


def test_an_exporter_that_is_gone_is_an_error(demo):
    running = demo("--duration", "100")
    running.read_until(r"\d+ transfers")
    exporters = [pid for pid, name in running.processes().items() if " " not in name and pid != running.process.pid]
    assert len(exporters) == 1
    os.kill(exporters[0], signal.SIGKILL)
    running.process.terminate()
    _, errors = running.finish(1)
    assert "/metrics: " in errors
    running.assert_nothing_left()


def test_totals_that_differ_are_said(demo, tmp_path):
    """A copy of a worker's store is a store too: all that is in it counts twice."""
    stores = tmp_path / "stores"
    running = demo("--duration", "100", "--store.dir", stores, "--kill-worker=none", "--web.listen-address=127.0.0.1:0")
    address = running.read_until(r"exporter: (http://\S+)").group(1)
    running.read_until(r" [1-9]\d* transfers")
    paths = sorted(stores.glob("*.kvtel"))
    for number, path in enumerate(paths):
        shutil.copy(path, stores / ".copy")
        (stores / ".copy").rename(stores / f"copy-{number}.kvtel")

    def retired():
        text = urllib.request.urlopen(address + "metrics", timeout=PATIENCE).read().decode()
        return samples(text)["kvtel_stores_retired_total"]

    wait_for(lambda: retired() == len(paths), "the copies in the totals")
    running.process.terminate()
    output, errors = running.finish(1)
    assert EQUAL not in output
    assert "DIFFERENT" in output
    assert re.search(
        r"engine 1: vllm:nixl_xfer_time_seconds_count is \d+ by exporter, \d+ by the engine's books", errors
    )
    running.assert_nothing_left()


def test_table_on_a_terminal(kvtel, tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TMPDIR"] = str(tmp_path)
        os.execv(kvtel.with_name("kvtel-demo"), ["kvtel-demo", "--duration", "2"])
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    text = shown.decode()
    assert text.count("P99 ms") >= 3
    assert re.search(r"\x1b\[\d+A", text)
    live = re.sub(r"\x1b\[\d*[A-Z]", "\n", text.partition("P99 ms")[2].rpartition("P99 ms")[0])
    assert max(len(line.strip("\r")) for line in live.split("\n")) < 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--nonsense=x"], "kvtel-demo: unrecognized option '--nonsense'\n"),
        (["-x"], "kvtel-demo: invalid option -- 'x'\n"),
        (["--help=x"], "kvtel-demo: option '--help' doesn't allow an argument\n"),
        (["--duration"], "kvtel-demo: option '--duration' requires an argument\n"),
        (["--duration=long"], "is not a number"),
        (["--duration=0"], "is not a number from 0.1"),
        (["--speed=nan"], "is not a number"),
        (["--failure-rate=1.5"], "is not a number from 0 to 1"),
        (["--workers=1"], "from 2 to 32"),
        (["--workers=2.5"], "is not a whole number"),
        (["--kill-worker=all"], "none of decode, prefill and none"),
        (["--store.dir="], "name a directory"),
        (["--web.listen-address=127.0.0.1"], "is not an address"),
        (["now"], "takes no argument"),
    ],
)
def test_wrong_usage(demo, arguments, said):
    running = demo(*arguments)
    output, errors = running.finish(2)
    assert output == ""
    assert said in errors
    assert "kvtel-demo --help" in errors
    running.assert_nothing_left()


def test_what_cannot_be_used_is_an_error(demo, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    for arguments in (
        ["--trace", tmp_path / "missing"],
        ["--store.dir", blocked / "stores", "--web.listen-address=none"],
        ["--store.dir", blocked / "stores"],
    ):
        running = demo("--duration", "1", *arguments)
        _, errors = running.finish(1)
        assert errors.startswith("kvtel-demo: ")
        running.assert_nothing_left()


def test_help(kvtel):
    done = subprocess.run([kvtel.with_name("kvtel-demo"), "--help"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: kvtel-demo") and "examples:" in done.stdout
