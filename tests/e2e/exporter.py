# SPDX-License-Identifier: Apache-2.0
"""kvtel serve and processes that record, for tests."""

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KVTEL = os.environ.get("KVTEL", ROOT / "build" / "kvtel")
WRITER = os.environ.get("KVTEL_STORE_WRITER", ROOT / "build" / "tests" / "store_writer")
# Seconds until a test gives up what it waits for. Only a failure waits that long; a machine under load needs tens of seconds.
PATIENCE = 60
OWN_WRITER = os.environ.get("KVTEL_OWN_WRITER", ROOT / "build" / "tests" / "own_writer")


def free_port():
    """For a program that cannot be asked which port it took. Below those that the kernel gives to clients, so that none of them takes it
    before the program does."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as held, contextlib.suppress(OSError):
            held.bind(("127.0.0.1", port))
            return port


class Exporter:
    """A running kvtel serve on a free port. `log` has its lines so far."""

    def __init__(self, directory, *arguments, program=KVTEL, **popen):
        command = [program, "serve", f"--store.dir={directory}", "--web.listen-address=127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **popen)
        self.log, self.ready = [], threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.ready.wait(PATIENCE) and self.process.poll() is None, "".join(self.log)
        address = next(m for line in self.log if (m := re.search(r'address"?[=:] ?"?127\.0\.0\.1:(\d+)', line)))
        self.port = int(address[1])

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)
            if "is ready" in line:
                self.ready.set()
        self.ready.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self, number=signal.SIGTERM):
        """Ends it; returns how long that took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            threads = [
                path.read_text()
                for path in Path(f"/proc/{self.process.pid}/task").glob("*/[sw]*")
                if path.name in ("stat", "wchan")
            ]
            raise AssertionError(f"it does not end: {threads}\n{''.join(self.log[-20:])}") from None
        self.reader.join(PATIENCE)
        assert self.process.returncode in (0, -signal.SIGKILL), "".join(self.log)
        return time.monotonic() - began

    def lines(self, *said):
        """The lines of the log so far that hold each of `said`: texts, or functions of a line. A line may come later: see wait_for_log."""
        log = list(self.log)
        return [line for line in log if all(each(line) if callable(each) else each in line for each in said)]

    def wait_for_log(self, *said, count=1):
        """Waits until `count` lines hold each of `said`, as in lines(); returns them. What a line reports can be seen elsewhere before the
        line is here (in a metric, in the directory), so a test that expects a line waits for it."""
        wait_for(lambda: len(self.lines(*said)) >= count, lambda: f"{count} lines with {said} in {''.join(self.log)}")
        return self.lines(*said)

    def url(self, path="/metrics"):
        return f"http://127.0.0.1:{self.port}{path}"

    def text(self, path="/metrics", data=None, headers=None):
        headers = {**({"Content-Type": "application/jsonl"} if data is not None else {}), **(headers or {})}
        request = urllib.request.Request(self.url(path), data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def samples(self):
        return samples(self.text())


def samples(text):
    """{name{labels}: value} of a page."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


class StoreProcess:
    """A process that makes a store, says its path, and ends with its standard input."""

    def __init__(self, command, **popen):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen)
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.path = Path(line.split(" ", 1)[1].strip())

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


class Writer(StoreProcess):
    """A process that records NIXL transfers into a store of its own."""

    def __init__(self, directory, book, count, engine=0, rank=0, threads=1, **popen):
        self.book, self.threads = Path(book), threads
        super().__init__([WRITER, directory, book, str(count), str(engine), str(rank), str(threads)], **popen)

    def done(self):
        assert self.process.stdout.readline() == "done\n"
        return self

    def booked(self):
        """Transfers that it had finished to record, of each thread."""
        return struct.unpack(f"<{self.threads}Q", self.book.read_bytes()[: 8 * self.threads])


def wait_for(condition, what="the condition", seconds=PATIENCE):
    """Polls until `condition()` is true. The deadline costs only a test that fails, so it is long: nothing is promised about how soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what() if callable(what) else what} did not come true within {seconds} s"
        time.sleep(0.02)
