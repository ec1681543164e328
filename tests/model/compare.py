# SPDX-License-Identifier: Apache-2.0
"""What counts as equal: names, labels, `le` and the text of log lines to the letter; integers and counts exactly; sums of doubles,
whose last digits depend on the order of adding, to 1e-9 (1e-12 in a log line and in aggregated payloads)."""

import math
import re

SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")


def samples(text):
    """Text exposition as {(name, labels): value}, without kvtel's own families."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "kvtel_")):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            found[name, tuple(LABEL.findall(labels or ""))] = float(value)
    return found


def skeleton(text):
    """The exposition's lines in their order, a sample's value taken off, without HELP and kvtel's own families."""
    lines = (line for line in text.splitlines() if not line.startswith(("# HELP", "# TYPE kvtel_", "kvtel_")))
    return [line if line.startswith("#") else line.rsplit(" ", 1)[0] for line in lines]


def own_counts(text):
    """What kvtel counts about itself: payloads read, and what was refused, by reason."""
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("kvtel_")]
    refused = {
        LABEL.search(name)[2]: int(float(value)) for name, value in lines if name.startswith("kvtel_refused_total{")
    }
    [payloads] = [int(float(value)) for name, value in lines if name == "kvtel_payloads_total"]
    return payloads, {reason: count for reason, count in refused.items() if count}


def count_differences(outcome, text):
    payloads, refused = own_counts(text)
    wanted = {reason: count for reason, count in outcome.refused.items() if count}
    differences = [f"{payloads} payloads, not {outcome.payloads}"] if payloads != outcome.payloads else []
    return differences + ([f"refused {refused}, not {wanted}"] if refused != wanted else [])


def is_summed(name):
    """Sums of doubles; every other sample is a count or a reading and must be equal."""
    return name.endswith("_sum") or "_time" in name and name.endswith("_total")


def exposition_differences(want, got):
    """What differs between two expositions, as text; empty when nothing does."""
    differences = []
    if skeleton(want) != skeleton(got):
        missing = [line for line in skeleton(want) if line not in set(skeleton(got))]
        extra = [line for line in skeleton(got) if line not in set(skeleton(want))]
        differences.append(
            f"lines missing {missing[:3]}, extra {extra[:3]}" if missing or extra else "lines are in another order"
        )
    differences += value_differences(samples(want), samples(got))
    return differences


def value_differences(want, got):
    return [
        f"{name} {dict(labels)}: {got[name, labels]!r}, not {value!r}"
        for (name, labels), value in want.items()
        if (name, labels) in got and not near(value, got[name, labels], 1e-9 if is_summed(name) else 0)
    ]


def near(want, got, tolerance):
    """NaN is equal to NaN. Whole numbers past 2^53 are sums of doubles too."""
    if abs(want) >= 2**53:
        tolerance = max(tolerance, 1e-12)
    return want == got or math.isclose(want, got, rel_tol=tolerance) or (math.isnan(want) and math.isnan(got))


def log_differences(want, got):
    if len(want) != len(got):
        return [f"{len(got)} log lines, not {len(want)}"]
    return [f"log line {i}: {b!r}, not {a!r}" for i, (a, b) in enumerate(zip(want, got), 1) if not same_line(a, b)]


def same_line(want, got):
    """Equal, save that unrounded sums of doubles (typed connectors) may differ in the last digits."""
    if want == got:
        return True
    if NUMBER.sub("#", want) != NUMBER.sub("#", got) or "_sum" not in want and "_time" not in want:
        return False
    pairs = zip(NUMBER.findall(want), NUMBER.findall(got))
    return all(math.isclose(float(a), float(b), rel_tol=1e-12) for a, b in pairs)


def as_it_is(payload):
    return payload


def aggregated_differences(want, got, tidy=as_it_is):
    """`tidy` brings payloads that mean the same into one form."""
    if len(want) != len(got):
        return [f"{len(got)} aggregated payloads, not {len(want)}"]
    differences = []
    for i, (a, b) in enumerate(zip(want, got), 1):
        a, b = dict(a, aggregated=tidy(a["aggregated"])), dict(b, aggregated=tidy(b["aggregated"]))
        differences += first_difference(f"payload {i}", a, b)
    return differences


def without_nothing(payload):
    """Without what says nothing: a field that is absent, refused or empty is all one to whoever reads the payload."""
    if isinstance(payload, list):
        return [without_nothing(item) for item in payload]
    if not isinstance(payload, dict):
        return payload
    kept = {key: without_nothing(value) for key, value in payload.items()}
    return {key: value for key, value in kept.items() if value not in ([], {}, None, 0)}


def first_difference(where, want, got):
    """Where two decoded objects differ first, as a list of one text; empty when they do not."""
    if isinstance(want, dict) and isinstance(got, dict):
        if want.keys() != got.keys():
            return [f"{where}: has {sorted(got.keys() - want.keys())}, lacks {sorted(want.keys() - got.keys())}"]
        pairs = [(f"{where}, {key}", want[key], got[key]) for key in want]
    elif isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            return [f"{where}: {len(got)} items, not {len(want)}"]
        pairs = [(f"{where}, {i}", a, b) for i, (a, b) in enumerate(zip(want, got))]
    else:
        equal = near(want, got, 1e-12) if isinstance(want, float) and isinstance(got, float) else want == got
        return [] if equal and type(want) is type(got) else [f"{where}: {got!r}, not {want!r}"]
    return next(filter(None, (first_difference(*pair) for pair in pairs)), [])
