# SPDX-License-Identifier: Apache-2.0
"""Stores in a directory, their writers' ends, and the exporter's own: nothing counted is lost or counted twice."""

import errno
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest
from exporter import KVTEL, PATIENCE, ROOT, Exporter, Writer, samples, wait_for
from faults import Faults
from store_files import lock
from test_store import LIBRARY

COUNT = 'vllm:nixl_xfer_time_seconds_count{engine="%d",model_name="m"}'
BYTES = 'vllm:nixl_bytes_transferred_sum{engine="%d",model_name="m"}'
BYTES_EACH = 262144
DATA = ROOT / "tests" / "data"


def store_files(directory):
    return sorted(path.name for path in directory.glob("*.kvtel"))


def test_ranks_of_an_engine_add_up_and_a_store_is_seen_at_once(stores, tmp_path):
    with Exporter(stores) as exporter:
        writers = [Writer(stores, tmp_path / f"book{i}", 1000 + i, engine=i // 2, rank=i % 2).done() for i in range(4)]
        wait_for(lambda: exporter.samples().get(COUNT % 1) == 2005, "four stores")
        found = exporter.samples()
        assert found[COUNT % 0] == 2001
        assert found[BYTES % 0] == 2001 * BYTES_EACH
        assert found['kvtel_stores{state="live"}'] == 4
        for writer in writers:
            writer.end()


REMOVER = """
import ctypes, sys
sys.path.insert(0, sys.argv[2])
from test_store import Transfer, load_library
library = load_library(sys.argv[1])
print("started", flush=True)
store = library.kvtel_store_open(None)
def record():
    nixl = library.kvtel_recorder_create(store, library.kvtel_connector_find(b"NixlConnector"), None)
    library.kvtel_record_transfer(nixl, ctypes.byref(Transfer(1000, 10, 4096, 2, 0)))
record()
for line in sys.stdin:
    print(line, end="", flush=True)
    if line == "record\\n":
        record()
    else:
        library.kvtel_store_series_remove(store, int(line))
"""


def test_a_removed_series_leaves_the_page_and_the_totals(stores):
    writer = subprocess.Popen(
        [sys.executable, "-c", REMOVER, str(LIBRARY), str(pathlib.Path(__file__).parent)],
        stdin=subprocess.PIPE,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "KVTEL_STORE_DIR": str(stores)},
    )
    if writer.stdout.readline() != "started\n":
        pytest.skip("the library cannot be loaded into Python here (a sanitizer's build)")
    first = 'vllm:nixl_xfer_time_seconds_count{engine="0",model_name=""}'
    second = 'vllm:nixl_post_time_seconds_count{engine="0",model_name=""}'
    with Exporter(stores) as exporter:

        def shows(xfer, post):
            wait_for(lambda: [exporter.samples().get(name) for name in (first, second)] == [xfer, post], "a page")

        def tell(line):
            writer.stdin.write(line + "\n")
            writer.stdin.flush()

        shows(1, 1)
        tell("0")
        shows(None, 1)
        tell("record")
        shows(1, 2)
        tell("1")
        shows(1, None)
        writer.stdin.close()
        assert writer.wait() == 0
        wait_for(lambda: store_files(stores) == [], "no store file left")
        shows(1, None)


def test_an_ended_store_goes_into_the_totals_and_its_file_away(stores, tmp_path):
    with Exporter(stores) as exporter:
        for i in range(5):
            writer = Writer(stores, tmp_path / "book", 777).done()
            (writer.kill if i % 2 else writer.end)()
        wait_for(lambda: store_files(stores) == [], "no store file left")
        found = exporter.samples()
        assert found[COUNT % 0] == 5 * 777
        assert found["kvtel_stores_retired_total"] == 5
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 5 * 777


def test_stores_left_while_no_exporter_ran(stores, tmp_path):
    for _ in range(3):
        Writer(stores, tmp_path / "book", 500).done().kill()
    assert len(store_files(stores)) == 3
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 1500


def test_killed_after_the_totals_were_written_before_the_file_was_removed(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 500).done()
    writer.kill()
    kept = tmp_path / "kept"
    shutil.copy(writer.path, kept)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
    shutil.copy(kept, writer.path)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 500
        assert store_files(stores) == []


def test_killed_while_the_totals_were_written(stores, tmp_path):
    Writer(stores, tmp_path / "book", 500).done().kill()
    with Exporter(stores):
        wait_for(lambda: store_files(stores) == [], "no store file left")
    totals = next(stores.glob("totals.*"))
    left = stores / ".totals-1-0123456789abcdef.next"
    left.write_bytes(totals.read_bytes()[:500])
    Writer(stores, tmp_path / "book", 250).done().kill()
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 750
        wait_for(lambda: store_files(stores) == [], "no store file left")
        assert exporter.samples()[COUNT % 0] == 750
        assert not left.exists()


def test_a_file_that_cannot_be_removed_is_not_counted_again(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 400).done()
    faults = Faults(tmp_path / "faults")
    faults.on("unlink", errno.EPERM, text=writer.path.name)
    with Exporter(stores, env=faults.environment) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 400, "the store")
        writer.end()
        wait_for(lambda: exporter.samples()['kvtel_stores{state="retired"}'] == 1, "retiring")
        Writer(stores, tmp_path / "book2", 50).done().kill()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 2, "retiring another")
        assert exporter.samples()[COUNT % 0] == 450
        exporter.end(signal.SIGKILL)
    with Exporter(stores, env=faults.environment) as exporter:
        assert exporter.samples()['kvtel_stores{state="retired"}'] == 1
        assert exporter.samples()[COUNT % 0] == 450
        os.link(writer.path, stores / "1-second.kvtel")
        wait_for(lambda: exporter.samples()['kvtel_stores{state="retired"}'] == 1, "the second name to be removed")
        assert exporter.samples()[COUNT % 0] == 450
    faults.off()
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 450
        assert store_files(stores) == []


