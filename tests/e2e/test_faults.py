# SPDX-License-Identifier: Apache-2.0
"""System calls and allocations fail: nothing crashes or leaks, no counter falls or doubles, and totals are right as soon as the
fault is gone. KVTEL_TEST_FAULTS=all tries every error of every call, not only the first."""

import errno
import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from exporter import KVTEL, PATIENCE, ROOT, WRITER, Exporter, Writer, samples, wait_for
from faults import CALLS, Faults, name, rows

sys.path.insert(0, str(ROOT / "tests"))

from store_reader import Store

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'
RECORDED = 1000
DATA = Path(os.environ.get("KVTEL_TEST_DATA", ROOT / "tests" / "data"))
ALL = os.environ.get("KVTEL_TEST_FAULTS") == "all"
SCRAPES = 15 if ALL else 6
# The n-th call fails, for each of these, where a program is started anew for each.
PLACES = (*range(1, 40),) if ALL else (1, 2, 3, 5, 8, 13, 21)
# What a running exporter calls often, and what it calls once or twice when a store ends.
OFTEN, AT_AN_END = ("pread", "open", "stat", "fcntl", "close", "malloc"), ("write", "rename")
# What the exporter tries again only ten seconds later, and test_totals has, too; recv is slow, and test_posts has it.
SLOW = () if ALL else ("ftruncate", "fsync", "recv")
# What a process that records, or reads a recording, does not call.
EXPORTER_ONLY = ("inotify", "fsync", "unlink", "flock", "statfs", "accept", "recv", "send", "epoll")


def chosen(*without):
    """Rows for parametrize."""
    return [row for row in rows(*without) if ALL or row[1] == CALLS[row[0]][0]]


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path / "faults")


def run(command, environment=None):
    """A program that has to end by itself, with 0 or 1."""
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    return done


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def shown(exporter, seconds=PATIENCE):
    """The counter, or None where the scrape is an error or does not have it, or no answer comes: a fault can keep it back."""
    try:
        with urllib.request.urlopen(exporter.url(), timeout=seconds) as answer:
            return samples(answer.read().decode()).get(COUNT)
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("row", chosen(*SLOW), ids=name)
def test_exporter(tmp_path, stores, faults, row):
    """Two writers, one of which ends, and one that comes, while every call fails; every third, of those made often."""
    call, error = row
    writers = [Writer(stores, tmp_path / f"book-{rank}", RECORDED, rank=rank).done() for rank in range(2)]
    with Exporter(stores, env=faults.environment) as exporter:
        wait_for(lambda: shown(exporter) == 2 * RECORDED, "both stores")
        before = descriptors(exporter.process.pid)
        highest = 2 * RECORDED
        with faults.failing(call, error, 3 if call in OFTEN else 1):
            writers.pop().end()
            writers.append(Writer(stores, tmp_path / "book-2", RECORDED, rank=2).done())
            for _ in range(SCRAPES):
                value = shown(exporter, 1)
                assert value is None or highest <= value <= 3 * RECORDED, f"{value} after {highest}"
                highest = value or highest
                assert exporter.process.poll() is None, "".join(exporter.log)
            if call in OFTEN + AT_AN_END:
                wait_for(lambda: faults.failed(call) > 0, "a fault")
        wait_for(lambda: shown(exporter) == 3 * RECORDED, f"all {3 * RECORDED}")
        wait_for(lambda: len(list(stores.glob("*-*.kvtel"))) == 2, "the ended store's removal")
        wait_for(lambda: descriptors(exporter.process.pid) <= before + 2, "as few descriptors as before")
        assert shown(exporter) == 3 * RECORDED
    with Exporter(stores) as exporter:  # what it left behind is whole
        wait_for(lambda: shown(exporter) == 3 * RECORDED, "the totals after a restart")
    for writer in writers:
        writer.end()


def test_totals_that_are_written_and_said_not_to_be(tmp_path, stores, faults):
    """The directory's fsync fails after the new totals took their place: the store is in them, and in its own file."""
    Writer(stores, tmp_path / "book", RECORDED).done().end()
    with Exporter(stores, env=faults.environment) as exporter:
        wait_for(lambda: list(stores.glob("totals.*")), "totals")
        for place in (1, 2):
            with faults.failing("fsync", errno.EIO, place, once=True):
                Writer(stores, tmp_path / "book", RECORDED).done().end()
                wait_for(lambda: shown(exporter) == (1 + place) * RECORDED, "the store")
                wait_for(lambda: faults.seen("fsync") > 0 or list(stores.glob("*-*.kvtel")) == [], "new totals")
                if faults.seen("fsync") == 0:
                    pytest.skip("nothing is synchronised there")
                exporter.wait_for_log("ended stores stay as they are", count=place)
            assert shown(exporter) == (1 + place) * RECORDED
        exporter.end()  # looks at the file once more, whose content is not what it remembers
    with Exporter(stores) as exporter:
        assert shown(exporter) == 3 * RECORDED


