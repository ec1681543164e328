# SPDX-License-Identifier: Apache-2.0
"""kvtel check: nothing in good recordings, and file, line and column of each defect in others."""

import gzip
import json
import subprocess
from pathlib import Path

import msgspec
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
GOOD = sorted(
    [*(DATA / "golden").glob("*.jsonl"), *(DATA / "golden").glob("*.mp"), *(DATA / "engines").glob("*/*.jsonl")]
)
GOOD = [path for path in GOOD if not path.name.endswith(".aggregated.jsonl") and path.stem != "no_stats_connector"]

HEADER = '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "model_name": "m", "engines": [0, 3]}'

# A line each behind a good header, and what is said of it; the mark ^ stands before the column that is named.
DEFECTS = {
    "malformed": ('{"engine": 0, "payload": {^]}}', "string or '}' expected near ']'"),
    "cut off": ('{"engine": 0, "payload": {"a"^', "the JSON value is not complete"),
    "no object": ("^[1, 2]", "an object of a recording is a map"),
    "no engine": ('^{"payload": {}}', '"engine" is not a whole number from 0'),
    "none of these": (
        '^{"log": false}',
        'an object is a header ("kvtel"), payloads ("engine" and "payload" or "workers"), or {"log": true}',
    ),
    "engine no number": ('{^"engine": "0", "payload": {}}', '"engine" is not a whole number from 0'),
    "payload and workers": (
        '^{"engine": 0, "payload": {}, "workers": []}',
        'an object has "payload" or "workers", one of the two',
    ),
    "workers no list": ('{"engine": 0, ^"workers": {}}', '"workers" is not a list of payloads'),
    "time no number": ('{"engine": 0, "payload": {}, ^"ts": "noon"}', '"ts" is not a number of seconds'),
    "unknown engine": (
        '^{"engine": 1, "payload": {}}',
        "engine 1 is not in the header's list of engines; its payloads are not used (unknown_engine)",
    ),
    "unknown field": (
        '{"engine": 0, "payload": {"transfer_duration": [1], ^"no_such_field": [1]}}',
        'NixlConnector: "no_such_field" is not a field of this connector (unknown_key)',
    ),
    "negative": (
        '{"engine": 0, "payload": {^"num_failed_transfers": [-1]}}',
        'NixlConnector: "num_failed_transfers" holds a number below zero (negative)',
    ),
    "text among numbers": (
        '{"engine": 0, "payload": {^"num_failed_transfers": ["x"]}}',
        'NixlConnector: "num_failed_transfers" contains something that is not a number (wrong_type)',
    ),
    "unequal columns": (
        '{"engine": 0, "payload": {^"transfer_duration": [1, 2], "bytes_transferred": [1]}}',
        'NixlConnector: "transfer_duration" and the columns beside it are not equally long (unequal_columns)',
    ),
    "payload no map": ('{"engine": 0, ^"payload": [1]}', "a payload was refused: value of the wrong type (wrong_type)"),
    "another version": (
        '{^"kvtel": 2, "kv_transfer_config": {"kv_connector": "NixlConnector"}}',
        "the recording is of version 2; this kvtel reads version 1",
    ),
    "a version with a fraction": (
        '{^"kvtel": 1.0, "kv_transfer_config": {"kv_connector": "NixlConnector"}}',
        '"kvtel", the version, must be the whole number 1, without a fraction or quotes',
    ),
    "pretty-printed": (
        "{^",
        "the object does not end on its line; pretty-printed JSON becomes one object a line by jq -c . FILE",
    ),
    "line breaks taken out": (
        '{"log": true}^{"log": true}',
        "two objects stand on one line; each needs a line of its own (curl --data takes line breaks out: use --data-binary)",
    ),
    "a NUL in a model's name": (
        '{"kvtel": 1, ^"model_name": "a\\u0000b", "kv_transfer_config": {"kv_connector": "NixlConnector"}, "engines": [0]}',
        '"model_name" holds a NUL character, which no text may hold',
    ),
    "a NUL in a source": (
        '{"kvtel": 1, ^"source": "a\\u0000b", "kv_transfer_config": {"kv_connector": "NixlConnector"}, "engines": [0]}',
        '"source" holds a NUL character, which no text may hold',
    ),
    "a NUL in a connector's name": (
        '{"kvtel": 1, "kv_transfer_config": {^"kv_connector": "NixlConnector\\u0000x"}, "engines": [0]}',
        "kv_connector holds a NUL character, which no text may hold",
    ),
    "a NUL in a setting": (
        '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "OffloadingConnector", "kv_connector_extra_config": {^"spec_name": "a\\u0000b"}}, "engines": [0]}',
        "spec_name holds a NUL character, which no text may hold",
    ),
    "a long model's name": (
        '{"kvtel": 1, ^"model_name": "'
        + "m" * 1025
        + '", "kv_transfer_config": {"kv_connector": "NixlConnector"}, "engines": [0]}',
        '"model_name" is longer than 1,024 bytes',
    ),
    "a start that is none": (
        '{"kvtel": 1, ^"started": -1, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "engines": [0]}',
        '"started" is not a number of seconds above 0 and up to 1e11: milliseconds are past that',
    ),
    "a start in milliseconds": (
        '{"kvtel": 1, ^"started": 1.79e12, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "engines": [0]}',
        '"started" is not a number of seconds above 0 and up to 1e11: milliseconds are past that',
    ),
    "a sequence number past the limit": (
        '{"engine": 0, "payload": {}, ^"seq": 9223372036854775807}',
        '"seq" is not a whole number from 0 to 9,000,000,000,000,000,000',
    ),
    "a key twice": (
        '{"engine": 0, "payload": {"num_failed_transfers": [1], ^"num_failed_transfers": [2]}}',
        'the key "num_failed_transfers" stands twice in one object; the last one counts',
    ),
    "a key that would steer a terminal": (
        '^{"engine": 0, "payload": {"\\u001b[2J\\u202e\\u007f": []}}',
        'NixlConnector: "\\x1b[2J\\u202e\\x7f" is not a field of this connector (unknown_key)',
    ),
    "no engines": (
        '^{"kvtel": 1, "kv_transfer_config": {"kv_connector": "NixlConnector"}}',
        '"engines" must be a list of at most 65,536 engine numbers',
    ),
}


