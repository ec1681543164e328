# SPDX-License-Identifier: Apache-2.0
"""Who can use the page: by keyboard and screen reader, on a phone and on a wall, with many engines."""

from pathlib import Path

import pytest
from browser import busy, complaints, driver, fake, hurried, look, needs_browser, shot, until, visible

axe_core_python = pytest.importorskip("axe_core_python")
AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
__all__ = ["driver", "fake", "hurried"]  # fixtures

pytestmark = needs_browser


def faults(driver):
    """What axe-core finds, by rule."""
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script("axe.run({ resultTypes: ['violations'] }).then(arguments[0])")
    return {(one["id"], one["impact"]): [node["target"] for node in one["nodes"]] for one in found["violations"]}


@pytest.mark.parametrize("scheme,width", [("light", 320), ("dark", 320), ("light", 1280), ("dark", 3840)])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(driver, fake, scheme, width):
    fake.past, fake.kind = 600, "busy"
    look(driver, fake.open(), width=width, height=900, scheme=scheme)
    until(driver, "document.querySelectorAll('#engines tbody').length === 3")
    until(driver, "Chart.getChart('chart-transfers').data.datasets[0].data.length >= 5")
    assert visible(driver, "peers") and visible(driver, "meanings")
    assert faults(driver) == {}
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert driver.execute_script("return innerWidth") == width
    shot(driver, f"access-{scheme}-{width}")
    assert complaints(driver) == []


def test_axe_finds_nothing_where_there_is_nothing(driver, fake):
    look(driver, fake.open(), width=320)
    until(driver, "document.getElementById('empty').checkVisibility()")
    assert faults(driver) == {}
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


SEARCH = (
    "const one = document.getElementById('filter'); one.value = arguments[0]; one.dispatchEvent(new Event('input'))"
)


def make_engines(fake, count):
    """`count` engines, of which the summary shows 256, as an exporter does."""
    ordinary = fake.summary

    def many():
        made = ordinary()
        first, asked = made["connectors"][0], dict(fake.asked)
        found = [str(i) for i in range(count) if asked.get("filter", "").lower() in f"nixlconnector engine {i}"]
        offset = int(asked.get("offset", 0))
        made["connectors"] = [{**first, "engine": engine} for engine in found[offset : offset + 256]]
        made["connectors_total"] = len(found)
        return made

    fake.summary = many


def rows(driver, count):
    until(driver, f"document.querySelectorAll('#engines tbody:not([hidden])').length === {count}")


def click(driver, button):
    driver.execute_script("document.getElementById(arguments[0]).click()", button)


def test_many_engines_are_paged_and_found(hurried, fake):
    driver = hurried
    make_engines(fake, 256)
    busy(driver, fake, 3)
    rows(driver, 100)
    assert driver.execute_script("return document.getElementById('place').textContent") == "1 to 100 of 256"
    click(driver, "forth")
    click(driver, "forth")
    rows(driver, 56)
    assert driver.execute_script("return document.getElementById('forth').disabled")
    driver.execute_script(SEARCH, "engine 17")
    rows(driver, 11)  # 17, 170 to 179
    assert not visible(driver, "pages")
    assert faults(driver) == {}
    assert complaints(driver) == []


def test_a_thousand_engines_come_in_parts(hurried, fake):
    """The exporter is asked for the next part, and for what is searched."""
    driver = hurried
    make_engines(fake, 1000)
    busy(driver, fake, 3)
    rows(driver, 100)
    place = "document.getElementById('place').textContent"
    for told in ("101 to 200", "201 to 256", "257 to 356"):
        click(driver, "forth")
        until(driver, f"{place} === '{told} of 1000'")
    click(driver, "back")
    until(driver, f"{place} === '201 to 256 of 1000'")
    driver.execute_script(SEARCH, "Engine 99")
    rows(driver, 11)  # 99, 990 to 999
    assert not visible(driver, "pages") and visible(driver, "filter-box")
    driver.execute_script(SEARCH, "engine none")
    rows(driver, 0)
    assert not visible(driver, "empty") and not visible(driver, "detail")
    assert faults(driver) == {}
    driver.execute_script(SEARCH, "")
    until(driver, f"{place} === '1 to 100 of 1000'")
    assert driver.execute_script("return document.getElementById('back').disabled")
    assert complaints(driver) == []


def test_an_engine_that_only_sends_says_so(hurried, fake):
    driver, ordinary = hurried, fake.summary

    def sends():
        made = ordinary()
        for flow in made["connectors"][1]["flows"]:
            flow.update(
                transfers=0,
                bytes=0.0,
                **{key: {"count": 0, "sum": 0.0, "bins": []} for key in ("time", "post", "size")},
            )
        return made

    fake.summary = sends
    busy(driver, fake, 3)
    notes = "[...document.querySelectorAll('#engines .note-sends')].map((one) => one.textContent)"
    until(driver, f"{notes}[1].includes('one that only sends has none')")
    shown = driver.execute_script("return " + notes)
    assert shown[0] == "" and shown[2] == ""
