# SPDX-License-Identifier: Apache-2.0
"""The kinds of payload. What cannot be used is left out and counted, the rest is kept."""

import json
import math
from collections import Counter


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


LONGEST_SECONDS = 2**62 / 1e9  # what a clock of nanoseconds measures


def is_time(name):
    """Whether a field or metric is in seconds and adds up; vllm:kv_offload_tiering_backpressure_store_latency_ema is a gauge."""
    return name.endswith(("duration", "seconds", "time"))


def add_up(values):
    """Left to right, as sum() does up to Python 3.11 (later ones compensate): integer while all are integers."""
    total = 0
    for value in values:
        total += value
    return total


class Stats:
    """What one connector observed in an interval: `data` is the payload, `refused` counts what was left out of it."""

    def __init__(self, payload=None):
        self.refused = Counter()
        self.data = self.blank()
        if payload is not None:
            self.decode({key: value for key, value in payload.items() if key != "_metrics_descriptor"})

    def refuse(self, reason, count=1):
        self.refused[reason] += count

    def fault(self, value, name="", signed=False):
        """Why `value` is no usable number of the field or metric `name`, or None."""
        if not is_number(value):
            return "wrong_type"
        if not math.isfinite(value):
            return "not_finite"
        if value < 0 and not signed:
            return "negative"
        if is_time(name) and value > LONGEST_SECONDS:
            return "implausible"
        return None

    def number(self, value, name="", signed=False):
        """Whether `value` can be used; counted if not."""
        reason = self.fault(value, name, signed)
        if reason:
            self.refuse(reason)
        return reason is None

    def numbers(self, values, name="", signed=False):
        return [value for value in values if self.number(value, name, signed)]

    def of_type(self, value, kind):
        if isinstance(value, kind):
            return True
        self.refuse("wrong_type")
        return False

    def encode(self):
        return self.data


class Columns(Stats):
    """{field: [numbers]}; fields in `totals` are a lone number."""

    transfer = ()  # columns that describe the same transfers, row by row
    lists = ()
    levels = ()  # readings, of which the last counts
    totals = ()

    def blank(self):
        columns = {key: [] for key in (*self.transfer, *self.lists, *self.levels)}
        return columns | {key: 0 for key in self.totals}

    def decode(self, payload):
        for key, value in payload.items():
            if key not in self.data:
                self.refuse("unknown_key")
            elif key in self.totals:
                if self.number(value, key):
                    self.data[key] = value
            elif self.of_type(value, list) and key not in self.transfer:
                self.data[key] = self.numbers(value, key, signed=key in self.levels)
        self.decode_transfers(
            {key: payload[key] for key in self.transfer if isinstance(payload.get(key), list) and payload[key]}
        )

    def decode_transfers(self, columns):
        shortest = min(map(len, columns.values()), default=0)
        self.refuse("unequal_columns", max(map(len, columns.values()), default=0) - shortest)
        for row in zip(*columns.values()):
            reasons = [reason for reason in map(self.fault, row, columns) if reason]
            if reasons:
                self.refuse(reasons[0])
                continue
            for key, value in zip(columns, row):
                self.data[key].append(value)

    def aggregate(self, other):
        for key, value in other.data.items():
            if key in self.totals:
                self.data[key] += value
            elif key in self.levels:
                self.data[key] = self.data[key] + value[-1:]
            else:
                self.data[key] = self.data[key] + value
        return self


class Rows(Stats):
    """{operation: [{field: value}]}; fields in `texts` are text, all others numbers."""

    fields = ()
    texts = ()

    def blank(self):
        return {}

    def decode(self, payload):
        for operation, rows in payload.items():
            if self.of_type(rows, list):
                self.data[operation] = [row for row in map(self.decode_row, rows) if row]

    def decode_row(self, row):
        if not self.of_type(row, dict):
            return None
        for key in row:
            if key not in self.fields:
                self.refuse("unknown_key")
        for key in self.fields:
            if key not in row:
                self.refuse("unequal_columns")
                return None
            if not (self.of_type(row[key], str) if key in self.texts else self.number(row[key], key)):
                return None
        return {key: row[key] for key in self.fields}

    def aggregate(self, other):
        for operation, rows in other.data.items():
            self.data[operation] = self.data.get(operation, []) + rows
        return self

    def is_empty(self):
        return not self.data