@pytest.fixture
def check(kvtel):
    def run(*arguments, stdin=None):
        done = subprocess.run([kvtel, "check", *arguments], input=stdin, capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def test_an_array_of_messagepack_is_told_as_one(check, tmp_path):
    file = tmp_path / "array.mp"
    for array in ([1, {"a": 2}], [0] * 20, []):
        file.write_bytes(msgspec.msgpack.encode(array))
        code, out, errors = check(file)
        assert code == 1 and f"{file}: byte 0: an object of a recording is a map\n" in out, out


def test_good_recordings(check):
    code, out, errors = check(*GOOD)
    assert (code, errors) == (0, "")
    assert len(out.splitlines()) == len(GOOD)
    assert all(line.endswith(", 0 problems") for line in out.splitlines())


@pytest.mark.parametrize("name", DEFECTS)
def test_defect(name, check, tmp_path):
    marked, message = DEFECTS[name]
    line = marked.replace("^", "")
    path = tmp_path / "recording.jsonl"
    path.write_text(f'{HEADER}\n\n{line}\n{{"log": true}}\n')
    code, out, _ = check(path)
    assert code == 1
    first, *rest = out.splitlines()
    assert first == f"{path}:3:{marked.index('^') + 1}: {message}"
    if '"kvtel"' in line:  # a header: what follows belongs to none that can be used
        assert (
            rest.pop(0)
            == f'{path}:4:1: a header must come first, and be right: {{"kvtel": 1, "kv_transfer_config": ...}}'
        )
        assert rest == [f"{path}: 3 objects, 2 problems"]
    else:
        assert rest == [f"{path}: 3 objects, 1 problem"]


def test_unknown_connector(check, tmp_path):
    path = tmp_path / "recording.jsonl"
    header = '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "NoSuchConnector"}, "engines": [0]}\n'
    path.write_text(header + '{"engine": 0, "payload": {"a": [1]}}\n')
    code, out, _ = check(path)
    assert code == 1
    assert out.startswith(f"{path}:2:1: unknown connector") and "NoSuchConnector" in out.splitlines()[0]
    path.write_text(header + '{"engine": 0, "payload": {"types": {"a": "gauge"}, "data": {"a": {"[]": 1}}}}\n')
    code, out, _ = check(path)
    assert (code, out) == (0, f"{path}: 2 objects, 0 problems\n")


def test_each_line_is_told_of(check):
    payload = '{"engine": 0, "payload": {"no_such_field": [1]}}\n'
    code, out, _ = check("-", stdin=f"{HEADER}\n{payload}{payload}".encode())
    assert code == 1
    assert [line.split(" ")[1] for line in out.splitlines()[:2]] == ["input:2:27:", "input:3:27:"]
    assert out.splitlines()[2] == "standard input: 3 objects, 2 problems"


def test_msgpack_has_bytes(check, tmp_path):
    good = (DATA / "golden" / "nixl_basic.mp").read_bytes()
    path = tmp_path / "cut.mp"
    path.write_bytes(good[:-3])
    code, out, _ = check(path)
    assert code == 1
    assert out.startswith(f"{path}: byte {len(good) - 3}: ")


@pytest.mark.parametrize("content", [b"", b"\n\n"], ids=["empty", "blank"])
def test_empty(content, check):
    code, out, _ = check("-", stdin=content)
    assert code == 1
    assert out.splitlines()[0] == "standard input:1:1: the recording is empty; its first object must be a header"


def test_usage(check, tmp_path):
    assert check("--help")[:2] == (0, check("-h")[1])
    assert check("--help")[1].startswith("usage: kvtel check [OPTION...] FILE...\n")
    assert check()[0] == 2
    assert check("--nonsense", "x")[0] == 2
    code, out, errors = check(tmp_path / "none")
    assert (code, out) == (1, "")
    assert errors == f"kvtel: {tmp_path / 'none'}: No such file or directory\n"
    assert check(tmp_path)[0] == 1


def test_all_files_are_looked_at(check, tmp_path):
    bad, good = tmp_path / "bad.jsonl", tmp_path / "good.jsonl"
    bad.write_text("x\n")
    good.write_text(HEADER)
    code, out, _ = check(bad, good)
    assert code == 1
    assert out.splitlines()[-1] == f"{good}: 1 object, 0 problems"


def test_full_disk(kvtel):
    with open("/dev/full", "w") as full:
        command = [kvtel, "check", DATA / "golden" / "nixl_basic.jsonl"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert done.stderr.decode() == "kvtel: standard output: writing failed: No space left on device\n"


def test_a_key_twice_in_msgpack(check, tmp_path):
    path = tmp_path / "twice.mp"
    path.write_bytes(msgspec.msgpack.encode(json.loads(HEADER)) + b"\x83\xa6engine\x00\xa7payload\x80\xa7payload\x80")
    code, out, _ = check(path)
    assert code == 1 and 'the key "payload" stands twice' in out.splitlines()[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xef\xbb\xbf" + HEADER.encode(), "byte order mark"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (gzip.compress(HEADER.encode()), "zcat FILE | kvtel check -"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
    ],
)
def test_what_is_no_recording(check, kvtel, tmp_path, body, message):
    """Whatever the file is called, no byte of it or of its name reaches the terminal raw."""
    path = tmp_path / "a\x1b[31m\nb.jsonl"
    path.write_bytes(body)
    code, out, _ = check(path)
    assert code == 1 and message in out and "a\\x1b[31m\\nb.jsonl: byte 0: " in out and "\x1b" not in out
    assert len(out.splitlines()) == 2
    done = subprocess.run([kvtel, "replay", path, "missing\x1b"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and message in done.stderr and "\x1b" not in done.stderr + done.stdout
