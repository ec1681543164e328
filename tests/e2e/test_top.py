# SPDX-License-Identifier: Apache-2.0
"""kvtel top in a terminal that tmux emulates: its screens, keys, sizes, signals."""

import os
import re
import signal
import socket

import pytest

from exporter import PATIENCE, wait_for
from fake_summary import FakeSummary, entry, flow, summary
from terminal import Terminal

LLAMA = "meta-llama/Llama-3.1-70B-Instruct"
MIB = 1 << 20
OPEN = {
    "open": [
        {
            "connector": "NixlConnector",
            "model_name": LLAMA,
            "engine": "0",
            "operation": "transfer",
            "open": 2,
            "bytes": 2.0 * MIB,
            "oldest_seconds": 31.5,
            "stalled": 1,
        }
    ],
    "oldest_open": [
        {
            "connector": "NixlConnector",
            "engine": "0",
            "operation": "transfer",
            "pid": 4711,
            "peer": "10.0.0.7:5600",
            "bytes": 1.0 * MIB,
            "age_seconds": age,
            "stalled": age > 30,
        }
        for age in (31.5, 0.25)
    ],
}
SLOWEST = [{"seconds": 0.5, "time": 900.0, "labels": {"request_id": "r-17", "trace_id": "4bf92f"}}]


def state(time, step):
    """What an exporter says after `step` tens of seconds."""
    nixl = flow("transfer", 100 + 250 * step, MIB, {0.001: 90 + 200 * step, 0.01: 10 + 45 * step, 0.5: 5 * step}, slowest=SLOWEST)
    return summary(
        time,
        [
            entry("NixlConnector", "0", [nixl], {"transfer_or_handshake": 1 + 2 * step, "expired": 1}, model=LLAMA),
            entry("NixlConnector", "1", [flow("transfer", 50 + 10 * step, MIB, {0.002: 50 + 10 * step})], model=LLAMA),
            entry(
                "OffloadingConnector",
                "0",
                [flow("load", 10, 4 * MIB, {0.004: 10}), flow("store", 20 + 100 * step, 8 * MIB, {0.008: 20 + 100 * step})],
            ),
        ],
        **OPEN,
    )


@pytest.fixture
def fake():
    with FakeSummary(state(1000.0, 0)) as running:
        yield running


@pytest.fixture
def silent():
    """A server that takes connections and does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        listener.settimeout(PATIENCE)
        yield listener


def top(kvtel, fake, *arguments, **terminal):
    return Terminal([kvtel, "top", f"--url={fake.url}", "--interval=100ms", *arguments], **terminal)


def started(kvtel, fake, *arguments, **terminal):
    """A top that has seen both states."""
    running = top(kvtel, fake, *arguments, **terminal)
    running.wait_for("waiting for the second summary")
    fake.now = state(1010.0, 1)
    running.wait_for("window 10 s")
    return running


SMALL = """
kvtel top  URL  2 of 3 sources record
36.0 transfers/s  106MiB/s  window 10 s  in flight 2  stalled 1  by connector
CONNECTOR     ENG FLOW     XFER/s BYTES/s    P50    P90    P99 OPEN  FAIL TREND
NixlConnector 0   transfer   25.0 25.0MiB 1.00ms 10.0ms  500ms    2     2      █
NixlConnector 1   transfer   1.00  1.0MiB 2.00ms 2.00ms 2.00ms    -     0      █
OffloadingCo… 0   load          0      0B      -      -      -    -     0      ·
OffloadingCo… 0   store      10.0 80.0MiB 8.00ms 8.00ms 8.00ms    -     0      █
"""
LARGE = """
kvtel top  URL  2 of 3 sources record
36.0 transfers/s  106MiB/s  window 10 s  in flight 2  stalled 1  by connector
CONNECTOR                 MODEL                    ENG      FLOW             XFER/s BYTES/s    P50    P90    P99 OPEN  FAIL TREND                                         FAILED BY CLASS
NixlConnector             meta-llama/Llama-3.1-70… 0        transfer           25.0 25.0MiB 1.00ms 10.0ms  500ms    2     2                                      ████████ transfer_or_handshake 2
NixlConnector             meta-llama/Llama-3.1-70… 1        transfer           1.00  1.0MiB 2.00ms 2.00ms 2.00ms    -     0                                      ████████
OffloadingConnector       m                        0        load                  0      0B      -      -      -    -     0                                      ········
OffloadingConnector       m                        0        store              10.0 80.0MiB 8.00ms 8.00ms 8.00ms    -     0                                      ████████
"""
DETAIL = """
connector        NixlConnector
engine           0, model meta-llama/Llama-3.1-70B-Instruct

