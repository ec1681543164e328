# SPDX-License-Identifier: Apache-2.0
"""The history of kvtel serve: who makes its points, what a restart keeps, and what becomes of a bad file."""

import gzip
import json
import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from exporter import PATIENCE, Exporter, Writer, wait_for
from test_receiver import RECEIVER, header, payload, post

FILE = "history.kvtel-history"
SHORT = "--history.duration=1m"  # a point each second


def history(exporter):
    return json.loads(exporter.text("/api/v1/history"))


def moved(exporter):
    """Transfers of all points."""
    told = history(exporter)
    return sum(
        count or 0
        for entry in told["connectors"] + told["rest"]
        for flow in entry["flows"]
        for count in flow["transfers"]
    )


def test_points_come_without_a_request_and_outlive_the_exporter(stores, tmp_path):
    with Exporter(stores, SHORT) as exporter:
        wait_for(lambda: len(history(exporter)["end"]) > 0, "a point")
        writer = Writer(stores, tmp_path / "book", 500).done()
        wait_for(lambda: moved(exporter) == 500, "the transfers in the history")
        told = history(exporter)
        assert told["format"] == 1 and told["duration_seconds"] == 60
        (entry,) = told["connectors"]
        (flow,) = entry["flows"]
        assert (entry["connector"], entry["engine"], flow["name"]) == ("NixlConnector", "0", "transfer")
        columns = [told["end"], told["seconds"], flow["transfers"], flow["bytes"]]
        columns += [flow[kind][share] for kind in ("time", "post") for share in ("p50", "p90", "p99")]
        assert {len(column) for column in columns} == {len(told["end"])}
        assert told["end"] == sorted(told["end"]) and flow["at_end"]["transfers"] == 500
        assert sum(band["time"]["count"] for band in flow["bands"]) == 500
        assert len(flow["bands"]) == len(told["bands"])
        request = urllib.request.Request(exporter.url("/api/v1/history"), headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert json.loads(gzip.decompress(answer.read()))["format"] == 1
    assert (stores / FILE).exists()
    with Exporter(stores, SHORT.replace("1m", "2h")) as exporter:
        assert moved(exporter) == 500
    writer.end()
    with Exporter(stores, SHORT) as exporter:  # it ended in between: its numbers went into the totals
        began = history(exporter)["time"]
        wait_for(lambda: (history(exporter)["end"] or [0])[-1] > began + 1, "a point of its own")
        assert moved(exporter) <= 500  # points of more than a minute ago are gone by now, on a slow machine


def test_more_engines_than_it_keeps_apart(stores):
    """The sum over all engines is right, and the answer says how many have no entry of their own."""
    engines = list(range(600))
    with Exporter(stores, RECEIVER, SHORT) as exporter:
        wait_for(lambda: len(history(exporter)["end"]) > 0, "a point")
        assert post(exporter, header(engines=engines), *(payload(engine=i) for i in engines))[1]["accepted"] == 600
        wait_for(lambda: moved(exporter) == 600, "all transfers in the history")
        told = history(exporter)
        assert len(told["connectors"]) == 480 and told["left_out"] == 120
        (rest,) = told["rest"]
        assert set(rest) == {"connector", "flows", "failures", "failures_at_end"}
        assert (rest["connector"], rest["flows"][0]["at_end"]["transfers"]) == ("NixlConnector", 120)


def test_readers_do_not_hold_up_its_points(stores):
    """Four connections ask for the history without a pause, and points come all the same."""
    engines, ends, stop = list(range(256)), set(), threading.Event()

    def read(exporter):
        while not stop.is_set():
            try:
                ends.update(history(exporter)["end"])
            except urllib.error.HTTPError as error:
                error.close()  # 503: enough of them are being answered

    with Exporter(stores, RECEIVER, SHORT) as exporter:
        post(exporter, header(engines=engines), *(payload(engine=i) for i in engines))
        readers = [threading.Thread(target=read, args=(exporter,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        try:
            wait_for(lambda: len(ends) >= 1, "a point")
            before = len(ends)
            wait_for(lambda: len(ends) >= before + 5, lambda: f"five more points than {before}")
        finally:
            stop.set()
            for reader in readers:
                reader.join(PATIENCE)


def test_without_a_history(stores):
    with Exporter(stores, "--history.duration=0") as exporter, pytest.raises(urllib.error.HTTPError, match="404"):
        exporter.text("/api/v1/history")
    assert not (stores / FILE).exists()


@pytest.mark.parametrize("duration", ["30", "25h", "-1", "x", ""])
def test_a_duration_that_cannot_be(kvtel, duration):
    done = subprocess.run(
        [kvtel, "serve", f"--history.duration={duration}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "--history.duration is a time from 1m to 24h" in done.stderr


@pytest.mark.parametrize("kind", ["damaged", "fifo", "directory", "link"])
def test_a_file_that_is_none(stores, tmp_path, kind):
    path = stores / FILE
    if kind == "damaged":
        path.write_bytes(b"kvtelhis" + b"\xff" * 200)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        (tmp_path / "elsewhere").write_bytes(b"precious")
        path.symlink_to(tmp_path / "elsewhere")
    with Exporter(stores, SHORT) as exporter:
        exporter.wait_for_log("the history of the last run cannot be used")
        wait_for(lambda: len(history(exporter)["end"]) > 0, "a point")
        Writer(stores, tmp_path / "book", 10).done().end()
        wait_for(lambda: moved(exporter) == 10, "the transfers in the history")
    if kind == "directory":
        assert path.is_dir() and exporter.lines("the history cannot be written now")
    else:
        assert path.is_file() and not path.is_symlink() and path.read_bytes().startswith(b"kvtelhis")
    if kind == "link":
        assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert [each.name for each in stores.iterdir() if each.name.endswith(".next")] == []


def test_a_kill_loses_at_most_what_was_not_written(stores, tmp_path):
    with Exporter(stores, SHORT) as exporter:
        wait_for(lambda: len(history(exporter)["end"]) > 0, "a point")
        writer = Writer(stores, tmp_path / "book", 100).done()
        wait_for(lambda: moved(exporter) == 100, "the transfers in the history")
        exporter.end(signal.SIGKILL)
        was_written = (stores / FILE).exists()  # after a minute, on a slow machine
    with Exporter(stores, SHORT) as exporter:
        writer.end()
        wait_for(lambda: len(history(exporter)["end"]) > 1, "points")
        assert was_written or moved(exporter) == 0  # what was before is in the totals, but is not what happened now
