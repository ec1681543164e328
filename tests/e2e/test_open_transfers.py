# SPDX-License-Identifier: Apache-2.0
"""Open transfers as an operator sees them: in the metrics, in the summary, in the log, in kvtel dump, and after a kill."""

import json
import os
import subprocess
import sys

from exporter import KVTEL, ROOT, Exporter, StoreProcess, wait_for

sys.path.insert(0, str(ROOT / "tests"))
from store_reader import Store

PROGRAM = os.environ.get("KVTEL_OPEN_WRITER", ROOT / "build" / "tests" / "open_writer")
LABELS = '{connector="NixlConnector",engine="0",model_name="m",operation="transfer"}'
SECOND = 10**9


class OpenWriter(StoreProcess):
    def __init__(self, directory):
        super().__init__([PROGRAM, directory])

    def do(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"


def value(exporter, name, labels=LABELS):
    return {sort_labels(key): number for key, number in exporter.samples().items()}.get(name + labels)


def sort_labels(key):
    name, _, labels = key.partition("{")
    return name + "{" + ",".join(sorted(labels.rstrip("}").split(","))) + "}" if labels else key


def outcome(exporter, word):
    return value(exporter, "kvtel_unfinished_transfers_total", LABELS[:-1] + f',outcome="{word}"}}')


def test_open_transfers_are_shown_until_they_end(stores):
    writer = OpenWriter(stores)
    with Exporter(stores, "--stalled.after=1h") as exporter:
        assert outcome(exporter, "lost") == 0
        writer.do("begin 1000 10.0.0.7:5600 5000000000")
        writer.do("begin 24 other/1 0")
        assert value(exporter, "kvtel_open_transfers") == 2
        assert value(exporter, "kvtel_open_bytes") == 1024
        assert value(exporter, "kvtel_oldest_open_seconds") >= 5
        assert value(exporter, "kvtel_stalled_transfers_total") == 0
        summary = json.loads(exporter.text("/api/v1/summary"))
        (row,) = summary["open"]
        assert (row["connector"], row["engine"], row["operation"]) == ("NixlConnector", "0", "transfer")
        assert (row["open"], row["bytes"], row["stalled"]) == (2, 1024, 0)
        first, second = summary["oldest_open"]
        assert (first["peer"], first["bytes"], first["stalled"]) == ("10.0.0.7:5600", 1000, False)
        assert first["pid"] == writer.process.pid and first["age_seconds"] >= second["age_seconds"]
        assert second["peer"] == "other/1"
        page = (ROOT / "docs/api-summary.md").read_text()
        shown = json.loads(page.split("```json\n")[1].split("```")[0])
        assert set(shown["open"][0]) == set(row) and set(shown["oldest_open"][0]) == set(first)
        writer.do("end")
        writer.do("fail")
        assert value(exporter, "kvtel_open_transfers") == 0
        assert value(exporter, "kvtel_oldest_open_seconds") == 0
        assert outcome(exporter, "failed") == 1
        writer.end()
        assert not exporter.lines("a transfer stalls")


def test_a_stalled_transfer_is_counted_and_logged_once(stores):
    writer = OpenWriter(stores)
    with Exporter(stores, "--stalled.after=50ms") as exporter:
        writer.do("begin 4096 10.0.0.9:5600 0")
        (line,) = exporter.wait_for_log("a transfer stalls")
        assert "peer=10.0.0.9:5600" in line and "bytes=4096" in line and f"pid={writer.process.pid}" in line
        assert "connector=NixlConnector" in line and "engine=0" in line and "age_seconds=" in line
        for _ in range(3):
            assert value(exporter, "kvtel_stalled_transfers_total") == 1
        assert len(exporter.lines("a transfer stalls")) == 1
        assert json.loads(exporter.text("/api/v1/summary"))["oldest_open"][0]["stalled"] is True
        writer.end()


def test_no_transfer_stalls_where_that_is_switched_off(stores):
    writer = OpenWriter(stores)
    writer.do("begin 4096 peer 5000000000")
    with Exporter(stores, "--stalled.after=0") as exporter:
        assert value(exporter, "kvtel_open_transfers") == 1
        assert value(exporter, "kvtel_stalled_transfers_total") == 0
        assert not exporter.lines("a transfer stalls")
        writer.end()


def test_what_was_open_is_lost_with_a_killed_writer(stores):
    killed, closed = OpenWriter(stores), OpenWriter(stores)
    with Exporter(stores) as exporter:
        for writer in (killed, closed):
            writer.do("begin 10 peer 0")
            writer.do("begin 20 peer 0")
            writer.do("begin 30 peer 0")
            writer.do("end")
        assert value(exporter, "kvtel_open_transfers") == 4
        killed.kill()
        wait_for(lambda: not killed.path.exists(), "the end of the killed writer's store")
        assert value(exporter, "kvtel_open_transfers") == 2
        assert (outcome(exporter, "lost"), outcome(exporter, "abandoned")) == (2, 0)
        closed.end()
        wait_for(lambda: not closed.path.exists(), "the end of the closed store")
        assert value(exporter, "kvtel_open_transfers") == 0
    with Exporter(stores) as exporter:  # the totals keep them
        assert (outcome(exporter, "lost"), outcome(exporter, "abandoned")) == (2, 2)


def test_a_reader_of_the_format_finds_the_same(stores):
    writer = OpenWriter(stores)
    writer.do("begin 10 peer 1000")
    writer.do("begin 20 peer 0")
    writer.do("end")
    dumped = json.loads(subprocess.run([KVTEL, "dump", "--json", writer.path], capture_output=True, check=True).stdout)
    (transfer,) = dumped["open"]
    assert (transfer["peer"], transfer["bytes"], transfer["operation"]) == ("peer", 20, "transfer")
    text = subprocess.run([KVTEL, "dump", writer.path], capture_output=True, check=True, text=True).stdout
    assert "open: transfer" in text and 'peer "peer"' in text
    (found,) = Store(writer.path).open
    assert (found["peer"], found["bytes"], found["labels"]["operation"]) == ("peer", 20, "transfer")
    writer.kill()
    store = Store(writer.path)
    store.lose()
    lost = [series for series in store.series if series["labels"].get("outcome") == "lost"]
    assert [series["value"] for series in lost] == [1]
    dumped = json.loads(subprocess.run([KVTEL, "dump", "--json", writer.path], capture_output=True, check=True).stdout)
    (family,) = [family for family in dumped["families"] if family["name"].startswith("kvtel_unfinished_transfers")]
    assert [s["value"] for s in family["series"] if s["labels"]["outcome"] == "lost"] == [1] and dumped["open"] == []
