# SPDX-License-Identifier: Apache-2.0
"""Reads the file of a store whose writer has ended or rests. Written from docs/store-format.md alone, to check the reader in C."""

import bisect
import math
import struct

HEADER = struct.Struct("=8sQIIiIIIIIQQQQQ")
COUNTER, GAUGE, HISTOGRAM = range(3)
TYPES = ("counter", "gauge", "histogram")
BLOCK_ROWS = 256


class Store:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        magic, order, version, header_size, schema, rows = HEADER.unpack_from(self.data)[:6]
        if magic != b"kvtelst\n" or order != 0x0102030405060708 or version != 1 or header_size != 912:
            raise ValueError(f"{path}: not a store of layout 1")
        assert schema == 6 and rows == BLOCK_ROWS
        tables = struct.unpack_from("=12Q", self.data, 88)
        self.at = dict(zip(("families", "bounds", "series", "groups", "feeds", "strings"), tables[::2]))
        self.lanes_at, self.stride, self.slots_size = struct.unpack_from("=3Q", self.data, 184)
        self.model_name = self.data[208:720].split(b"\0")[0].decode()
        self.connector = self.data[720:848].split(b"\0")[0].decode()
        counts = struct.unpack_from("=7Q", self.data, 848)
        self.lane_count, self.series_dropped, self.records_dropped, self.values_refused = counts[3:]
        self.families = [self.read_family(i) for i in range(counts[0])]
        self.series = [self.read_series(i) for i in range(counts[1])]
        self.groups = [self.read_group(i) for i in range(counts[2])]
        for lane in range(self.lane_count):
            self.read_lane(lane)
        self.series = [series for series in self.series if not series["removed"]]

    def texts(self, at, size):
        start = self.at["strings"] + at
        return [text.decode("utf-8", "replace") for text in self.data[start : start + size].split(b"\0")[:-1]]

    def read_family(self, i):
        record = struct.unpack_from("=6IQiI", self.data, self.at["families"] + 64 * i)
        kind, _, label_count, bound_count, bounds_at, text_size, text_at, first, count = record
        name, help_text, *labels = self.texts(text_at, text_size)
        assert len(labels) == label_count
        explicit = struct.unpack_from(f"={bound_count}d", self.data, self.at["bounds"] + 8 * bounds_at)
        bounds = sorted({*explicit, *(2.0 ** ((first + k) / 64) for k in range(count))})
        return {"name": name, "type": TYPES[kind], "help": help_text, "labels": labels, "bounds": bounds}

    def read_series(self, i):
        family, text_size, text_at, bins_at, slot, removed = struct.unpack_from(
            "=IIQQII", self.data, self.at["series"] + 32 * i
        )
        values = self.texts(text_at, text_size)
        return {
            "family": self.families[family],
            "labels": dict(zip(self.families[family]["labels"], values)),
            "slot": slot,
            "bins_at": bins_at,
            "removed": removed,
            "value": 0.0,
            "stamp": 0,
            "count": 0,
            "sum": 0.0,
            "bins": [0] * (len(self.families[family]["bounds"]) + 1),
        }

    def read_group(self, i):
        slot, columns, feeds_at, feed_count, block_at, _ = struct.unpack_from(
            "=IIIIQQ", self.data, self.at["groups"] + 32 * i
        )
        feeds = [
            struct.unpack_from("=IHH", self.data, self.at["feeds"] + 8 * (feeds_at + k)) for k in range(feed_count)
        ]
        return {"slot": slot, "columns": columns, "feeds": feeds, "block_at": block_at}

    def words(self, lane, word, count, kind="Q"):
        return struct.unpack_from(f"={count}{kind}", self.data, self.lanes_at + lane * self.stride + 8 * word)

    def read_lane(self, lane):
        for series in self.series:
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
            head = self.words(lane, 8 * group["slot"], 1)[0]
            for feed in group["feeds"]:
                self.read_feed(lane, group, head, *feed)

    def read_feed(self, lane, group, head, series_at, column, kind):
        series = self.series[series_at]
        slot = 8 * series["slot"]
        state = self.words(lane, slot, 1)[0]
        folds = state // 2
        pending = head - BLOCK_ROWS * folds
        assert 0 <= pending <= BLOCK_ROWS
        rows = self.words(lane, group["block_at"], pending * group["columns"], "d")[column :: group["columns"]]
        values = [value for value in rows if not math.isnan(value)]
        if kind != 0:
            series["value"] += self.words(lane, slot + 1 + (folds & 1), 1, "d")[0]
            series["value"] += len(values) if kind == 2 else sum(values)
            return
        count = self.words(lane, slot + 3 + (folds & 1), 1)[0]
        first, end = self.words(lane, slot + 5, 2)
        bins = self.words(lane, series["bins_at"] + first, max(end - first, 0))
        done = sum(bins) - count
        assert done == 0 if state % 2 == 0 else 0 <= done <= len(values)
        for i, n in enumerate(bins):
            series["bins"][first + i] += n
        for value in values[done:]:
            series["bins"][bisect.bisect_left(series["family"]["bounds"], value)] += 1
        series["count"] += count + len(values)
        series["sum"] += self.words(lane, slot + 1 + (folds & 1), 1, "d")[0] + sum(values)