flow transfer
transfers        25.0/s, 350 since the beginning
bytes            25.0MiB/s, 350MiB since the beginning
time             P50 1.00ms  P90 10.0ms  P99 500ms
time of a transfer, in the window
 <= 1.95ms     200 ████████████████████████████████████████████████████████████
 <= 3.91ms       0
 <= 7.81ms       0
 <= 15.6ms      45 █████████████▌
 <= 31.2ms       0
 <= 62.5ms       0
  <= 125ms       0
  <= 250ms       0
  <= 500ms       0
  <= 1.00s       5 █▌
slowest transfers that were recorded with labels
     500ms 1m50s ago        request_id=r-17 trace_id=4bf92f

failures of this connector, by class
transfer_or_handshake            2 in the window, 3 since the beginning
  the transfer could not be posted, or it ended with an error
  or: decode could not reach prefill's side channel, or their layouts differ
expired                          0 in the window, 1 since the beginning
  nobody fetched the blocks before their lease ended

in flight, the oldest first
     31.5s transfer             1.0MiB pid 4711, peer 10.0.0.7:5600, stalled
     250ms transfer             1.0MiB pid 4711, peer 10.0.0.7:5600
"""
HINTS = "q end  ? help  enter detail  p peers  / filter  r reverse  sort: ctb59lof"


def past(time):
    """What an exporter kept: 60 transfers of 1 ms and 10 ms in the minute before `time`, one failure, and more in the time before."""
    ends = [time - 300.0, *(time - 5.0 * k for k in range(11, -1, -1))]
    grew = [1000, *[5] * 12]
    minute = {"count": 60, "bins": [[0.001065, 54], [0.01074, 6]]}
    flow = {
        "name": "transfer",
        "transfers": grew,
        "bytes": [count * MIB for count in grew],
        "bands": [{"time": minute}, {"time": {"count": 1000, "bins": [[0.5, 1000]]}}],
        "at_end": {"transfers": 95, "bytes": 95 * MIB},
    }
    entry = {"connector": "NixlConnector", "model_name": LLAMA, "engine": "0", "flows": [flow]}
    entry |= {"failures": {"transfer_or_handshake": [0] * 12 + [1]}, "failures_at_end": {"transfer_or_handshake": 1}}
    told = {"version": "0.1.0", "format": 1, "time": time, "duration_seconds": 3600.0, "bands": [60.0, 3600.0]}
    return {**told, "end": ends, "seconds": [60.0, *[5.0] * 12], "connectors": [entry]}


def test_the_last_minute_is_there_at_once(kvtel, fake):
    """From the exporter's history; the screen goes on with summaries."""
    fake.past = past(999.0)
    with top(kvtel, fake, "--interval=1h", width=200) as running:
        screen = running.wait_for("transfer_or_handshake 1")  # the last column: the row is whole
        assert any("window 61 s" in line for line in screen)
        row = next(line for line in screen if line.startswith("NixlConnector") and " 0 " in line)
        found = re.split(r"\s+", row.strip())
        assert "5.00" in found and "1.00ms" in found and "transfer_or_handshake" in found, row
        assert re.search(r"▂{40}", row), row


@pytest.mark.parametrize("told", [b"no", b"[]", b"{}", {"format": 2}, {"format": 1}, {"format": 1, "time": 1.0, "bands": [1], "end": [1], "seconds": []}])
def test_a_past_that_is_none(kvtel, fake, told):
    fake.past = told
    with started(kvtel, fake):
        pass


def lines_of(text, fake):
    return text.strip("\n").replace("URL", fake.url).split("\n")


def screen_of(text, fake, height):
    """The whole screen: the text's lines, and the hints at the bottom."""
    lines = lines_of(text, fake)
    return [*lines, *[""] * (height - len(lines) - 1), HINTS]


def rows(terminal):
    """The first three columns of the table."""
    return [line[:26].rstrip() for line in terminal.screen()[3:-1] if line]


def chosen(terminal):
    """The first columns of the row that is shown in reverse."""
    lines = [line for line in terminal.screen(styles=True)[3:-1] if "\x1b[7m" in line]
    return [re.sub(r"\x1b\[[0-9;]*m", "", line)[:26].rstrip() for line in lines]


def wait_for_chosen(terminal, row):
    wait_for(lambda: chosen(terminal) == [row], lambda: "\n".join(terminal.screen(styles=True)))


def wait_for_rows(terminal, *expected):
    wait_for(lambda: rows(terminal) == list(expected), lambda: "\n".join(terminal.screen()))


NIXL0, NIXL1 = "NixlConnector 0   transfer", "NixlConnector 1   transfer"
LOAD, STORE = "OffloadingCo… 0   load", "OffloadingCo… 0   store"


