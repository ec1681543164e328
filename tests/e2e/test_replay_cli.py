# SPDX-License-Identifier: Apache-2.0
"""kvtel replay as a program: arguments, exit codes, messages, streams, terminals, and memory that does not grow."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exporter import PATIENCE, wait_for

DATA = Path(__file__).resolve().parents[1] / "data"
GOLDEN = DATA / "golden"
HEADER = '{"kvtel": 1, "kv_transfer_config": {"kv_connector": "NixlConnector"}, "model_name": "m", "engines": [0]}\n'
PAYLOAD = '{"engine": 0, "payload": {"transfer_duration": [0.5], "bytes_transferred": [1048576]}}\n'


@pytest.fixture
def run(kvtel):
    """Runs kvtel: exit code, standard output, standard error."""

    def run(*arguments, stdin=b""):
        done = subprocess.run([kvtel, *arguments], input=stdin, capture_output=True, timeout=PATIENCE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def test_help(run):
    code, text, errors = run("replay", "--help")
    assert (code, errors) == (0, "")
    for option in ("--log.output", "--log.style", "--metrics.output", "--aggregated.output", "--keep-going", "--help"):
        assert f"  {option}" in text
    assert max(map(len, text.splitlines())) <= 120
    code, text, _ = run("--help")
    assert code == 0 and "\n  replay " in text and "\n  check " in text
    code, text, _ = run("--version")
    assert code == 0 and re.fullmatch(r"kvtel, version \d+\.\d+\.\d+\n", text)


OUTPUTS = ("--log.output", "--metrics.output", "--aggregated.output")


@pytest.mark.parametrize("option", OUTPUTS)
def test_an_output_that_is_a_recording(option, run, tmp_path):
    recording, hard, soft = tmp_path / "a.jsonl", tmp_path / "hard", tmp_path / "soft"
    recording.write_text(HEADER + PAYLOAD)
    (tmp_path / "other.jsonl").write_text(HEADER + PAYLOAD)
    hard.hardlink_to(recording)
    soft.symlink_to(recording)
    for output in (recording, hard, soft, tmp_path / "." / "a.jsonl"):
        code, out, errors = run("replay", f"{option}={output}", str(tmp_path / "other.jsonl"), str(recording))
        assert code == 1 and out == "" and str(output) in errors and "itself" in errors
        assert recording.read_text() == HEADER + PAYLOAD


@pytest.mark.parametrize("option", OUTPUTS)
def test_a_standard_stream_that_is_a_recording(option, kvtel, run, tmp_path):
    recording = tmp_path / "a.jsonl"
    recording.write_text(HEADER + PAYLOAD)
    with open(recording, "rb") as stdin:
        done = subprocess.run(
            [kvtel, "replay", f"{option}={recording}", "-"], stdin=stdin, capture_output=True, timeout=PATIENCE
        )
    assert done.returncode == 1 and recording.read_text() == HEADER + PAYLOAD
    with open(recording, "ab") as stdout:
        done = subprocess.run(
            [kvtel, "replay", f"{option}=-", recording], stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE
        )
    assert done.returncode == 1 and recording.read_text() == HEADER + PAYLOAD


def test_two_outputs_into_one_file(run, tmp_path):
    recording, output = tmp_path / "a.jsonl", tmp_path / "out"
    recording.write_text(HEADER + PAYLOAD)
    (tmp_path / "link").symlink_to(output)
    for existing in (False, True):
        for other in (output, tmp_path / "link") if existing else (output,):
            code, _, errors = run("replay", f"--log.output={output}", f"--metrics.output={other}", str(recording))
            assert code == 1 and "two options" in errors
        output.write_text("kept")
    assert output.read_text() == "kept"
    assert run("replay", "--log.output=/dev/null", "--metrics.output=/dev/null", str(recording))[0] == 0
    assert run("replay", "--log.output=-", "--metrics.output=-", str(recording))[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["replay"],
        ["replay", "--nonsense", "x"],
        ["replay", "--log.style=loud", "x"],
        ["replay", "--log.output"],
        ["replay", "--keep-going=yes", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments, run):
    code, out, errors = run(*arguments)
    assert (code, out) == (2, "")
    assert "help" in errors


def test_files_that_cannot_be_read(run, tmp_path):
    assert run("replay", tmp_path / "none") == (1, "", f"kvtel: {tmp_path}/none: No such file or directory\n")
    assert run("replay", tmp_path) == (1, "", f"kvtel: {tmp_path}: is a directory; name a recording\n")
    code, _, errors = run("replay", "-")
    assert (code, errors) == (1, "kvtel: standard input: the recording is empty; its first object must be a header\n")


def test_good_files_count_beside_bad_ones(run, tmp_path):
    code, out, errors = run("replay", tmp_path / "none", GOLDEN / "nixl_basic.jsonl")
    assert code == 1
    assert "nixl_basic.jsonl\n  NixlConnector, model m" in out
    assert "none: No such file" in errors


@pytest.mark.parametrize("option", ["--log.output", "--metrics.output", "--aggregated.output"])
def test_outputs_that_cannot_be_written(option, run, tmp_path):
    recording = GOLDEN / "nixl_many.jsonl"
    code, _, errors = run("replay", f"{option}=/dev/full", recording)
    assert code == 1
    assert errors.startswith("kvtel: /dev/full: writing failed: ") and errors.count("\n") == 1
    missing = tmp_path / "none" / "x"
    assert run("replay", f"{option}={missing}", recording) == (1, "", f"kvtel: {missing}: No such file or directory\n")


def test_full_standard_output(kvtel):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [kvtel, "replay", GOLDEN / "nixl_basic.jsonl"], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE
        )
    assert done.returncode == 1
    assert done.stderr == b"kvtel: standard output: writing failed: No space left on device\n"


def test_malformed_line(run):
    recording = (HEADER + PAYLOAD + '{"engine": 0, "payload": {"transfer_duration": [1,]}}\n' + PAYLOAD).encode()
    code, out, errors = run("replay", "-", stdin=recording)
    assert code == 1
    assert errors.splitlines() == [
        "kvtel: standard input:3:51: unexpected token near ']'",
        "kvtel: stopped here; --keep-going goes on with the next line",
    ]
    assert ", 1 payload\n" in out and "refused (malformed): 1," in out
    code, out, errors = run("replay", "--keep-going", "-", stdin=recording)
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert ", 2 payloads\n" in out


def test_names_are_no_commands_for_the_terminal(run):
    header = {
        "kvtel": 1,
        "kv_transfer_config": {"kv_connector": "MooncakeStoreConnector"},
        "model_name": "\x1b[2Jm\n",
        "engines": [0],
    }
    row = {"duration_seconds": 1.0, "num_keys": 1, "num_bytes": 1, "status": "\x1b]0;s\x07", "num_failed_keys": 0}
    payload = {"\x1b[31mget" + "\u00fc" * 20: [row]}
    recording = "".join(json.dumps(line) + "\n" for line in (header, {"engine": 0, "payload": payload}))
    code, out, errors = run("replay", "-", stdin=recording.encode())
    assert (code, errors) == (0, "")
    assert "model \\x1b[2Jm\\n, " in out and "\\x1b[31mget" in out and "\\x1b]0;s\\x07 1" in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_statuses_without_end_take_one_line(run):
    header = {
        "kvtel": 1,
        "kv_transfer_config": {"kv_connector": "MooncakeStoreConnector"},
        "model_name": "m",
        "engines": [0],
    }
    row = {"duration_seconds": 1.0, "num_keys": 1, "num_bytes": 1, "num_failed_keys": 0}
    rows = [row | {"status": f"s{i}"} for i in range(1000)]
    recording = "".join(json.dumps(line) + "\n" for line in (header, {"engine": 0, "payload": {"get": rows}}))
    code, out, errors = run("replay", "-", stdin=recording.encode())
    assert (code, errors) == (0, "")
    (failures,) = (line for line in out.splitlines() if "failures:" in line)
    assert failures.startswith("    engine 0 failures: s0 1, s1 1, ") and failures.endswith(
        ", s19 1, and of 980 more classes"
    )


def test_keep_going_counts_and_exports(run, tmp_path):
    metrics = tmp_path / "metrics"
    recording = (HEADER + "x\n" + PAYLOAD + "[]\n" + PAYLOAD).encode()
    code, _, errors = run("replay", "--keep-going", f"--metrics.output={metrics}", "-", stdin=recording)
    assert code == 1 and len(errors.splitlines()) == 2
    samples = dict(line.rsplit(" ", 1) for line in metrics.read_text().splitlines() if not line.startswith("#"))
    assert samples['kvtel_refused_total{reason="malformed"}'] == "2.0"
    assert samples["kvtel_payloads_total"] == "2.0"
    assert samples['vllm:nixl_xfer_time_seconds_count{engine="0",model_name="m"}'] == "2.0"


def test_several_files_and_standard_input(run):
    files = [GOLDEN / "nixl_basic.jsonl", GOLDEN / "nixl_basic.mp"]
    code, out, errors = run("replay", *files, "-", stdin=(HEADER + PAYLOAD).encode())
    assert (code, errors) == (0, "")
    names = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert names == [*map(str, files), "standard input"]


def test_outputs_to_standard_output(run, tmp_path):
    log, metrics = tmp_path / "log", tmp_path / "metrics"
    recording = GOLDEN / "nixl_basic.jsonl"
    assert run("replay", "--log.style=vllm", f"--log.output={log}", f"--metrics.output={metrics}", recording) == (
        0,
        "",
        "",
    )
    assert run("replay", "--log.style=vllm", "--log.output=-", recording)[1] == log.read_text()
    assert run("replay", "--metrics.output=-", recording)[1] == metrics.read_text()


def test_summary(run):
    code, out, _ = run("replay", "-", stdin=(HEADER + PAYLOAD * 3).encode())
    assert code == 0
    assert out.splitlines() == [
        "standard input",
        "  NixlConnector, model m, 1 engine, 3 payloads",
        "    engine flow      transfers     moved   P50 ms   P90 ms   P99 ms   max ms  while moving",
        "    0      transfer          3  3.00 MiB  500.000  500.000  500.000  500.000    2.00 MiB/s",
    ]


@pytest.mark.parametrize(
    "connector, said",
    [
        ("NoSuchConnector", "kvtel: unknown connector"),
        ("ExampleConnector", "kvtel: ExampleConnector: this connector has no stats"),
    ],
)
def test_connectors_that_are_said_once(connector, said, run):
    recording = (HEADER.replace("NixlConnector", connector) + PAYLOAD * 20 + '{"log": true}\n').encode() * 2
    code, out, errors = run("replay", "-", stdin=recording)
    assert code == 0 and errors.startswith(said)
    assert errors.splitlines()[1:] == ["kvtel: standard input: none of its payloads could be used"]
    reason = "unknown_connector" if connector == "NoSuchConnector" else "no_stats"
    assert f"refused ({reason}): 40," in out


def test_undeclared_engine_is_said_once(run):
    recording = (HEADER + PAYLOAD.replace('"engine": 0', '"engine": 5') * 3 + PAYLOAD).encode()
    code, out, errors = run("replay", "-", stdin=recording)
    assert code == 0
    assert errors.startswith("kvtel: engine 5 is not in the header's list of engines; its payloads are not used")
    assert len(errors.splitlines()) == 1
    assert "refused (unknown_engine): 3," in out


def test_label_values_without_end(run, tmp_path):
    """Past the cap of a family they are counted, and the rest goes on."""
    name = "vllm:simple_kv_offload_save_outcomes_total"
    lines = [HEADER.replace("NixlConnector", "SimpleCPUOffloadConnector")]
    for first in (0, 6000):
        values = ", ".join(f'"[\\"{i}\\"]": 1' for i in range(first, first + 6000))
        lines.append(
            f'{{"engine": 0, "payload": {{"types": {{"{name}": "counter"}}, "data": {{"{name}": {{{values}}}}}}}}}\n'
        )
    code, text, errors = run("replay", "--metrics.output=-", "-", stdin="".join(lines).encode())
    assert code == 0 and len(errors.splitlines()) == 1
    assert text.count(f"\n{name}{{") == 10000
    assert "\nkvtel_series_dropped_total 2000.0\n" in text
    assert '\nkvtel_refused_total{reason="series_limit"} 2000.0\n' in text


def test_closed_pipe(kvtel):
    """The reader goes away: an error and an exit code, no signal, and no reading of what nobody wants."""
    reader, writer = os.pipe()
    command = [kvtel, "replay", "--log.output=-", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        process.stdin.write(HEADER.encode())
        for _ in range(100_000):
            process.stdin.write((PAYLOAD + '{"log": true}\n').encode() * 100)
    assert process.wait(timeout=PATIENCE) == 1
    assert process.stderr.read().startswith(b"kvtel: -: writing failed: ")


def large_recording(megabytes):
    """Pieces of a recording; each holds many payloads of a few transfers, from 64 engines."""
    yield HEADER.replace("[0]", str(list(range(64)))).encode()
    numbers = {
        "transfer_duration": "0.003125, 0.00625, 0.0125, 0.025",
        "post_duration": "0.0001, 0.0002, 0.0003, 0.0004",
        "bytes_transferred": "262144, 524288, 1048576, 2097152",
        "num_descriptors": "1, 2, 4, 8",
    }
    payload = ", ".join(f'"{key}": [{", ".join([value] * 16)}]' for key, value in numbers.items())
    piece = "".join(f'{{"engine": {i % 64}, "payload": {{{payload}}}, "ts": {i}}}\n' for i in range(1, 193)).encode()
    for _ in range(megabytes * 1_000_000 // len(piece) + 1):
        yield piece


PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("command, megabytes", [("replay", 300), ("check", 100)])
def test_large_recording_in_constant_memory(command, megabytes, kvtel):
    """Through a pipe (a tenth of it where a sanitizer makes it slow, and its memory larger)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PEAK, kvtel, command, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for piece in large_recording(megabytes // 10 if is_sanitized(kvtel) else megabytes):
        process.stdin.write(piece)
    process.stdin.close()
    errors = process.stderr.read().decode()
    assert process.wait(timeout=PATIENCE) == 0, errors
    if not is_sanitized(kvtel):
        assert int(errors.split()[-1]) < 64 * 1024  # KiB


def is_sanitized(kvtel):
    return b"__asan_init" in kvtel.read_bytes()


def test_progress_on_a_terminal(kvtel):
    """Standard error is a terminal, the input takes longer than a second: a line says how much was read, and is gone at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([kvtel, "replay", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    process.stdin.write(HEADER.encode())
    process.stdin.flush()
    shown = b""
    deadline = time.monotonic() + PATIENCE
    while b"MiB" not in shown and time.monotonic() < deadline:
        process.stdin.write(PAYLOAD.encode() * 100)
        process.stdin.flush()
        if select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 4096)
    process.stdin.close()
    assert process.wait(timeout=PATIENCE) == 0
    while select.select([ours], [], [], 0.1)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    assert re.search(rb"\rstandard input: \d+ MiB\x1b\[K", shown)
    assert shown.endswith(b"\r\x1b[K")


def test_no_progress_without_a_terminal(run):
    assert run("replay", "-", stdin=(HEADER + PAYLOAD).encode())[2] == ""


def test_interrupt(kvtel):
    process = subprocess.Popen(
        [kvtel, "replay", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(HEADER.encode())
    process.stdin.flush()
    asleep = Path(f"/proc/{process.pid}/stat")  # in its read of more
    wait_for(lambda: asleep.read_text().rsplit(")", 1)[1].split()[0] == "S", "a replay that waits")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == -signal.SIGINT


def test_documented_examples(kvtel, tmp_path):
    """What docs/recording-format.md shows is what happens."""
    text = (DATA.parents[1] / "docs" / "recording-format.md").read_text()
    blocks = dict.fromkeys(("json", "console"), ())
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        blocks[language] = (*blocks.get(language, ()), block)
    (tmp_path / "my.jsonl").write_text(blocks["json"][0])
    environment = os.environ | {"PATH": f"{kvtel.parent}:{os.environ['PATH']}"}
    for block in blocks["console"]:
        commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        shown = [line for line in block.splitlines() if not line.startswith("$ ")]
        done = subprocess.run(
            ["sh", "-c", "\n".join(commands)], cwd=tmp_path, env=environment, capture_output=True, timeout=PATIENCE
        )
        assert done.stdout.decode().splitlines() == shown
