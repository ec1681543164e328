# SPDX-License-Identifier: Apache-2.0
"""Stores that cannot be read any more, or not now: their numbers as of the last time count, and no counter falls."""

import errno
import os
import signal
import struct
import time
import urllib.error
from pathlib import Path

import pytest

from exporter import PATIENCE, Exporter, Writer, wait_for
from faults import Faults
from store_files import COUNT, copies, few_descriptors, lock, store_files

RECORDING = (Path(__file__).resolve().parents[1] / "data" / "golden" / "nixl_basic.jsonl").read_bytes()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM])
def test_other_stores_go_on_while_one_cannot_be_read(stores, tmp_path, number):
    writers = [Writer(stores, tmp_path / f"book{i}", 100 + i).done() for i in range(2)]
    faults = Faults(tmp_path / "faults")
    with Exporter(stores, env=faults.environment) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 201, "both stores")
        faults.on("pread", number, text=writers[0].path.name)
        assert exporter.samples()[COUNT % 0] == 201
        third = Writer(stores, tmp_path / "book2", 7, engine=3).done()
        wait_for(lambda: exporter.samples().get(COUNT % 3) == 7, "a store that began meanwhile")
        found = exporter.samples()
        assert found[COUNT % 0] == 201 and found["kvtel_stores_stale"] == 1
        assert found["kvtel_scrapes_repeated_total"] == 0 and found['kvtel_stores{state="refused"}'] == 0
        exporter.text("/api/v1/summary")
        exporter.text("/-/ready")
        faults.off()
        found = exporter.samples()
        assert found[COUNT % 0] == 201 and found["kvtel_stores_stale"] == 0
        for writer in [*writers, third]:
            writer.end()
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 201


@pytest.mark.parametrize("size", [0, 3000, 70000])
def test_a_store_that_is_cut_keeps_what_was_shown(stores, tmp_path, size):
    """Its file is set aside, and the totals have its numbers."""
    writer = Writer(stores, tmp_path / "book", 50).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 50, "the store")
        os.truncate(writer.path, size)
        os.truncate(writer.path, 1 << 20)
        assert exporter.samples()[COUNT % 0] == 50
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 50
        assert len(list(stores.glob("*.kvtel.damaged"))) == 1
        exporter.end(signal.SIGKILL)
    writer.kill()
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 50


@pytest.mark.parametrize("whole", [True, False], ids=["all lanes", "slots of one"])
def test_a_store_whose_counts_fall_keeps_what_was_shown(stores, tmp_path, whole):
    """Somebody writes zeros over its lanes and their lines; its tables stay good. No writer takes back what it counted."""
    writer = Writer(stores, tmp_path / "book", 5000, threads=3).done()
    with Exporter(stores) as exporter:
        wait_for(lambda: exporter.samples().get(COUNT % 0) == 15000, "the store")
        with writer.path.open("r+b") as file:
            header = file.read(920)
            lanes_at, _, slots_size, lines_at = (
                *struct.unpack_from("=QQQ", header, 184),
                *struct.unpack_from("=Q", header, 912),
            )
            size = writer.path.stat().st_size
            file.seek(lanes_at)
            file.write(bytes(size - lanes_at if whole else slots_size))
            file.seek(lines_at)
            file.write(bytes(3 * 128 if whole else 128))
        for _ in range(3):
            assert exporter.samples()[COUNT % 0] == 15000
        exporter.wait_for_log("counts are lower than before")
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 15000
        assert len(list(stores.glob("*.kvtel.damaged"))) == 1
    writer.kill()
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 15000


def test_stores_that_are_removed_while_they_are_not_open(stores, tmp_path):
    copies(stores, tmp_path, 300)
    locks = {path: lock(path) for path in stores.glob("*.kvtel")}
    with Exporter(stores, preexec_fn=few_descriptors(256)) as exporter:
        wait_for(lambda: exporter.samples()[COUNT % 0] == 30000, "all stores")
        for path in locks:
            path.unlink()
        for _ in range(5):
            assert exporter.samples()[COUNT % 0] == 30000
        wait_for(lambda: exporter.samples()["kvtel_stores_deleted_total"] == 300, "all deletions")
        for fd in locks.values():
            os.close(fd)
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 300, "retiring")
        assert exporter.samples()[COUNT % 0] == 30000
        exporter.end(signal.SIGKILL)
    with Exporter(stores) as exporter:
        assert exporter.samples()[COUNT % 0] == 30000


