# SPDX-License-Identifier: Apache-2.0
"""kvtel beside other ways to see KV transfers: `./run compare`. Measures each row, prints the table, writes BUILD/compare.json and
BUILD/compare.md.

Each row runs what it names: records transfers that are known, reads the page, kills a process with SIGKILL while it records, and reads
the page again. Rows that need vLLM or NIXL use the environments that ./run engine-test and ./run nixl-test have made."""

import argparse
import dataclasses
import datetime
import json
import os
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "tests/e2e")]

import of_libraries  # noqa: E402
import of_nixl  # noqa: E402
import of_vllm  # noqa: E402
import table  # noqa: E402
from row import Row  # noqa: E402
from run import cpu_name  # noqa: E402


def rows_of(build, site, venv, rounds):
    """{name: function that measures it}"""
    rows = {name: lambda row=row: row(build) for name, row in of_libraries.ROWS.items()}
    for name, row in of_nixl.ROWS.items():
        there = (site / "complete").exists()
        rows[name] = (lambda row=row: row(build, site, rounds)) if there else (lambda name=name: Row(name, of_nixl.HOW))
    for name, row in of_vllm.ROWS.items():
        rows[name] = lambda row=row: row(build, venv)
    return rows


def main():
    parser = argparse.ArgumentParser(prog="./run compare", description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"), help="build directory (default: build)")
    parser.add_argument("--nixl", type=Path, help="directory of NIXL's wheel (default: BUILD/nixl-test/1.5.1)")
    parser.add_argument("--vllm", type=Path, help="environment with vLLM (default: BUILD/engine-test/venv)")
    parser.add_argument(
        "--rounds", type=int, default=4000, help="of nixl_posts.py (default: 4000, a minute on idle cores)"
    )
    parser.add_argument(
        "row", nargs="*", help="all if none is named; the others keep the figures of BUILD/compare.json"
    )
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    site = (arguments.nixl or build / "nixl-test/1.5.1").resolve()
    venv = (arguments.vllm or build / "engine-test/venv").absolute()
    rows, result = rows_of(build, site, venv, arguments.rounds), build / "compare.json"
    if unknown := set(arguments.row) - set(rows):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    found = json.loads(result.read_text())["rows"] if arguments.row and result.exists() else {}
    failed, machine = [], f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}"
    for name in arguments.row or rows:
        print(f"compare: {name}", file=sys.stderr, flush=True)
        try:
            found[name] = dataclasses.asdict(rows[name]())
        except (Exception, SystemExit) as error:  # the other rows go on
            traceback.print_exc()
            failed.append(name)
            found[name] = dataclasses.asdict(Row(name, f"failed: {error}"))
        result.write_text(json.dumps({"machine": machine, "rows": found}, indent=1) + "\n")
    text = table.text(machine, [Row(**found[name]) for name in rows if name in found])
    (build / "compare.md").write_text(text)
    print(text)
    sys.exit(f"compare: failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
