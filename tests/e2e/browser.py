# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, and what tests of the page do with it. Fixtures: `driver`, `hurried`, `fake`."""

import os
import tempfile
from pathlib import Path

import pytest
from exporter import PATIENCE
from fake_page import CHART, Fake

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

DRIVER = Path("/usr/bin/chromedriver")
SHOTS = os.environ.get("KVTEL_SCREENSHOTS")  # a folder to keep pictures in

needs_browser = pytest.mark.skipif(
    not DRIVER.exists() or not CHART.exists(), reason="chromium-driver and libjs-chart.js are not installed"
)


@pytest.fixture
def fake():
    made = Fake()
    yield made
    made.close()


@pytest.fixture(scope="module")
def driver():
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for argument in (
            "--headless",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--js-flags=--expose-gc",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        made = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        made.set_script_timeout(PATIENCE)  # 30 s otherwise, which axe-core may take under load
        yield made
        made.quit()


def look(driver, url, width=1280, height=1100, scheme="light"):
    driver.get("about:blank")
    driver.get_log("browser")
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    driver.get(url)


def until(driver, script, seconds=PATIENCE):
    return WebDriverWait(
        driver, seconds, 0.1, ignored_exceptions=(JavascriptException, StaleElementReferenceException)
    ).until(lambda one: one.execute_script("return " + script))


def shot(driver, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(f"{SHOTS}/{name}.png")


def complaints(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def hurry(driver, factor):
    """From the next page on, timers run `factor` times as fast, and the page believes that nobody looks at it, until show() says so.
    Returns what takes it back."""
    script = f"""{{ const wait = setTimeout; window.setTimeout = (what, ms, ...more) => wait(what, ms / {factor}, ...more); }}
        Object.defineProperty(document, "hidden", {{ get: () => !window.isLookedAt }});"""
    made = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    return lambda: driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)


def show(driver, looked_at=True):
    driver.execute_script(
        "window.isLookedAt = arguments[0]; document.dispatchEvent(new Event('visibilitychange'))", looked_at
    )


@pytest.fixture
def hurried(driver):
    undo = hurry(driver, 100)
    yield driver
    undo()


def points(driver, chart):
    """Numbers that a chart's datasets hold."""
    script = """const chart = Chart.getChart(arguments[0]); if (!chart) return [];
        return chart.data.datasets.map((set) => set.data.map((point) => point && typeof point === "object" ? point.y : point)
            .filter((y) => Number.isFinite(y) && y > 0).length);"""
    return driver.execute_script(script, "chart-" + chart)


def visible(driver, part):
    return driver.execute_script("return document.getElementById(arguments[0]).checkVisibility()", part)


def wait_for_tick(driver, fake, tick):
    WebDriverWait(driver, 240, 0.02).until(lambda _: fake.tick >= tick)


def busy(driver, fake, ticks, **how):
    fake.kind, fake.tick = "busy", 0
    look(driver, fake.open(), **how)
    wait_for_tick(driver, fake, ticks)
    show(driver)