class Counts(Stats):
    """{operation: {field: number}}"""

    fields = ()

    def blank(self):
        return {}

    def decode(self, payload):
        for operation, counts in payload.items():
            if not self.of_type(counts, dict):
                continue
            kept = dict.fromkeys(self.fields, 0)
            for key, value in counts.items():
                if key not in self.fields:
                    self.refuse("unknown_key")
                elif self.number(value, key):
                    kept[key] = value
            self.data[operation] = kept

    def aggregate(self, other):
        for operation, counts in other.data.items():
            mine = self.data.get(operation, dict.fromkeys(self.fields, 0))
            self.data[operation] = {key: mine[key] + counts[key] for key in self.fields}
        return self

    def is_empty(self):
        return not self.data


class Typed(Stats):
    """{"types": {name: type}, "data": {name: {label values: number or [numbers]}}, "info": None or [{label: value}]}"""

    metrics = {}  # name: (type, how many labels)
    has_info = False
    unlogged = ()

    def blank(self):
        blank = {"types": {}, "data": {}}
        return blank | {"info": None} if self.has_info else blank

    def decode(self, payload):
        types, data = payload.get("types", {}), payload.get("data", {})
        for key in payload:
            if key not in self.data:
                self.refuse("unknown_key")
        if not self.of_type(types, dict) or not self.of_type(data, dict):
            data = {}
        for name, series in data.items():
            if name not in self.metrics:
                self.refuse("unknown_metric")
                continue
            kind, label_count = self.metrics[name]
            if types.get(name) != kind or not isinstance(series, dict):
                self.refuse("wrong_type")
                continue
            self.data["types"][name] = kind
            self.data["data"][name] = self.decode_series(name, kind, label_count, series)
        info = payload.get("info")
        if (
            self.has_info
            and info is not None
            and self.of_type(info, list)
            and all(self.of_type(entry, dict) for entry in info)
        ):
            self.data["info"] = info

    def decode_series(self, name, kind, label_count, series):
        kept = {}
        for key, value in series.items():
            labels = labels_of(key)
            if labels is None or len(labels) not in (0, label_count):
                self.refuse("label_count", len(value) if isinstance(value, list) else 1)
            elif kind == "histogram":
                if self.of_type(value, list):
                    kept[labels] = self.numbers(value, name)
            elif self.number(value, name, signed=kind == "gauge"):
                kept[labels] = value
        return kept

    def encode(self):
        """With the label values as JSON text, which is what JSON recordings hold."""

        def as_text(series):
            return {json.dumps(list(labels)): value for labels, value in series.items()}

        return self.data | {"data": {name: as_text(series) for name, series in self.data["data"].items()}}

    def aggregate(self, other):
        mine, theirs = self.data["data"], other.data["data"]
        self.data["types"] = self.data["types"] | other.data["types"]
        for name, series in theirs.items():
            kind = other.data["types"][name]
            joined = mine.setdefault(name, {})
            for labels, value in series.items():
                if labels in joined and kind != "gauge":
                    joined[labels] = joined[labels] + value
                else:
                    joined[labels] = value
        if self.has_info and other.data["info"] is not None:
            self.data["info"] = other.data["info"]
        return self

    def is_empty(self):
        return not self.data["data"] and not self.data.get("info")

    def reduce(self):
        reduced = {}
        for name, series in self.data["data"].items():
            for labels, value in series.items():
                key = f"{name}:{labels!r}" if labels else name
                if name in self.unlogged:
                    continue
                if isinstance(value, list):
                    reduced[key + "_count"] = len(value)
                    reduced[key + "_sum"] = add_up(value)
                else:
                    reduced[key] = value
        return reduced


def labels_of(key):
    """The label values of a series: a tuple from MessagePack, the JSON text of an array from JSON; None if it is neither."""
    if isinstance(key, str):
        try:
            key = tuple(json.loads(key))
        except (ValueError, TypeError):
            return None
    if isinstance(key, tuple) and all(isinstance(label, str) for label in key):
        return key
    return None
