# SPDX-License-Identifier: Apache-2.0
"""The rows as tables in Markdown."""


def number(value, digits=3):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def quantiles(row):
    if row.quantiles is None:
        return row.buckets
    return f"{' / '.join(number(error) for error in row.quantiles)} % ({row.buckets})"


def lost(row):
    return "" if row.lost is None else f"{number(max(0, row.lost))} of {number(row.recorded)}"


def cost(value, unit, what):
    return "" if value is None else f"{number(value)} {unit}: {what}"


SHOWS = [
    ("", lambda row: row.name),
    ("families", lambda row: "" if row.families is None else str(row.families)),
    ("error of P50 / P90 / P99", quantiles),
    ("native histograms", lambda row: row.native),
    ("exemplars", lambda row: row.exemplars),
    ("starts", lambda row: row.starts),
    ("peers", lambda row: row.peers),
    ("in flight", lambda row: row.in_flight),
]
KILLED = [("", lambda row: row.name), ("lost", lost), ("left on the page", lambda row: row.afterwards)]
COSTS = [
    ("", lambda row: row.name),
    ("a transfer", lambda row: cost(row.transfer_ns, "ns", row.transfer_what)),
    ("CPU of a scrape", lambda row: cost(row.scrape_ms, "ms", row.scrape_what) or row.scrape_what),
]
BETTER = [("", lambda row: row.name), ("what it does better than kvtel", lambda row: row.better)]


def lines(columns, rows):
    cells = [[heading for heading, _ in columns], ["---"] * len(columns)]
    cells += [[str(of(row)) for _, of in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def text(machine, rows):
    measured = [row for row in rows if row.families is not None]
    parts = [f"{machine}\n"]
    for title, columns in (("What it shows", SHOWS), ("After kill -9", KILLED), ("Costs", COSTS)):
        parts.append(f"{title}:\n\n{lines(columns, measured)}")
    parts.append(f"Better:\n\n{lines(BETTER, [row for row in measured if row.better])}")
    if missing := [row for row in rows if row.families is None]:
        parts.append("".join(f"{row.name}: {row.measured}\n" for row in missing))
    return "\n".join(parts)