@pytest.mark.parametrize("row", chosen(), ids=name)
def test_start(tmp_path, stores, faults, row):
    """Each call of a start fails in turn: the exporter says why it does not start, or starts and shows everything."""
    call, error = row
    Writer(stores, tmp_path / "book", RECORDED).done().end()
    for place in PLACES:
        # A line of the log that cannot be written is lost, and the test waits for one.
        text = str(stores) if call == "write" else ""
        with faults.failing(call, error, place, once=True, text=text):
            command = [KVTEL, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0"]
            process = subprocess.Popen(command, env=faults.environment, stderr=subprocess.PIPE, text=True)
            alarm = threading.Timer(20, process.kill)
            alarm.start()
            log = []
            for line in process.stderr:
                log.append(line)
                if "is ready" in line:
                    process.terminate()
            assert process.wait(PATIENCE) in (0, 1), (place, log)
            alarm.cancel()
            process.stderr.close()
            assert log, "it says nothing"
            if faults.failed(call) == 0:
                break
    with Exporter(stores) as exporter:
        wait_for(lambda: shown(exporter) == RECORDED, "the totals after a restart")


@pytest.mark.parametrize("row", chosen(*EXPORTER_ONLY), ids=name)
def test_writer(tmp_path, stores, faults, row):
    """What a writer could not record it does not book, or its store says that something was left out."""
    call, error = row
    booked, happened = 0, 0
    for place in PLACES:
        book, known = tmp_path / f"book-{place}", set(stores.glob("*.kvtel"))
        with faults.failing(call, error, place, once=True):
            done = run([WRITER, stores, book, str(RECORDED)], faults.environment)
        happened += faults.failed(call)
        made = set(stores.glob("*.kvtel")) - known
        assert len(made) == 1 or done.returncode == 1
        if done.returncode == 0:
            store = Store(made.pop())
            in_book = int.from_bytes(book.read_bytes()[:8], "little")
            if in_book < RECORDED:
                assert store.series_dropped + store.records_dropped > 0, place
            if not any(family["name"] == COUNT.split("_count")[0] for family in store.families):
                assert store.series_dropped > 0, place
                in_book = 0
            booked += in_book
        if faults.failed(call) == 0:
            break
    assert happened > 0 or call not in ("open", "mmap", "fallocate", "malloc", "fcntl", "rename", "getrandom")
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT, 0) == booked, f"{booked}")


@pytest.mark.parametrize("row", chosen(*EXPORTER_ONLY), ids=name)
def test_replay(tmp_path, faults, row):
    """A replay gives the whole result, or an error with a message."""
    call, error = row
    recording = DATA / "golden/nixl_basic.jsonl"
    command = [KVTEL, "replay", "--metrics.output", tmp_path / "metrics", recording]
    whole = run(command)
    metrics = (tmp_path / "metrics").read_text()
    for place in PLACES:
        with faults.failing(call, error, place, once=True):
            done = run(command, faults.environment)
        if done.returncode == 0:
            left_out = "no memory" in done.stderr or "could be made" in done.stderr
            assert left_out or (tmp_path / "metrics").read_text() == metrics, place
            assert left_out or done.stdout == whole.stdout
        else:
            assert done.stderr.startswith("kvtel: ")
        if faults.failed(call) == 0:
            break


