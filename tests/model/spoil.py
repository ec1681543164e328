# SPDX-License-Identifier: Apache-2.0
"""Spoils payloads: each way is one that a decoder must survive by refusing the field, the row or the value, and nothing more."""

import copy
import math

from .connectors import CLASSES, Multi, OldOffloading
from .payloads import LONGEST_SECONDS, Columns, Counts, Rows, is_time

NO_NUMBERS = ("text", None, True, [1], {"a": 1}, math.nan, math.inf, -math.inf, -1, -0.5)
NO_TIMES = (*NO_NUMBERS, math.nextafter(LONGEST_SECONDS, math.inf), int(LONGEST_SECONDS) + 1, 2**63 - 1, 1e300)
NO_LISTS = (3, 0.5, "text", None, False, {"a": [1]})
NO_MAPS = (3, 0.5, "text", None, True, [1])
NO_TOTALS = (*NO_NUMBERS, [])
NO_GAUGES = (*NO_NUMBERS[:8], [])  # a reading may be below zero


def payload(draw, name, good):
    """A copy of a class's payload, spoiled up to three times; now and then left as it is."""
    spoiled = copy.deepcopy(good)
    for _ in range(draw.randint(0, 3)):
        spoil(draw, name, spoiled)
    if draw.chance(0.1):
        spoiled["_metrics_descriptor"] = {"descriptor_version": 1, "connector_id": "x", "metrics": []}
    return spoiled


def spoil(draw, name, payload):
    cls = OldOffloading if payload.keys() & {"CPU_to_GPU", "GPU_to_CPU"} else CLASSES[name]
    if cls is None:
        return
    if issubclass(cls, Multi):
        spoil_multi(draw, payload)
    elif issubclass(cls, Columns):
        spoil_columns(draw, cls, payload)
    elif issubclass(cls, Rows):
        spoil_rows(draw, cls, payload)
    elif issubclass(cls, Counts):
        spoil_counts(draw, payload)
    else:
        spoil_typed(draw, payload)


def item(draw, item):
    """Payloads that are none, an engine that the recording does not declare."""
    if draw.chance(0.1):
        item["engine"] = 77
    if draw.chance(0.1):
        payloads = item.get("workers") or [item["payload"]]
        payloads[draw.randrange(len(payloads))] = pick(draw, NO_MAPS)
        item.update({"workers": payloads} if "workers" in item else {"payload": payloads[0]})


def pick(draw, values):
    return copy.deepcopy(draw.choice(values))


def filled_lists(mapping):
    """The names of those values that are lists with something in them."""
    return [key for key, value in mapping.items() if isinstance(value, list) and value]


def no_numbers(name):
    return NO_TIMES if is_time(name) else NO_NUMBERS


def spoil_value(draw, name, values):
    """One or some values of a list of numbers."""
    for _ in range(draw.choice((1, 1, 3))):
        values[draw.randrange(len(values))] = pick(draw, no_numbers(name))


def spoil_columns(draw, cls, payload):
    way = draw.choice(("unknown", "field", "value", "value", "cut", "cut", "missing", "emptied"))
    filled = filled_lists(payload)
    if way == "unknown":
        payload[draw.choice(("num_surprises", ""))] = draw.choice(([1, 2], 3, "text", None))
    elif way == "value" and filled:
        key = draw.choice(filled)
        spoil_value(draw, key, payload[key])
    elif way == "cut" and filled:
        column = payload[draw.choice(filled)]
        del column[draw.randrange(len(column)) :]
    elif payload:
        key = draw.choice(list(payload))
        if way == "missing":
            del payload[key]
        else:
            payload[key] = pick(draw, NO_TOTALS if key in cls.totals else NO_LISTS if way == "field" else ([],))


