# SPDX-License-Identifier: Apache-2.0
"""kvtel top of a large fleet: engines in parts of a summary, the exporter's history, and the view of peers."""

import json
import re
import subprocess

import pytest

from exporter import Exporter, wait_for
from fake_summary import PART, FakeSummary, entry, flow, summary
from terminal import Terminal
from test_receiver import RECEIVER, header, payload, post

MIB = 1 << 20
ENGINES = 1000


def fleet(time, step, engines=ENGINES):
    """What an exporter of so many engines says; engine N does N transfers a second."""
    flows = [[flow("transfer", 1 + i * 10 * step, MIB, {0.001: 1 + i * 10 * step})] for i in range(engines)]
    return summary(time, [entry("NixlConnector", str(i), flows[i]) for i in range(engines)])


def peer(name, transfers, failed=0, unseen=0, open=0, oldest=0.0):
    counts = {"transfers": transfers, "bytes": float(transfers * MIB), "failed": failed, "unseen": unseen}
    return {"peer": name, **counts, "open": open, "oldest_seconds": oldest}


def with_peers(time, step):
    peers = [
        peer("10.0.0.7:5600", 100 + 250 * step, failed=2 + step, open=2, oldest=31.5),
        peer("10.0.0.9:5600", 1000, failed=1),
        peer("decode-3.prefill.example:5600", 50 + 10 * step, unseen=3, open=1, oldest=0.25),
        peer("10.0.0.8:5600", 2000 + 100 * step),
    ]
    return summary(time, [entry("NixlConnector", "0", [flow("transfer", 10, MIB, {0.001: 10})])], peers=peers, peers_total=4)


@pytest.fixture
def fake():
    with FakeSummary(fleet(1000.0, 0)) as running:
        yield running


def address(server):
    return server.url("") if isinstance(server, Exporter) else server.url


def top(kvtel, fake, *arguments, **terminal):
    return Terminal([kvtel, "top", f"--url={address(fake)}", "--interval=100ms", *arguments], **terminal)


def first_column(terminal, width):
    return [line[:width].strip() for line in terminal.screen()[3:-1] if line]


def wait_for_screen(terminal, fake, text, height, hints):
    lines = text.strip("\n").replace("URL", fake.url).split("\n")
    terminal.wait_for_screen([*lines, *[""] * (height - len(lines) - 1), hints])


# -- Engines --


def engines(terminal):
    """The second column; a screen that is half drawn has a "" in it, or no line."""
    return [(line.split() + [""] * 2)[1] for line in terminal.screen()[3:-1] if line]


def test_a_thousand_engines(kvtel, fake):
    assert ENGINES > 3 * PART
    with top(kvtel, fake) as terminal:
        terminal.wait_for("waiting for the second summary")
        assert "the first" not in terminal.screen()[0]
        fake.now = fleet(1010.0, 1)
        terminal.wait_for("500k transfers/s")  # the sum of all: 499,500
        terminal.keys("End")
        wait_for(lambda: engines(terminal)[-1:] == ["999"], terminal.screen)
        terminal.keys("PPage", "PPage")
        wait_for(lambda: engines(terminal)[:1] == ["961"], terminal.screen)
        terminal.keys("t")
        terminal.keys("Home")
        wait_for(lambda: engines(terminal)[:3] == ["999", "998", "997"], terminal.screen)
        terminal.keys("/", "9", "9", "Enter")
        wait_for(lambda: engines(terminal)[:3] == ["999", "998", "997"] and engines(terminal)[-1:] == ["99"], terminal.screen)
        terminal.keys("Enter")
        terminal.wait_for("999/s, 9991 since the beginning")
        terminal.keys("q", "Escape", "q")
        assert terminal.wait_for_end() == 0


def test_engines_that_come_and_go_between_two_readings(kvtel, fake):
    fake.now = fleet(1000.0, 0, 300)
    with top(kvtel, fake) as terminal:
        terminal.wait_for("waiting for the second summary")
        fake.now = fleet(1010.0, 1, 600)
        terminal.wait_for("180k transfers/s")
        fake.now = fleet(1020.0, 2, 100)
        terminal.wait_for("4.95k transfers/s")
        terminal.keys("End")
        wait_for(lambda: engines(terminal)[-1:] == ["99"], terminal.screen)


