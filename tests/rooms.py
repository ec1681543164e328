# SPDX-License-Identifier: Apache-2.0
"""Holds the table of rooms in docs/architecture.md against src/CMakeLists.txt and against what the files include.

A wrong arrow does not compile (cmake/room.cmake). What the compiler cannot see is checked here: public headers, which every room
can include; arrows that the table or the build names and that no file needs; circles between rooms, between headers, and between
source files: a.c names what b.c defines, and b.c what a.c defines.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def table():
    """room -> (its public headers, the rooms that it may use), from docs/architecture.md."""
    rooms = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            names = [re.findall(r"`([^`]+)`", cell) for cell in cells]
            rooms[names[0][0].rstrip("/")] = (names[2], {name.rstrip("/") for name in names[3]})
    return rooms


def built():
    """room -> the rooms that its target names, from src/CMakeLists.txt."""
    text = re.sub(r"#.*", "", (ROOT / "src/CMakeLists.txt").read_text())
    found = {}
    for call in re.findall(r"kvtel_room\(([^)]*)\)", text):
        words, scope, uses = call.split(), "PUBLIC", set()
        for word in words[1:]:
            if word.isupper():
                scope = word
            elif scope in ("PUBLIC", "PRIVATE"):
                uses.add(word)
        found[words[0]] = uses
    return found


def room_of(path, rooms):
    """The room that a path below src/ is in: the longest name that fits."""
    return max((room for room in rooms if path.startswith(room + "/")), key=len, default=None)


def includes(path):
    text = path.read_text()
    return re.findall(r'^#include "([^"]+)"', text, re.M), re.findall(r"^#include <(kvtel/[^>]+)>", text, re.M)


TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.M | re.S)
TAG = re.compile(r"\b(?:struct|enum|union)\s+\w+")
FUNCTION = re.compile(r"^(?!static\b|typedef\b|extern\b)\w[^;{}=()]*?(\w+)\((?:[^;{}]*)\)\s*\{", re.M)
VARIABLE = re.compile(r"^(?!static\b|typedef\b|extern\b)\w[^;{}=()]*?(\w+)(?:\[\w*\])*(?:\s+[A-Z_]+)?\s*=", re.M)
OWN = re.compile(r"^static\b[^;{}=]*?(\w+)(?:\(|\[|\s*=|;)", re.M)


def calls(sources):
    """source file -> those whose functions and variables it names. A name is external where its definition is not static."""
    texts = {path: DIRECTIVE.sub("", TEXT.sub('""', path.read_text())) for path in sources}
    homes = {}
    for path, text in texts.items():
        for name in {*FUNCTION.findall(text), *VARIABLE.findall(text)} - {"main"}:
            homes.setdefault(name, path)
    graph = {}
    for path, text in texts.items():
        named = set(re.findall(r"(?<![.>\w])\w+", TAG.sub("", text))) - set(OWN.findall(text))
        graph[path] = {homes[name] for name in named & homes.keys()} - {path}
    return graph


def find_circle(graph):
    """A list of nodes that lead back to the first, or None."""
    state = {}

    def visit(node, trail):
        state[node] = 1
        for other in sorted(graph.get(node, ())):
            if state.get(other) == 1:
                return [*trail[trail.index(other) :], other]
            if other not in state:
                circle = visit(other, [*trail, other])
                if circle:
                    return circle
        state[node] = 2
        return None

    for start in sorted(graph):
        if start not in state:
            circle = visit(start, [start])
            if circle:
                return circle
    return None


def main():
    wrong = []
    rooms, targets = table(), built()
    owners = {f"kvtel/{header}": room for room, (headers, _) in rooms.items() for header in headers}

    for room in sorted(rooms.keys() ^ targets.keys()):
        wrong.append(f"{room}: only in {'docs/architecture.md' if room in rooms else 'src/CMakeLists.txt'}")
    for header in sorted(path.name for path in (ROOT / "include/kvtel").glob("*.h")):
        if header != "kvtel.h" and f"kvtel/{header}" not in owners:
            wrong.append(f"include/kvtel/{header}: docs/architecture.md gives it to no room")

    used = {room: set() for room in rooms}
    files = {}
    for path in [*sorted((ROOT / "src").rglob("*.[ch]")), *sorted((ROOT / "include/kvtel").glob("*.h"))]:
        public = "include" in path.relative_to(ROOT).parts
        name = f"kvtel/{path.name}" if public else path.relative_to(ROOT / "src").as_posix()
        if name == "kvtel/kvtel.h":
            continue
        room = owners.get(name) if public else room_of(name, rooms)
        if room is None:
            wrong.append(f"{name}: in no room")
            continue
        own, headers = includes(path)
        files[name] = set()
        for other in [*own, *headers]:
            where = owners.get(other) if other.startswith("kvtel/") else room_of(other, rooms)
            if other == "kvtel/kvtel.h":
                if path.suffix == ".h":
                    wrong.append(f"{name}: includes all of kvtel")
                continue
            if where is None:
                continue  # generated
            if path.suffix == ".h":
                files[name].add(other)
            if where != room:
                if where not in rooms[room][1]:
                    wrong.append(f"{name}: includes {other}, but {room} may not use {where}")
                used[room].add((where, not other.startswith("kvtel/")))

    for room, (_, uses) in sorted(rooms.items()):
        needed = {where for where, _ in used[room]}
        for other in sorted(uses - needed):
            wrong.append(f"docs/architecture.md: {room} uses nothing of {other}")
        seen = {where for where, internal in used[room] if internal}
        for other in sorted(targets.get(room, set()) - seen):
            wrong.append(f"src/CMakeLists.txt: {room} includes nothing of {other} below src/")
    defined = {}
    for folder in ("src", "demo", "python/src"):
        sources = calls(sorted((ROOT / folder).rglob("*.c")))
        if not any(sources.values()):
            wrong.append(f"{folder}: no file names what another defines; is the text read as it should be?")
        defined.update({str(path.relative_to(ROOT)): {str(other.relative_to(ROOT)) for other in others} for path, others in sources.items()})
    for graph, what in (
        ({room: uses for room, (_, uses) in rooms.items()}, "rooms"),
        (files, "headers"),
        (defined, "source files"),
    ):
        circle = find_circle(graph)
        if circle:
            wrong.append(f"a circle of {what}: {' -> '.join(circle)}")

    print("\n".join(wrong) or f"{len(rooms)} rooms, {len(files) + len(defined)} files: every arrow is in the table, none goes in a circle")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
