# SPDX-License-Identifier: Apache-2.0
"""Compares log lines, also with those of vLLM before 0.32."""

import re

from tests.model import compare

# What vLLM before 0.32 does not log: NIXL's failures, behind its averages.
FAILURES = re.compile(r", '?Num failed transfers[^}]*")


def differences(wanted, got):
    """As compare's, but where one side is of vLLM before 0.32: that logs no failures, writes numpy's numbers as such inside of a
    MultiConnector's line, and rounds the third decimal of a mean another way where its exact value is a half."""
    pairs = list(zip(wanted, got))
    if len(wanted) != len(got) or all(bool(FAILURES.search(a)) == bool(FAILURES.search(b)) for a, b in pairs):
        return compare.log_differences(wanted, got)
    pairs = [[re.sub(r"np\.float64\(([^)]*)\)", r"\1", FAILURES.sub("", line)) for line in pair] for pair in pairs]
    return [f"{b!r}, not {a!r}" for a, b in pairs if not same_but_for_rounding(a, b)]


def same_but_for_rounding(a, b):
    pairs = zip(compare.NUMBER.findall(a), compare.NUMBER.findall(b))
    return compare.NUMBER.sub("#", a) == compare.NUMBER.sub("#", b) and all(
        abs(float(x) - float(y)) < 0.0015 for x, y in pairs
    )