def test_stores_that_are_renamed_while_they_are_not_open(stores, tmp_path):
    """They are the same: nothing counts twice."""
    copies(stores, tmp_path, 300)
    locks = {path: lock(path) for path in stores.glob("*.kvtel")}
    with Exporter(stores, preexec_fn=few_descriptors(256)) as exporter:
        wait_for(lambda: exporter.samples()[COUNT % 0] == 30000, "all stores")
        for path in locks:
            path.rename(path.with_name("1-" + path.name))
        wait_for(lambda: '"1-9' in exporter.text("/api/v1/summary"), "the new names")
        for _ in range(5):
            assert exporter.samples()[COUNT % 0] == 30000
        for fd in locks.values():
            os.close(fd)
        wait_for(lambda: store_files(stores) == [], "retiring")
        assert exporter.samples()[COUNT % 0] == 30000


def test_no_scrape_misses_any_of_more_ended_stores_than_descriptors(stores, tmp_path):
    copies(stores, tmp_path, 1000)
    with Exporter(stores, preexec_fn=few_descriptors(512)) as exporter:
        deadline = time.monotonic() + 10 * PATIENCE
        while store_files(stores):
            found = exporter.samples()
            assert found[COUNT % 0] == 100000 and found['kvtel_stores{state="refused"}'] == 0
            exporter.text("/api/v1/summary")
            assert time.monotonic() < deadline
        assert exporter.samples()[COUNT % 0] == 100000


def test_an_ended_store_that_the_totals_cannot_take_whole_stays(stores, tmp_path):
    """Another definition of one of its families is in the totals."""
    writer = Writer(stores, tmp_path / "book", 100).done()
    content = writer.path.read_bytes()
    writer.kill()
    with Exporter(stores) as exporter:
        wait_for(lambda: store_files(stores) == [], "retiring")
        changed = content.replace(b"vllm:nixl_xfer_time_seconds\0", b"vllm:nixl_bytes_transferred\0")
        (stores / "1-changed.kvtel").write_bytes(changed)
        exporter.wait_for_log("1-changed.kvtel stays a file")
        retired = Writer(stores, tmp_path / "book2", 5).done()
        retired.end()
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 2, "the other store")
        assert store_files(stores) == ["1-changed.kvtel"]
        assert exporter.samples()['kvtel_stores{state="ended"}'] == 1


def post(exporter, text=RECORDING):
    """The answer's status."""
    try:
        exporter.text("/api/v1/stats", text)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def posted(exporter):
    """All that was counted of posts."""
    found = exporter.samples()
    return {name: value for name, value in found.items() if "vllm:" in name and "_count" in name and '"77"' not in name}


def own_file(stores, exporter, before):
    """The file of its own store, none of those in `before`, which it joins."""
    own = next(path for path in stores.glob(f"{exporter.process.pid}-*.kvtel") if path not in before)
    before.append(own)
    return own


def multiplied(counts, times):
    return {name: value * times for name, value in counts.items()}


@pytest.mark.parametrize("size", [0, 5000, 100000, None])
def test_a_new_own_store_is_begun_for_one_that_is_cut_or_removed(stores, tmp_path, size):
    """What was shown of posts stays, also after a SIGKILL, and later ones count at once."""
    writer = Writer(stores, tmp_path / "book", 50, engine=77).done()
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert post(exporter) == 200
        once = posted(exporter)
        assert sum(once.values()) > 0
        before = []
        for times in (1, 2, 3):
            own = own_file(stores, exporter, before)
            own.unlink() if size is None else os.truncate(own, size)
            name = "kvtel_own_stores_renewed_total"
            wait_for(lambda: exporter.samples()[name] == times, "a new own store")
            assert posted(exporter) == multiplied(once, times)
            wait_for(lambda: post(exporter) == 200, "a post that counts")
            assert posted(exporter) == multiplied(once, times + 1)
        wait_for(lambda: exporter.samples()["kvtel_stores_retired_total"] == 3, "retiring")
        assert posted(exporter) == multiplied(once, 4)
        exporter.end(signal.SIGKILL)
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert posted(exporter) == multiplied(once, 4)
        assert exporter.samples()[COUNT % 77] == 50
    writer.end()


