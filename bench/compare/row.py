# SPDX-License-Identifier: Apache-2.0
"""One row: what was measured of one way to telemetry."""

import dataclasses


@dataclasses.dataclass
class Row:
    name: str
    measured: str = ""  # where the figures come from; or why there are none
    families: int | None = None  # of KV transfers
    quantiles: list | None = None  # errors of P50, P90, P99, in percent
    buckets: str = ""  # that gave the quantiles
    native: str = ""  # each of these five: "yes", "no", or a word more
    exemplars: str = ""
    starts: str = ""
    peers: str = ""
    in_flight: str = ""
    recorded: int | None = None  # by the killed process between the last scrape or export and the kill
    lost: int | None = None  # of these
    afterwards: str = ""  # what is left of the page after the kill
    transfer_ns: float | None = None  # of CPU time
    transfer_what: str = ""
    scrape_ms: float | None = None  # of CPU time
    scrape_what: str = ""
    better: str = ""  # what it does better than kvtel


def yes(condition):
    return "yes" if condition else "no"
