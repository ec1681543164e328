# SPDX-License-Identifier: Apache-2.0
"""The page in headless Chromium: with a summary that is made up here, and with what a real exporter says."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from browser import (
    WebDriverWait,
    busy,
    complaints,
    driver,
    fake,
    hurried,
    hurry,
    look,
    needs_browser,
    points,
    shot,
    show,
    until,
    visible,
    wait_for_tick,
)
from exporter import KVTEL, OWN_WRITER, PATIENCE, Exporter
from fake_page import policy

GOLDEN = Path(__file__).resolve().parents[1] / "data/golden"
__all__ = ["driver", "fake", "hurried"]  # fixtures

pytestmark = needs_browser


@pytest.mark.parametrize(
    "scheme,width,height", [("light", 1280, 1100), ("dark", 1280, 1100), ("light", 390, 844), ("dark", 390, 844)]
)
def test_busy(hurried, fake, scheme, width, height):
    driver = hurried
    busy(driver, fake, 100, scheme=scheme, width=width, height=height)
    for chart, count in (("transfers", 1), ("bytes", 1), ("time", 3), ("post", 3), ("sizes", 1), ("failed", 2)):
        shown = points(driver, chart)
        assert len(shown) == count and shown[0] > 2, (chart, shown)
    assert not visible(driver, "empty") and not visible(driver, "lost")
    assert driver.execute_script("return document.getElementById('state').textContent") == "exporter reachable"
    assert driver.execute_script("return document.getElementById('recording').textContent") == "3 sources record"
    # the page itself never scrolls sideways
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert driver.execute_script(
        "return [...document.querySelectorAll('canvas')].every((one) => one.getAttribute('aria-label'))"
    )
    shot(driver, f"busy-{scheme}-{width}")
    assert complaints(driver) == []


def test_the_past_is_there_at_once(driver, fake):
    """What the exporter kept, as soon as the page is opened: charts, quantiles of the window, failures and their share."""
    fake.past, fake.kind = 3600, "busy"
    look(driver, fake.open())
    until(driver, "document.querySelectorAll('#engines tbody').length === 3")
    until(driver, "Chart.getChart('chart-transfers').data.datasets[0].data.length >= 5")
    cell = "document.querySelector('#engines tbody td.failures').innerText"
    assert re.match(
        r"[456] in 5 min, 0.0\d+ % of transfers \(transfer or handshake [456]\)",
        driver.execute_script("return " + cell),
    )
    assert not visible(driver, "watched")
    driver.execute_script("document.querySelector('input[value=\"3600\"]').click()")
    assert max(points(driver, "transfers")) >= 59
    assert re.match(r"6\d in 60 min|6\d in 1 h 0 min", driver.execute_script("return " + cell)), driver.execute_script(
        "return " + cell
    )
    assert "gone" not in driver.execute_script("return document.getElementById('engines').innerText")
    p50 = driver.execute_script("return document.querySelector('#engines tbody tr').cells[5].innerText")
    assert re.match(r"(9|10)\d(\.\d)? ms", p50), p50  # of the past, not of the page's first seconds
    assert complaints(driver) == []


def test_a_window_that_is_not_full(driver, fake):
    fake.past, fake.kind = 120, "busy"
    look(driver, fake.open())
    until(driver, "/^seen: [234] min of 5 min$/.test(document.getElementById('watched').textContent)")
    assert driver.execute_script("return document.getElementById('watched').checkVisibility()")
    driver.execute_script("document.querySelector('input[value=\"120\"]').click()")
    until(driver, "!document.getElementById('watched').checkVisibility()")
    assert complaints(driver) == []


def test_empty(driver, fake):
    look(driver, fake.open(), height=700)
    until(driver, "document.getElementById('empty').checkVisibility()")
    assert not visible(driver, "overview") and not visible(driver, "detail") and not visible(driver, "sources")
    assert fake.start and f"127.0.0.1:{fake.port}/api/v1/stats" in driver.execute_script(
        "return document.getElementById('empty').innerText"
    )
    told = driver.execute_script("return document.getElementById('empty').innerText")
    for part in (
        "kvtel serve --nixl.telemetry-dir=/dev/shm/nixl",
        "NIXL_TELEMETRY_ENABLE=y",
        "NIXL_TELEMETRY_DIR=/dev/shm/nixl",
        "pip install ./python",
    ):
        assert part in told
    assert driver.execute_script("return document.getElementById('recording').textContent") == "nobody has recorded yet"
    shot(driver, "empty")
    fake.kind = "busy"  # it goes on without a reload
    until(
        driver,
        "document.getElementById('overview').checkVisibility() && !document.getElementById('empty').checkVisibility()",
    )
    assert complaints(driver) == []


def test_nobody_records(hurried, fake):
    """The exporter is well and its engines are gone: not the same, and not green."""
    driver = hurried
    busy(driver, fake, 40)
    fake.kind = "gone"
    until(driver, "document.getElementById('recording').dataset.state === 'none'")
    assert driver.execute_script("return document.getElementById('recording').textContent") == "nobody records"
    assert driver.execute_script("return document.getElementById('state').dataset.state") == "live"
    color = "return getComputedStyle(document.getElementById(arguments[0])).color"
    assert driver.execute_script(color, "recording") != driver.execute_script(color, "state")
    rows = driver.execute_script("return [...document.querySelectorAll('#writer-rows tr')].map((row) => row.innerText)")
    assert len(rows) == 3 and all("gone" in row and "ago" in row for row in rows)
    shot(driver, "nobody")
    assert complaints(driver) == []


def test_failures_of_the_window_and_since_the_start(hurried, fake):
    driver = hurried
    fake.step = 1.0
    busy(driver, fake, 30)
    cell = "document.querySelector('#engines tbody td.failures')"
    # two transfers and one expiry came before the page looked; in 30 s of its own nothing did
    until(driver, cell + ".innerText.startsWith('0 in ')")
    shown = driver.execute_script("return " + cell + ".innerText")
    assert re.search(r"3 since the start, 0.0\d+ % of transfers \(transfer or handshake 2, expired 1\)", shown), shown
    assert not driver.execute_script("return " + cell + ".classList.contains('grew')")
    until(driver, cell + ".classList.contains('grew')")
    shown = driver.execute_script("return " + cell + ".innerText")
    assert re.match(r"1 in .*, 0.0\d+ % of transfers \(transfer or handshake 1\)\s+4 since the start", shown), shown
    assert complaints(driver) == []


def test_what_the_failures_mean_stands_below_the_charts(hurried, fake):
    driver, ordinary = hurried, fake.summary

    def failing():
        made = ordinary()
        if made["connectors"]:
            first = made["connectors"][0]
            first["failures"]["mine"] = 1
            first["failed"] = sum(first["failures"].values()) + 2
        return made

    fake.summary = failing
    busy(driver, fake, 10)
    rows = "[...document.getElementById('meaning-rows').rows].map((row) => row.innerText)"
    until(driver, rows + ".length === 4")
    assert driver.execute_script("return " + rows) == [
        "transfer or handshake\tthe transfer ended with an error; or decode could not reach prefill",
        "expired\tnobody fetched the blocks",
        "mine\tthe connector's own class",
        "other\tthe connector tells no class",
    ]
    driver.execute_script("document.querySelectorAll('#engines button')[1].click()")
    until(driver, "document.getElementById('detail-title').textContent.includes('engine 1')")
    assert not visible(driver, "meanings")  # it has none
    assert complaints(driver) == []


def test_peers(hurried, fake):
    driver = hurried
    busy(driver, fake, 3)
    rows = "[...document.getElementById('peer-rows').rows].map((row) => row.innerText)"
    until(driver, rows + ".length === 3")
    first, second, third = (row.split("\t") for row in driver.execute_script("return " + rows))
    assert first[0] == "prefill-2/0" and first[2].endswith("GiB") and first[4:] == ["0", "2", "31 s"]
    assert re.fullmatch(r"3, 0\.0\d+ % of transfers", first[3])
    assert second[3:] == ["0", "1", "0", ""] and third[1:] == ["0", "0 B", "0", "0", "1", "0 s"]
    red = "document.querySelector('#peer-rows td.bad').parentNode.rowIndex"
    assert driver.execute_script("return " + red) == 1
    assert driver.execute_script("return document.getElementById('more-peers').textContent") == "2 more are not shown."
    shot(driver, "peers")
    assert complaints(driver) == []


def test_names_cannot_turn_the_page_around(hurried, fake):
    driver = hurried
    name = "mod\u202eel\u2066\u200b\x1b[31m\u0007<img src=x onerror=alert(1)>"
    ordinary = fake.summary

    def hostile():
        made = ordinary()
        if made["connectors"]:
            made["connectors"][0]["connector"] = made["connectors"][0]["model_name"] = name
            made["connectors"][0]["failures"] = {name: 3}
            made["connectors"][0]["others"] = [{"name": name, "labels": [name], "unit": "bytes", "value": 4096.0}]
            made["connectors"][0]["others_total"] = 1
            slow = {"seconds": 0.93, "time": made["time"] - 60, "labels": {"request_id": name}}
            made["connectors"][0]["flows"][0]["slowest"] = [slow]
            made["sources"][0].update(name=name, reason=name, connector=name)
            made["writers"][0].update(connector=name, model_name=name)
            made["refused"] = {name: 1}
            made["peers"][0]["peer"] = name
            one = {"connector": name, "engine": name, "operation": name, "peer": name}
            made["open"] = [{**one, "model_name": name, "open": 3, "bytes": 1.0, "oldest_seconds": 90.0, "stalled": 1}]
            made["oldest_open"] = [{**one, "pid": 7, "bytes": None, "age_seconds": 90.0, "stalled": True}]
        return made

    fake.summary = hostile
    busy(driver, fake, 10)
    driver.execute_script("document.querySelector('#engines button').click()")
    until(driver, "document.getElementById('others').checkVisibility()")
    assert visible(driver, "slowest")
    text = driver.execute_script("return document.body.innerText + document.title + location.hash")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]", text)
    assert text.count("mod\\u{202e}el\\u{2066}\\u{200b}\\u{1b}[31m") >= 12
    assert "stalls" in text and "2 more are open." in text
    assert driver.execute_script("return document.querySelector('img')") is None
    [row] = driver.execute_script(
        "return [...document.getElementById('slowest-rows').rows].map((row) => row.innerText)"
    )
    assert row.split("\t")[:3] == ["930 ms", "1 min ago", "transfer"] and "request_id=mod" in row, row
    shot(driver, "hostile")
    assert complaints(driver) == []


def test_lost_and_found(hurried, fake):
    driver = hurried
    busy(driver, fake, 80)
    fake.close()
    until(driver, "document.getElementById('lost').checkVisibility()")
    assert "does not answer" in driver.execute_script("return document.getElementById('lost').innerText")
    assert driver.execute_script("return document.getElementById('state').dataset.state") == "lost"
    shot(driver, "lost")
    fake.open()
    driver.execute_script("document.getElementById('retry').click()")
    until(driver, "document.getElementById('state').dataset.state === 'live'")
    assert not visible(driver, "lost")


def test_restarted_exporter_begins_anew(hurried, fake):
    driver = hurried
    busy(driver, fake, 100)
    fake.tick, fake.start = 0, fake.start + 1000
    WebDriverWait(driver, PATIENCE, 0.05).until(lambda _: fake.tick >= 5)
    until(driver, "Chart.getChart('chart-transfers').data.datasets[0].data.length < 50")
    assert complaints(driver) == []


def test_keyboard_and_tables(hurried, fake):
    driver = hurried
    busy(driver, fake, 40)
    script = "const one = document.querySelectorAll('#engines button')[2]; one.focus(); one.click(); return document.activeElement === one"
    assert driver.execute_script(script)
    until(driver, "document.getElementById('detail-title').textContent.startsWith('OffloadingConnector')")
    assert len(points(driver, "transfers")) == 2 and visible(driver, "flow-box")
    driver.execute_script(
        "const one = document.getElementById('flow'); one.value = 'store'; one.dispatchEvent(new Event('change'))"
    )
    until(driver, "document.querySelector('#time h3').textContent.endsWith('store')")
    driver.execute_script("document.querySelectorAll('#charts details').forEach((one) => { one.open = true })")
    until(driver, "document.querySelectorAll('#transfers table tr').length > 5")
    assert driver.execute_script("return decodeURIComponent(location.hash)").startswith('#["OffloadingConnector"')
    driver.refresh()  # the address knows which one was chosen
    show(driver)
    until(driver, "document.getElementById('detail-title').textContent.startsWith('OffloadingConnector')")
    shot(driver, "offloading")
    assert complaints(driver) == []


def test_memory_is_bounded(driver, fake):
    undo = hurry(driver, 2000)
    try:
        busy(driver, fake, 500)  # by then the rings are full
        heaps = []
        for drawn, unseen in ((12, 400), (12, 400), (12, 0)):
            wait_for_tick(driver, fake, fake.tick + drawn)
            heaps.append(driver.execute_script("gc(); gc(); return performance.memory.usedJSHeapSize") / 2**20)
            show(driver, False)
            wait_for_tick(driver, fake, fake.tick + unseen)
            show(driver)
        nodes = driver.execute_script("return document.getElementsByTagName('*').length")
    finally:
        undo()
    print("MiB after 512, 924, ... polls:", [round(heap, 2) for heap in heaps], "nodes:", nodes)
    assert heaps[-1] < heaps[0] + 1
    assert nodes < 700
    assert complaints(driver) == []


def choose(driver, connector, told, engine="0"):
    key = json.dumps([connector, told["connectors"][0]["model_name"], engine], separators=(",", ":"))
    driver.execute_script("location.hash = encodeURIComponent(arguments[0])", key)


@pytest.mark.skipif(not Path(KVTEL).exists(), reason="kvtel is not built")
def test_real_exporter(driver, tmp_path):
    with Exporter(tmp_path / "stores", "--web.enable-stats-receiver") as exporter:
        with urllib.request.urlopen(exporter.url("/"), timeout=PATIENCE) as answer:
            assert answer.headers["Content-Security-Policy"] == policy()
        look(driver, exporter.url("/"))
        until(driver, "document.getElementById('empty').checkVisibility()")
        for _ in range(3):
            for name in ("nixl_basic", "offloading_cpu", "mooncake_store", "umbp", "hisparse"):
                exporter.text("/api/v1/stats", data=(GOLDEN / f"{name}.jsonl").read_bytes())
            told = json.loads(exporter.text("/api/v1/summary"))
            until(driver, f"document.querySelectorAll('#engines tbody').length === {len(told['connectors'])}")
            asked = driver.execute_script("return performance.getEntriesByType('resource').length")
            until(driver, f"performance.getEntriesByType('resource').length > {asked}")
        assert {entry["connector"] for entry in told["connectors"]} == {
            "NixlConnector",
            "OffloadingConnector",
            "MooncakeStoreConnector",
            "UMBPStoreConnector",
            "HiSparseConnector",
        }
        choose(driver, "NixlConnector", told)
        for chart in ("transfers", "bytes", "time", "post", "sizes"):
            until(driver, f"Chart.getChart('chart-{chart}').data.datasets.length > 0")
            assert max(points(driver, chart)) > 0, chart
        # failures without a class are shown too
        choose(driver, "UMBPStoreConnector", told)
        until(driver, "Chart.getChart('chart-failed').data.datasets.map(({ label }) => label).join() === 'other'")
        assert visible(driver, "sources") and not visible(driver, "lost")
        assert driver.execute_script("return document.getElementById('recording').textContent") == "1 source records"
        shot(driver, "real")
        assert complaints(driver) == []
    until(driver, "document.getElementById('lost').checkVisibility()")


@pytest.mark.skipif(not Path(OWN_WRITER).exists(), reason="own_writer is not built")
def test_a_connector_of_ones_own(driver, tmp_path):
    stores = tmp_path / "stores"
    stores.mkdir(mode=0o700)
    with (
        Exporter(stores, "--log.interval=1") as exporter,
        subprocess.Popen([OWN_WRITER, stores], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer,
    ):

        def record():
            writer.stdin.write("\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "done\n"

        assert writer.stdout.readline() == "ready\n"
        record()
        look(driver, exporter.url("/"))
        until(driver, "document.querySelectorAll('#engines tbody').length === 1")
        told = json.loads(exporter.text("/api/v1/summary"))
        assert [(entry["connector"], entry["model_name"], entry["engine"]) for entry in told["connectors"]] == [
            ("other metrics", "own-model", "7")
        ]
        choose(driver, "other metrics", told, "7")
        until(driver, "document.getElementById('detail-title').textContent.startsWith('other metrics')")
        asked = driver.execute_script("return performance.getEntriesByType('resource').length")
        record()
        until(driver, f"performance.getEntriesByType('resource').length > {asked} + 1")
        assert not visible(driver, "empty") and visible(driver, "others")
        until(driver, "document.getElementById('others').textContent.includes('<b>disk')")
        text = driver.execute_script("return document.getElementById('others').textContent")
        assert "own:blocks_fetched" in text and "own:tier_filled" in text
        until(driver, "Math.max(...Chart.getChart('chart-transfers').data.datasets.map((set) => set.data.length)) > 0")
        exporter.wait_for_log("own:fetch_seconds")
        found = exporter.samples()
        labels = '{engine="7",model_name="own-model",tier="<b>disk"}'
        assert found["own:blocks_fetched_total" + labels] == 6 and found["own:fetch_seconds_count" + labels] == 2
        shot(driver, "own")
        assert complaints(driver) == []
        writer.stdin.close()