def test_a_directory_that_was_replaced_is_still_looked_at(stores, tmp_path):
    with Exporter(stores) as exporter:
        writer = Writer(stores, tmp_path / "book", 30).done()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 30, "the store")
        stores.rename(tmp_path / "moved")
        stores.mkdir()
        second = Writer(stores, tmp_path / "book2", 5).done()
        wait_for(lambda: exporter.samples()[COUNT % 0] == 35, "the store in the new directory")
        writer.end()
        second.end()


def test_a_removed_file_of_a_live_writer_still_counts(stores, tmp_path):
    with Exporter(stores) as exporter:
        writer = Writer(stores, tmp_path / "book", 600).done()
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 600, "the store")
        writer.path.unlink()
        time.sleep(0.2)  # in which the exporter looks at the directory, and loses nothing
        assert exporter.samples()[COUNT % 0] == 600
        writer.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 1, "retiring")
        assert exporter.samples()[COUNT % 0] == 600


def test_a_second_exporter_says_so(stores):
    with Exporter(stores):
        done = subprocess.run(
            [KVTEL, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 1
        assert "in use by another exporter" in done.stderr
    with Exporter(stores):
        pass


def test_what_is_no_store_is_refused_and_the_rest_goes_on(stores, tmp_path):
    (stores / "junk.kvtel").write_bytes(b"not a store" * 1000)
    (stores / "empty.kvtel").write_bytes(b"")
    writer = Writer(stores, tmp_path / "book", 100).done()
    cut = stores / "1-cut.kvtel"
    cut.write_bytes(writer.path.read_bytes()[:6000])
    with Exporter(stores) as exporter:
        found = exporter.samples()
        assert found[COUNT % 0] == 100
        wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 3, "three refused")
        exporter.wait_for_log("junk.kvtel", "not a store")
        writer.end()


def test_a_refused_store_is_said_once(stores, tmp_path):
    """Its tables cannot be used, so nothing but reading them finds that out. It is neither read nor logged over and over."""
    writer = Writer(tmp_path, tmp_path / "book", 5).done()
    writer.end()
    with open(writer.path, "r+b") as file:
        (families,) = struct.unpack("=Q", os.pread(file.fileno(), 8, 88))
        os.pwrite(file.fileno(), struct.pack("=I", 3), families + 4)  # another unit
    for name in ("1-ended.kvtel", "1-live.kvtel"):
        subprocess.run(["cp", "--sparse=always", writer.path, tmp_path / name], check=True)
    held = lock(tmp_path / "1-live.kvtel")
    for name in ("1-ended.kvtel", "1-live.kvtel"):
        os.rename(tmp_path / name, stores / name)
    with Exporter(stores) as exporter:
        for _ in range(5):
            wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 2, "two refused stores")
            seen = len(exporter.lines("SIGHUP"))
            exporter.process.send_signal(signal.SIGHUP)  # all files are looked at again
            exporter.wait_for_log("SIGHUP", count=seen + 1)
            Writer(stores, tmp_path / "book", 5).done().end()
            wait_for(lambda: len(list(stores.glob("*.kvtel"))) == 2, "the other store's end")
        exporter.text("/api/v1/summary")
        for name in ("1-ended.kvtel", "1-live.kvtel"):
            assert len(exporter.wait_for_log("left out", name)) == 1
    os.close(held)


