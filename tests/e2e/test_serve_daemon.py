# SPDX-License-Identifier: Apache-2.0
"""The exporter as a daemon: a log that nobody reads, signals, a main loop that stands."""

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from exporter import KVTEL, PATIENCE, ROOT, Exporter, Writer, samples, free_port, wait_for

DROPPED = "kvtel_log_lines_dropped_total"
LIVE = 'kvtel_stores{state="live"}'


class Muted:
    """A kvtel serve whose standard error is `stderr`: nobody reads what it says."""

    def __init__(self, directory, stderr, *arguments):
        self.port = free_port()
        command = [
            KVTEL,
            "serve",
            f"--store.dir={directory}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *arguments,
        ]
        self.process = subprocess.Popen(command, stderr=stderr)
        wait_for(lambda: self.process.poll() is not None or self.answers(), "an answer")

    def answers(self):
        try:
            return self.get("/-/healthy")[0] == 200
        except OSError:
            return False

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def samples(self):
        return samples(self.get("/metrics")[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


def full_pipe():
    """A pipe that takes no byte more, and its two ends."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writing, True)
    return reading, writing


def stopped_terminal():
    main, terminal = os.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    return main, terminal


def silent_peer():
    one, other = socket.socketpair()
    other.setblocking(False)
    try:
        while True:
            other.send(b"x" * 4096)
    except BlockingIOError:
        pass
    other.setblocking(True)
    return one.detach(), other.detach()


def full_disk():
    return os.open("/dev/null", os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("log", [full_pipe, stopped_terminal, silent_peer, full_disk], ids=lambda make: make.__name__)
def test_nothing_waits_for_a_log_that_nobody_reads(stores, tmp_path, log):
    reading, writing = log()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    with Muted(stores, writing, "--log.interval=100ms", "--log.level=debug") as exporter:
        writer = Writer(stores, tmp_path / "book", 100).done()
        wait_for(lambda: exporter.samples()[LIVE] == 1, "the new engine")
        wait_for(lambda: exporter.samples()[DROPPED] > 0, "a dropped line")
        assert exporter.get("/-/healthy")[0] == 200
        assert fcntl.fcntl(writing, fcntl.F_GETFL) == flags  # others share the file description
        writer.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 1, "the end of the engine")
        exporter.process.terminate()
        assert exporter.process.wait(PATIENCE) == 0
    os.close(reading)
    os.close(writing)


def test_lines_come_again_when_the_log_is_read_again(stores, tmp_path):
    reading, writing = full_pipe()
    with Muted(stores, writing, "--log.level=debug") as exporter:
        os.close(writing)
        writers = [Writer(stores, tmp_path / f"book{i}", 10).done() for i in range(2)]
        wait_for(lambda: exporter.samples()[DROPPED] > 1, "dropped lines")
        os.set_blocking(reading, False)
        text = b""

        def read_on():
            nonlocal text
            try:
                text += os.read(reading, 1 << 16)
            except BlockingIOError:
                pass
            os.kill(exporter.process.pid, signal.SIGHUP)  # one more line
            return b"lines of this log were dropped" in text

        wait_for(read_on, "the line that says it")
        for line in text.lstrip(b"x").decode().splitlines():
            assert line.startswith("ts=") and "msg=" in line, line
        for writer in writers:
            writer.end()
    os.close(reading)


def test_a_start_that_fails_with_a_log_that_nobody_reads_ends_by_sigterm(stores):
    reading, writing = full_pipe()
    with Exporter(stores):
        second = subprocess.Popen(
            [KVTEL, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0"], stderr=writing
        )

        def asleep():  # in the write of its message
            with open(f"/proc/{second.pid}/syscall", encoding="ascii") as call:
                return call.read().split()[0] == "1" and second.poll() is None

        wait_for(asleep, "the message")
        second.terminate()
        assert second.wait(5) == -signal.SIGTERM
    os.close(reading)
    os.close(writing)


def test_signals(stores, tmp_path):
    with Exporter(stores, "--log.interval=0") as exporter:
        for number in (
            signal.SIGUSR1,
            signal.SIGUSR2,
            signal.SIGPIPE,
            signal.SIGALRM,
            signal.SIGPROF,
            signal.SIGIO,
            signal.SIGXFSZ,
            signal.SIGRTMIN,
            signal.SIGRTMAX,
        ):
            exporter.process.send_signal(number)
        for round_ in range(1, 3):
            exporter.process.send_signal(signal.SIGHUP)
            exporter.wait_for_log("SIGHUP", count=round_)
        assert exporter.process.poll() is None
        writer = Writer(stores, tmp_path / "book", 10).done()
        wait_for(lambda: exporter.samples()[LIVE] == 1, "a store")
        writer.end()


def test_sighup_looks_at_the_web_configuration(stores, tmp_path):
    config = tmp_path / "web.yml"
    config.write_text("http_server_config:\n  http2: false\n")
    with Exporter(stores, f"--web.config.file={config}") as exporter:
        config.write_text("nothing: of this kind\n")
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_log("SIGHUP", "web_config=bad")
        exporter.wait_for_log("every request is refused")


PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SEIZE = 0x4207, 17, 0x4206


def test_the_main_loop_stands(stores):
    """Its thread alone is stopped, as a debugger does; the threads of the server go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    with Exporter(stores) as exporter:
        pid = exporter.process.pid
        if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
            pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")

        def healthy():
            try:
                return exporter.text("/-/healthy").startswith("kvtel is healthy")
            except urllib.error.HTTPError as error:
                assert error.code == 503 and b"main loop has stood" in error.read()
                return False

        assert healthy()
        assert libc.ptrace(PTRACE_INTERRUPT, pid, None, None) == 0
        assert os.waitpid(pid, 0x40000000)[0] == pid  # __WALL
        wait_for(lambda: not healthy(), "its health to fail")
        assert "vllm" not in exporter.text("/-/ready")
        assert libc.ptrace(PTRACE_DETACH, pid, None, None) == 0
        wait_for(healthy, "its health to return")
        # SIGTERM ends it also while it stands
        assert libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0 and libc.ptrace(PTRACE_INTERRUPT, pid, None, None) == 0
        assert os.waitpid(pid, 0x40000000)[0] == pid
        exporter.process.terminate()
        assert exporter.process.wait(PATIENCE) == 0


def test_sigterm_again_and_again_ends_it_in_order(stores):
    for _ in range(4):
        process = Exporter(stores).process
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            process.terminate()
        assert process.returncode == 0


def test_the_exporters_own_store_is_no_live_writer(stores, tmp_path):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert exporter.samples()[LIVE] == 0
        writer = Writer(stores, tmp_path / "book", 10).done()
        wait_for(lambda: exporter.samples()[LIVE] == 1, "a store")
        writer.end()
        wait_for(lambda: exporter.samples()[LIVE] == 0, "its end")


def test_the_directory_of_rings_is_made_and_named(stores, tmp_path):
    folder = tmp_path / "rings"
    with Exporter(stores, f"--nixl.telemetry-dir={folder}") as exporter:
        assert folder.is_dir() and folder.stat().st_mode & 0o777 == 0o700
        exporter.wait_for_log(f"dir={folder} state=read")
        assert not exporter.lines('ring=""')


def summary(exporter):
    return json.loads(exporter.text("/api/v1/summary"))


def test_a_killed_writer_leaves_a_trace(stores, tmp_path):
    with Exporter(stores) as exporter:
        assert summary(exporter)["recording"] == 0 and summary(exporter)["writers"] == []
        first = Writer(stores, tmp_path / "first", 10, engine=2, rank=1).done()
        other = Writer(stores, tmp_path / "other", 10, engine=3).done()
        wait_for(lambda: summary(exporter)["recording"] == 2, "two writers")
        pid = first.process.pid
        first.kill()
        other.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 2, "their ends")
        said = exporter.wait_for_log("ended without closing")
        assert len(said) == 1 and f'level=warn msg="writer of engine 2 (pid {pid}) ended without closing"' in said[0]
        assert exporter.samples()["kvtel_writers_unclosed_total"] == 1
        again = Writer(stores, tmp_path / "again", 10, engine=2, rank=1).done()
        wait_for(lambda: summary(exporter)["recording"] == 1, "the one that came again")
        told = {writer["engine"]: writer for writer in summary(exporter)["writers"]}
        assert (told[2]["live"], told[2]["restarts"], told[2]["unclosed"], told[2]["last_seen_seconds"]) == (1, 1, 1, 0)
        assert told[2]["rank"] == 1 and told[2]["pid"] == again.process.pid and told[2]["model_name"] == "m"
        assert (told[3]["live"], told[3]["restarts"], told[3]["unclosed"]) == (0, 0, 0)
        assert 0 < told[3]["last_seen_seconds"] < 60
        exporter.wait_for_log("engine 2", "began in the place")
        again.end()
        wait_for(lambda: summary(exporter)["recording"] == 0, "the last one's end")


def test_a_writer_that_exits_without_closing_ended_in_order(stores):
    """exit(3) is an order of its own: a program need not close what it opened."""
    library = Path(KVTEL).parent / "libkvtel.so"
    if not library.exists() or "san" in Path(KVTEL).parent.name:
        pytest.skip("no shared library here")
    program = "import ctypes, sys; lib = ctypes.CDLL(sys.argv[1]); lib.kvtel_store_open.restype = ctypes.c_void_p; assert lib.kvtel_store_open(None)"
    with Exporter(stores) as exporter:
        subprocess.run(
            [sys.executable, "-c", program, library],
            env={**os.environ, "KVTEL_STORE_DIR": str(stores)},
            check=True,
            timeout=PATIENCE,
        )
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 1, "its end")
        assert exporter.samples()["kvtel_writers_unclosed_total"] == 0


def test_posts_count_as_recording(stores):
    body = (ROOT / "tests/data/golden/nixl_basic.jsonl").read_bytes()
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert summary(exporter)["recording"] == 0
        exporter.text("/api/v1/stats", body)
        wait_for(lambda: summary(exporter)["recording"] == 1, "the post")