def test_a_part_that_fails(kvtel, fake):
    """The numbers stay, and the next good reading is shown."""
    with top(kvtel, fake) as terminal:
        terminal.wait_for("waiting for the second summary")
        whole = fake.answer
        failing = [True]

        def answer(target, headers):
            return (500, {}, b"") if failing and "offset=512" in target else whole(target, headers)

        fake.answer = answer  # before the new numbers: no reading may get all of them
        fake.now = fleet(1010.0, 1)
        terminal.wait_for("s ago: it answered 500")
        assert any("waiting for the second summary" in line for line in terminal.screen())
        failing.clear()
        terminal.wait_for("500k transfers/s")


def once(kvtel, fake, *arguments):
    done = subprocess.run(
        [kvtel, "top", f"--url={address(fake)}", "--once", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_once_has_all_of_them(kvtel, fake):
    lines = once(kvtel, fake).splitlines()
    assert [line.split()[2] for line in lines[1:]] == [str(i) for i in range(ENGINES)]
    told = json.loads(once(kvtel, fake, "--json"))
    assert told == fake.now
    assert len(once(kvtel, fake, "--filter=99").splitlines()) == 1 + 20 - 1


def test_a_restart_between_two_parts(kvtel):
    """What two exporters say is not one summary."""
    with FakeSummary(fleet(1000.0, 0)) as fake:
        whole = fake.answer

        def answer(target, headers):
            status, more, body = whole(target, headers)
            if "offset" in target:
                body = json.dumps({**json.loads(body), "uptime_seconds": 1.0}).encode()
            return status, more, body

        fake.answer = answer
        done = subprocess.run([kvtel, "top", f"--url={fake.url}", "--once"], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "it was restarted while its summary was read" in done.stderr


# -- An exporter --


def test_an_exporter_and_its_store_have_300_engines(kvtel, stores):
    with Exporter(stores, RECEIVER) as exporter:
        engines = range(300)
        assert post(exporter, header(engines=list(engines)), *(payload(engine=i) for i in engines))[1]["accepted"] == 300
        remote = json.loads(once(kvtel, exporter, "--json"))
        assert [entry["engine"] for entry in remote["connectors"]] == [str(i) for i in engines]
        assert remote["connectors_total"] == 300
        local = subprocess.run([kvtel, "top", "--once", "--json", f"--store.dir={stores}"], capture_output=True, check=True)
        assert [entry["engine"] for entry in json.loads(local.stdout)["connectors"]] == [str(i) for i in engines]


def test_the_history_of_an_exporter_is_shown_at_once(kvtel, stores):
    """Without a second summary: what came before kvtel top was started is in the first screen."""
    with Exporter(stores, RECEIVER, "--history.duration=1m") as exporter:  # a point each second

        def points():
            return len(json.loads(exporter.text("/api/v1/history"))["end"])

        wait_for(points, "a first point")
        post(exporter, header(), payload(transfer_duration=[0.002] * 500))
        before = points()
        wait_for(lambda: points() >= before + 2, "a point with what was posted")
        with top(kvtel, exporter, "--interval=1h") as terminal:
            screen = terminal.wait_for("NixlConnector")
            assert re.search(r"window [1-9]\d* s", screen[1]), screen[1]
            (row,) = (line for line in screen if line.startswith("NixlConnector"))
            assert "2.00ms 2.00ms 2.00ms" in row and re.search("[▁▂▃▄▅▆▇█]", row), row
            terminal.keys("Enter")
            terminal.wait_for("<= 3.91ms     500")


# -- Peers --

SMALL = """
kvtel top  URL  2 of 3 sources record
0 transfers/s  0B/s  window 10 s  by failed
PEER                    XFER/s BYTES/s  XFERS   BYTES   FAIL UNSEEN  OPEN OLDEST
10.0.0.7:5600             25.0 25.0MiB    350  350MiB      3      0     2  31.5s
10.0.0.9:5600                0      0B   1000 1000MiB      1      0     0      -
decode-3.prefill.examp…   1.00  1.0MiB     60 60.0MiB      0      3     1  250ms
10.0.0.8:5600             10.0 10.0MiB   2100  2.1GiB      0      0     0      -
"""
LARGE = """
kvtel top  URL  2 of 3 sources record
0 transfers/s  0B/s  window 10 s  by failed
PEER                                             XFER/s BYTES/s  XFERS   BYTES   FAIL UNSEEN  OPEN OLDEST
10.0.0.7:5600                                      25.0 25.0MiB    350  350MiB      3      0     2  31.5s
10.0.0.9:5600                                         0      0B   1000 1000MiB      1      0     0      -
decode-3.prefill.example:5600                      1.00  1.0MiB     60 60.0MiB      0      3     1  250ms
10.0.0.8:5600                                      10.0 10.0MiB   2100  2.1GiB      0      0     0      -
"""
HINTS = "q, esc back  ? help  arrows scroll  / filter  r reverse  sort: ctbolfu"
P7, P8, P9, DECODE = "10.0.0.7:5600", "10.0.0.8:5600", "10.0.0.9:5600", "decode-3.prefill.examp…"


def peers_shown(kvtel, fake, **terminal):
    """A top with the view of peers, after two readings."""
    fake.now = with_peers(1000.0, 0)
    running = top(kvtel, fake, **terminal)
    running.wait_for("waiting for the second summary")
    fake.now = with_peers(1010.0, 1)
    running.wait_for("window 10 s")
    running.keys("p")
    return running


def wait_for_peers(terminal, *expected):
    wait_for(lambda: first_column(terminal, 23) == list(expected), lambda: "\n".join(terminal.screen()))


def test_peers_at_80x24_resized_to_200x60(kvtel, fake):
    with peers_shown(kvtel, fake) as terminal:
        wait_for_screen(terminal, fake, SMALL, 24, HINTS)
        terminal.resize(200, 60)
        wait_for_screen(terminal, fake, LARGE, 60, HINTS)


def test_peers_sort_and_filter(kvtel, fake):
    with peers_shown(kvtel, fake) as terminal:
        wait_for_peers(terminal, P7, P9, DECODE, P8)
        for key, expected in {
            "c": [P7, P8, P9, DECODE],
            "t": [P7, P8, DECODE, P9],
            "o": [P7, DECODE, P9, P8],
            "l": [P7, DECODE, P9, P8],
            "u": [DECODE, P7, P9, P8],
            "f": [P7, P9, DECODE, P8],
            "b": [P7, P8, DECODE, P9],
            "r": [P9, DECODE, P8, P7],
        }.items():
            terminal.keys(key)
            wait_for_peers(terminal, *expected)
        terminal.keys("/", "D", "E", "C", "Enter")
        terminal.wait_for("filter: DEC  esc: all rows")
        wait_for_peers(terminal, DECODE)
        terminal.keys("?")
        terminal.wait_for("of which no end was seen")
        assert any("l  oldest in flight" in line for line in terminal.screen())
        terminal.keys("x", "Escape")
        wait_for_peers(terminal, P9, DECODE, P8, P7)
        terminal.keys("Escape")  # the table has a filter and an order of its own
        terminal.wait_for("by connector")
        terminal.keys("p", "q", "q")
        assert terminal.wait_for_end() == 0


def test_more_peers_than_lines(kvtel, fake):
    peers = [peer(f"10.0.{i // 100}.{i % 100}:5600", 1000 - i) for i in range(200)]
    fake.now = summary(1000.0, [], peers=peers, peers_total=300)
    with top(kvtel, fake) as terminal:
        terminal.wait_for("nothing was recorded yet")
        terminal.keys("p")
        terminal.wait_for("200 of 300 peers")
        terminal.keys("End")
        wait_for(lambda: first_column(terminal, 23)[-1:] == ["10.0.1.99:5600"], terminal.screen)
        terminal.keys("PPage")
        wait_for(lambda: first_column(terminal, 23)[-1:] == ["10.0.1.80:5600"], terminal.screen)
        terminal.keys("Home")
        wait_for(lambda: first_column(terminal, 23)[:1] == ["10.0.0.0:5600"], terminal.screen)


def test_without_a_peer(kvtel, fake):
    fake.now = fleet(1000.0, 0, 1)
    with top(kvtel, fake) as terminal:
        terminal.wait_for("NixlConnector")
        terminal.keys("p")
        terminal.wait_for("no transfer had a peer")


def test_control_bytes_in_the_name_of_a_peer(kvtel, fake):
    fake.now = summary(1000.0, [], peers=[peer("\x1b]0;evil\x07", 1)], peers_total=1)
    with top(kvtel, fake) as terminal:
        terminal.wait_for("nothing was recorded yet")
        terminal.keys("p")
        terminal.wait_for(r"\x1b]0;evil\x07")
