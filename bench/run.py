#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every benchmark and every peer that this machine has, prints a table, writes BUILD/bench.json.

Each program prints JSON lines: {"name", "value", "unit"}, of a peer with "peer". Ours may have "bar", the value to reach, and
"against": {"peer", "times"}, how many times better than that peer's figure of the same run. Figures of one name stand in one row for
each peer; "ratio" says how many times better ours is. A bar that is missed is shown, not an error.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PYTHON_PEERS_NEED = ("msgspec", "numpy", "prometheus_client")


def note(text):
    print(f"bench: {text}", file=sys.stderr)


def rust_peers(build):
    """Builds bench/peer_rust where cargo is there."""
    if not shutil.which("cargo"):
        note("cargo is not installed: no peers in Rust")
        return []
    command = ["cargo", "build", "--release", "--quiet", "--manifest-path", HERE / "peer_rust/Cargo.toml"]
    if subprocess.run([*command, "--target-dir", build / "peer_rust"]).returncode != 0:
        note("cargo could not build bench/peer_rust: no peers in Rust")
        return []
    return [[build / "peer_rust/release" / source.stem] for source in sorted((HERE / "peer_rust/src/bin").glob("*.rs"))]


def go_peers(build):
    """Builds bench/peer_go where Go is there."""
    program = build / "peer_go"
    if not shutil.which("go"):
        note("Go is not installed: no peer in Go")
        return []
    if subprocess.run(["go", "build", "-mod=readonly", "-o", program, "."], cwd=HERE / "peer_go").returncode != 0:
        note("Go could not build bench/peer_go: no peer in Go")
        return []
    return [[program]]


def python_scripts(build):
    """Ours and peers; each is told the build directory."""
    missing = [name for name in PYTHON_PEERS_NEED if not importlib.util.find_spec(name)]
    if missing:
        note(f"{', '.join(missing)} not installed: no peers in Python")
        return []
    scripts = sorted(HERE.glob("bench_*.py")) + sorted(HERE.glob("peer_*.py"))
    if not importlib.util.find_spec("kvtel"):
        note("the Python package kvtel is not installed: the plugin for vLLM is left out")
        scripts = [script for script in scripts if not script.stem.endswith("_plugin")]
    return [[sys.executable, script, build] for script in scripts]


def built_programs(build):
    """Ours first, then the peers that CMake could build."""
    ours = [build / "bench" / source.stem for source in sorted(HERE.glob("bench_*.c"))]
    missing = [path.name for path in ours if not path.is_file()]
    if missing:
        sys.exit(f"bench: not built in {build}: {', '.join(missing)}")
    peers = [build / "bench" / source.stem for source in sorted(HERE.glob("peer_*.cpp"))]
    absent = [path.name for path in peers if not path.is_file()]
    if absent:
        note(f"not built (prometheus-cpp is not installed?): {', '.join(absent)}")
    return [[path] for path in ours + peers if path.is_file()]


def program_of(command):
    return pathlib.Path(command[1] if command[0] == sys.executable else command[0]).name


def figures_of(command):
    note(f"running {program_of(command)}")
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {program_of(command)} failed with status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_rate(unit):
    return unit.endswith("/s")


def row_of(ours, peer=None):
    row = {
        "name": ours["name"],
        "value": ours["value"],
        "unit": ours["unit"],
        "peer": None,
        "peer_value": None,
        "ratio": None,
    }
    if peer:
        if peer["unit"] != ours["unit"]:
            sys.exit(f"bench: {ours['name']}: {peer['peer']} reports {peer['unit']}, not {ours['unit']}")
        better, worse = (ours, peer) if is_rate(ours["unit"]) else (peer, ours)
        row.update(peer=peer["peer"], peer_value=peer["value"], ratio=round(better["value"] / worse["value"], 3))
        against = ours.get("against", {})
        if against.get("peer") == peer["peer"]:
            row.update(times=against["times"], times_ok=row["ratio"] >= against["times"])
    if "bar" in ours:
        met = ours["value"] >= ours["bar"] if is_rate(ours["unit"]) else ours["value"] <= ours["bar"]
        row.update(bar=ours["bar"], ok=met)
    return row


def rows_of(figures):
    ours = {figure["name"]: figure for figure in figures if "peer" not in figure}
    peers = [figure for figure in figures if "peer" in figure]
    for peer in peers:
        if peer["name"] not in ours:
            sys.exit(f"bench: {peer['peer']} reports {peer['name']!r}, which is no row of ours")
    rows = []
    for name, figure in ours.items():
        rows += [row_of(figure, peer) for peer in peers if peer["name"] == name] or [row_of(figure)]
    return rows


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def verdict(bar, met):
    return f"{number(bar)} {'met' if met else 'MISSED'}"


def ratio_of(row):
    if not row["peer"]:
        return ""
    bar = f" (bar {verdict(row['times'], row['times_ok'])})" if "times" in row else ""
    return number(row["ratio"]) + bar


def print_table(rows):
    lines = [("what", "kvtel", "bar", "peer", "its figure", "times better")]
    last = None
    for row in rows:
        first = row["name"] != last
        last = row["name"]
        bar = verdict(row["bar"], row["ok"]) if "bar" in row else ""
        lines.append(
            (
                row["name"] if first else "",
                f"{number(row['value'])} {row['unit']}" if first else "",
                bar if first else "",
                row["peer"] or "",
                f"{number(row['peer_value'])} {row['unit']}" if row["peer"] else "",
                ratio_of(row),
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for i, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if i == 0:
            print("  ".join("-" * width for width in widths))


def cpu_name():
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def main():
    parser = argparse.ArgumentParser(description="Runs all benchmarks, prints a table, writes BUILD/bench.json.")
    parser.add_argument(
        "--build", type=pathlib.Path, default=pathlib.Path("build"), help="build directory (default: build)"
    )
    build = parser.parse_args().build.resolve()
    commands = built_programs(build) + rust_peers(build) + go_peers(build) + python_scripts(build)
    rows = rows_of([figure for command in commands for figure in figures_of(command)])
    print(f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; medians\n")
    print_table(rows)
    with open(build / "bench.json", "w") as out:
        json.dump(rows, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