def test_a_store_of_another_version_is_refused(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 100).done()
    content = bytearray(writer.path.read_bytes())
    writer.end()
    content[16:20] = (9).to_bytes(4, "little")
    (stores / "1-newer.kvtel").write_bytes(content)
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 1, "a refused store")
        assert exporter.samples()[COUNT % 0] == 100
        exporter.wait_for_log("1-newer.kvtel", "layout version 9, this program knows version 2")
    assert store_files(stores) == ["1-newer.kvtel"]


def test_a_family_that_means_something_else_is_said_once(stores, tmp_path):
    writers = [Writer(stores, tmp_path / f"book{i}", 100).done() for i in range(2)]
    content = writers[1].path.read_bytes()
    writers[1].end()
    changed = content.replace(b"vllm:nixl_xfer_time_seconds\0", b"vllm:nixl_bytes_transferred\0")
    assert changed != content
    with Exporter(stores) as exporter:
        exporter.samples()
        (stores / "1-changed.kvtel").write_bytes(changed)
        exporter.wait_for_log("another definition", "1-changed")
    writers[0].end()


def test_stores_whose_bytes_are_changed_at_random(stores, tmp_path):
    """Each is read or refused; none harms the others."""
    draw = random.Random(7)
    writer = Writer(stores, tmp_path / "book", 100).done()
    content = writer.path.read_bytes()
    interesting = [at for at in range(0, len(content), 8) if content[at : at + 8] != bytes(8)]
    with Exporter(stores) as exporter:
        for i in range(100):
            changed = bytearray(content)
            for _ in range(draw.randint(1, 4)):
                at = draw.choice(interesting[:400] if draw.random() < 0.8 else interesting)
                changed[at : at + 8] = draw.choice(
                    [draw.randbytes(8), b"\xff" * 8, bytes(8), bytes([0xFF] * 4 + [0] * 4)]
                )
            if draw.random() < 0.2:
                del changed[draw.randrange(len(changed)) :]
            (tmp_path / "changed").write_bytes(changed)
            (tmp_path / "changed").rename(stores / f"{i}-changed.kvtel")
            if i % 20 == 0:
                exporter.text()
                exporter.text("/api/v1/summary")
        writer.end()
        wait_for(lambda: exporter.samples()['kvtel_stores{state="ended"}'] == 0, "retiring")
        assert exporter.samples()['kvtel_stores{state="refused"}'] > 0
        assert exporter.end() < 5 and exporter.process.returncode == 0


