# SPDX-License-Identifier: Apache-2.0
"""System calls fail: nothing crashes or leaks, no counter falls or doubles, and totals are right as soon as the fault is gone."""

import os
import subprocess
from pathlib import Path

import pytest

from exporter import KVTEL, Exporter, Writer, wait_for
from faults import Faults, name, rows

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'
RECORDED = 1000
DATA = Path(os.environ["KVTEL_TEST_DATA"])
SCRAPES = 15
# What a running exporter calls in the test below; it makes the other calls when it starts, or not at all.
WHILE_RUNNING = ("pread", "open", "fstat", "fcntl", "close")
EXPORTER_ONLY = ("inotify", "fsync", "unlink", "rename")


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path / "faults")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def shown(exporter):
    """The counter, or None where the scrape is an error or does not have it."""
    try:
        return exporter.samples().get(COUNT)
    except OSError:
        return None


@pytest.mark.parametrize("row", rows(), ids=name)
def test_exporter(tmp_path, faults, row):
    """Two writers, one of which ends, and one that comes, while every third call fails."""
    call, error = row
    stores = tmp_path / "stores"
    stores.mkdir()
    writers = [Writer(stores, tmp_path / f"book-{rank}", RECORDED, rank=rank).done() for rank in range(2)]
    with Exporter(stores, env=faults.environment) as exporter:
        wait_for(lambda: shown(exporter) == 2 * RECORDED, what="both stores")
        before = descriptors(exporter.process.pid)
        highest = 2 * RECORDED
        with faults.failing(call, error, every=3):
            writers.pop().end()
            writers.append(Writer(stores, tmp_path / "book-2", RECORDED, rank=2).done())
            for _ in range(SCRAPES):
                value = shown(exporter)
                assert value is None or highest <= value <= 3 * RECORDED, f"{value} after {highest}"
                highest = value or highest
                assert exporter.process.poll() is None, "".join(exporter.log)
            assert faults.failed(call) > 0 or call not in WHILE_RUNNING
        wait_for(lambda: shown(exporter) == 3 * RECORDED, what=f"all {3 * RECORDED}, {shown(exporter)} are shown")
        wait_for(lambda: len(list(stores.glob("*-*.kvtel"))) == 2, what="the ended store's removal")
        wait_for(lambda: descriptors(exporter.process.pid) <= before + 2, what="as few descriptors as before")
        assert shown(exporter) == 3 * RECORDED
    with Exporter(stores) as exporter:  # what it left behind is whole
        wait_for(lambda: shown(exporter) == 3 * RECORDED, what="the totals after a restart")
    for writer in writers:
        writer.end()


@pytest.mark.parametrize("row", [row for row in rows() if row[0] not in EXPORTER_ONLY], ids=name)
def test_start(tmp_path, faults, row):
    """Each call of a start fails in turn: the exporter says why it does not start, or starts and shows everything."""
    call, error = row
    stores = tmp_path / "stores"
    stores.mkdir()
    Writer(stores, tmp_path / "book", RECORDED).done().end()
    for every in (1, 2, 3, 5, 8, 13):
        with faults.failing(call, error, every, once=True):
            process = subprocess.Popen(
                [KVTEL, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0"],
                env=faults.environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            log = []
            for line in process.stderr:
                log.append(line)
                if "is ready" in line:
                    process.terminate()
            assert process.wait(20) in (0, 1), "".join(log)
            assert log, "it says nothing"
    with Exporter(stores) as exporter:
        wait_for(lambda: shown(exporter) == RECORDED, what="the totals after a restart")


@pytest.mark.parametrize("row", [row for row in rows() if row[0] not in EXPORTER_ONLY], ids=name)
def test_writer(tmp_path, faults, row):
    """What a writer could not record it does not count; what it counted is there, if it has a file at all."""
    call, error = row
    stores = tmp_path / "stores"
    stores.mkdir()
    for every in (1, 2, 3, 5, 8):
        book = tmp_path / f"book-{every}"
        with faults.failing(call, error, every, once=True):
            done = subprocess.run(
                [os.environ["KVTEL_STORE_WRITER"], stores, book, str(RECORDED), str(every)],
                env=faults.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
            )
        assert done.returncode in (0, 1), done.stderr  # 1: the test's own program found no file
        if done.returncode == 0:
            booked = int.from_bytes(book.read_bytes()[:8], "little")
            with Exporter(stores) as exporter:
                key = COUNT.replace('engine="0"', f'engine="{every}"')
                wait_for(lambda: exporter.samples().get(key, 0) == booked, what=f"{booked} of engine {every}")


@pytest.mark.parametrize(
    "row", [row for row in rows() if row[0] in ("pread", "open", "fstat", "write", "mmap", "close")], ids=name
)
def test_replay(tmp_path, faults, row):
    """A replay gives the whole result, or an error with a message."""
    call, error = row
    recording = DATA / "golden/nixl_basic.jsonl"
    outputs = ["--metrics.output", tmp_path / "metrics"]
    whole = subprocess.run([KVTEL, "replay", *outputs, recording], capture_output=True, text=True, timeout=30)
    metrics = (tmp_path / "metrics").read_text()
    for every in (1, 2, 3, 5):
        with faults.failing(call, error, every, once=True):
            done = subprocess.run(
                [KVTEL, "replay", *outputs, recording],
                env=faults.environment,
                capture_output=True,
                text=True,
                timeout=30,
            )
        assert done.returncode in (0, 1)
        if done.returncode == 0:
            assert done.stdout == whole.stdout
            assert (tmp_path / "metrics").read_text() == metrics
        else:
            assert done.stderr.startswith("kvtel: ")
