# SPDX-License-Identifier: Apache-2.0
"""What the pages say about the programs, held against the programs: flags and defaults, metrics, answers, messages, verbs."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from pages import PAGES, ROOT, all_blocks, section

sys.path.insert(0, str(ROOT / "tests/e2e"))
from exporter import PATIENCE, Exporter  # noqa: E402

KVTEL = Path(os.environ.get("KVTEL", ROOT / "build/kvtel"))
COMMANDS = ("serve", "top", "doctor", "dump", "totals", "replay", "check", "nixl", "connectors")


def help_of(*command):
    return subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


def options_of(text):
    """{flag: its description} of a help text: what follows a flag, up to the next one."""
    found = {}
    flag = None
    for line in text.splitlines():
        began = re.match(r"  (--[\w.-]+)(\S*)\s*(.*)", line)
        if began:
            flag = began.group(1)
            found[flag] = began.group(3)
        elif flag and line.startswith("       "):
            found[flag] += " " + line.strip()
        else:
            flag = None
    return found


def rows_of(page, heading):
    """The cells of a table's rows, without its head."""
    lines = [line for line in section(page, heading) if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines[2:]]


@pytest.fixture(scope="module")
def exporter(tmp_path_factory):
    place = tmp_path_factory.mktemp("docs")
    with Exporter(
        place / "stores",
        f"--nixl.telemetry-dir={place / 'nixl'}",
        "--web.enable-stats-receiver",
        "--otlp.endpoint=http://127.0.0.1:1",
    ) as running:
        yield running


def families(exporter):
    return set(re.findall(r"^# TYPE (\S+) ", exporter.text(), re.M))


def test_flags_of_serve_are_those_of_its_help():
    options = options_of(help_of(KVTEL, "serve"))
    options["--version"] = options["--help"] = ""
    rows = rows_of("docs/serve.md", "## Every flag")
    documented = {}
    for flags, default, _ in rows:
        for flag in re.findall(r"--[\w.-]+", flags):
            documented[flag] = default
    assert set(documented) == set(options)
    for flag, text in options.items():
        told = re.search(r"default:? ([^\s;,.]+(?:[.:]\d+)*)", text)
        if told and flag != "--store.dir" and not text.startswith("default, or"):
            assert told.group(1) in documented[flag].replace("`", ""), f"{flag}: {text!r} against {documented[flag]!r}"


def test_flags_of_top_are_those_of_its_help():
    options = set(options_of(help_of(KVTEL, "top"))) | {"--help"}
    rows = rows_of("docs/top.md", "## Flags")
    assert {flag for row in rows for flag in re.findall(r"--[\w.-]+", row[0])} == options


def test_messages_of_top_are_said():
    said = "".join(path.read_text() for path in sorted((ROOT / "src/top").glob("*.c")))
    said = re.sub(r'"\s*\n\s*"', "", said)
    for row in rows_of("docs/top.md", "## When something is wrong"):
        for quoted in re.findall(r'"([^"]+)"', row[0]):
            assert quoted in said.replace("standard %s", "standard output"), quoted


OF_OTHERS = {"--web.enable-otlp-receiver"}  # Prometheus' own


def test_every_flag_that_a_page_names_exists():
    known = {command: set(options_of(help_of(KVTEL, command))) | {"--version", "--help"} for command in COMMANDS}
    known["demo"] = set(options_of(help_of(KVTEL.parent / "kvtel-demo")))
    every = set().union(*known.values()) | OF_OTHERS
    wrong = []
    for page in PAGES:
        text = page.read_text()
        for flag in re.findall(r"(?<![\w/-])--(?:web|store|nixl|log|metrics|otlp|aggregated)\.[\w.-]*\w", text):
            if flag not in every:
                wrong.append(f"{page.relative_to(ROOT)}: no command takes {flag}")
        for command, rest in re.findall(
            r"(?:^|[ `$])kvtel[ -](serve|top|doctor|dump|totals|replay|check|nixl|demo) ([^`\n|#]*)", text, re.M
        ):
            for flag in re.findall(r"(?<!\S)--[\w.-]+", rest.split("&")[0]):
                if flag not in known[command]:
                    wrong.append(f"{page.relative_to(ROOT)}: {command} takes no {flag}")
    assert not wrong, "\n".join(wrong)


def test_every_verb_and_command_that_a_page_names_exists():
    verbs = set(
        re.findall(r"^  (\S+)", subprocess.run([ROOT / "run", "help"], capture_output=True, text=True).stdout, re.M)
    )
    assert "engine-test" in verbs
    wrong = []
    for page in PAGES:
        text = page.read_text()
        wrong += [f"{page.name}: ./run {verb}" for verb in re.findall(r"\./run ([a-z-]+)", text) if verb not in verbs]
        used = re.findall(r"(?:^ {4}|`)kvtel ([a-z]+)", text, re.M)
        wrong += [f"{page.name}: kvtel {command}" for command in used if command not in COMMANDS]
    assert not wrong, "\n".join(wrong)


def test_own_metrics_are_those_that_are_exported(exporter):
    names = re.findall(
        r"`((?:kvtel|process)_\w+)", " ".join(row[0] for row in rows_of("docs/serve.md", "## Own metrics"))
    )
    exported = {
        name for name in families(exporter) if name.startswith(("kvtel_", "process_")) and "kvtel_nixl_" not in name
    }
    assert sorted(names) == sorted(exported)