def test_many_label_sets_are_retired(stores):
    """Posted, so in the exporter's own store, which the next one finds left behind."""
    each, rounds = 700, 6  # as many as the own store has room for
    columns = {"transfer_duration": [0.1], "post_duration": [0.01], "bytes_transferred": [1], "num_descriptors": [1]}
    for first in range(0, rounds * each, each):
        engines = list(range(first, first + each))
        header = {
            "kvtel": 1,
            "kv_transfer_config": {"kv_connector": "NixlConnector"},
            "model_name": "m",
            "engines": engines,
        }
        recording = "\n".join(map(json.dumps, [header] + [{"engine": i, "payload": columns} for i in engines])).encode()
        with Exporter(stores, "--web.enable-stats-receiver") as exporter:
            wait_for(lambda: len(store_files(stores)) == 1, "only its own store")
            exporter.text("/api/v1/stats", recording)
            found = exporter.samples()
            assert {found[COUNT % i] for i in range(first + each)} == {1}
            exporter.end(signal.SIGKILL)
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "no store file left")
        found = exporter.samples()
        assert {found[COUNT % i] for i in range(rounds * each)} == {1}


def test_a_file_that_is_still_being_copied_is_taken_when_it_is_whole(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 100).done()
    content = writer.path.read_bytes()
    writer.end()
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "retiring")
        with open(stores / "1-copied.kvtel", "wb") as copy:
            copy.write(content[:500])
            copy.flush()
            wait_for(lambda: exporter.samples()['kvtel_stores{state="refused"}'] == 1, "a refused store")
            copy.write(content[500:])
        wait_for(lambda: exporter.samples()[COUNT % 0] == 200, "the whole copy")


def test_counters_rise_through_kills_of_all_sides(stores, tmp_path):
    """Writers and exporters are killed in random order; what a page says never falls, and in the end it is what was recorded."""
    draw = random.Random(5)
    expected_low, expected_high, last = 0, 0, 0
    exporter = Exporter(stores)
    deadline = time.monotonic() + float(os.environ.get("KVTEL_KILL_SECONDS", "20"))
    rounds = 0
    while time.monotonic() < deadline or rounds < 5:
        rounds += 1
        writers = [Writer(stores, tmp_path / f"book{rounds}-{i}", 0, threads=2) for i in range(draw.randint(1, 3))]
        time.sleep(draw.uniform(0, 0.1))
        if draw.random() < 0.5:
            exporter.end(signal.SIGKILL)
            exporter = Exporter(stores)
        now = exporter.samples().get(COUNT % 0, 0)
        assert now >= last
        last = now
        for writer in writers:
            writer.kill()
            booked = writer.booked()
            expected_low += sum(booked)
            expected_high += sum(booked) + len(booked)
        if draw.random() < 0.5:
            exporter.end(signal.SIGKILL)
            exporter = Exporter(stores)
    wait_for(lambda: store_files(stores) == [], "no store file left")
    found = exporter.samples()
    assert expected_low <= found[COUNT % 0] <= expected_high
    assert found[BYTES % 0] == found[COUNT % 0] * BYTES_EACH
    exporter.end()


