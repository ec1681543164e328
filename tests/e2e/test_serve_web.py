# SPDX-License-Identifier: Apache-2.0
"""The flags of kvtel serve that are about its web server, and posts that a browser sends."""

import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from exporter import KVTEL, PATIENCE, ROOT, Exporter, wait_for
from fake_server import FakeServer

DRIVER = Path("/usr/bin/chromedriver")
GOLDEN = Path(__file__).resolve().parents[1] / "data/golden/nixl_basic.jsonl"
ALICE = "basic_auth_users:\n  alice: $2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\n"  # open sesame
LOGIN = {"Authorization": "Basic YWxpY2U6b3BlbiBzZXNhbWU="}


def code(exporter, path, data=None, headers=None):
    try:
        exporter.text(path, data, headers)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("flag", [
    "--web.telemetry-path=/", "--web.telemetry-path=metrics", "--web.telemetry-path=", "--web.telemetry-path=/-/ready",
    "--web.telemetry-path=/-/%72eady", "--web.telemetry-path=/api/v1/summary", "--web.telemetry-path=/api/v1/stats",
    "--web.telemetry-path=/chart.js", "--web.telemetry-path=/m?x", "--web.telemetry-path=/m#x", "--web.telemetry-path=/m m",
    "--web.telemetry-path=/m%", "--web.telemetry-path=/a/../m", "--web.telemetry-path=/./m", "--web.telemetry-path=/m/..",
    "--web.telemetry-path=/mé", "--web.telemetry-path=/" + "m" * 2000, "--web.allowed-host=", "--web.allowed-host=a:80",
    "--web.allowed-host=http://a", "--web.config.file=", "--stalled.after=-1", "--log.interval=1ms", "--log.interval=-1", "--log.interval=nan",
    "--metrics.prefix=",
])  # fmt: skip
def test_flags_without_sense_are_refused(tmp_path, flag):
    done = subprocess.run(
        [KVTEL, "serve", f"--store.dir={tmp_path}", "--web.listen-address=127.0.0.1:0", flag],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and flag.split("=")[0] in done.stderr, done.stderr


def test_an_address_given_twice_is_refused(tmp_path):
    done = subprocess.run(
        [KVTEL, "serve", *["--web.listen-address=127.0.0.1:9"] * 2], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2 and "--web.listen-address=127.0.0.1:9 is there twice" in done.stderr


def test_without_a_page_the_exporter_says_what_is_missing(tmp_path):
    program = os.environ.get("KVTEL_WITHOUT_PAGE", ROOT / "build/tests/kvtel_without_page")
    with Exporter(tmp_path, program=program) as exporter:
        with urllib.request.urlopen(exporter.url("/"), timeout=PATIENCE) as page:
            assert page.headers["Content-Type"] == "text/plain; charset=utf-8"
            text = page.read().decode()
        assert "Chart.js" in text and "KVTEL_CHART_JS" in text and "/api/v1/summary" in text
        assert code(exporter, "/chart.js") == 404
        assert "kvtel_build_info" in exporter.text("/metrics") and code(exporter, "/api/v1/summary") == 200


@pytest.mark.parametrize("path,asked", [("/a%2db/%6d", "/a-b/m"), ("/m%c3%a9", "/m%C3%A9"), ("/a:b@c", "/a:b@c")])
def test_telemetry_path(tmp_path, path, asked):
    with Exporter(tmp_path, f"--web.telemetry-path={path}") as exporter:
        assert "kvtel_build_info" in exporter.text(asked) and "kvtel_build_info" in exporter.text(path)
        assert code(exporter, "/metrics") == 404


@pytest.mark.parametrize("flags,probes", [((), 401), (("--web.open-probes",), 200)])
def test_probes_with_users(tmp_path, flags, probes):
    config = tmp_path / "web.yml"
    config.write_text(ALICE + "rate_limit: {interval: 1h, burst: 5}\n")
    with Exporter(tmp_path, f"--web.config.file={config}", *flags) as exporter:
        for path in ("/-/healthy", "/-/ready"):
            assert code(exporter, path) == probes
        for path in ("/metrics", "/", "/api/v1/summary"):
            assert code(exporter, path) == 401
        if not flags:
            return
        assert [code(exporter, "/metrics", headers=LOGIN) for _ in range(3)] == [200, 200, 429]
        assert [code(exporter, "/-/healthy") for _ in range(10)] == [200] * 10  # takes nothing of the rate
        config.write_text("nonsense: 1\n")
        wait_for(lambda: code(exporter, "/metrics", headers=LOGIN) == 500)
        assert code(exporter, "/-/healthy") == 200


def test_posts_to_other_names(tmp_path):
    recording = GOLDEN.read_bytes()
    with Exporter(tmp_path, "--web.enable-stats-receiver", "--web.allowed-host=proxy.example.org") as exporter:
        assert code(exporter, "/api/v1/stats", recording, {"Host": "evil.example"}) == 403
        assert code(exporter, "/api/v1/stats", recording, {"Content-Type": "application/x-www-form-urlencoded"}) == 415
        assert "kvtel_payloads_accepted_total 0" in exporter.text()
        assert code(exporter, "/api/v1/stats", recording, {"Host": "proxy.example.org"}) == 200


# -- A page of another origin --

PAGE = b"""<!doctype html><title>other</title><script>
async function send(url, body) {
  const done = [];
  for (const [mode, type] of [["no-cors", "text/plain"], ["no-cors", "application/x-www-form-urlencoded"], ["cors", "application/jsonl"],
                              ["no-cors", null]]) {
    const headers = type ? {"Content-Type": type} : {};
    try { const answer = await fetch(url, {method: "POST", mode, headers, body: type ? body : new Blob([body])}); done.push(answer.status); }
    catch (error) { done.push(String(error)); }
  }
  navigator.sendBeacon(url, new Blob([body]));
  const form = Object.assign(document.createElement("form"), {method: "POST", action: url, enctype: "text/plain", target: "frame"});
  form.append(Object.assign(document.createElement("input"), {name: "x", value: body}));
  document.body.append(form);
  const frame = Object.assign(document.createElement("iframe"), {name: "frame"});
  const loaded = new Promise(resolve => { frame.onload = resolve; setTimeout(resolve, 5000); });
  document.body.append(frame);
  form.submit();
  await loaded;
  return done;
}
</script><body></body>"""


@pytest.fixture
def other_origin():
    with FakeServer(lambda *_: (200, {"Content-Type": "text/html"}, PAGE)) as server:
        yield server.port


def browser(webdriver, *arguments):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", *arguments):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.set_script_timeout(60)
    return driver


@pytest.mark.skipif(not DRIVER.exists(), reason="chromium-driver is not installed")
def test_no_web_page_posts(tmp_path, other_origin):
    """Pages of another port, of another name, and of a name that leads here (DNS rebinding): none is counted."""
    webdriver = pytest.importorskip("selenium.webdriver")
    recording = GOLDEN.read_text()
    with Exporter(tmp_path, "--web.enable-stats-receiver") as exporter:
        driver = browser(webdriver, f"--user-data-dir={tempfile.mkdtemp(dir=tmp_path)}",
                         "--host-resolver-rules=MAP evil.example 127.0.0.1")  # fmt: skip
        try:
            for page, target in (("127.0.0.1", "127.0.0.1"), ("evil.example", "127.0.0.1"), ("localhost", "127.0.0.1")):
                driver.get(f"http://{page}:{other_origin}/")
                sent = driver.execute_async_script("const [url, body, done] = arguments; send(url, body).then(done)",
                                                   f"http://{target}:{exporter.port}/api/v1/stats", recording)  # fmt: skip
                assert 200 not in sent, sent
            # The name of the page now leads to the exporter: the same origin for the browser.
            driver.get(f"http://evil.example:{exporter.port}/")
            status = driver.execute_async_script(
                "const [body, done] = arguments; fetch('/api/v1/stats', {method: 'POST', headers: {'Content-Type': 'application/jsonl'}, body})"
                ".then(answer => done(answer.status), error => done(String(error)))", recording)  # fmt: skip
            assert status == 403
            assert "kvtel_payloads_accepted_total 0" in exporter.text()
            # What the exporter's own page sends would be taken.
            driver.get(exporter.url("/"))
            status = driver.execute_async_script(
                "const [body, done] = arguments; fetch('/api/v1/stats', {method: 'POST', headers: {'Content-Type': 'application/jsonl'}, body})"
                ".then(answer => done(answer.status), error => done(String(error)))", recording)  # fmt: skip
            assert status == 200
        finally:
            driver.quit()