def test_80x24_resized_to_200x60_and_back(kvtel, fake):
    with started(kvtel, fake) as terminal:
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))
        terminal.resize(200, 60)
        terminal.wait_for_screen(screen_of(LARGE, fake, 60))
        terminal.resize(80, 24)
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))
        terminal.resize(12, 3)  # of no use, but no harm
        wait_for(lambda: terminal.screen()[0] == "kvtel top  h", terminal.screen)
        terminal.resize(80, 24)
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))


def test_200x60(kvtel, fake):
    with started(kvtel, fake, width=200, height=60) as terminal:
        terminal.wait_for_screen(screen_of(LARGE, fake, 60))


@pytest.mark.parametrize("arguments, locale", [(["--ascii"], "C.UTF-8"), ([], "C")])
def test_ascii(kvtel, fake, arguments, locale):
    with started(kvtel, fake, *arguments, environment={"LC_ALL": locale}) as terminal:
        ascii = SMALL.replace("…", "~").replace("█", "@").replace("·", "_")
        terminal.wait_for_screen(screen_of(ascii, fake, 24))
        terminal.keys("Enter")
        terminal.wait_for("<= 1.95ms     200 ####")
        assert "\n".join(terminal.screen()).isascii()


def test_colors_and_none(kvtel, fake):
    color = re.compile(r"\x1b\[[0-9;]*3[0-7][;m]")
    for none in ("", "1"):
        fake.now = state(1000.0, 0)
        with started(kvtel, fake, environment={"NO_COLOR": none, "TERM": "screen-256color"}) as terminal:
            terminal.keys("Down")  # the first row, with its failures, is not the chosen one
            wait_for_chosen(terminal, NIXL1)
            styled = "\n".join(terminal.screen(styles=True))
            assert bool(color.search(styled)) == (none == ""), styled


def test_detail_scrolls(kvtel, fake):
    detail = DETAIL.strip("\n").split("\n")
    with started(kvtel, fake) as terminal:
        terminal.keys("Enter")
        terminal.wait_for("q, esc back")
        wait_for(lambda: terminal.screen()[2:23] == detail[:21], lambda: "\n".join(terminal.screen()))
        terminal.keys("End")
        wait_for(lambda: terminal.screen()[2:23] == detail[-21:], lambda: "\n".join(terminal.screen()))
        terminal.keys("Home", "Down")
        wait_for(lambda: terminal.screen()[2:23] == detail[1:22], lambda: "\n".join(terminal.screen()))
        terminal.keys("Escape")
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))


def test_keys_sort_and_filter(kvtel, fake):
    with started(kvtel, fake) as terminal:
        wait_for_rows(terminal, NIXL0, NIXL1, LOAD, STORE)
        terminal.keys("b")
        wait_for_rows(terminal, STORE, NIXL0, NIXL1, LOAD)
        terminal.keys("r")
        wait_for_rows(terminal, LOAD, NIXL1, NIXL0, STORE)
        terminal.keys("r", "l")
        wait_for_rows(terminal, NIXL0, STORE, NIXL1, LOAD)  # what has no times is last
        terminal.keys("f")
        wait_for_rows(terminal, NIXL0, NIXL1, LOAD, STORE)
        terminal.keys("/", "O", "F", "X", "BSpace")
        terminal.wait_for("filter: OF_")
        wait_for_rows(terminal, LOAD, STORE)
        terminal.keys("Enter")
        terminal.wait_for("filter: OF  esc: all rows  q end")
        terminal.keys("/", "q")
        terminal.wait_for("no row contains the filter's text")
        terminal.keys("Escape")
        wait_for_rows(terminal, NIXL0, NIXL1, LOAD, STORE)
        terminal.keys("?")
        terminal.wait_for("any key: back")
        assert any("l  P99, the slowest" in line for line in terminal.screen())
        terminal.keys("x", "q")
        assert terminal.wait_for_end() == 0


def test_the_chosen_row_stays_chosen(kvtel, fake):
    with started(kvtel, fake) as terminal:
        terminal.keys("Down")
        wait_for_chosen(terminal, NIXL1)
        terminal.keys("b")
        wait_for_rows(terminal, STORE, NIXL0, NIXL1, LOAD)
        wait_for_chosen(terminal, NIXL1)


def test_more_rows_than_lines(kvtel, fake):
    fake.now = summary(1000.0, [entry("C", str(i), [flow("f", i, 1, {0.001: i})]) for i in range(200)], connectors_total=300)
    with top(kvtel, fake) as terminal:
        terminal.wait_for("the first 200 of 300")
        wait_for(lambda: rows(terminal)[0].split()[1] == "0", terminal.screen)
        terminal.keys("End")
        wait_for(lambda: rows(terminal)[-1].split()[1] == "199", terminal.screen)
        terminal.keys("PPage", "PPage")
        wait_for(lambda: rows(terminal)[0].split()[1] == "161", terminal.screen)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM"])