@pytest.mark.parametrize("row", chosen(), ids=name)
def test_totals(tmp_path, stores, faults, row):
    """A drop is done and says so, or is not done and says why."""
    call, error = row
    for engine in range(2):
        Writer(stores, tmp_path / "book", RECORDED, engine=engine).done().end()
        with Exporter(stores):
            wait_for(lambda: list(stores.glob("*-*.kvtel")) == [], "retiring")

    def kept_lines(done):
        return [line for line in done.stdout.splitlines() if 'engine="0"' in line]

    command = [KVTEL, "totals", f"--store.dir={stores}"]
    whole = run(command)
    assert whole.returncode == 0 and kept_lines(whole)
    for place in PLACES:
        with faults.failing(call, error, place, once=True):
            done = run(command, faults.environment)
        assert done.returncode == 1 or kept_lines(done) == kept_lines(whole), place
        assert done.returncode == 0 or "kvtel: " in done.stderr
        with faults.failing(call, error, place, once=True):
            done = run([*command, "--drop", '{engine="1"}'], faults.environment)
        assert done.returncode == 0 or "kvtel: " in done.stderr
        after = run(command)
        assert kept_lines(after) == kept_lines(whole)
        assert 'engine="1"' not in after.stdout or done.returncode == 1, place
        if faults.failed(call) == 0:
            break
    with Exporter(stores) as exporter:
        assert shown(exporter) == RECORDED


@pytest.mark.parametrize("row", chosen(), ids=name)
def test_doctor(tmp_path, stores, faults, row):
    """It says what it could not read, and never crashes."""
    call, error = row
    Writer(stores, tmp_path / "book", 10).done().kill()
    command = [KVTEL, "doctor", "--json", f"--store.dir={stores}", f"--root={tmp_path / 'root'}", "--url=http://127.0.0.1:1"]
    (tmp_path / "root/proc/7").mkdir(parents=True)
    for file in ("maps", "environ", "cmdline", "comm"):
        (tmp_path / "root/proc/7" / file).write_text("libnixl.so")
    for place in PLACES:
        with faults.failing(call, error, place, once=True):
            done = run(command, faults.environment)
        assert done.returncode == 1 and (done.stdout or "kvtel: " in done.stderr), place
        if faults.failed(call) == 0:
            break
    if call == "flock":
        with faults.failing(call, errno.ENOLCK):
            found = json.loads(run(command, faults.environment).stdout)["findings"]
        assert [each["seen"] for each in found if each["name"] == "directory-no-locks"] == [
            f"{stores} cannot be locked: No locks available"
        ]


def test_a_drop_that_the_disk_did_not_confirm(tmp_path, stores, faults):
    """It is done once the new file has its name; the exit code says so, and a warning the rest."""
    Writer(stores, tmp_path / "book", RECORDED).done().end()
    with Exporter(stores):
        wait_for(lambda: list(stores.glob("*-*.kvtel")) == [], "retiring")
    command = [KVTEL, "totals", f"--store.dir={stores}"]
    drop = [*command, "--drop", "vllm:nixl_bytes_transferred"]
    with faults.failing("fsync", errno.EIO, 1, once=True):
        of_file = run(drop, faults.environment)
        if faults.failed("fsync") == 0:
            pytest.skip("nothing is synchronised there")
    assert of_file.returncode == 1 and "vllm:nixl_bytes_transferred" in run(command).stdout
    with faults.failing("fsync", errno.EIO, 2, once=True):
        of_name = run(drop, faults.environment)
        assert faults.failed("fsync") == 1
    assert "vllm:nixl_bytes_transferred" not in run(command).stdout
    assert of_name.returncode == 0 and "1 label sets dropped" in of_name.stdout
    assert "warning: the drop is done" in of_name.stderr and "replaced" not in of_name.stderr


@pytest.mark.parametrize("row", chosen("inotify", "fsync", "unlink", "flock", "statfs"), ids=name)
def test_posts(stores, faults, row):
    """A numbered payload that is posted until it is taken counts once."""
    call, error = row
    header, record = (json.loads(line) for line in (DATA / "golden/nixl_basic.jsonl").read_text().splitlines()[:2])
    header |= {"source": "here"}
    transfers = len(record["payload"]["transfer_duration"])

    def post(exporter, number, seconds=1):
        content = "\n".join(json.dumps(part) for part in (header, record | {"seq": number}))
        kind = {"Content-Type": "application/jsonl"}
        request = urllib.request.Request(exporter.url("/api/v1/stats"), data=content.encode(), headers=kind)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status < 300
        except (OSError, http.client.HTTPException):
            return False

    with Exporter(stores, "--web.enable-stats-receiver", env=faults.environment) as exporter:
        number = 0
        for every in (1, 2, 3, 5, 8, 13, 21, 34):
            with faults.failing(call, error, every):
                taken = post(exporter, number) or post(exporter, number)
            wait_for(lambda: taken or post(exporter, number, PATIENCE), "a post that counts")
            number += 1
        assert shown(exporter) == number * transfers
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert post(exporter, 0)
        assert shown(exporter) == number * transfers