def spoil_rows(draw, cls, payload):
    way = draw.choice(("operation", "row", "unknown", "missing", "value", "value", "text"))
    filled = filled_lists(payload)
    if way == "operation" or not filled:
        payload[draw.choice(("save_put", "CPU_to_GPU"))] = pick(draw, NO_LISTS)
        return
    rows = payload[draw.choice(filled)]
    at = draw.randrange(len(rows))
    if way == "row":
        rows[at] = pick(draw, NO_MAPS)
    if not isinstance(rows[at], dict):
        return
    if way == "unknown":
        rows[at]["surprise"] = draw.choice((1, [1], "text"))
    elif way == "text" and cls.texts:
        rows[at][cls.texts[0]] = draw.choice((1, None, ["ok"]))
    elif rows[at]:
        key = draw.choice(list(rows[at]))
        if way == "missing":
            del rows[at][key]
        elif key not in cls.texts:
            rows[at][key] = pick(draw, no_numbers(key))


def spoil_counts(draw, payload):
    counts = [value for value in payload.values() if isinstance(value, dict) and value]
    way = draw.choice(("operation", "unknown", "missing", "value", "value"))
    if way == "operation" or not counts:
        payload[draw.choice(("save", "other"))] = pick(draw, NO_MAPS)
        return
    chosen = draw.choice(counts)
    key = draw.choice(list(chosen))
    if way == "unknown":
        chosen["surprise"] = draw.choice((1, "text"))
    elif way == "missing":
        del chosen[key]
    else:
        chosen[key] = pick(draw, NO_TOTALS)


def spoil_typed(draw, payload):
    if not all(isinstance(payload[key], dict) for key in ("types", "data")):
        return
    ways = (
        "unknown_key",
        "unknown_metric",
        "info",
        "type",
        "untyped",
        "series",
        "labels",
        "labels",
        "value",
        "value",
        "container",
    )
    way = draw.choice(ways)
    if way == "unknown_key":
        payload["surprise"] = draw.choice((1, {}, []))
    elif way == "unknown_metric":
        name = draw.choice(("vllm:surprise", "vllm:kv_offload_stores_skipped"))  # the second: unless it is configured
        payload["types"][name], payload["data"][name] = "counter", {"[]": 1}
    elif way == "info" and "info" in payload:
        payload["info"] = draw.choice(("text", 3, {"cpu_num_chunks": 1}, [1], [{"cpu_num_chunks": 1}, None]))
    elif way == "container":
        payload[draw.choice(("types", "data"))] = pick(draw, NO_MAPS)
        return
    if not payload["data"]:
        return
    name = draw.choice(list(payload["data"]))
    series = payload["data"][name]
    if way == "type":
        payload["types"][name] = draw.choice(("summary", "", None, 1))
    elif way == "untyped":
        payload["types"].pop(name, None)
    elif way == "series" or not isinstance(series, dict):
        payload["data"][name] = pick(draw, NO_MAPS)
    elif way == "labels":
        series[draw.choice(('["a", "b", "c"]', '["a", "b", "c", "d", "e"]', "no tuple"))] = draw.choice((1, [1]))
    elif way == "value" and series:
        labels = draw.choice(list(series))
        if isinstance(series[labels], list) and series[labels] and draw.chance(0.7):
            spoil_value(draw, name, series[labels])
        else:
            unfit = {"histogram": NO_LISTS, "gauge": NO_GAUGES}.get(
                payload["types"].get(name), (*no_numbers(name), [])
            )
            series[labels] = pick(draw, unfit)


def spoil_multi(draw, payload):
    way = draw.choice(("unknown", "no_stats", "child", "deep", "deep", "deep"))
    children = [name for name in payload if isinstance(payload[name], dict) and CLASSES.get(name)]
    if way == "unknown":
        payload["SurpriseConnector"] = draw.choice(({"a": [1]}, 3))
    elif way == "no_stats":
        payload["ExampleConnector"] = {"a": [1]}
    elif children:
        name = draw.choice(children)
        if way == "child":
            payload[name] = pick(draw, NO_MAPS)
        else:
            child = payload[name]
            spoil(draw, name, child["data"] if list(child) == ["data"] else child)