def test_signals_end_it_and_restore_the_terminal(kvtel, fake, number):
    with started(kvtel, fake) as terminal:
        os.kill(terminal.pid(), getattr(signal, number))
        assert terminal.wait_for_end() == 0


def test_a_signal_ends_it_while_it_waits_for_the_first_answer(kvtel, silent):
    with Terminal([kvtel, "top", f"--url=http://127.0.0.1:{silent.getsockname()[1]}"]) as terminal, silent.accept()[0]:
        os.kill(terminal.pid(), signal.SIGTERM)
        assert terminal.wait_for_end() == 0


def test_stopped_and_continued(kvtel, fake):
    with started(kvtel, fake) as terminal:
        pid = terminal.pid()
        os.kill(pid, signal.SIGTSTP)

        def is_stopped():
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(") ", 1)[1][0] == "T"

        wait_for(is_stopped, "it is stopped")
        wait_for(lambda: terminal.tmux("display-message", "-p", "#{alternate_on}").strip() == "0", "the terminal is given back")
        os.kill(pid, signal.SIGCONT)
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))


def test_an_exporter_that_goes_and_comes_back(kvtel, fake):
    with started(kvtel, fake) as terminal:
        fake.now = (500, b"")
        terminal.wait_for("s ago: it answered 500")
        assert rows(terminal) == [NIXL0, NIXL1, LOAD, STORE]
        fake.now = state(1020.0, 2)
        terminal.wait_for("window 20 s")
        wait_for(lambda: terminal.screen()[-1] == HINTS, "the message is gone")
        fake.now = {**state(1030.0, 0), "uptime_seconds": 1.0}  # it was restarted: nothing before counts
        terminal.wait_for("waiting for the second summary")
        fake.now = {**state(1040.0, 1), "uptime_seconds": 11.0}
        terminal.wait_for_screen(screen_of(SMALL, fake, 24))


def test_the_window_is_a_minute(kvtel, fake):
    with started(kvtel, fake) as terminal:
        for step in range(2, 9):
            fake.now = state(1000.0 + 10 * step, step)
            terminal.wait_for(f"window {min(10 * step, 60)} s")
        terminal.wait_for("NixlConnector 1   transfer   1.00  1.0MiB 2.00ms 2.00ms 2.00ms    -     0 ██████")


def test_control_bytes_do_not_reach_the_terminal(kvtel, fake, tmp_path):
    evil = "\x1b]0;evil\x07\u009b31m\u202e"
    nasty = entry(evil, "e\ti\n", [flow(evil, 1, 1, {0.001: 1}, slowest=[{"seconds": 1, "time": 1, "labels": {evil: evil}}])], {evil: 3}, model=evil)
    fake.now = summary(1000.0, [nasty], open=[{**OPEN["open"][0], "connector": evil}])
    with top(kvtel, fake, width=200, height=60) as terminal:
        terminal.wait_for(r"\x1b]0;evil")
        terminal.tmux("pipe-pane", "-O", f"cat >{tmp_path / 'raw'}")
        terminal.keys("Enter")
        terminal.wait_for(r"\x1b]0;evil\x07\x9b31m\u202e=\x1b]0;evil")
        terminal.keys("Escape", "?", "x", "q")
        assert terminal.wait_for_end() == 0
        wait_for(lambda: b"echo" in (tmp_path / "raw").read_bytes(), "what the terminal was told")
        raw = (tmp_path / "raw").read_bytes()
        assert b"\x1b]0;evil" not in raw and "\u009b".encode() not in raw and "\u202e".encode() not in raw
        assert terminal.tmux("display-message", "-p", "#{pane_title}").strip() != "evil"


def test_a_terminal_that_is_not_known(kvtel, fake):
    for name in ("nonsense-term", ""):
        with top(kvtel, fake, environment={"TERM": name}) as terminal:
            terminal.wait_for(f'this terminal is not known (TERM is "{name}"); --once prints')
            assert terminal.wait_for_end() == 1


@pytest.mark.parametrize("arguments", [["--url=127.0.0.1:1"], ["--store.dir=/proc/1/mem"]])
def test_what_cannot_be_read_is_said_without_a_screen(kvtel, arguments):
    with Terminal([kvtel, "top", *arguments]) as terminal:
        terminal.wait_for("kvtel: ")
        assert terminal.wait_for_end() == 1
