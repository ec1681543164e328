# SPDX-License-Identifier: Apache-2.0
"""Transfers that are known, and what quantiles somebody's buckets give of them; a book of how many were recorded."""

import bisect
import math
import mmap
import random
import struct

COUNT = 20000  # transfers that a library is given
FIRST, OPEN = 200, 4  # transfers of an agent of NIXL's before the others, and those that stay open
QUANTILES = (0.5, 0.9, 0.99)


def transfers(count=COUNT):
    """[(duration, post time, bytes, descriptors)], times in nanoseconds, as bench_record.c draws them."""
    draw = random.Random(1)
    return [
        (
            int(draw.lognormvariate(math.log(3e6), 0.5)),
            int(draw.lognormvariate(math.log(3e5), 0.3)),
            262144 * (1 + draw.randrange(64)),
            1 + draw.randrange(512),
        )
        for _ in range(count)
    ]


def exact():
    ordered = sorted(duration / 1e9 for duration, *_ in transfers())
    return [ordered[math.ceil(q * len(ordered)) - 1] for q in QUANTILES]


def counts_below(bounds):
    """Of the known durations: [(bound, how many are not above it)]."""
    ordered = sorted(duration / 1e9 for duration, *_ in transfers())
    return [(bound, bisect.bisect_right(ordered, bound)) for bound in [*sorted(bounds), math.inf]]


def of_explicit(buckets):
    """The quantiles as Prometheus' histogram_quantile() has them, of [(upper bound, cumulative count)] that end with infinity."""
    found, total = [], buckets[-1][1]
    for q in QUANTILES:
        lower = below = 0
        for bound, count in buckets:
            if count >= q * total:
                found.append(
                    lower if bound == math.inf else lower + (bound - lower) * (q * total - below) / (count - below)
                )
                break
            lower, below = bound, count
    return found


def of_exponential(schema, counts):
    """The same of exponential buckets {index: count}: bucket i ends at 2^(i / 2^schema). Prometheus interpolates by the logarithm."""
    found, total = [], sum(counts.values())
    for q in QUANTILES:
        below = 0
        for index, count in sorted(counts.items()):
            if below + count >= q * total:
                found.append(2 ** ((index - 1 + (q * total - below) / count) / 2**schema))
                break
            below += count
    return found


def errors(found):
    """How far quantiles are from the exact ones, in percent."""
    return [round(100 * abs(value / true - 1), 1) for value, true in zip(found, exact())]


class Book:
    """How many transfers a process has recorded: a number in a file that the process maps, so a kill cannot take it back."""

    def __init__(self, path):
        with open(path, "a+b") as file:
            file.truncate(8)
            self.memory = mmap.mmap(file.fileno(), 8)

    def count(self):
        return struct.unpack("<Q", self.memory)[0]

    def add(self):
        self.memory[:8] = struct.pack("<Q", self.count() + 1)
