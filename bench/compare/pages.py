# SPDX-License-Identifier: Apache-2.0
"""What a page of metrics shows, by the page itself."""

import math
import re

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*?)\})? ([^\s#]+)", re.M)


def samples(text):
    """[(name, {label: value}, value)]"""
    return [
        (name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value))
        for name, labels, value in SAMPLE.findall(text)
    ]


def families(text, prefixes):
    """Families of these prefixes that have a value. Those that only say when another began are none."""
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.M))
    return sorted(name for name in typed if name.startswith(prefixes) and not name.endswith("_created"))


def total(text, name, **labels):
    return sum(value for found, own, value in samples(text) if found == name and labels.items() <= own.items())


def buckets(text, name):
    """[(upper bound, cumulative count)] over all series of an explicit histogram."""
    found = {}
    for sample, labels, value in samples(text):
        if sample == f"{name}_bucket":
            bound = math.inf if labels["le"] == "+Inf" else float(labels["le"])
            found[bound] = found.get(bound, 0) + value
    return sorted(found.items())


def has_exemplars(text):
    return bool(re.search(r"^\S+_bucket\{.*\} \S+ # \{", text, re.M))


def has_starts(text, prefixes):
    return any(name.startswith(prefixes) and name.endswith("_created") for name, _, _ in samples(text))
