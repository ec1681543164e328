#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of each path of paths.c under callgrind, which no load of the machine changes, and compares
them with baseline.txt: a path fails if it takes more than a tenth more.

Usage: gate.py VALGRIND PROGRAM [--renew]
--renew: writes baseline.txt from what it counts instead."""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOM = 1.1  # of the baseline
BASELINE = pathlib.Path(__file__).parent / "baseline.txt"
HEAD = """\
# Instructions of each path, which gate.py allows a tenth more. x86-64, gcc 12, preset release.
# After a change that is meant: tests/instructions/gate.py valgrind build/tests/instructions --renew
"""


def counted(valgrind, program):
    """Instructions for a unit of each path."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [valgrind, "--tool=callgrind", f"--callgrind-out-file={directory}/out", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            sys.exit(f"{program} ended with {done.returncode} under valgrind:\n{done.stdout}")
        paths = {}
        for file in sorted(pathlib.Path(directory).glob("out.*"), key=lambda path: int(path.suffix[1:])):
            text = file.read_text()
            named = re.search(r"^desc: Trigger: Client Request: (.+) / (\d+)$", text, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)$", text, re.M)
            if named and total:
                paths[named[1]] = int(total[1]) / int(named[2])
        return paths


def baseline():
    lines = (line for line in BASELINE.read_text().splitlines() if line and line[0] != "#")
    return {name: float(number) for number, name in (line.split(maxsplit=1) for line in lines)}


def compare(paths, allowed):
    """Prints a line for each path. The number of paths that fail."""
    bad = 0
    for name in sorted(paths | allowed):
        if name not in allowed or name not in paths:
            verdict = "is not in baseline.txt" if name in paths else "was not counted"
        elif paths[name] > allowed[name] * ROOM:
            verdict = f"is {paths[name] / allowed[name]:.2f} times the baseline"
        else:
            verdict = ""
        bad += bool(verdict)
        print(f"{paths.get(name, 0):9.1f} {allowed.get(name, 0):9.1f}  {name}{': ' if verdict else ''}{verdict}")
    return bad


def main():
    paths = counted(*sys.argv[1:3])
    if "--renew" in sys.argv:
        BASELINE.write_text(HEAD + "".join(f"{number:9.1f}  {name}\n" for name, number in sorted(paths.items())))
        return
    print("  counted  baseline")
    if bad := compare(paths, baseline()):
        sys.exit(f"{bad} of them: if that is meant, --renew writes {BASELINE.name} anew")


if __name__ == "__main__":
    main()
