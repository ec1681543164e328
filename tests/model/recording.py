# SPDX-License-Identifier: Apache-2.0
"""Recordings: reading and writing both forms, and what vLLM would make of one."""

import copy
import json
import struct
from collections import Counter

import msgspec

from .connectors import class_name, has_stats, stats_of
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
        self.stats = copy.deepcopy(stats) if self.stats is None else self.stats.aggregate(stats)

    def log(self):
        line = self.line()
        if self.stats is not None and not self.stats.is_empty():
            self.stats = None
        return line

    def line(self):
        """What the log says of the interval so far, or None."""
        reduced = self.stats.reduce() if self.stats is not None and not self.stats.is_empty() else {}
        return (
            "KV Transfer metrics: " + ", ".join(f"{key}={value}" for key, value in reduced.items()) if reduced else None
        )


class Outcome:
    """What became of a recording: log lines, aggregated payloads, exposition; how many payloads, and counts of what was refused."""

    def __init__(self, objects):
        header, *rest = objects
        self.name, self.engines = class_name(header["kv_transfer_config"]["kv_connector"]), header["engines"]
        self.logging, self.prom = Logging(self.name), Prom(header)
        self.lines, self.aggregated, self.payloads, self.refused = [], [], 0, Counter()
        for item in rest:
            if "log" in item:
                self.lines.append(self.logging.log())
            else:
                self.observe(item["engine"], item["workers"] if "workers" in item else [item["payload"]])
        self.lines = [line for line in self.lines if line]
        self.text = self.prom.text()
        self.refused += self.prom.refused

    def observe(self, engine, payloads):
        self.payloads += len(payloads)
        stats = self.aggregate(engine, payloads)
        if stats is None:
            self.aggregated.append({"engine": engine, "aggregated": None, "is_empty": None, "reduce": None})
            return
        self.aggregated.append(
            {
                "engine": engine,
                "aggregated": copy.deepcopy(stats.encode()),
                "is_empty": stats.is_empty(),
                "reduce": stats.reduce(),
            }
        )
        self.logging.observe(stats)
        self.prom.observe(stats, engine)

    def aggregate(self, engine, payloads):
        """The payloads of all workers in one, or None when there is nothing to be had of them."""
        if engine not in self.engines:
            self.refused["unknown_engine"] += len(payloads)
            return None
        aggregated = None
        for payload in payloads:
            if not isinstance(payload, dict):
                self.refused["wrong_type"] += 1
                continue
            if not has_stats(self.name):  # a payload that described itself would be used
                self.refused["no_stats"] += 1
                continue
            stats = stats_of(self.name, payload)
            self.refused += stats.refused
            aggregated = stats if aggregated is None else aggregated.aggregate(stats)
        return aggregated
