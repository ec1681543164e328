# SPDX-License-Identifier: Apache-2.0
"""Names of metrics and labels as prometheus_client allows them, and what they tell of the values."""

import re

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_RESERVED_NAMES = ("kvtel_", "process_")
_UNITS = {"seconds": 1, "bytes": 2, "ratio": 3, "perc": 3}  # enum kvtel_unit
# What a metric's samples are called behind its name.
SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
    # Of prometheus_client's own collectors:
    "summary": ("", "_sum", "_count", "_created"),
    "gaugehistogram": ("", "_bucket", "_gsum", "_gcount"),
    "info": ("", "_info"),
}


def full_name(kind, name, namespace, subsystem, unit):
    if not name:
        raise ValueError("Metric name should not be empty")
    full = "_".join(part for part in (namespace, subsystem, name) if part)
    if kind == "counter" and full.endswith("_total"):
        full = full[: -len("_total")]
    if unit and not full.endswith("_" + unit):
        full += "_" + unit
    if not _NAME.match(full):
        raise ValueError("invalid metric name " + full)
    if full.startswith(_RESERVED_NAMES):
        raise ValueError(f"Reserved metric name: {full}, since names with {' and '.join(_RESERVED_NAMES)} are kvtel's own")
    return full


def checked_labelnames(labelnames, reserved):
    labelnames = tuple(labelnames)
    for name in labelnames:
        if not _LABEL.match(name):
            raise ValueError("Invalid label metric name: " + name)
        if name.startswith("__") or name in reserved:
            raise ValueError("Reserved label metric name: " + name)
    if len(set(labelnames)) < len(labelnames):
        raise ValueError(f"A label name stands twice: {labelnames}")
    return labelnames


def unit_of(name):
    """What the values are, from the last word of the name that tells: it chooses the range of the fine buckets."""
    found = [_UNITS[word] for word in re.split("[_:]+", name) if word in _UNITS]
    return found[-1] if found else 0