def test_metrics_of_totals_are_exported(exporter):
    names = set(re.findall(r"`(kvtel_\w+)`", " ".join(row[0] for row in rows_of("docs/totals.md", "## Metrics"))))
    assert names == {name for name in families(exporter) if name.startswith("kvtel_totals_")} | {
        "kvtel_stores_retired_total"
    }


def test_metrics_of_rings_are_those_that_are_exported(exporter):
    types = dict(re.findall(r"^# TYPE (\S*nixl_\S+) (\w+)$", exporter.text(), re.M))
    documented = {}
    for names, kind, _, _ in rows_of("docs/nixl-rings.md", "## What is exported"):
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = kind
    assert documented == types
    assert set(names_in_reference("## NIXL's telemetry rings")) == set(types)


def names_in_reference(chapter):
    return re.findall(r"^### `((?:kvtel_)?nixl_\w+)`", "\n".join(section("docs/metrics.md", chapter)), re.M)


def test_metrics_of_the_plugin_are_those_of_the_reference():
    names = [name for row in rows_of("docs/nixl.md", "## What is exported") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(names) == sorted(names_in_reference("## NIXL's plug-in"))


def test_states_of_a_ring_are_those_that_are_exported(exporter):
    states = re.findall(r'^kvtel_nixl_rings\{state="(\w+)"\}', exporter.text(), re.M)
    documented = [row[0].strip("`") for row in rows_of("docs/nixl-rings.md", "## States of a ring")]
    assert sorted(documented) == sorted(states)


def test_reasons_of_refusals_are_those_that_are_exported(exporter):
    reasons = re.findall(r'^kvtel_refused_total\{reason="(\w+)"\}', exporter.text(), re.M)
    assert [row[0].strip("`") for row in rows_of("docs/recording-format.md", "### Reasons")] == reasons


def test_states_of_stores_are_those_that_are_exported(exporter):
    states = re.findall(r'^kvtel_stores\{state="(\w+)"\}', exporter.text(), re.M)
    row = next(row for row in rows_of("docs/serve.md", "## Own metrics") if "kvtel_stores{" in row[0])
    assert re.findall(r"`(\w+)`", row[1]) == states


def test_a_post_is_answered_as_the_page_says(exporter):
    block = next(block for block in all_blocks() if block.page.name == "serve.md" and "--data-binary" in block.text)
    recording = (ROOT / "tests/data/engines/nixl-pd/decode.jsonl").read_bytes()
    assert json.loads(exporter.text("/api/v1/stats", data=recording)) == json.loads(block.text.splitlines()[1])


def test_other_paths_are_there(exporter):
    for row in rows_of("docs/serve.md", "## Other paths"):
        with urllib.request.urlopen(exporter.url(row[0].strip("`")), timeout=PATIENCE) as answer:
            assert answer.status == 200


def members(value, path=""):
    """The names of an object's members, of those in lists too."""
    if isinstance(value, list):
        return set().union(*(members(item, path + "[]") for item in value))
    if not isinstance(value, dict):
        return set()
    return {f"{path}.{key}" for key in value} | set().union(
        set(), *(members(item, f"{path}.{key}") for key, item in value.items())
    )


def test_the_summary_has_the_members_of_the_page(exporter):
    block = next(block for block in all_blocks() if block.page.name == "api-summary.md" and block.language == "json")
    recording = (ROOT / "tests/data/engines/nixl-pd/decode.jsonl").read_bytes()
    exporter.text("/api/v1/stats", data=recording)
    answer = json.loads(exporter.text("/api/v1/summary"))
    shown, there = members(json.loads(block.text)), members(answer)
    by_reason = re.compile(r".*\.(failures|refused|failure_texts)\.\w+|\.(writers|peers)\[\].*|.*\.others\[\].*|\.(oldest_)?open\[\].*")  # depend on what happened
    assert {m for m in shown if not by_reason.fullmatch(m)} == {m for m in there if not by_reason.fullmatch(m)}


def test_messages_that_the_page_quotes_are_said_somewhere():
    said = (
        "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.[ch]")))
        + (ROOT / "src/serve/page/page.js").read_text()
    )
    said = re.sub(r'"\s*\n\s*"', "", said)
    said = re.sub(r"%-?[\d.]*[a-zA-Z]+", "%", said)
    wrong = []
    for row in rows_of("docs/serve.md", "## When something is wrong"):
        for quoted in re.findall(r'"([^"]+)"', row[0]):
            parts = [part.strip() for part in re.split(r"\.\.\.|\b\d+\b|[()]", quoted) if part.strip()]
            wrong += [f"{quoted!r}: nothing says {part!r}" for part in parts if part not in said]
    assert not wrong, "\n".join(wrong)


def findings_of_doctor():
    listed = subprocess.run([KVTEL, "doctor", "--list"], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return re.findall(r"^(?:ok|note|problem) +(\S+)$", listed.stdout, re.M)


def test_findings_of_doctor_are_in_its_page():
    rows = rows_of("docs/doctor.md", "## What it looks at")
    assert sorted(name for row in rows for name in re.findall(r"`([a-z-]+)`", row[1])) == sorted(findings_of_doctor())
    options = set(options_of(help_of(KVTEL, "doctor"))) | {"--help"}
    flags = {flag for row in rows_of("docs/doctor.md", "## Flags") for flag in re.findall(r"--[\w.-]+", row[0])}
    assert flags == options


def test_each_symptom_is_a_finding_of_doctor():
    known = findings_of_doctor()
    for row in rows_of("docs/serve.md", "## When something is wrong"):
        names = re.findall(r"`([^`]+)`", row[2])
        assert names and set(names) <= set(known), row