def test_ranks_kept_apart(stores, tmp_path):
    """Also in the totals, which from before the flag have no rank, and which are not added up again without it."""

    def count(rank):
        return COUNT.replace('"m"', f'"m",rank="{rank}"') % 0

    Writer(stores, tmp_path / "book", 7).done().kill()
    with Exporter(stores):
        wait_for(lambda: store_files(stores) == [], "retiring")
    options = ["--store.rank-label", "--web.enable-stats-receiver", "--log.interval=1s"]
    with Exporter(stores, *options) as exporter:
        writers = [Writer(stores, tmp_path / f"book{rank}", 100 + rank, rank=rank).done() for rank in range(3)]
        wait_for(
            lambda: [exporter.samples().get(count(rank)) for rank in ["", 0, 1, 2]] == [7, 100, 101, 102],
            "all ranks",
        )
        for writer in writers[:2]:
            writer.kill()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 2, "retiring")
        Writer(stores, tmp_path / "book", 1000, rank=1).done().end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 3, "retiring")
        posted = (DATA / "golden" / "nixl_basic.jsonl").read_bytes()
        exporter.text("/api/v1/stats", posted)
        found = exporter.samples()
        assert [found[count(rank)] for rank in [0, 1, 2]] == [100, 1101, 102]
        assert any(',rank=""' in name and "xfer_time_seconds_count" in name for name in found)
        wait_for(lambda: sum(told(exporter)) >= 1303, "log lines")
        exporter.end(signal.SIGKILL)
    with Exporter(stores, "--store.rank-label") as exporter:
        found = exporter.samples()
        assert [found[count(rank)] for rank in [0, 1, 2]] == [100, 1101, 102]
    command = [KVTEL, "serve", f"--store.dir={stores}", "--web.listen-address=127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1 and "keeps ranks apart" in done.stderr
    writers[2].end()


def test_a_thousand_stores(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 300, threads=2).done()
    sparse = tmp_path / "sparse"
    subprocess.run(["cp", "--sparse=always", writer.path, sparse], check=True)
    writer.end()
    for i in range(999):
        subprocess.run(["cp", "--sparse=always", sparse, stores / f"9{i:04d}-0.kvtel"], check=True)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 1000 * 600
        wait_for(lambda: store_files(stores) == [], "all stores retired")
        assert exporter.samples()[COUNT % 0] == 1000 * 600


def test_the_log_line_tells_what_happened_since_the_last(stores, tmp_path):
    Writer(stores, tmp_path / "book", 5000).done().end()
    with Exporter(stores, "--log.interval=1s") as exporter:
        writer = Writer(stores, tmp_path / "book", 40).done()
        wait_for(
            lambda: sum(told(exporter)) >= 40, "the transfers"
        )  # in one line, or in two where an interval ends between them
        assert all("connector=NixlConnector" in line for line in exporter.lines("KV transfers:"))
        writer.end()
    assert sum(told(exporter)) == 40 and len(told(exporter)) == len(exporter.lines("KV transfers:"))


def told(exporter, words=" ok="):
    """The numbers of transfers in the log so far."""
    return [int(count) for line in exporter.lines() for count in re.findall(rf"{words}(\d+)", line)]


def test_vllm_style_lines(stores, tmp_path):
    with Exporter(stores, "--log.interval=1s", "--log.style=vllm", "--log.format=json") as exporter:
        writer = Writer(stores, tmp_path / "book", 40).done()
        wait_for(lambda: sum(told(exporter, "Num successful transfers=")) == 40, "the transfers")
        for line in exporter.lines("KV Transfer metrics"):
            assert ", Avg xfer time (ms)=3.0, " in line
            assert re.search(r"P90 xfer time \(ms\)=(2\.9[789]|3\.0)", line)
        writer.end()


def test_a_prefix_that_leads_to_a_name_that_is_taken(stores, tmp_path):
    """Both metrics are on the page, under names of their own."""
    writer = Writer(stores, tmp_path / "book", 50).done()
    other = writer.path.read_bytes().replace(b"vllm:nixl_xfer_time_seconds\0", b"abcd_nixl_xfer_time_seconds\0")
    (stores / "1-other.kvtel").write_bytes(other)
    with Exporter(stores, "--metrics.prefix=abcd_") as exporter:
        taken = 'abcd_nixl_xfer_time_seconds_count{engine="0",model_name="m"}'
        wait_for(lambda: exporter.samples().get(taken) == 50, "the other store")
        found = exporter.text()
        assert found.count("# TYPE abcd_nixl_xfer_time_seconds histogram") == 1
        assert exporter.samples()['vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'] == 50
        assert exporter.samples()['abcd_nixl_post_time_seconds_count{engine="0",model_name="m"}'] == 100
        exporter.wait_for_log("vllm:nixl_xfer_time_seconds keeps its name")
    writer.end()


def test_another_prefix(stores, tmp_path):
    writer = Writer(stores, tmp_path / "book", 10).done()
    with Exporter(stores, "--metrics.prefix=kv_", "--web.disable-exporter-metrics") as exporter:
        found = samples(exporter.text())
        assert found[(COUNT % 0).replace("vllm:", "kv_")] == 10
        assert all(name.startswith("kv_nixl_") for name in found)
    writer.end()
