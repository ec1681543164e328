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


def test_many_engines_are_paged_and_found(hurried, fake):
    driver, ordinary = hurried, fake.summary

    def many():
        made = ordinary()
        first = made["connectors"][0]
        made["connectors"] = [{**first, "engine": str(i)} for i in range(256)]
        made["connectors_total"] = 1000
        return made

    fake.summary = many
    busy(driver, fake, 3)
    until(driver, "document.querySelectorAll('#engines tbody:not([hidden])').length === 100")
    assert driver.execute_script("return document.getElementById('place').textContent") == "1 to 100 of 256"
    driver.execute_script("document.getElementById('forth').click(); document.getElementById('forth').click()")
    until(driver, "document.querySelectorAll('#engines tbody:not([hidden])').length === 56")
    assert driver.execute_script("return document.getElementById('forth').disabled")
    search = (
        "const one = document.getElementById('filter'); one.value = arguments[0]; one.dispatchEvent(new Event('input'))"
    )
    driver.execute_script(search, "engine 17")
    until(driver, "document.querySelectorAll('#engines tbody:not([hidden])').length === 11")  # 17, 170 to 179
    assert not visible(driver, "pages")
    assert "744 more are not shown here" in driver.execute_script("return document.getElementById('more').textContent")
    assert faults(driver) == {}
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
