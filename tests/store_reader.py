# SPDX-License-Identifier: Apache-2.0
"""Reads the file of a store whose writer has ended or rests. Written from docs/store-format.md alone, to check the reader in C."""

import bisect
import math
import pathlib
import struct

HEADER = struct.Struct("=8sQIIiIIIIIQQQQQ")
COUNTER, GAUGE, HISTOGRAM = range(3)
TYPES = ("counter", "gauge", "histogram")
BLOCK_ROWS = 256
OCTAVES, CELLS_OCTAVE = 34, 136
CELLS = OCTAVES * CELLS_OCTAVE + 2
INTEGER_LIMIT, NO_VALUE = 1 << 52, (1 << 64) - 1
PIECES, NS = 1 - 2.0**-50, 2.0**30 / 1e9 * (1 - 2.0**-50)
INNER = [2.0 ** (i / 8) for i in range(1, 8)]


def edges_of(octave):
    """The bounds of the cells: that of cell 0, and those of the cells of each octave but the last, which is never used."""
    numbers = sorted([1 + i / 128 for i in range(1, 129)] + INNER)
    return [math.ldexp(1, octave)] + [math.ldexp(number, octave + k) for k in range(OCTAVES) for number in numbers]


def value_of(word, ns):
    if word >= INTEGER_LIMIT:
        return struct.unpack("=d", struct.pack("=Q", word))[0]
    return word / 1e9 if ns else float(word)


