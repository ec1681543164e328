# SPDX-License-Identifier: Apache-2.0
"""Standard streams that are closed, and inputs whose reading fails."""

import subprocess
from pathlib import Path

RECORDING = Path(__file__).resolve().parents[1] / "data" / "golden" / "nixl_basic.jsonl"


def shell(kvtel, arguments):
    done = subprocess.run(["sh", "-c", f'"$0" {arguments}', kvtel], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_closed_standard_output(kvtel):
    for command in ("replay", "check"):
        code, _, errors = shell(kvtel, f"{command} {RECORDING} >&-")
        assert (code, errors) == (1, "kvtel: standard output: writing failed: Bad file descriptor\n")


def test_full_outputs_are_named_with_the_reason(kvtel):
    for arguments in (
        f"replay {RECORDING} >/dev/full",
        *(f"replay --{which}.output=/dev/full {RECORDING}" for which in ("log", "metrics", "aggregated")),
    ):
        name = "standard output" if ">" in arguments else "/dev/full"
        code, _, errors = shell(kvtel, arguments)
        assert (code, errors) == (1, f"kvtel: {name}: writing failed: No space left on device\n"), arguments


def test_no_output_file_takes_the_place_of_a_closed_stream(kvtel, tmp_path):
    code, _, _ = shell(kvtel, f"replay --log.output={tmp_path}/log {RECORDING} {tmp_path}/missing <&- >&- 2>&-")
    assert code == 1
    assert all(line.startswith("KV transfers: ") for line in (tmp_path / "log").read_text().splitlines())


def test_closed_standard_input(kvtel):
    code, _, errors = shell(kvtel, "replay - <&-")
    assert (code, errors) == (1, "kvtel: standard input: byte 0: input or output failed\n")


def test_reading_that_fails_is_no_malformed_recording(kvtel):
    code, out, errors = shell(kvtel, "replay /proc/self/mem")
    assert (code, errors) == (1, "kvtel: /proc/self/mem: byte 0: input or output failed\n")
    assert "refused" not in out


def test_a_full_device(kvtel, tmp_path):
    """However much was to be written: what is lost first is lost while it is printed, not at the end."""
    many = tmp_path / "many.jsonl"
    many.write_text(RECORDING.read_text().splitlines()[0] + "\n" + "x\n" * 5000)
    for arguments in (
        f"check {RECORDING}",
        f"check {many}",
        f"replay {RECORDING}",
        f"replay --metrics.output=- {RECORDING}",
        f"replay --aggregated.output=/dev/full {RECORDING}",
    ):
        code, _, errors = shell(kvtel, f"{arguments} >/dev/full")
        assert code == 1 and errors.endswith("writing failed: No space left on device\n"), (arguments, errors)
