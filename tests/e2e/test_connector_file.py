# SPDX-License-Identifier: Apache-2.0
"""Connector files: every table as JSON and back, what is wrong by line and column, and where files are read."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.model import compare

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
CASES = sorted(path.with_suffix("") for path in GOLDEN.glob("*.prom"))

EXAMPLE = {
    "kvtel_connector": 1,
    "names": ["FileConnector"],
    "payload": "columns",
    "fields": [{"key": "load_seconds", "kind": "samples", "unit": "seconds"}, {"key": "failed", "kind": "events"}],
    "metrics": [
        {
            "name": "vllm:file_load_seconds",
            "type": "histogram",
            "help": "Seconds of a load.",
            "fields": ["load_seconds"],
            "buckets": [0.1, 1],
            "unit": "seconds",
        },
        {"name": "vllm:file_failed", "type": "counter", "help": "Loads that failed.", "fields": ["failed"]},
    ],
    "flows": [{"name": "load", "time": "load_seconds"}],
    "failures": [{"failure": "load", "field": "failed"}],
}
RECORDING = (
    '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "FileConnector"}, "model_name": "m", "engines": [0]}\n'
    '{"engine": 0, "payload": {"load_seconds": [0.5], "failed": [1, 1]}}\n'
)


@pytest.fixture
def run(kvtel):
    def run(*arguments, **environment):
        environment = {**os.environ, "KVTEL_CONNECTOR_PATH": "", **environment}
        return subprocess.run(
            [kvtel, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120
        )

    return run


def renamed(text):
    """Names that no table of the build has, so that the tables from the file are used."""
    return re.sub(r"\b(\w+)Connector(\w*)\b", lambda match: match[0] if match[1] == "Multi" else f"{match[1]}Konnector{match[2]}", text)


@pytest.fixture(scope="module")
def all_tables(kvtel, tmp_path_factory):
    """A file with the table of each connector of the build."""
    listed = subprocess.run([kvtel, "connectors"], capture_output=True, text=True, timeout=120).stdout
    names = [line.split(" ")[0] for line in listed.splitlines()]
    printed = [
        subprocess.run([kvtel, "connectors", name], capture_output=True, text=True, timeout=120, check=True).stdout
        for name in names
    ]
    tables = {json.dumps(json.loads(text)): text for text in printed if '"payload": "multi"' not in text}
    assert len(tables) >= 10
    path = tmp_path_factory.mktemp("tables") / "all.json"
    path.write_text(renamed("[" + ",".join(tables.values()) + "]"))
    return path


def test_golden_cases_through_tables_from_json(all_tables, run, tmp_path):
    for case in CASES:
        recording, metrics, log, aggregated = (tmp_path / name for name in ("r.jsonl", "m", "l", "a"))
        recording.write_text(renamed(case.with_suffix(".jsonl").read_text()))
        done = run(
            "replay",
            f"--connector.file={all_tables}",
            "--log.style=vllm",
            f"--log.output={log}",
            f"--metrics.output={metrics}",
            f"--aggregated.output={aggregated}",
            recording,
        )
        assert done.returncode == 0, done.stderr
        assert compare.exposition_differences(case.with_suffix(".prom").read_text(), metrics.read_text()) == [], case
        wanted = renamed(case.with_suffix(".log").read_text()).splitlines()
        assert compare.log_differences(wanted, log.read_text().splitlines()) == [], case
        wanted = [json.loads(line) for line in renamed(case.with_suffix(".aggregated.jsonl").read_text()).splitlines()]
        got = [json.loads(line) for line in aggregated.read_text().splitlines()]
        assert compare.aggregated_differences(wanted, got) == [], case


def test_a_file_is_read_where_it_is_named(run, tmp_path):
    (tmp_path / "recording.jsonl").write_text(RECORDING)
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "file.json").write_text(json.dumps(EXAMPLE, indent=2))
    (folder / "wrong.json").write_text("{}")
    (folder / "other.txt").write_text("{}")
    wanted = 'vllm:file_failed_total{engine="0",model_name="m"} 2.0'
    recording = tmp_path / "recording.jsonl"
    by_flag = run("replay", f"--connector.file={folder / 'file.json'}", "--metrics.output=-", recording)
    assert by_flag.returncode == 0 and wanted in by_flag.stdout.splitlines()
    for path in (folder, folder / "file.json", f"{tmp_path / 'none'}:{folder / 'file.json'}"):
        by_path = run("replay", "--metrics.output=-", recording, KVTEL_CONNECTOR_PATH=str(path))
        assert by_path.returncode == 0 and wanted in by_path.stdout.splitlines()
        if path == folder:  # the rest of the folder is loaded
            assert by_path.stderr.startswith(f"kvtel: {folder}/wrong.json:1:1: a connector lacks the member")
        elif ":" in str(path):
            assert by_path.stderr == f"kvtel: {tmp_path / 'none'}: it cannot be opened: No such file or directory\n"
    summary = run("replay", f"--connector.file={folder / 'file.json'}", recording).stdout
    assert "load" in summary and "FileConnector" in summary
    assert run("check", f"--connector.file={folder / 'file.json'}", recording).returncode == 0
    assert "FileConnector (columns)" in run("connectors", KVTEL_CONNECTOR_PATH=str(folder / "file.json")).stdout
    missing = run("serve", f"--connector.file={tmp_path / 'none'}")
    assert missing.returncode == 1 and "it cannot be opened" in missing.stderr


def place_of(text, needle):
    at = text.index(needle)
    return f"{text.count(chr(10), 0, at) + 1}:{at - (text.rfind(chr(10), 0, at) + 1) + 1}"


@pytest.mark.parametrize(
    "old, new, at, said",
    [
        ('"columns"', '"pillars"', '"payload"', '"payload" is none of none, columns, rows'),
        ('"kind": "events"', '"sort": "events"', '"sort"', 'a field has no member "sort"'),
        ('"key": "failed"', '"key": 5', '"key": 5', '"key" is not a text'),
        ('"fields": [\n        "failed"', '"fields": [\n        "lost"', '{\n      "name": "vllm:file_failed"', '"lost", which is not a field'),
        ("0.1,", "9,", '{\n      "name": "vllm:file_load', "bounds do not ascend"),
        ('"failure": "load"', '"failure": "dump"', '"failure"', '"failure" is none of transfer'),
        ('"kvtel_connector": 1', '"kvtel_connector": 2', '"kvtel_connector"', "is not 1, the version"),
        ('"kind": "events"', '"unit": "count"', '{\n      "key": "failed"', 'a field lacks the member "kind"'),
        ('"time": "load_seconds"', '"time": "x"', '{\n      "name": "load"', 'names "x", which is not a field'),
        ('"FileConnector"', '"a b"', '"a b"', "has a space"),
        ('"payload"', '"names": [], "payload"', '"names": [],', "stands twice"),
        ('"flows": [', '"flows" [', "[\n    {\n      \"name\": \"load\"", "':' expected"),
    ],
)
def test_check_says_where_it_is_wrong(old, new, at, said, run, tmp_path):
    text = json.dumps(EXAMPLE, indent=2)
    assert text.count(old) == 1
    text = text.replace(old, new)
    path = tmp_path / "my.json"
    path.write_text(text)
    done = run("check", path)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{path}:{place_of(text, at)}: ") and said in first
    assert second == f"{path}: connector file, 1 problem"


def test_a_name_that_is_taken(run, tmp_path):
    path = tmp_path / "nixl.json"
    path.write_text(run("connectors", "NixlConnector").stdout)
    assert run("check", path).stdout == f"{path}: connector file, 0 problems\n"
    done = run("replay", f"--connector.file={path}", "-")
    assert done.returncode == 1 and 'the name "NixlConnector" is taken' in done.stderr


def test_a_million_levels_and_members(run, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"kvtel_connector": 1, "names": ' + "[" * 10000 + "]" * 10000 + "}")
    done = run("check", path)
    assert done.returncode == 1 and ":1:64:" in done.stdout.splitlines()[0]
    path.write_text(json.dumps(EXAMPLE | {"content": ["failed"] * 10000}))
    done = run("check", path)
    assert done.returncode == 1 and "has more than 4096 entries" in done.stdout


def test_usage(run):
    assert run("connectors", "--nothing").returncode == 2
    assert run("connectors", "NoSuchConnector").returncode == 1
    assert "--connector.file" in run("connectors", "--help").stdout