class Store:
    def __init__(self, path, data=None):
        self.data = data if data is not None else pathlib.Path(path).read_bytes()
        magic, order, version, header_size, schema, rows = HEADER.unpack_from(self.data)[:6]
        if magic != b"kvtelst\n" or order != 0x0102030405060708 or version != 2 or header_size != 960:
            raise ValueError(f"{path}: not a store of layout 2")
        assert schema == 3 and rows == BLOCK_ROWS
        tables = struct.unpack_from("=12Q", self.data, 88)
        self.at = dict(zip(("families", "bounds", "series", "groups", "feeds", "strings"), tables[::2]))
        self.lanes_at, self.stride, self.slots_size = struct.unpack_from("=3Q", self.data, 184)
        self.model_name = self.data[208:720].split(b"\0")[0].decode()
        self.connector = self.data[720:848].split(b"\0")[0].decode()
        counts = struct.unpack_from("=7Q", self.data, 848)
        self.lines_at = struct.unpack_from("=Q", self.data, 912)[0]
        self.lane_count, self.series_dropped, self.records_dropped, self.values_refused = counts[3:]
        self.families = [self.read_family(i) for i in range(counts[0])]
        self.series = [self.read_series(i) for i in range(counts[1])]
        self.groups = [self.read_group(i) for i in range(counts[2])]
        for lane in range(self.lane_count):
            self.read_lane(lane)
        self.read_open()
        self.series = [series for series in self.series if not series["removed"]]

    def texts(self, at, size):
        start = self.at["strings"] + at
        return [text.decode("utf-8", "replace") for text in self.data[start : start + size].split(b"\0")[:-1]]

    def read_family(self, i):
        record = struct.unpack_from("=6IQiI", self.data, self.at["families"] + 64 * i)
        kind, _, label_count, bound_count, bounds_at, text_size, text_at, first, _ = record
        name, help_text, *labels = self.texts(text_at, text_size)
        assert len(labels) == label_count
        explicit = struct.unpack_from(f"={bound_count}d", self.data, self.at["bounds"] + 8 * bounds_at)
        edges = edges_of(first // 8) if TYPES[kind] == "histogram" else []
        bounds = sorted({*explicit, *edges})
        return {
            "name": name,
            "type": TYPES[kind],
            "help": help_text,
            "labels": labels,
            "explicit": explicit,
            "edges": edges,
            "bounds": bounds,
        }

    def read_series(self, i):
        family, text_size, text_at, cells_at, slot, removed, started, exemplars_at = struct.unpack_from(
            "=IIQQIIQQ", self.data, self.at["series"] + 48 * i
        )
        values = self.texts(text_at, text_size)
        return {
            "family": self.families[family],
            "labels": dict(zip(self.families[family]["labels"], values)),
            "slot": slot,
            "cells_at": cells_at,
            "removed": removed,
            "started": started,
            "exemplars_at": exemplars_at,
            "exemplars": {},  # of each explicit bucket that has one: value, time in ns, labels
            "value": 0.0,
            "stamp": 0,
            "count": 0,
            "sum": 0.0,
            "bins": [0] * (len(self.families[family]["bounds"]) + 1),
        }

    def read_group(self, i):
        slot, columns, feeds_at, feed_count, block_at, ns, _ = struct.unpack_from(
            "=IIIIQII", self.data, self.at["groups"] + 32 * i
        )
        feeds = [
            struct.unpack_from("=IHH", self.data, self.at["feeds"] + 8 * (feeds_at + k)) for k in range(feed_count)
        ]
        return {"number": i, "slot": slot, "columns": columns, "feeds": feeds, "block_at": block_at, "ns": ns}

    def words(self, lane, word, count, kind="Q"):
        return struct.unpack_from(f"={count}{kind}", self.data, self.lanes_at + lane * self.stride + 8 * word)

    def read_exemplars(self, lane, series):
        buckets = len(series["family"]["explicit"]) + 1
        for bucket, number in enumerate(self.words(lane, series["exemplars_at"], buckets)):
            if number == 0:
                continue
            half = series["exemplars_at"] + (buckets + 7) // 8 * 8 + 48 * bucket + 24 * (number & 1)
            time, size = self.words(lane, half + 1, 2)
            start = self.lanes_at + lane * self.stride + 8 * (half + 3)
            texts = [text.decode() for text in self.data[start : start + size].split(b"\0")[:-1]]
            found = (self.words(lane, half, 1, "d")[0], time, dict(zip(texts[::2], texts[1::2])))
            series["exemplars"][bucket] = max(found, series["exemplars"].get(bucket, found), key=lambda one: one[1])

    def read_lane(self, lane):
        for series in self.series:
            if series["exemplars_at"]:
                self.read_exemplars(lane, series)
            slot = 8 * series["slot"]
            if series["family"]["type"] == "counter":
                series["value"] += self.words(lane, slot + 3, 1, "d")[0]
            elif series["family"]["type"] == "gauge":
                times = self.words(lane, slot, 1)[0]
                stamp = self.words(lane, slot + 3 + (times & 1), 1)[0]
                if stamp > series["stamp"]:
                    series["stamp"] = stamp
                    series["value"] = self.words(lane, slot + 1 + (times & 1), 1, "d")[0]
        for group in self.groups:
            if group["number"] < 15:
                head = struct.unpack_from("=Q", self.data, self.lines_at + 128 * lane + 8 * (1 + group["number"]))[0]
            else:
                head = self.words(lane, 8 * group["slot"], 1)[0]
            for feed in group["feeds"]:
                self.read_feed(lane, group, head, *feed)

    def read_open(self):
        """Lists the places whose transfer had not ended: `open`. If the writer has ended, lose() counts them."""
        at, _, count, _ = struct.unpack_from("=QQII", self.data, 920)
        self.untracked, self.refused, peer_count = struct.unpack_from("=3Q", self.data, 960)
        peers = [self.data[1008 + 48 * i : 1056 + 48 * i].split(b"\0")[0].decode("utf-8", "replace") for i in range(64)]
        self.open = []
        for lane in range(self.lane_count):
            for place in range(count):
                state, began, size, outcomes, peer, _, witness, before = self.words(lane, at + 8 * place, 8)
                if state % 4 == 2:
                    if witness >> 63 and witness != NO_VALUE:
                        line = self.lines_at + 128 * (witness >> 32 & 0xFFFF) + 8 * (witness & 0xFFFFFFFF)
                        now = struct.unpack_from("=Q", self.data, line)[0]
                    else:
                        now = before if witness in (0, NO_VALUE) else self.words(witness >> 32, witness & 0xFFFFFFFF, 1)[0]
                    state += now != before or witness == NO_VALUE
                if state % 4 not in (1, 2):
                    continue
                name = "" if peer == 0 else peers[peer - 1] if peer <= min(peer_count, 64) else "other"
                series = (self.series[outcomes & 0xFFFFFFFF], self.series[outcomes >> 32])
                transfer = {"began_ns": began, "bytes": None if size == NO_VALUE else size, "peer": name, "series": series}
                self.open.append(transfer | {"labels": series[0]["labels"], "ending": state % 4 == 2})

    def lose(self):
        """What an exporter counts of the open transfers once the writer has ended."""
        in_order = struct.unpack_from("=Q", self.data, 4088)[0] == 1
        for transfer in self.open:
            transfer["series"][in_order]["value"] += 1

    def read_feed(self, lane, group, head, series_at, column, kind):
        series, ns = self.series[series_at], group["ns"] >> column & 1
        slot = 8 * series["slot"]
        state = self.words(lane, slot, 1)[0]
        folds = state // 2
        pending = head - BLOCK_ROWS * folds
        assert 0 <= pending <= BLOCK_ROWS
        rows = self.words(lane, group["block_at"], pending * group["columns"])[column :: group["columns"]]
        words = [word for word in rows if word != NO_VALUE]
        integers = sum(word for word in words if word < INTEGER_LIMIT)
        doubles = sum(value_of(word, ns) for word in words if word >= INTEGER_LIMIT)
        if kind != 0:
            if kind == 2:
                integers, doubles = 0, len(words)
            integers += self.words(lane, slot + 4 + (folds & 1), 1)[0]
            series["value"] += self.words(lane, slot + 1 + (folds & 1), 1, "d")[0] + doubles
            series["value"] += integers / 1e9 if ns else integers
            return
        count = self.words(lane, slot + 3 + (folds & 1), 1)[0]
        first, end = self.words(lane, slot + 5, 2)
        cells = [0] * CELLS
        cells[first:end] = self.words(lane, series["cells_at"] + first, max(end - first, 0))
        done = sum(cells) - count
        assert done == 0 if state % 2 == 0 else 0 <= done <= len(words)
        family = series["family"]
        bound_count = len(family["explicit"])
        below = self.words(lane, slot + 10 + (folds & 1) * bound_count, bound_count)
        self.add_cells(series, cells, list(below), [value_of(word, ns) for word in words[:done]])
        for word in words[done:]:
            series["bins"][bisect.bisect_left(family["bounds"], value_of(word, ns))] += 1
        series["count"] += count + len(words)
        integers += self.words(lane, slot + 8 + (folds & 1), 1)[0]
        series["sum"] += self.words(lane, slot + 1 + (folds & 1), 1, "d")[0] + doubles
        series["sum"] += integers / 1e9 if ns else integers

    @staticmethod
    def add_cells(series, cells, below, done):
        """Adds the cells, each cut at the explicit bounds inside it. `done`: values in the cells, but not in `below`."""
        family, bins = series["family"], series["bins"]
        edges = family["edges"]
        used = [cell for cell in range(CELLS) if cell == 0 or cell % CELLS_OCTAVE != 0]
        inside = {}  # of each cell: the numbers of the explicit bounds inside it
        for number, bound in enumerate(family["explicit"]):
            place = bisect.bisect_left(edges, bound)
            if place == len(edges) or edges[place] != bound:
                inside.setdefault(place, []).append(number)
                for value in done:
                    if bisect.bisect_left(edges, value) == place and value <= bound:
                        below[number] += 1
        assert all(cells[cell] == 0 for cell in range(CELLS_OCTAVE, CELLS - 1, CELLS_OCTAVE))
        for place, cell in enumerate(used):
            lower = 0
            for number in inside.get(place, []):
                assert lower <= below[number] <= cells[cell]
                bins[bisect.bisect_left(family["bounds"], family["explicit"][number])] += below[number] - lower
                lower = below[number]
            top = edges[place] if place < len(edges) else math.inf
            bins[bisect.bisect_left(family["bounds"], top)] += cells[cell] - lower
