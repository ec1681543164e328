# SPDX-License-Identifier: Apache-2.0
"""Recordings: reading and writing both forms, and what vLLM would make of one."""

import copy
import json
import struct
from collections import Counter

import msgspec

from .connectors import class_name, stats_of
from .prom import Prom


def read(path):
    """The objects of a recording, JSON Lines or MessagePack by its first byte."""
    content = path.read_bytes()
    if content[:1] == b"{":
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    objects, at = [], 0
    while at < len(content):
        end = skip(content, at)
        objects.append(msgspec.msgpack.decode(content[at:end]))
        at = end
    return objects


# Lengths of MessagePack objects: kind by first byte -> struct format of the length (or None) and what the length counts.
LENGTHS = {0xC4: ("B", 1), 0xC5: (">H", 1), 0xC6: (">I", 1), 0xD9: ("B", 1), 0xDA: (">H", 1), 0xDB: (">I", 1)}
CONTAINERS = {0xDC: (">H", 1), 0xDD: (">I", 1), 0xDE: (">H", 2), 0xDF: (">I", 2)}
FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8}
FIXED |= {0xCC + i: 2**i for i in range(4)} | {0xD0 + i: 2**i for i in range(4)}


def skip(content, at):
    """Where the MessagePack object at `at` ends: msgspec decodes one object and wants nothing after it."""
    first, at = content[at], at + 1
    if first < 0x80 or first >= 0xE0:
        return at
    if first in FIXED:
        return at + FIXED[first]
    if 0xA0 <= first < 0xC0:
        return at + (first & 0x1F)
    if first in LENGTHS:
        form, _ = LENGTHS[first]
        return at + struct.calcsize(form) + struct.unpack_from(form, content, at)[0]
    if first < 0x90:
        count = 2 * (first & 0x0F)
    elif first < 0xA0:
        count = first & 0x0F
    else:
        form, per = CONTAINERS[first]
        count = per * struct.unpack_from(form, content, at)[0]
        at += struct.calcsize(form)
    for _ in range(count):
        at = skip(content, at)
    return at


def with_tuples(value):
    """The object as MessagePack has it: label values in key position are arrays, not the JSON text of one."""
    if isinstance(value, list):
        return [with_tuples(item) for item in value]
    if isinstance(value, dict):
        return {tuple(json.loads(key)) if key[:1] == "[" else key: with_tuples(item) for key, item in value.items()}
    return value


def write(objects, stem):
    """STEM.jsonl and STEM.mp. JSON has no NaN and no infinities: only STEM.mp is written where there is one. @return the paths"""
    packed = stem.with_suffix(".mp")
    packed.write_bytes(b"".join(msgspec.msgpack.encode(with_tuples(item)) for item in objects))
    try:
        lines = "".join(json.dumps(item, allow_nan=False) + "\n" for item in objects)
    except ValueError:
        return [packed]
    text = stem.with_suffix(".jsonl")
    text.write_text(lines)
    return [text, packed]


class Logging:
    """vLLM's KVConnectorLogging: the log line of an interval, over all engines."""

    def __init__(self, name):
        self.name = name
        self.stats = None

    def observe(self, stats):
        if stats is not None:
            self.stats = copy.deepcopy(stats) if self.stats is None else self.stats.aggregate(stats)

    def log(self):
        line, self.stats = self.line(), None
        return line

    def line(self):
        """What the log says of the interval so far, or None."""
        reduced = self.stats.reduce() if self.stats is not None and not self.stats.is_empty() else {}
        return "KV Transfer metrics: " + ", ".join(f"{key}={value}" for key, value in reduced.items()) if reduced else None


class Outcome:
    """What became of a recording: log lines, aggregated payloads, exposition, counts of what was refused."""

    def __init__(self, objects):
        header, *rest = objects
        self.name = class_name(header["kv_transfer_config"]["kv_connector"])
        self.logging, self.prom = Logging(self.name), Prom(header)
        self.lines, self.aggregated, self.refused = [], [], Counter()
        for item in rest:
            if "log" in item:
                self.lines.append(self.logging.log())
            else:
                self.observe(item["engine"], item["workers"] if "workers" in item else [item["payload"]])
        self.lines = [line for line in self.lines if line]
        self.text = self.prom.text()

    def observe(self, engine, payloads):
        first, *others = [stats_of(self.name, payload) for payload in payloads]
        if first is None:
            self.refused["no_stats"] += len(payloads)
            self.aggregated.append({"engine": engine, "aggregated": None, "is_empty": None, "reduce": None})
            return
        for stats in others:
            first.refused += stats.refused
            first.aggregate(stats)
        self.refused += first.refused
        self.aggregated.append(
            {"engine": engine, "aggregated": copy.deepcopy(first.encode()), "is_empty": first.is_empty(), "reduce": first.reduce()}
        )
        self.logging.observe(first)
        self.prom.observe(first, engine)