def test_the_own_store_is_cut_while_posts_come(stores):
    """The exporter goes on; a post that was acknowledged and shown is never lost, and sources are known again."""
    header = (
        '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "source": "s", "model_name": "m",'
        ' "engines": [0]}\n'
    )
    payload = (
        '{"seq": %d, "engine": 0, "payload": {"transfer_duration": [0.1], "post_duration": [0.1],'
        ' "bytes_transferred": [1], "num_descriptors": [1]}}\n'
    )
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        sent, shown, before = 0, 0, []
        for cut in range(6):
            for _ in range(20):
                sent += post(exporter, (header + payload % sent).encode()) == 200
            now = exporter.samples().get(COUNT % 0, 0)
            assert shown <= now == sent
            shown = now
            os.truncate(own_file(stores, exporter, before), 4096 * cut)
            wait_for(lambda: post(exporter, (header + payload % sent).encode()) == 200, "a post that counts")
            sent += 1
            assert exporter.samples()[COUNT % 0] == sent
        assert '"repeated": 1' in exporter.text("/api/v1/stats", (header + payload % 0).encode())


def let_main_loop_come_round(exporter):
    """Without a scrape, which would read all stores."""
    said = "SIGHUP: stores, rings"
    for _ in range(2):  # a line comes before a round, so that the second one proves a whole one
        before = len(exporter.lines(said))
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_for_log(said, count=before + 1)


def renewals(exporter):
    return len(exporter.lines("a new one is begun"))


@pytest.mark.parametrize("size", [0, 5000, 100000])
def test_posts_that_no_scrape_has_seen_outlive_a_cut(stores, size):
    with Exporter(stores, "--web.enable-stats-receiver") as exporter:
        assert post(exporter) == 200
        let_main_loop_come_round(exporter)
        os.truncate(own_file(stores, exporter, []), size)
        wait_for(lambda: renewals(exporter) == 1, "a new own store")
        wait_for(lambda: post(exporter) == 200, "a post that counts")
        twice = posted(exporter)
        assert post(exporter) == 200
        assert {name: value * 3 / 2 for name, value in twice.items()} == posted(exporter)


@pytest.mark.parametrize("few", [False, True], ids=["open", "more stores than descriptors"])
def test_posts_that_no_scrape_has_seen_outlive_a_removal(stores, tmp_path, few):
    """Each is made as soon as the new own store takes posts, and its file removed at once."""
    if few:
        copies(stores, tmp_path, 300)
    locks = [lock(path) for path in stores.glob("*.kvtel")]
    options = {"preexec_fn": few_descriptors(256)} if few else {}
    with Exporter(stores, "--web.enable-stats-receiver", **options) as exporter:
        start, before = posted(exporter), []
        for times in range(1, 5):
            wait_for(lambda: post(exporter) == 200, "a post that counts")
            own_file(stores, exporter, before).unlink()
            wait_for(lambda: renewals(exporter) == times, "a new own store")
        found = posted(exporter)
        wait_for(lambda: post(exporter) == 200, "a post that counts")
        grown = posted(exporter)
        once = {name: value - found.get(name, 0) for name, value in grown.items()}
        assert sum(once.values()) > 0
        assert found == {name: start.get(name, 0) + 4 * value for name, value in once.items()}
        for fd in locks:
            os.close(fd)


def test_no_new_own_store_can_be_made(stores, tmp_path):
    """Posts are answered 503 until one can; everything else goes on, and nothing is lost."""
    writer = Writer(stores, tmp_path / "book", 50, engine=77).done()
    faults = Faults(tmp_path / "faults")
    with Exporter(stores, "--web.enable-stats-receiver", env=faults.environment) as exporter:
        assert post(exporter) == 200
        once = posted(exporter)
        with faults.failing("rename", errno.EROFS, text=".new"):
            own_file(stores, exporter, []).unlink()
            wait_for(lambda: faults.failed("rename") >= 2, "two tries")
            for _ in range(3):
                assert post(exporter) == 503
                found = exporter.samples()
                assert found[COUNT % 77] == 50 and posted(exporter) == once
            assert found["kvtel_own_stores_renewed_total"] == 0
            exporter.text("/-/ready")
            exporter.text("/-/healthy")
        wait_for(lambda: post(exporter) == 200, "a post that counts")
        assert posted(exporter) == multiplied(once, 2)
        assert exporter.samples()["kvtel_own_stores_renewed_total"] == 1
        assert list(stores.glob(".*.new")) == []
    writer.end()
